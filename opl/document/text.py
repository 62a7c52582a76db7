"""
From bytes to text, and from an offset in the text to line and column.

Foreign bytes become text here and nowhere else: UTF-8 only, no NUL, at most
``limit`` bytes. A byte order mark is cut off and reported. Lines end at
``\\n``, ``\\r\\n`` or a lone ``\\r``; the line and paragraph separators of
Unicode end none, because no editor counts them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from opl.errors import Problem, Severity

SOURCE_BYTES = 256 * 1024  # the largest source that is read, in bytes

_LINE_END = re.compile(r"\r\n|\n|\r")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


class Lines:
    """Where the lines of a text begin; answers line and column, both from 1, for an offset."""

    __slots__ = ("_starts", "first_line")

    def __init__(self, text: str, first_line: int = 1) -> None:
        self._starts = _starts(text)
        self.first_line = first_line

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of the character at ``offset``."""
        index = bisect_right(self._starts, offset) - 1
        return index + self.first_line, offset - self._starts[index] + 1

    def start(self, line: int) -> int:
        """The offset at which a line begins; the last line's for a line beyond the end."""
        return self._starts[min(max(line - self.first_line, 0), len(self._starts) - 1)]


def _starts(text: str) -> list[int]:
    """The offset of every line's first character. Without a carriage return counting lengths is five times faster."""
    if "\r" in text:
        return [0, *(match.end() for match in _LINE_END.finditer(text))]
    lengths = accumulate(map(len, text.split("\n")), initial=0)
    return [length + ends for ends, length in enumerate(lengths)][:-1]


def each_line(text: str) -> Iterator[str]:
    """The lines of a text as ``split_lines`` has them, one at a time: for who needs only the first few."""
    start = 0
    for match in _LINE_END.finditer(text):
        yield text[start : match.start()]
        start = match.end()
    yield text[start:]


def split_lines(text: str) -> list[str]:
    """The lines of a text without their ends, numbered as ``Lines`` numbers them."""
    return _LINE_END.split(text)


def decode(data: bytes, *, limit: int = SOURCE_BYTES, file: str = "") -> tuple[str | None, list[Problem]]:
    """
    The text of a source, or None with the reason.

    Args:
        data: the bytes as they came.
        limit: the largest length in bytes; longer sources are not looked at.
    """
    if len(data) > limit:
        message = f"the source has {len(data):,} bytes; at most {limit:,} are read"
        hint = "split the document, or move long prompts into components"
        return None, [Problem(code="opl.document.too-large", message=message, hint=hint, file=file)]
    problems = []
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
        problems.append(
            Problem(
                code="opl.document.byte-order-mark",
                message="the source begins with a byte order mark",
                hint="save it as plain UTF-8",
                severity=Severity.WARNING,
                file=file,
                line=1,
                column=1,
            )
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, [*problems, _not_utf8(data, error, file)]
    found = _CONTROL.search(text)
    if found:
        return None, [*problems, _control(text, found.start(), file)]
    return text, problems


def _not_utf8(data: bytes, error: UnicodeDecodeError, file: str) -> Problem:
    before = data[: error.start].decode("utf-8")
    line, column = Lines(before).place(len(before))
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    what = "the source is UTF-16" if wide else f"byte 0x{data[error.start]:02x} is not UTF-8"
    return Problem(
        code="opl.document.encoding",
        message=what,
        hint="save the file as UTF-8",
        file=file,
        line=line,
        column=column,
    )


def _control(text: str, offset: int, file: str) -> Problem:
    line, column = Lines(text).place(offset)
    return Problem(
        code="opl.document.control-character",
        message=f"the character U+{ord(text[offset]):04X} may not stand in a document",
        hint="remove it, or write it as an escape inside double quotes",
        file=file,
        line=line,
        column=column,
    )
