"""
Where each character of a quoted or folded YAML scalar stands in its source.

Tools that dump YAML write scripts as one long quoted string with escapes and
line folds. To show a problem inside such a script at its true place, the
scalar is walked once more, keeping for each character of the value the offset
it came from. The walk proves itself: where it does not yield exactly the
value that libyaml read, there is no map.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0abt\tnvfre \"/\\N_LP]))")
_FOLD = re.compile(r"[ \t]*(?:\r\n|\n|\r)(?:[ \t]*(?:\r\n|\n|\r))*[ \t]*")
_JOINED = re.compile(r"\\(?:\r\n|\n|\r)(?:[ \t]*(?:\r\n|\n|\r))*[ \t]*")
_BLANKS = re.compile(r"[ \t]+")
_BREAK = re.compile(r"\r\n|\n|\r")
_SINGLE = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "\t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    " ": " ",
    '"': '"',
    "/": "/",
    "\\": "\\",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}


def offsets(source: str, style: str, value: str, start: int = 0) -> tuple[int, ...] | None:
    """
    The offset of each character of ``value``, and of its end.

    Args:
        source: the scalar as written, quotes included.
        style: ``'"'``, ``"'"`` or ``""`` (plain).
        start: the offset of ``source`` in its file.

    Returns:
        ``len(value) + 1`` offsets, or None where the walk does not give ``value``.
    """
    inside, at = (source[1:-1], 1) if style else (source, 0)
    found: list[str] = []
    places: list[int] = []
    index = 0
    while index < len(inside):
        told, length = _piece(inside, index, style)
        found.append(told)
        first = start + at + index
        verbatim = told == inside[index : index + length]
        places += range(first, first + length) if verbatim else [first] * len(told)
        index += length
    if "".join(found) != value:
        return None
    return (*places, start + at + len(inside))


def _piece(text: str, index: int, style: str) -> tuple[str, int]:
    """What stands at ``index`` and how much of the source it takes."""
    if style == '"' and text[index] == "\\":
        if joined := _JOINED.match(text, index):
            breaks = len(_BREAK.findall(joined[0]))
            return "\n" * (breaks - 1), len(joined[0])
        return _escape(text, index)
    if style == "'" and text.startswith("''", index):
        return "'", 2
    blanks = _BLANKS.match(text, index)
    if blanks and text[blanks.end() : blanks.end() + 1] not in ("\r", "\n"):
        return blanks[0], len(blanks[0])  # inside a line, or before the closing quote
    if fold := _FOLD.match(text, index):
        breaks = len(_BREAK.findall(fold[0]))
        return "\n" * (breaks - 1) or " ", len(fold[0])
    return text[index], 1


def _escape(text: str, index: int) -> tuple[str, int]:
    match = _ESCAPE.match(text, index)
    if not match:
        return text[index], 1
    number = match[1] or match[2] or match[3]
    if not number:
        return _SINGLE[match[4]], len(match[0])
    code = int(number, 16)
    return (chr(code) if code < 0x110000 else ""), len(match[0])
