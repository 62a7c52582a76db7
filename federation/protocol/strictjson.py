"""
JSON as the wire allows it: what two parsers could read differently is refused.

Refused are duplicate keys, NaN and infinities (written out or by overflow), a
byte order mark, the NUL character, lone surrogates, bytes that are not UTF-8
and nesting deeper than Python's parser can follow. Any bytes yield a value or
``Refused("schema-invalid")``.

    >>> loads(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    federation.protocol.problems.Refused: schema-invalid: the key "a" stands twice in one object

Source: OPL-Fed/1, "Statements"; RFC 8259, section 4; RFC 7493.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from federation.protocol.problems import Refused

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_BOM = "\ufeff"


def loads(raw: bytes | str, *, plain_escapes: bool = False) -> Any:
    """
    The one value that ``raw`` holds.

    Args:
        raw: UTF-8 bytes, or text that was decoded from them.
        plain_escapes: also refuse ``\\uXXXX`` for anything that is not a
            control character, as the payload of a statement must.

    Raises:
        Refused: ``schema-invalid``, with the reason.
    """
    text = _decoded(raw)
    if "\\u" in text:
        _judge_escapes(text, plain=plain_escapes)
    try:
        return _DECODER.decode(text)
    except RecursionError:
        refuse("the JSON is nested too deeply")
    except ValueError as error:
        refuse(f"not JSON: {error}")


def refuse(detail: str) -> NoReturn:
    """Raise ``schema-invalid`` with this detail."""
    raise Refused("schema-invalid", detail) from None


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON with sorted keys and nothing escaped that need not be."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
    return text.encode("utf-8")


def _decoded(raw: bytes | str) -> str:
    try:
        if isinstance(raw, bytes):
            text = raw.decode("utf-8")
        else:
            raw.encode("utf-8")
            text = raw
    except UnicodeError:
        refuse("the text is not UTF-8, or holds a lone surrogate")
    if text.startswith(_BOM):
        refuse("the text begins with a byte order mark")
    return text


def _judge_escapes(text: str, *, plain: bool) -> None:
    """Refuse NUL, surrogates without their partner and, where ``plain``, needless escapes."""
    high_ends_at = -1  # where a high surrogate that waits for its partner ended
    for match in _ESCAPE.finditer(text):
        code = int(match[1], 16) if match[1] else -1
        if high_ends_at >= 0:
            if not 0xDC00 <= code <= 0xDFFF or match.start() != high_ends_at:
                refuse("the text holds a lone surrogate")
            high_ends_at = -1
        elif 0xDC00 <= code <= 0xDFFF:
            refuse("the text holds a lone surrogate")
        elif 0xD800 <= code <= 0xDBFF:
            high_ends_at = match.end()
        if code == 0:
            refuse("the text holds the character NUL")
        if plain and code >= 0x80:
            refuse("a payload writes characters beyond ASCII as they are, not as \\u escapes")
    if high_ends_at >= 0:
        refuse("the text holds a lone surrogate")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                refuse(f'the key "{key}" stands twice in one object')
            seen.add(key)
    return members


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        refuse("a number is too large")
    return number


def _no_constant(name: str) -> NoReturn:
    refuse(f"{name} is not JSON")


# One decoder for all: building one per call costs more than a small document.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_without_duplicates, parse_float=_finite, parse_constant=_no_constant, strict=True
)
