"""
Values as text, and text as values: templates, JSON.stringify, JSON.parse.

Numbers print as in ECMAScript, keys in order of insertion, and what is printed
never exceeds the limit for one string::

    >>> stringify({"n": 25.0, "x": 1e21})
    '{"n":25,"x":1e+21}'

Source: ECMA-262 Number::toString and JSON.stringify; RFC 8785.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from opl.errors import LimitExceeded, NumberOutOfRange, TypeMismatch
from opl.script.jsontypes import (
    MAX_DEPTH,
    MAX_NODES,
    MAX_STRING_BYTES,
    MAX_VALUE_BYTES,
    SAFE,
    checked_string,
    normal_integer,
    normal_number,
    take,
    weight,
    with_article,
)


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
    return _normalise(value, MAX_DEPTH, [MAX_NODES])


def _normalise(value: Any, depth: int, room: list[int]) -> Any:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int:
        return normal_integer(value)
    if kind is float:
        return normal_number(value)
    if isinstance(value, list | tuple):
        take(len(value), depth, room)
        return [_normalise(item, depth - 1, room) for item in value]
    if isinstance(value, Mapping):
        take(len(value), depth, room)
        return {_key_text(key): _normalise(item, depth - 1, room) for key, item in value.items()}
    raise TypeMismatch(f"a value of Python's type {kind.__name__} has no place in a script")


def _key_text(key: Any) -> str:
    return key if type(key) is str else to_text(key)
