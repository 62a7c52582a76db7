"""
One form for each meaning: RFC 8785 JSON, and the digests that name things.

``digest`` names a source byte for byte. ``semantic_digest`` names what it
says: two sources that differ only in layout, comments, quoting or order of
keys have the same one. Both are 64 lowercase hex digits of SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import rfc8785

from opl.document.text import split_lines
from opl.errors import OplError


class NotCanonical(OplError):
    """The value holds something that RFC 8785 cannot write: NaN, a number beyond 2**53, a lone surrogate."""

    code = "opl.document.not-canonical"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"this value has no canonical form: {self.reason}"


def canonical(value: Any) -> bytes:
    """
    The RFC 8785 form of a JSON value.

    Raises:
        NotCanonical: the value is none that JSON with IEEE doubles can hold.
    """
    try:
        return _PLAIN(value).encode("utf-8") if _is_plain(value) else rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise NotCanonical(str(error)) from None


# RFC 8785 differs from compact JSON with sorted keys in its numbers, and in the order of keys beyond the
# basic plane. Without these the standard library's encoder writes the same bytes ten times faster.
_PLAIN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode
_MOST_EXACT = 2**53 - 1


def _is_plain(value: Any) -> bool:
    """Whether a value holds only text, safe integers, truth values and null, under keys of ASCII."""
    if isinstance(value, dict):
        return all(type(key) is str and key.isascii() and _is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if type(value) is int:
        return -_MOST_EXACT <= value <= _MOST_EXACT
    return value is None or type(value) in (str, bool)


def digest(data: bytes) -> str:
    """The name of a source: the SHA-256 of its bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def semantic_digest(value: Any) -> str:
    """The name of a meaning: the SHA-256 of the RFC 8785 form, in hex. Raises ``NotCanonical``."""
    return digest(canonical(value))


def script_value(text: str) -> dict[str, str]:
    """A bare script as a JSON value: line ends are LF, blanks at line ends and the end are cut."""
    lines = [line.rstrip(" \t") for line in split_lines(text)]
    return {"script": "\n".join(lines).rstrip("\n")}
