"""
From text to lines of tokens.

A *line* is a logical one: what stands between brackets belongs to the line on
which the outermost bracket opened, and a line that begins with ``?``, ``:``,
``AND`` or another operator goes on with the one before. Always true of the
answer of ``scan``:

- every character of the text is in exactly one token, blank or comment, or was
  reported as a problem;
- the scanner never stops early: a line it could not read to its end is marked
  ``broken``, so that the parser says nothing more about it.

    >>> lines, problems = scan("STATE total = 1  # so far")
    >>> [token.text for token in lines[0].tokens]
    ['STATE', 'total', '=', '1']

Source: docs/language.md, section Text.
"""

from __future__ import annotations

import re

from opl.errors import Problem
from opl.script.tokens import KEYWORDS, MAX_NESTING, Kind, Line, Token

MAX_SOURCE_BYTES = 256 * 1024
MAX_PROBLEMS = 200  # of one text; more would help nobody


UNITS = {"ms": 0.001, "s": 1, "sec": 1, "min": 60, "h": 3600, "d": 86400}
_TOKEN = re.compile(
    r"(?P<blank>[ \t\u00a0\ufeff]+)|(?P<comment>\#.*)"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<quote>[\"'])|(?P<template>\{\{)"
    r"|(?P<op>==|!=|<=|>=|=>|&&|\|\||//|\.\.|\+=|-=|\*=|/=|[-+*/%!?:,.()\[\]{}<>=|;@$&^~])"
)
_UNIT = re.compile(r"(ms|sec|s|min|h|d)\b")
_PERCENT = re.compile(r"%(?=\s*(?:$|[\])},:?#<>=!]|(?:AND|OR|and|or|THEN)\b))")
_STRING_PART = {
    '"': re.compile(r'[^"\\]+'),
    "'": re.compile(r"[^'\\]+"),
}
_ESCAPES = {
    '"': '"',
    "'": "'",
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "{": "{",
    "}": "}",
}
_CLOSERS = {")": "(", "]": "[", "}": "{"}
_CONTINUES = re.compile(r"\s+(?:\?(?!\?)|:\s|AND\b|OR\b|and\b|or\b|&&|\|\||[+*/](?!=)|==|!=|<=|>=)")


def scan(text: str, *, first_line: int = 1) -> tuple[list[Line], list[Problem]]:
    """
    The logical lines of a text and everything that is wrong with its characters.

    Args:
        first_line: the number of the text's first line in its file.
    """
    scanner = _Scanner(text, first_line)
    size = len(text.encode("utf-8", "surrogatepass")) if len(text) * 4 > MAX_SOURCE_BYTES else 0
    if size > MAX_SOURCE_BYTES:
        scanner.report(
            "opl.limit.source-bytes",
            f"the script has {size:,} bytes, more than the {MAX_SOURCE_BYTES:,} that are allowed",
            first_line,
            1,
            hint="split it into several patterns",
        )
        return [], scanner.problems
    scanner.run()
    return scanner.lines, scanner.problems


def title_of(text: str) -> str:
    """The title that a leading ``## Title`` line gives the script, or ""."""
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("##"):
            return bare.lstrip("#").strip()
        if bare and not bare.startswith("#"):
            break
    return ""


class _Scanner:
    """Walks the physical lines once, keeping the open brackets."""

    def __init__(self, text: str, first_line: int) -> None:
        self.rows = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self.first_line = first_line
        self.lines: list[Line] = []
        self.problems: list[Problem] = []
        self.open: list[Token] = []
        self.current: Line | None = None

    def report(self, code: str, message: str, line: int, column: int, *, hint: str = "", length: int = 1) -> None:
        if self.current is not None:
            self.current.broken = True
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(
                Problem(code=code, message=message, hint=hint, line=line, column=column, length=length)
            )

    def run(self) -> None:
        index = 0
        while index < len(self.rows):
            index = self._row(index)
        self._close_line()

    def _row(self, index: int) -> int:
        """Read one physical line; answers the index of the next one to read."""
        row, number = self.rows[index], index + self.first_line
        bare = row.strip()
        if not bare or bare.startswith("#"):
            return index + 1
        indent = len(row) - len(row.lstrip(" \t\u00a0\ufeff"))
        if self.open and self._breaks_out(row, indent):
            self._unclosed()
            self._close_line()
        if not self.open and not (self.current and _CONTINUES.match(row) and indent > self.current.indent):
            self._close_line()
            self.current = Line(indent=indent, number=number)
        if "\t" in row[:indent]:
            self.report(
                "opl.syntax.tab",
                "a tab is used for indentation",
                number,
                row.index("\t") + 1,
                hint="indent with blanks, two per level",
            )
        self._tokens(row, number, indent)
        return self._raw_block(index, indent)

    def _breaks_out(self, row: str, indent: int) -> bool:
        """Whether the line cannot belong to the open bracket: a statement at its statement's level."""
        assert self.current is not None
        word = re.match(r"[A-Z]+(?![\w(.\[]|\s*:\s*[\"'\w{\[]|\s*[,}\]])", row[indent:])
        return indent <= self.current.indent and bool(word) and word is not None and word.group() in KEYWORDS

    def _unclosed(self) -> None:
        opener = self.open[0]
        self.report(
            "opl.syntax.unclosed",
            f"'{opener.text}' is never closed",
            opener.line,
            opener.column,
            hint=f"write '{ {'(': ')', '[': ']', '{': '}'}[opener.text] }' where it ends",
        )
        self.open.clear()

    def _close_line(self) -> None:
        if self.open:
            self._unclosed()
        if self.current is not None:
            if self.current.tokens or self.current.broken:
                self.lines.append(self.current)
            self.current = None

    def _tokens(self, row: str, number: int, at: int) -> None:
        spaced = True
        while at < len(row):
            match = _TOKEN.match(row, at)
            if match is None:
                self.report(
                    "opl.syntax.character",
                    f"the character {row[at]!r} has no meaning here",
                    number,
                    at + 1,
                    hint="remove it, or put it inside a string",
                )
                at, spaced = at + 1, True
                continue
            kind = match.lastgroup
            if kind in ("blank", "comment"):
                at, spaced = match.end(), True
                continue
            at = self._token(kind or "", match, row, number, spaced)
            spaced = False

    def _token(self, kind: str, match: re.Match[str], row: str, number: int, spaced: bool) -> int:
        """Add the token that the match begins; answers where it ends."""
        start = match.start()
        if kind == "quote":
            return self._string(row, number, start, spaced)
        if kind == "template":
            return self._template(row, number, start, spaced)
        if kind == "number":
            return self._number(match, row, number, spaced)
        token = Token(Kind.NAME if kind == "name" else Kind.OPERATOR, match.group(), number, start + 1, spaced)
        self._add(token)
        if kind == "op":
            self._bracket(token)
        return match.end()

    def _add(self, token: Token) -> None:
        assert self.current is not None
        self.current.tokens.append(token)

    def _bracket(self, token: Token) -> None:
        if token.text in "([{":
            self.open.append(token)
            if len(self.open) == MAX_NESTING + 1:
                self.report(
                    "opl.limit.nesting",
                    f"brackets are nested more than {MAX_NESTING} deep",
                    token.line,
                    token.column,
                    hint="give the inner part a name with STATE",
                )
        elif token.text in _CLOSERS:
            opener = _CLOSERS[token.text]
            if self.open and self.open[-1].text == opener:
                self.open.pop()
                return
            expected = {"(": ")", "[": "]", "{": "}"}[self.open[-1].text] if self.open else ""
            self.report(
                "opl.syntax.bracket",
                f"'{token.text}' closes nothing"
                if not expected
                else f"'{token.text}' stands where '{expected}' is needed",
                token.line,
                token.column,
                hint=f"close '{self.open[-1].text}' of line {self.open[-1].line} first" if self.open else "remove it",
            )
            if any(open_token.text == opener for open_token in self.open):
                while self.open.pop().text != opener:
                    pass

    def _number(self, match: re.Match[str], row: str, number: int, spaced: bool) -> int:
        text, end = match.group(), match.end()
        value = _value_of(text)
        if value is None:
            self.report(
                "opl.syntax.number",
                f"the number {text[:20]} is too large",
                number,
                match.start() + 1,
                hint="numbers are IEEE doubles, at most 1.8e308",
                length=len(text),
            )
            value = 0
        unit = _UNIT.match(row, end)
        percent = _PERCENT.match(row, end)
        if unit:
            value, end = _scaled(value, UNITS[unit.group()]), unit.end()
        elif percent:
            value, end = _normal(value / 100), percent.end()
        elif end < len(row) and (row[end].isalpha() or row[end] == "_"):
            self.report(
                "opl.syntax.number",
                f"'{row[match.start() : end + 1]}' is neither a number nor a name",
                number,
                match.start() + 1,
                hint="a name begins with a letter",
                length=end + 1 - match.start(),
            )
        self._add(Token(Kind.NUMBER, row[match.start() : end], number, match.start() + 1, spaced, value))
        return end

    def _string(self, row: str, number: int, start: int, spaced: bool) -> int:
        quote, at, pieces = row[start], start + 1, []
        while at < len(row) and row[at] != quote:
            if row[at] == "\\":
                piece, at = self._escape(row, number, at)
                pieces.append(piece)
            else:
                part = _STRING_PART[quote].match(row, at)
                assert part is not None
                pieces.append(part.group())
                at = part.end()
        if at >= len(row):
            self.report(
                "opl.syntax.string",
                "the string has no end on its line",
                number,
                start + 1,
                hint=f"close it with {quote}, and write \\n for a new line",
                length=len(row) - start,
            )
        self._add(Token(Kind.STRING, row[start : at + 1], number, start + 1, spaced, "".join(pieces)))
        return at + 1

    def _escape(self, row: str, number: int, at: int) -> tuple[str, int]:
        char = row[at + 1 : at + 2]
        if char in _ESCAPES:
            return _ESCAPES[char], at + 2
        if char == "u":
            found = re.compile(r"(?:\\u[0-9a-fA-F]{4})+").match(row, at)
            if found:
                codes = bytes.fromhex(found.group().replace("\\u", ""))
                return codes.decode("utf-16-be", "surrogatepass"), found.end()
        self.report(
            "opl.syntax.escape",
            f"'\\{char}' is no escape",
            number,
            at + 1,
            hint="write \\\\ for a backslash",
            length=2,
        )
        return char, at + 2

    def _template(self, row: str, number: int, start: int, spaced: bool) -> int:
        end = row.find("}}", start + 2)
        if end < 0:
            self.report(
                "opl.syntax.template",
                "'{{' has no '}}' on its line",
                number,
                start + 1,
                hint="write {{name}}, or { alone for an object",
                length=2,
            )
            return len(row)
        text = row[start : end + 2]
        self._add(Token(Kind.TEMPLATE, text, number, start + 1, spaced, text))
        return end + 2

    def _raw_block(self, index: int, indent: int) -> int:
        """After ``key: |`` inside braces, take the deeper lines as one string."""
        tokens = self.current.tokens if self.current else []
        opens = len(tokens) > 1 and tokens[-1].is_op("|") and tokens[-2].is_op(":") and self.open
        if not opens:
            return index + 1
        stop = index + 1
        while stop < len(self.rows) and (not self.rows[stop].strip() or _indent(self.rows[stop]) > indent):
            stop += 1
        block = self.rows[index + 1 : stop]
        margin = min((_indent(row) for row in block if row.strip()), default=0)
        text = "\n".join(row[margin:].rstrip() for row in block).strip("\n")
        bar = tokens.pop()
        self._add(Token(Kind.STRING, "|", bar.line, bar.column, True, text))
        return stop


def _indent(row: str) -> int:
    return len(row) - len(row.lstrip(" "))


def _value_of(text: str) -> int | float | None:
    """What a number means, or None beyond a double."""
    try:
        return _normal(float(text)) if len(text) > 15 or not text.isdigit() else int(text)
    except OverflowError:
        return None


def _normal(value: float) -> int | float:
    """Integral numbers are held as int; raises OverflowError for infinity."""
    return int(value) if abs(value) < 2**53 and value == int(value) else value + 0.0 * int(value)


def _scaled(value: int | float, factor: float) -> int | float:
    """A number in another unit; what grows beyond a double stays as it is."""
    product = value * factor
    return _normal(float(product)) if abs(product) < 1e300 else value
