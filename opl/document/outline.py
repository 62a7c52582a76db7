"""
A script as a tree of statements, for comparing versions.

Statements are told apart by indentation and brackets alone, so that a script
that does not compile (prose, a foreign dialect) can be compared as well. Two
statements are the same when they differ only in blanks, comments and the
breaking of lines inside brackets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from opl.document.text import split_lines

_TOKEN = re.compile(r"\"(?:\\.|[^\"\\])*\"?|'(?:\\.|[^'\\])*'?|#.*|\s+|\w+|[^\w\s]")
_MARK = re.compile(r"\W")
_OPEN, _CLOSE = "([{", ")]}"


@dataclass(slots=True)
class Statement:
    """One statement with what is indented below it."""

    text: str  # normal form: one blank between words, none around marks, no comment
    line: int  # of its first character, from 1
    children: list[Statement] = field(default_factory=list)

    def key(self) -> str:
        """The normal form of the whole tree, for telling whether two are the same."""
        return "\n".join(self._rows(0))

    def _rows(self, depth: int) -> Iterator[str]:
        yield " " * depth + self.text
        for child in self.children:
            yield from child._rows(depth + 1)

    def walk(self) -> Iterator[Statement]:
        """This statement and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def kind(self) -> str:
        """The first word, in upper case."""
        match = re.match(r"\w+", self.text)
        return match[0].upper() if match else ""


def outline(text: str, first_line: int = 1) -> list[Statement]:
    """The top-level statements of a script, in order."""
    roots: list[Statement] = []
    stack: list[tuple[int, Statement]] = []
    pending: Statement | None = None
    depth = 0
    for number, line in enumerate(split_lines(text), first_line):
        tokens = _tokens(line)
        if not tokens:
            continue
        if pending is not None and depth > 0:
            pending.text = _joined([pending.text, *tokens])
        else:
            indent = len(line) - len(line.lstrip(" \t"))
            pending = Statement(_joined(tokens), number)
            while stack and stack[-1][0] >= indent:
                stack.pop()
            (stack[-1][1].children if stack and len(stack) < 60 else roots).append(pending)
            stack.append((indent, pending))
        depth = max(0, depth + sum(token in _OPEN for token in tokens) - sum(token in _CLOSE for token in tokens))
    return roots


def _tokens(line: str) -> list[str]:
    return [token for token in _TOKEN.findall(line) if not token.isspace() and not token.startswith("#")]


def _joined(tokens: list[str]) -> str:
    """The tokens with a blank only where two words, or a word and a string, would run together."""
    text = ""
    for token in tokens:
        if text and not (_is_mark(text[-1]) or _is_mark(token[0])):
            text += " "
        text += token
    return text.replace(",}", "}").replace(",]", "]").replace(",)", ")")


def _is_mark(char: str) -> bool:
    return bool(_MARK.match(char)) and char not in "\"'"
