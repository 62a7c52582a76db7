"""
What a value is: its type, its numbers, its size.

The ground under ``values`` (operators) and ``printing``. Numbers are IEEE
doubles: an integral one below 2**53 is held as ``int``, any other as a finite
``float``. No value nests deeper than 64 levels or grows beyond what a state
could hold; whoever builds one checks before building.

    >>> normal_number(25.0), normal_number(0.5)
    (25, 0.5)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeGuard

from opl.errors import LimitExceeded, NumberOutOfRange

# What a variable may hold. Spelled with Any inside because mypy cannot follow
# a recursive alias through list and dict, which are invariant.
JSON = None | bool | int | float | str | list[Any] | dict[str, Any]

SAFE = 2**53  # integral numbers below it are exact and held as int
MAX_STRING_BYTES = 1024 * 1024  # of one string, in UTF-8
MAX_LIST_LENGTH = 1_000_000  # elements of one list that a builtin builds
MAX_VALUE_BYTES = 4 * 1024 * 1024  # of one value as JSON: a state could not hold more
MAX_DEPTH = 64  # lists and objects inside each other
MAX_NODES = 2 * 1024 * 1024  # elements of one value, all levels together: 4 MiB of "0,"


@dataclass(frozen=True, slots=True)
class Function:
    """A lambda while an expression is evaluated; never part of a stored value."""

    arity: int  # 1 for x => …, 2 for (key, value) => …, 0 for a constant
    call: Callable[..., Any]  # takes `arity` values


# ---------------------------------------------------------------- kinds of values


def type_name(value: Any) -> str:
    """The word that messages use: null, boolean, number, string, list, object, function."""
    return _TYPE_NAMES.get(type(value), "function" if isinstance(value, Function) else "foreign value")


_TYPE_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "list",
    dict: "object",
}


def with_article(value: Any) -> str:
    """For messages: "a string", "an object", "null"."""
    name = type_name(value)
    return name if name == "null" else f"an {name}" if name == "object" else f"a {name}"


def truthy(value: Any) -> bool:
    """False are null, false, 0, "", [] and {}; everything else is true."""
    return bool(value)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether the value is a number, which a boolean is not."""
    return type(value) is int or type(value) is float


def normal_number(value: float) -> int | float:
    """
    A float as this language holds it: integral below 2**53 becomes int.

    Raises:
        NumberOutOfRange: infinity or NaN.
    """
    if value.is_integer():
        return int(value) if -SAFE < value < SAFE else value
    if math.isfinite(value):
        return value
    raise NumberOutOfRange("the result is too large for a number, or is no number")


def normal_integer(value: int) -> int | float:
    """An integer of any size as this language holds it: exact below 2**53, else the nearest double."""
    if -SAFE < value < SAFE:
        return value
    try:
        return float(value)
    except OverflowError:
        raise NumberOutOfRange("the result is too large for a number") from None


# ---------------------------------------------------------------- copies and limits


def copy(value: Any) -> Any:
    """
    The same value sharing no list or object with the original.

    Raises:
        LimitExceeded: ``nesting`` beyond 64 levels, or ``state-bytes`` for what
            no state could hold (parts that are shared count each time).
    """
    kind = type(value)
    if kind is dict or kind is list:
        return _copy(value, MAX_DEPTH, [MAX_NODES])
    return value


def _copy(value: Any, depth: int, room: list[int]) -> Any:
    take(len(value), depth, room)
    if type(value) is list:
        return [_copy(v, depth - 1, room) if type(v) is dict or type(v) is list else v for v in value]
    return {k: _copy(v, depth - 1, room) if type(v) is dict or type(v) is list else v for k, v in value.items()}


def weight(value: Any, limit: int = MAX_VALUE_BYTES) -> int:
    """
    About how many bytes the value has as JSON, never walking far beyond ``limit``.

    Strings count a byte per character, numbers eight; a result above ``limit``
    only says that it is above.
    """
    total, stack = 0, [value]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind is str:
            total += len(item) + 2
        elif kind is list:
            total += len(item) + 2
            if total <= limit:
                stack.extend(item)
        elif kind is dict:
            total += 4 * len(item) + 2 + sum(map(len, item))
            if total <= limit:
                stack.extend(item.values())
        else:
            total += 8
        if total > limit:
            break
    return total


def check_length(count: float) -> None:
    """
    Refuse to build a list that is too long; called before it is built.

    Raises:
        LimitExceeded: ``list-length``.
    """
    if count > MAX_LIST_LENGTH:
        raise LimitExceeded("list-length", MAX_LIST_LENGTH)


def check_string_length(count: float) -> None:
    """
    Refuse to build a string of more characters than the limit has bytes.

    Raises:
        LimitExceeded: ``string-bytes``.
    """
    if count > MAX_STRING_BYTES:
        raise LimitExceeded("string-bytes", MAX_STRING_BYTES)


def checked_string(text: str) -> str:
    """
    The string, if it fits into the limit for one string.

    Raises:
        LimitExceeded: ``string-bytes``.
    """
    length = len(text)
    if length * 4 > MAX_STRING_BYTES and (length > MAX_STRING_BYTES or not text.isascii()):
        check_string_length(len(text.encode("utf-8", "surrogatepass")))
    return text


def take(count: int, depth: int, room: list[int]) -> None:
    """Use up room of a value that is being walked; what shares parts is counted as often as it is reached."""
    room[0] -= count
    if room[0] < 0:
        raise LimitExceeded("state-bytes", MAX_VALUE_BYTES)
    if depth <= 0:
        raise LimitExceeded("nesting", MAX_DEPTH)
