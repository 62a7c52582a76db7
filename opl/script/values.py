"""
The operators of the language on its values.

A value is exactly what JSON can say, held as Python's own None, bool, int,
float, str, list and dict. Always true of what happens to them here:

- a boolean is never a number: ``equal(True, 1)`` is false, ``add(True, 1)`` an error;
- a number is held as ``jsontypes`` says; the keys of an object are strings in
  order of insertion;
- a failed or successful agent's reply stands for its number where a number is
  wanted (``number_of_reply``).

The operators raise ``ScriptError`` without a place, which the machine adds::

    >>> add("n = ", divide(50, 2))
    'n = 25'

They run once per instruction, so the plain number case is always tested first.
This module is the door to ``jsontypes`` and ``printing`` too.

Source: docs/language.md, section Values.
"""

from __future__ import annotations

from typing import Any

from opl.errors import DivisionByZero, TypeMismatch
from opl.script.jsontypes import (
    JSON,
    MAX_DEPTH,
    MAX_LIST_LENGTH,
    MAX_STRING_BYTES,
    MAX_VALUE_BYTES,
    SAFE,
    Function,
    check_length,
    check_string_length,
    checked_string,
    copy,
    is_number,
    normal_integer,
    normal_number,
    truthy,
    type_name,
    weight,
    with_article,
)
from opl.script.printing import normalise, number_text, parse_json, quote, stringify, to_text

__all__ = [
    "JSON",
    "MAX_DEPTH",
    "MAX_LIST_LENGTH",
    "MAX_STRING_BYTES",
    "MAX_VALUE_BYTES",
    "SAFE",
    "Function",
    "add",
    "check_length",
    "check_string_length",
    "checked_string",
    "contains",
    "copy",
    "divide",
    "equal",
    "floor_divide",
    "get_field",
    "get_index",
    "greater",
    "greater_equal",
    "is_number",
    "is_reply",
    "less",
    "less_equal",
    "modulo",
    "multiply",
    "negate",
    "normal_integer",
    "normal_number",
    "normalise",
    "number_of_reply",
    "number_text",
    "parse_json",
    "quote",
    "stringify",
    "subtract",
    "to_text",
    "truthy",
    "type_name",
    "weight",
    "with_article",
]

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
