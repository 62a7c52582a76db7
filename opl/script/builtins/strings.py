"""
Strings and JSON text.

Places count characters (code points) from 0. Regular expressions are RE2's:
no back-references, and time linear in the text, whatever the pattern.

Source: https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

import functools
from typing import Any

import re2

from opl.errors import BadArgument
from opl.script.builtins.base import (
    Context,
    Registry,
    integer_argument,
    list_argument,
    text_argument,
)
from opl.script.values import (
    MAX_STRING_BYTES,
    check_length,
    check_string_length,
    checked_string,
    parse_json,
    stringify,
    to_text,
)

registry = Registry("Strings")
builtin = registry.builtin

_MAX_PATTERN = 1000  # characters of a regular expression
_MAX_PATTERN_BYTES = 1024 * 1024  # memory of one compiled expression


@builtin("UPPER")
def upper(_context: Context, string: Any) -> str:
    """The string in upper case."""
    return checked_string(text_argument("UPPER", string).upper())


@builtin("LOWER")
def lower(_context: Context, string: Any) -> str:
    """The string in lower case."""
    return checked_string(text_argument("LOWER", string).lower())


@builtin("TRIM")
def trim(_context: Context, string: Any) -> str:
    """The string without blanks and line ends at both ends."""
    return text_argument("TRIM", string).strip()


@builtin("SPLIT")
def split(_context: Context, string: Any, separator: Any = None) -> list[Any]:
    """The parts between the separators; without one, the words; with `""`, the characters."""
    text = text_argument("SPLIT", string)
    if separator is None:
        check_length(len(text) // 2 + 1)
        return list(text.split())
    mark = text_argument("SPLIT", separator)
    check_length(len(text) if mark == "" else text.count(mark) + 1)
    return list(text) if mark == "" else list(text.split(mark))


@builtin("JOIN")
def join(context: Context, list_: Any, separator: Any = ",") -> str:
    """The elements printed one after the other with the separator between them."""
    parts = list_argument(context, "JOIN", list_)
    mark = text_argument("JOIN", separator)
    size = max(0, len(parts) - 1) * len(mark)
    texts = []
    for part in parts:
        text = to_text(part)
        size += len(text)
        check_string_length(size)
        texts.append(text)
    return checked_string(mark.join(texts))


@builtin("REPLACE")
def replace(_context: Context, string: Any, old: Any, new: Any) -> str:
    """The string with every `old` replaced by `new`."""
    text, before = text_argument("REPLACE", string), text_argument("REPLACE", old)
    after = to_text(new)
    if not before:
        raise BadArgument("REPLACE needs a text to look for that is not empty")
    check_string_length(len(text) + text.count(before) * (len(after) - len(before)))
    return checked_string(text.replace(before, after))


@builtin("STARTS_WITH")
def starts_with(_context: Context, string: Any, part: Any) -> bool:
    """Whether the string begins with the part."""
    return text_argument("STARTS_WITH", string).startswith(text_argument("STARTS_WITH", part))


@builtin("ENDS_WITH")
def ends_with(_context: Context, string: Any, part: Any) -> bool:
    """Whether the string ends with the part."""
    return text_argument("ENDS_WITH", string).endswith(text_argument("ENDS_WITH", part))


@builtin("MATCHES")
def matches(_context: Context, string: Any, pattern: Any) -> bool:
    """Whether the regular expression (RE2) is found anywhere in the string; `^…$` for the whole."""
    text = text_argument("MATCHES", string)
    expression = compiled(text_argument("MATCHES", pattern))
    return expression.search(_encodable(text)) is not None


@functools.lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """
    The regular expression, ready to search.

    Raises:
        BadArgument: it is none, or too long.
    """
    if len(pattern) > _MAX_PATTERN:
        raise BadArgument(f"a regular expression has at most {_MAX_PATTERN} characters")
    options = re2.Options()
    options.log_errors = False  # RE2 would write to standard error
    options.max_mem = _MAX_PATTERN_BYTES
    try:
        return re2.compile(_encodable(pattern), options)
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        said = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        raise BadArgument(f"'{pattern[:60]}' is no regular expression: {said}") from None


def _encodable(text: str) -> str:
    """RE2 reads UTF-8, which has no lone surrogates."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


# ---------------------------------------------------------------- JSON


@builtin("JSON.STRINGIFY")
def json_stringify(_context: Context, value: Any, replacer: Any = None, indent: Any = None) -> str:
    """The value as JSON text: compact, or indented as in `JSON.stringify(value, null, 2)`."""
    if indent is None and replacer is not None:
        indent = replacer
    if indent is not None and type(indent) is not str:
        indent = integer_argument("JSON.stringify", indent)
    return stringify(value, indent)


@builtin("JSON.PARSE")
def json_parse(_context: Context, string: Any) -> Any:
    """The value that a JSON text says; what is no string is returned as it is."""
    if type(string) is not str:
        return string
    try:
        return parse_json(string)
    except ValueError as error:
        raise BadArgument(f"JSON.parse was given text that is no JSON: {error}") from None


def repeated(text: str, count: int) -> str:
    """
    The text ``count`` times.

    Raises:
        LimitExceeded: ``string-bytes``, before it is built.
    """
    check_string_length(len(text) * count if count < MAX_STRING_BYTES else MAX_STRING_BYTES + 1)
    return checked_string(text * count)
