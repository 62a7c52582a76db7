"""
Text with ``{{expression}}`` inside it, taken apart.

``split`` finds the slots; what stands in them is parsed and evaluated by the
compiler and the machine. A text without slots comes back as one string::

    >>> split("Hello {{name|upper}}!")
    ('Hello ', Slot(source='name', offset=8, filters=(('upper', None),), raw='{{name|upper}}'), '!')

Always true: the strings and the ``raw`` of the slots, joined, are the text.
A ``}}`` inside a string or an object literal does not end a slot, a single
``|`` outside them begins a filter, and ``||`` stays the operator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opl.errors import LimitExceeded, TypeMismatch
from opl.script.values import checked_string, parse_json, stringify, to_text

_OPENING = "([{"
_CLOSING = ")]}"


@dataclass(frozen=True, slots=True)
class Slot:
    """One ``{{…}}`` of a text."""

    source: str  # the expression, without filters and outer blanks
    offset: int  # of the expression's first character in the text, from 0
    filters: tuple[tuple[str, str | None], ...]  # (name, argument), applied from left to right
    raw: str  # the whole slot as it was written, braces included


def split(text: str) -> tuple[str | Slot, ...]:
    """
    The plain parts and slots of a text in their order; plain parts are never empty.

    ``{{`` without an end, and an empty ``{{ }}``, are plain text.
    """
    parts: list[str | Slot] = []
    plain = place = 0
    while (start := text.find("{{", place)) >= 0:
        end, place = _slot_end(text, start + 2)
        slot = _slot(text, start, end) if end >= 0 else None
        if slot is None:
            continue
        if start > plain:
            parts.append(text[plain:start])
        parts.append(slot)
        plain = place
    if plain < len(text):
        parts.append(text[plain:])
    return tuple(parts)


def has_slots(text: str) -> bool:
    """Whether anything in the text may be evaluated."""
    return "{{" in text and any(isinstance(part, Slot) for part in split(text))


def _slot_end(text: str, start: int) -> tuple[int, int]:
    """
    Where the ``}}`` stands that ends the slot, and where to look for the next one.

    The end is -1 where there is none before the next ``{{``: then the slot
    begins there, not here. Each character is looked at a bounded number of
    times, whatever a stranger writes.
    """
    depth, place = 0, start
    while place < len(text):
        char = text[place]
        if char in "\"'":
            place = _string_end(text, place)
            if place < 0:
                break
            continue
        if char == "}" and depth == 0:
            if text.startswith("}}", place):
                return place, place + 2
            break
        if text.startswith("{{", place):
            break
        depth += (char in _OPENING) - (char in _CLOSING)
        place += 1
    return _plain_end(text, start)


def _plain_end(text: str, start: int) -> tuple[int, int]:
    """
    The end of what only looks like a slot (``{{don't}}``): the first ``}}`` before the next ``{{``.

    So the slots after it are still found.
    """
    following = text.find("{{", start)
    limit = following if following >= 0 else len(text)
    end = text.find("}}", start, limit)
    return (end, end + 2) if end >= 0 else (-1, limit)


def _string_end(text: str, start: int) -> int:
    """The place after a string literal, or -1 where it has no end before the next slot."""
    quote, place = text[start], start + 1
    while place < len(text):
        if text[place] == "\\":
            place += 2
            continue
        if text[place] == quote:
            return place + 1
        if text[place] == "\n" or text.startswith("{{", place):
            return -1
        place += 1
    return -1


def _slot(text: str, start: int, end: int) -> Slot | None:
    """The slot between two places, or None where it holds nothing."""
    pieces = _pipes(text[start + 2 : end])
    source = pieces[0].strip()
    if not source:
        return None
    offset = start + 2 + len(pieces[0]) - len(pieces[0].lstrip())
    filters = tuple(_filter(piece) for piece in pieces[1:])
    return Slot(source, offset, filters, text[start : end + 2])


def _pipes(source: str) -> list[str]:
    """The source cut at each single ``|`` that stands in no string and no bracket."""
    pieces, depth, begin, place = [], 0, 0, 0
    while place < len(source):
        char = source[place]
        if char in "\"'":
            after = _string_end(source, place)
            place = after if after >= 0 else place + 1
            continue
        if source.startswith("||", place):
            place += 2
            continue
        depth += (char in _OPENING) - (char in _CLOSING)
        if char == "|" and depth == 0:
            pieces.append(source[begin:place])
            begin = place + 1
        place += 1
    return [*pieces, source[begin:]]


_FILTER = re.compile(r"\s*(\w*)\s*(?::\s*|\s)?(.*)", re.DOTALL)


def _filter(piece: str) -> tuple[str, str | None]:
    """``upper``, ``default text``, ``default:text`` and ``default("text")`` as (name, argument)."""
    match = _FILTER.fullmatch(piece)
    if match is None:  # cannot happen: every part of the pattern may be empty
        return piece.strip().lower(), None
    name, argument = match[1].lower(), match[2].strip()
    if argument.startswith("(") and argument.endswith(")"):
        argument = argument[1:-1].strip()
    return name, _unquoted(argument) if argument else None


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] in "\"'" and text[-1] == text[0]:
        return text[1:-1]
    return text


# ---------------------------------------------------------------- filters


def _upper(value: Any, _argument: str | None) -> str:
    """The text in upper case."""
    return checked_string(to_text(value).upper())


def _lower(value: Any, _argument: str | None) -> str:
    """The text in lower case."""
    return checked_string(to_text(value).lower())


def _title(value: Any, _argument: str | None) -> str:
    """Each word with a capital."""
    return checked_string(to_text(value).title())


def _capitalize(value: Any, _argument: str | None) -> str:
    """The first letter as a capital, the rest in lower case."""
    return checked_string(to_text(value).capitalize())


def _trim(value: Any, _argument: str | None) -> str:
    """The text without blanks at both ends."""
    return to_text(value).strip()


def _slugify(value: Any, _argument: str | None) -> str:
    """Lower case, runs of anything but letters and digits become one hyphen."""
    return re.sub(r"[\W_]+", "-", to_text(value).lower()).strip("-")


def _default(value: Any, argument: str | None) -> Any:
    """The value, or the argument where it is null; an argument that is JSON keeps its type."""
    return default_value(argument) if value is None else value


def default_value(argument: str | None) -> Any:
    """
    What the argument of ``default`` says: a JSON value, a list in single quotes, else the text itself.

    >>> default_value("10"), default_value("['a', 'b']"), default_value("plain text")
    (10, ['a', 'b'], 'plain text')
    """
    if argument is None:
        return ""
    for text in (argument, argument.replace("'", '"')):
        if text == argument or text[:1] in ("[", "{"):
            try:
                return parse_json(text)
            except (ValueError, LimitExceeded):
                continue
    return argument


def _json(value: Any, _argument: str | None) -> str:
    """The value as JSON text."""
    return stringify(value)


def _length(value: Any, _argument: str | None) -> int:
    """How many elements, fields or characters; 0 of null."""
    if value is None:
        return 0
    if isinstance(value, str | list | dict):
        return len(value)
    raise TypeMismatch("the filter 'length' needs a string, a list or an object")


def _join(value: Any, argument: str | None) -> str:
    """The elements of a list with the argument between them, else `, `."""
    if type(value) is not list:
        return to_text(value)
    return checked_string((", " if argument is None else argument).join(map(to_text, value)))


FILTERS: Mapping[str, Callable[[Any, str | None], Any]] = {
    "upper": _upper,
    "lower": _lower,
    "title": _title,
    "capitalize": _capitalize,
    "trim": _trim,
    "slugify": _slugify,
    "default": _default,
    "json": _json,
    "length": _length,
    "join": _join,
}
