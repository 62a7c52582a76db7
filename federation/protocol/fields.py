"""
The small forms that recur in every message: digests, ids, times, names.

Each function takes a value as JSON gave it and the field's name for the
message, and answers the value or raises ``Refused("schema-invalid")``.

    >>> digest("00", "target")
    Traceback (most recent call last):
    federation.protocol.problems.Refused: schema-invalid: target must be 64 lowercase hex digits
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NewType

from federation.protocol.strictjson import refuse

Digest = NewType("Digest", str)  # sha256 as 64 lowercase hex digits
StatementId = NewType("StatementId", str)  # sha256 of the PAE, likewise
NodeId = NewType("NodeId", str)  # opln1 and 32 characters of base32
AuthorId = NewType("AuthorId", str)  # opla1 and 32 characters of base32

_HEX64 = re.compile(r"[0-9a-f]{64}")
_HEX32 = re.compile(r"[0-9a-f]{32}")
_NODE = re.compile(r"opln1[a-z2-7]{32}")
_AUTHOR = re.compile(r"opla1[a-z2-7]{32}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9_-]{1,63}/[a-z][a-z0-9_-]{1,63}")
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)
_PROPAGATE = re.compile(r"none|peers|public|hops:[1-9]\d?", re.ASCII)


def obj(value: Any, name: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        refuse(f"{name} must be an object")
    return value


def member(parent: Mapping[str, Any], name: str) -> Any:
    """A member that must be there."""
    if name not in parent:
        refuse(f"{name} is missing")
    return parent[name]


def text(value: Any, name: str, *, longest: int = 4_000, empty: bool = False) -> str:
    """A string of at most ``longest`` characters."""
    if not isinstance(value, str) or len(value) > longest or not (value or empty):
        refuse(f"{name} must be a string of {0 if empty else 1} to {longest} characters")
    return value


def texts(value: Any, name: str, *, most: int, longest: int = 200) -> tuple[str, ...]:
    """A list of at most ``most`` strings, none of them empty."""
    if not isinstance(value, list) or len(value) > most:
        refuse(f"{name} must be a list of at most {most} strings")
    for entry in value:
        if not isinstance(entry, str) or not 0 < len(entry) <= longest:
            text(entry, f"{name}[]", longest=longest)  # refuses it, in its words
    return tuple(value)


def integer(value: Any, name: str, *, least: int = 0, most: int = 2**53 - 1) -> int:
    """A whole number between ``least`` and ``most``."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        refuse(f"{name} must be a whole number from {least} to {most}")
    return value


def digest(value: Any, name: str) -> Digest:
    """A sha256 in hex."""
    if not isinstance(value, str) or not _HEX64.fullmatch(value):
        refuse(f"{name} must be 64 lowercase hex digits")
    return Digest(value)


def statement_id(value: Any, name: str) -> StatementId:
    """The id of a statement."""
    return StatementId(digest(value, name))


def hex16(value: Any, name: str) -> str:
    """Sixteen bytes in hex: a keyid or an epoch."""
    if not isinstance(value, str) or not _HEX32.fullmatch(value):
        refuse(f"{name} must be 32 lowercase hex digits")
    return value


def node(value: Any, name: str) -> NodeId:
    """The id of a node."""
    if not isinstance(value, str) or not _NODE.fullmatch(value):
        refuse(f"{name} must be a node id, opln1 and 32 characters")
    return NodeId(value)


def author(value: Any, name: str) -> AuthorId:
    """The id of an author."""
    if not isinstance(value, str) or not _AUTHOR.fullmatch(value):
        refuse(f"{name} must be an author id, opla1 and 32 characters")
    return AuthorId(value)


def pattern_name(value: Any, name: str) -> str:
    """``handle/name``."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        refuse(f"{name} must be handle/name, each of 2 to 64 characters a-z 0-9 _ - from a letter on")
    return value


def version(value: Any, name: str) -> str:
    """A version number, semver 2.0.0."""
    if not isinstance(value, str) or len(value) > 100 or not _SEMVER.fullmatch(value):
        refuse(f"{name} must be a semantic version such as 1.2.0")
    return value


def propagate(value: Any, name: str) -> str:
    """How far an object may travel."""
    if not isinstance(value, str) or not _PROPAGATE.fullmatch(value):
        refuse(f"{name} must be none, peers, hops:n or public")
    return value


def seconds(value: Any, name: str) -> int:
    """A time ``YYYY-MM-DDTHH:MM:SSZ`` as seconds since the epoch."""
    if not isinstance(value, str) or (parsed := _parsed(value)) is None:
        refuse(f"{name} must be a time YYYY-MM-DDTHH:MM:SSZ")
    return parsed


@lru_cache(maxsize=4_096)
def _parsed(value: str) -> int | None:
    if not _TIME.fullmatch(value):
        return None
    try:
        return int(datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


def written(unix_seconds: int) -> str:
    """The wire form of a time; the reverse of ``seconds``."""
    return datetime.fromtimestamp(unix_seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def canonical_base64(value: Any, name: str) -> bytes:
    """
    The bytes of standard base64 with padding, in its one spelling.

    Two spellings of the same bytes would let a relay change a statement's
    text without changing its meaning; only the canonical one is read.
    """
    if not isinstance(value, str):
        refuse(f"{name} must be a base64 string")
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        refuse(f"{name} is not standard base64 with padding")
    if base64.b64encode(raw).decode("ascii") != value:
        refuse(f"{name} is not canonical base64")
    return raw
