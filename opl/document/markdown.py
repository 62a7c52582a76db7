"""
Markdown as far as documents need it: front matter, headings and fences.

The scan is one pass over the lines and keeps every place, so that a problem
inside a fence can be shown where it stands in the file. Fences follow
CommonMark: three or more backticks or tildes, closed by at least as many of
the same; an info string of backticks holds no backtick. A fence may be
indented (in a list); that much indentation is cut off its lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_OPEN = re.compile(r"^([ \t]*)(`{3,}(?=[^`]*$)|~{3,})(.*)$")
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*)$")
_MARKER = re.compile(r"^---[ \t]*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """One fenced block."""

    language: str  # first word of the info string, lower case; "" without one
    text: str  # between the fences, its last line end included
    first_line: int  # of the text, in the file
    indent: int  # characters cut off each line
    heading: str  # the nearest heading above, "" without one
    closed: bool  # False where the document ends first


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMatter:
    """The YAML block at the head of a file and what follows it."""

    text: str  # between the markers
    first_line: int  # of the text, in the file
    body: str  # after the closing marker's line
    body_line: int  # line of the body's first line


def keep_lines(text: str) -> list[str]:
    """The lines of a text with their ends; only LF, CR LF and CR end one."""
    return re.findall(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+", text)


def front_matter(text: str) -> FrontMatter | None:
    """The front matter of a file; None where it does not begin with a ``---`` line that one more closes."""
    lines = keep_lines(text)
    if not lines or not _MARKER.match(lines[0].rstrip("\r\n")):
        return None
    for index in range(1, len(lines)):
        if _MARKER.match(lines[index].rstrip("\r\n")):
            return FrontMatter(
                text="".join(lines[1:index]),
                first_line=2,
                body="".join(lines[index + 1 :]),
                body_line=index + 2,
            )
    return None


def fences(text: str, first_line: int = 1) -> list[Fence]:
    """All fenced blocks of a Markdown text, in order."""
    found: list[Fence] = []
    heading = ""
    opened: re.Match[str] | None = None
    content: list[str] = []
    begin = 0
    for number, line in enumerate(keep_lines(text), first_line):
        bare = line.rstrip("\r\n")
        if opened is None:
            if match := _OPEN.match(bare):
                opened, content, begin = match, [], number + 1
            elif match := _HEADING.match(bare):
                heading = match[2].strip().rstrip("#").rstrip()
        elif _closes(bare, opened[2]):
            found.append(_fence(opened, content, begin, heading, closed=True))
            opened = None
        else:
            content.append(line)
    if opened is not None:
        found.append(_fence(opened, content, begin, heading, closed=False))
    return found


def _closes(line: str, mark: str) -> bool:
    text = line.strip()
    return len(text) >= len(mark) and text == mark[0] * len(text)


def _fence(opened: re.Match[str], content: list[str], first_line: int, heading: str, *, closed: bool) -> Fence:
    indent = len(opened[1])
    words = opened[3].split(maxsplit=1)
    language = words[0].lower() if words else ""
    return Fence(
        language=language,
        text="".join(_dedented(line, indent) for line in content),
        first_line=first_line,
        indent=indent,
        heading=heading,
        closed=closed,
    )


def _dedented(line: str, indent: int) -> str:
    blank = len(line) - len(line.lstrip(" \t"))
    return line[min(indent, blank) :]


def slug(title: str) -> str:
    """
    The name a title gives: what stands before its colon, in ``[a-z0-9_-]``.

    ``Scatter-Gather: Distributed Analysis`` is ``scatter-gather``; a title
    that does not begin with a letter loses what is before the first one.
    """
    head = title.split(":", 1)[0].strip().lower()
    text = re.sub(r"[^a-z0-9_-]+", "-", head).strip("-_")
    return re.sub(r"^[^a-z]+", "", text)[:64].rstrip("-_")
