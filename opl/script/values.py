"""
The values of the language and what its operators do with them.

A value is exactly what JSON can say, held as Python's own None, bool, int,
float, str, list and dict. Always true of every value in here:

- a boolean is never a number: ``equal(True, 1)`` is false, ``add(True, 1)`` an error;
- numbers are IEEE doubles. An integral one below 2**53 is held as ``int``, any
  other as a finite ``float``; there is no NaN and no infinity;
- the keys of an object are strings and keep their order of insertion;
- a failed or successful agent's reply stands for its number where a number is
  wanted (``number_of_reply``).

The operators raise ``ScriptError`` without a place, which the machine adds::

    >>> add("n = ", divide(50, 2))
    'n = 25'

They run once per instruction, so the plain number case is always tested first.

Source: ECMA-262 Number::toString and JSON.stringify; RFC 8785; docs/language.md.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opl.errors import DivisionByZero, LimitExceeded, NumberOutOfRange, TypeMismatch

# What a variable may hold. Spelled with Any inside because mypy cannot follow
# a recursive alias through list and dict, which are invariant.
JSON = None | bool | int | float | str | list[Any] | dict[str, Any]

SAFE = 2**53  # integral numbers below it are exact and held as int
MAX_STRING_BYTES = 1024 * 1024  # of one string, in UTF-8
MAX_LIST_LENGTH = 1_000_000  # elements of one list that a builtin builds
MAX_VALUE_BYTES = 4 * 1024 * 1024  # of one value as JSON: a state could not hold more
MAX_DEPTH = 64  # lists and objects inside each other
_MAX_NODES = 2 * 1024 * 1024  # elements of one value, all levels together: 4 MiB of "0,"


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


def is_number(value: Any) -> bool:
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


def normalise(value: Any) -> Any:
    """
    A value from outside (parsed JSON or YAML) as this language holds it, copied.

    Tuples become lists, integral floats integers, large integers floats and
    keys strings.

    Raises:
        NumberOutOfRange: NaN, infinity, or an integer beyond a double.
        LimitExceeded: ``nesting`` or ``state-bytes``.
        TypeMismatch: something JSON cannot say.
    """
    return _normalise(value, MAX_DEPTH, [_MAX_NODES])


def _normalise(value: Any, depth: int, room: list[int]) -> Any:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int:
        return normal_integer(value)
    if kind is float:
        return normal_number(value)
    if isinstance(value, list | tuple):
        _take(len(value), depth, room)
        return [_normalise(item, depth - 1, room) for item in value]
    if isinstance(value, Mapping):
        _take(len(value), depth, room)
        return {_key_text(key): _normalise(item, depth - 1, room) for key, item in value.items()}
    raise TypeMismatch(f"a value of Python's type {kind.__name__} has no place in a script")


def _key_text(key: Any) -> str:
    return key if type(key) is str else to_text(key)


def _take(count: int, depth: int, room: list[int]) -> None:
    """Use up room of a value that is being walked; what shares parts is counted as often as it is reached."""
    room[0] -= count
    if room[0] < 0:
        raise LimitExceeded("state-bytes", MAX_VALUE_BYTES)
    if depth <= 0:
        raise LimitExceeded("nesting", MAX_DEPTH)


# ---------------------------------------------------------------- replies as numbers


def is_reply(value: Any) -> bool:
    """Whether the value is a completion result, the reply of an agent."""
    return type(value) is dict and "agent_id" in value and "success" in value and "output" in value


def number_of_reply(value: Any) -> Any:
    """
    What stands for an agent's reply where a number is wanted.

    Its ``score``, else its ``value``, else its ``output``; any other value
    stands for itself. A failed agent's output is null.
    """
    if not is_reply(value):
        return value
    for name in ("score", "value"):
        found = value.get(name)
        if found is not None:
            return found
    return value["output"]


def _numbers(symbol: str, left: Any, right: Any) -> tuple[int | float, int | float]:
    """Two operands that are not both plain numbers: replies are resolved, the rest is an error."""
    a, b = number_of_reply(left), number_of_reply(right)
    if is_number(a) and is_number(b):
        return a, b
    if a is None or b is None:
        raise TypeMismatch(f"'{symbol}' needs two numbers, and one side is null; test for null first")
    raise TypeMismatch(f"'{symbol}' needs two numbers, not {with_article(a)} and {with_article(b)}")


# ---------------------------------------------------------------- operators


def add(left: Any, right: Any) -> Any:
    """
    Numbers are summed, lists joined; a string takes anything, printed as in a template.

    Raises:
        TypeMismatch: any other pair, null included.
        LimitExceeded: the string or list would be too long.
    """
    a, b = type(left), type(right)
    if a is int and b is int:
        total = left + right
        return total if -SAFE < total < SAFE else float(total)
    if (a is float or a is int) and (b is float or b is int):
        return normal_number(float(left + right))
    if a is str or b is str:
        return checked_string(to_text(left) + to_text(right))
    if a is list and b is list:
        check_length(len(left) + len(right))
        return left + right
    if a is list or b is list:
        raise TypeMismatch(f"'+' cannot join {with_article(left)} and {with_article(right)}; put [ ] around one")
    x, y = _numbers("+", left, right)
    return normal_number(float(x + y))


def subtract(left: Any, right: Any) -> int | float:
    """The difference of two numbers."""
    a, b = type(left), type(right)
    if a is int and b is int:
        total = left - right
        return total if -SAFE < total < SAFE else float(total)
    if not ((a is float or a is int) and (b is float or b is int)):
        left, right = _numbers("-", left, right)
    return normal_number(float(left - right))


def multiply(left: Any, right: Any) -> int | float:
    """The product of two numbers."""
    a, b = type(left), type(right)
    if a is int and b is int:
        total = left * right
        return total if -SAFE < total < SAFE else float(total)
    if not ((a is float or a is int) and (b is float or b is int)):
        left, right = _numbers("*", left, right)
    return normal_number(float(left * right))


def divide(left: Any, right: Any) -> int | float:
    """
    The quotient of two numbers; integral results have no fraction.

    Raises:
        DivisionByZero: the divisor is 0.
    """
    if not is_number(left) or not is_number(right):
        left, right = _numbers("/", left, right)
    if right == 0:
        raise DivisionByZero()
    return normal_number(float(left / right))


def floor_divide(left: Any, right: Any) -> int | float:
    """The quotient rounded down: ``-7 // 2`` is -4."""
    if not is_number(left) or not is_number(right):
        left, right = _numbers("//", left, right)
    if right == 0:
        raise DivisionByZero()
    return normal_number(float(left // right))


def modulo(left: Any, right: Any) -> int | float:
    """The remainder with the divisor's sign: ``-1 % 3`` is 2."""
    if not is_number(left) or not is_number(right):
        left, right = _numbers("%", left, right)
    if right == 0:
        raise DivisionByZero()
    if type(left) is int and type(right) is int:
        return left % right
    return normal_number(float(left % right))


def negate(value: Any) -> int | float:
    """The number with its sign turned."""
    found = number_of_reply(value)
    if type(found) is int or type(found) is float:
        return -found if found else 0
    raise TypeMismatch(f"'-' needs a number, not {with_article(found)}")


def equal(left: Any, right: Any) -> bool:
    """Deep equality that never coerces: ``1 == 1.0``, ``true != 1``, the order of keys is no matter."""
    a, b = type(left), type(right)
    if a is b:
        if a is list:
            return len(left) == len(right) and all(map(equal, left, right))
        if a is dict:
            return len(left) == len(right) and all(
                key in right and equal(value, right[key]) for key, value in left.items()
            )
        return bool(left == right)
    return (a is int or a is float) and (b is int or b is float) and bool(left == right)


def less(left: Any, right: Any) -> bool:
    """``left < right`` for two numbers or two strings (by code point)."""
    a, b = type(left), type(right)
    if ((a is int or a is float) and (b is int or b is float)) or (a is str and b is str):
        return bool(left < right)
    x, y = _ordered(left, right)
    return bool(x < y)


def less_equal(left: Any, right: Any) -> bool:
    """``left <= right`` for two numbers or two strings."""
    a, b = type(left), type(right)
    if ((a is int or a is float) and (b is int or b is float)) or (a is str and b is str):
        return bool(left <= right)
    x, y = _ordered(left, right)
    return bool(x <= y)


def greater(left: Any, right: Any) -> bool:
    """``left > right`` for two numbers or two strings."""
    return less(right, left)


def greater_equal(left: Any, right: Any) -> bool:
    """``left >= right`` for two numbers or two strings."""
    return less_equal(right, left)


def _ordered(left: Any, right: Any) -> tuple[Any, Any]:
    a, b = number_of_reply(left), number_of_reply(right)
    if (is_number(a) and is_number(b)) or (type(a) is str and type(b) is str):
        return a, b
    raise TypeMismatch(f"{with_article(a)} and {with_article(b)} have no order; compare two numbers or two strings")


def contains(item: Any, container: Any) -> bool:
    """
    ``item IN container``: an element of a list, a key of an object, a part of a string.

    Nothing is in null.
    """
    kind = type(container)
    if kind is list:
        return any(equal(item, element) for element in container)
    if kind is dict:
        return (item if type(item) is str else to_text(item)) in container
    if kind is str and type(item) is str:
        return item in container
    if container is None:
        return False
    if kind is str:
        raise TypeMismatch(f"IN looks for a string in a string, not for {with_article(item)}")
    raise TypeMismatch(f"IN needs a list, an object or a string on its right, not {with_article(container)}")


# ---------------------------------------------------------------- reading parts


def get_field(value: Any, name: str) -> Any:
    """
    ``value.name``: the field, ``length`` of a string, list or object, null for what is missing.

    Raises:
        TypeMismatch: a field other than ``length`` of a string, number or boolean.
    """
    kind = type(value)
    if kind is dict:
        if name in value:
            return value[name]
        return len(value) if name == "length" else None
    if kind is list:
        return len(value) if name == "length" else None
    if value is None:
        return None
    if kind is str and name == "length":
        return len(value)
    raise TypeMismatch(f"{with_article(value)} has no field '{name}'")


def get_index(value: Any, index: Any) -> Any:
    """
    ``value[index]``: an element or a field, null for what is missing.

    A negative index counts from the end of a list or string. The key of an
    object is a string; a number or boolean is looked up as it prints.
    """
    kind = type(value)
    if kind is list or kind is str:
        if type(index) is int:
            return value[index] if -len(value) <= index < len(value) else None
        return get_field(value, index) if type(index) is str and kind is list else None
    if kind is dict:
        return get_field(value, index if type(index) is str else to_text(index))
    if value is None:
        return None
    raise TypeMismatch(f"{with_article(value)} has no elements")


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
        return _copy(value, MAX_DEPTH, [_MAX_NODES])
    return value


def _copy(value: Any, depth: int, room: list[int]) -> Any:
    _take(len(value), depth, room)
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


# ---------------------------------------------------------------- printing


def to_text(value: Any) -> str:
    """A value inside a template or beside ``+``: strings as they are, null as nothing, others as JSON."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if value is None:
        return ""
    if kind is int:
        return str(value)
    return stringify(value)


def number_text(value: int | float) -> str:
    """
    A number as ECMAScript's Number::toString prints it: ``25``, ``0.1``, ``1e+21``, ``1e-7``.

    Python's repr finds the same shortest digits; only where the exponent
    begins and how it is written differ.
    """
    if type(value) is int and -SAFE < value < SAFE:
        return str(value)
    number = float(value)
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = f"{abs(number)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    point = len(whole) + int(exponent or 0)  # the value is 0.DIGITS * 10**point
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    return sign + _place_point(digits.rstrip("0"), point)


def _place_point(digits: str, point: int) -> str:
    """The digits of ``0.DIGITS * 10**point`` with ECMAScript's choice of notation."""
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    power = point - 1
    mantissa = digits if count == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{mantissa}e{'+' if power > 0 else '-'}{abs(power)}"


_fast_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
_SURROGATE = re.compile("[\ud800-\udfff]")


def stringify(value: Any, indent: int | str | None = None) -> str:
    """
    ``JSON.stringify``: compact, keys in order of insertion, numbers as ECMAScript prints them.

    Args:
        indent: spaces per level (at most 10) or the string to indent with; none or 0 is compact.

    Raises:
        LimitExceeded: ``string-bytes`` or ``nesting``.
        TypeMismatch: a function is no value.
    """
    if weight(value) > MAX_VALUE_BYTES:
        raise LimitExceeded("string-bytes", MAX_STRING_BYTES)
    step = indent[:10] if isinstance(indent, str) else " " * max(0, min(int(indent or 0), 10))
    if not step:
        fast = _stringify_fast(value)
        if fast is not None:
            return checked_string(fast)
    pieces: list[str] = []
    _write(value, pieces, step, "\n" if step else "", MAX_DEPTH)
    return checked_string("".join(pieces))


def _stringify_fast(value: Any) -> str | None:
    """The C encoder's text, or None where it could differ from ECMAScript's."""
    try:
        text = _fast_json(value)
    except (TypeError, ValueError, RecursionError):
        return None
    # Only a float can print "e+", "e-" or a final ".0"; a string that holds them takes the careful way too.
    if "e-" in text or "e+" in text or ".0" in text or "NaN" in text or "Infinity" in text:
        return None
    return text if text.isascii() or not _SURROGATE.search(text) else None


def _write(value: Any, pieces: list[str], step: str, line: str, depth: int) -> None:
    """Append the JSON text of a value; ``line`` is a line feed and the indentation so far, or ""."""
    kind = type(value)
    if kind is str:
        pieces.append(quote(value))
    elif kind is int or kind is float:
        pieces.append(number_text(normal_number(value) if kind is float else value))
    elif kind is list or kind is dict:
        if depth <= 0:
            raise LimitExceeded("nesting", MAX_DEPTH)
        _write_members(value, pieces, step, line, depth)
    else:
        pieces.append(_word(value))


def _write_members(value: list[Any] | dict[str, Any], pieces: list[str], step: str, line: str, depth: int) -> None:
    opening, closing = "[]" if isinstance(value, list) else "{}"
    pieces.append(opening)
    inner = line + step if line else ""
    colon = ": " if line else ":"
    pairs = [(None, item) for item in value] if isinstance(value, list) else list(value.items())
    for number, (key, item) in enumerate(pairs):
        pieces.append(("," if number else "") + inner)
        if key is not None:
            pieces.append(quote(key) + colon)
        _write(item, pieces, step, inner, depth - 1)
    pieces.append((line if pairs else "") + closing)


def _word(value: Any) -> str:
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    raise TypeMismatch(f"{with_article(value)} cannot be written as JSON")


_quote = json.encoder.encode_basestring


def quote(text: str) -> str:
    """A string as a JSON literal; a lone surrogate, which UTF-8 cannot say, is escaped."""
    literal = _quote(text)
    if literal.isascii():
        return literal
    return _SURROGATE.sub(lambda match: f"\\u{ord(match.group()):04x}", literal)


def parse_json(text: str) -> Any:
    """
    ``JSON.parse``: the value a JSON text says.

    Raises:
        ValueError: the text is no JSON, or says a number no double can hold.
        LimitExceeded: it nests too deeply.
    """
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise LimitExceeded("nesting", MAX_DEPTH) from None
    try:
        return normalise(found)
    except NumberOutOfRange as error:
        raise ValueError(str(error)) from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
