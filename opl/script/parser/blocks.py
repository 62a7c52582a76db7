"""
Blocks of lines, and the parts that statements share.

A ``Blocks`` walks the logical lines. A statement that cannot be read becomes a
problem, its block is read all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

from opl.errors import Problem
from opl.script.parser.cursor import Cursor, Unreadable, problem_at, shortened
from opl.script.parser.expressions import Expressions
from opl.script.parser.observing import is_observation, with_block, with_callback
from opl.script.scanner import MAX_PROBLEMS
from opl.script.syntax import (
    Assign,
    At,
    Bind,
    Block,
    Call,
    Const,
    Do,
    Expr,
    If,
    MethodCall,
    Name,
    Path,
    Stmt,
)
from opl.script.tokens import KEYWORDS, MAX_NESTING, Kind, Line

Form = Callable[[Cursor, Line, At], Stmt | None]
_FOLLOWERS = {
    "IF": ("ELSE", "ELIF"),
    "ELSE": ("ELSE", "ELIF"),
    "ELIF": ("ELSE", "ELIF"),
    "TRY": ("CATCH",),
    "AWAIT": ("TIMEOUT",),
}


class Blocks:
    """Reads blocks of statements; ``forms`` says how each keyword goes on."""

    def __init__(self, lines: list[Line], problems: list[Problem], rows: list[str], first_line: int) -> None:
        self.lines = lines
        self.problems = problems
        self.rows = rows
        self.first_line = first_line
        self.index = 0
        self.depth = 0
        self.forms: dict[str, Form] = {}

    @property
    def line(self) -> Line | None:
        """The line to read next."""
        return self.lines[self.index] if self.index < len(self.lines) else None

    def report(self, problem: Problem) -> None:
        """Note a problem; a text with very many is not listed to its end."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    def block(self, outer: int) -> Block:
        """The statements of the lines that are indented deeper than ``outer``; may be none."""
        found: Block = []
        line = self.line
        if line is None or line.indent <= outer:
            return found
        self.depth += 1
        level = line.indent
        if self.depth > MAX_NESTING:
            at = At(line.number, line.indent + 1)
            self.report(
                problem_at(at, "opl.limit.nesting", f"blocks are nested more than {MAX_NESTING} deep", "nest less")
            )
            self._skip(outer)
        while (line := self.line) is not None and line.indent > outer:
            if line.indent != level:
                self._misplaced(line, level)
                level = min(level, line.indent)
            self.index += 1
            statement = self._guarded(line)
            if statement is not None:
                found.append(statement)
        self.depth -= 1
        return found

    def _skip(self, outer: int) -> None:
        while (line := self.line) is not None and line.indent > outer:
            self.index += 1

    def _misplaced(self, line: Line, level: int) -> None:
        if line.broken:
            return
        at = At(line.number, line.indent + 1)
        if line.indent > level:
            message, hint = "this line is indented deeper than the one before", "a block follows only after ':'"
        else:
            message, hint = "this line lines up with no block", "indent it as the statement it belongs to"
        self.report(problem_at(at, "opl.syntax.indentation", message, hint))

    def _guarded(self, line: Line) -> Stmt | None:
        """The statement of a line; an error is reported, and the block below is read for its own errors."""
        at, depth = At(line.number, line.indent + 1), self.depth
        try:
            if not line.broken:
                return self.statement(Cursor(line.tokens, at), line)
        except Unreadable as error:
            self.report(error.problem)
            self.depth = depth
        body = self.block(line.indent)
        first = line.tokens[0].upper if line.tokens else ""
        while self.follower(line, *_FOLLOWERS.get(first, ())) is not None:
            body += self.block(line.indent)
        return _never(at, body)

    def statement(self, cursor: Cursor, line: Line) -> Stmt | None:
        """The statement that begins at the cursor, with its block."""
        at, token = cursor.at, cursor.token
        text = self._text(at)
        form = self.forms.get(token.upper) if token.kind is Kind.NAME else None
        if form is not None and not self._names_a_place(cursor):
            cursor.next()
            found = form(cursor, line, at)
        else:
            found = self._bare(cursor, line, at)
        if not cursor.finished:
            raise cursor.error(
                "opl.syntax.unexpected",
                f"'{shortened(cursor.token.text)}' stands behind the end of the statement",
                "begin a new line, or remove it",
            )
        if found is not None and not found.text:
            found.text = text
        return with_callback(found, self._inner_block, self.report) if found is not None else None

    def _inner_block(self, text: str, at: At) -> tuple[Block, list[Problem]]:
        """The statements of a block that stands in a string."""
        raise NotImplementedError

    def _written_below(self, line: Line) -> str:
        """The text of the block that was just read below a line, as its author wrote it; at most 2,000 characters."""
        last = self.line.number - 1 if self.line is not None else self.first_line + len(self.rows) - 1
        start = line.number - self.first_line
        below = dedent("\n".join(self.rows[start + 1 : last - self.first_line + 1])).strip()
        return (below or self._text(At(line.number, line.indent + 1)))[:2000]

    def _text(self, at: At) -> str:
        row = at.line - self.first_line
        return self.rows[row][at.column - 1 :].strip() if 0 <= row < len(self.rows) else ""

    def _names_a_place(self, cursor: Cursor) -> bool:
        """Whether the keyword is used as a variable: ``state = 1``, ``event.x = 2``."""
        after = cursor.peek()
        if after.is_op("=", "+=", "-=", "*=", "/="):
            return True
        return after.is_op(".", "[") and not after.spaced and cursor.peek(2).kind is not Kind.END

    # ------------------------------------------------------------ parts

    def expression(self, cursor: Cursor) -> Expr:
        """An expression of the statement."""
        return Expressions(cursor).expression()

    def place(self, cursor: Cursor) -> Expr:
        """``name(.field|[index])*``"""
        name = cursor.expect_name("a name", "write the name of a variable, with .field or [index] behind it")
        at = At(name.line, name.column)
        found: Expr = Name(at=at, name=name.text)
        reader = Expressions(cursor)
        for _ in range(MAX_NESTING):
            token = cursor.token
            if token.is_op("[") and not token.spaced:
                found = reader._step(found, reader._index())
            elif token.is_op(".") and cursor.peek().kind is Kind.NAME:
                found = reader._member(found)
            else:
                break
        return found

    def body(self, cursor: Cursor, line: Line, what: str) -> Block:
        """What follows the colon: a statement on the same line, or the deeper lines below."""
        cursor.expect_op(":", f"write ':' at the end of {what}")
        if cursor.finished:
            return self.block(line.indent)
        rest = Line(indent=line.indent, number=cursor.token.line, tokens=cursor.tokens[cursor.index :])
        cursor.index = len(cursor.tokens)
        inner = Cursor(rest.tokens, cursor.at)
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise inner.error("opl.limit.nesting", f"blocks are nested more than {MAX_NESTING} deep", "nest less")
        found = self.statement(inner, rest)
        self.depth -= 1
        return [found] if found is not None else []

    def follower(self, line: Line, *words: str) -> Cursor | None:
        """A cursor behind the keyword, if the next line is at the same level and begins with one of the words."""
        after = self.line
        if after is None or after.broken or after.indent != line.indent or not after.tokens:
            return None
        if not after.tokens[0].is_word(*words) or (
            len(after.tokens) > 1 and after.tokens[1].is_op("=", "+=", "-=", "*=", "/=")
        ):
            return None
        self.index += 1
        return Cursor(after.tokens, At(after.number, after.indent + 1))

    def binding(self, cursor: Cursor) -> str | None:
        """``AS name``, if it is there."""
        if cursor.take_word("AS"):
            return cursor.expect_name("a name after AS").text
        return None

    def finish(self, cursor: Cursor, follower: Line) -> None:
        """Refuse what is left of a line that was read behind the statement's own."""
        if not cursor.finished:
            raise cursor.unexpected("the end of the line", "begin a new line")

    # ------------------------------------------------------------ statements without a keyword of their own

    def assignment(self, cursor: Cursor, place: Expr, at: At) -> Stmt:
        """``place = value`` and ``place += value``, behind the place."""
        if not isinstance(place, Name | Path):
            raise cursor.unexpected("'='", "only a variable, its fields and its elements can be assigned to")
        operator = cursor.take_op("+=", "-=", "*=", "/=")
        if operator is None:
            cursor.expect_op("=", "write name = value")
        value = self.expression(cursor)
        return Assign(at=at, place=place, value=value, operator=operator.text[0] if operator else "")

    def _bare(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        """``place = value`` or a call on its own; anything else is no statement."""
        first = cursor.token
        if first.kind is Kind.NAME and first.upper not in KEYWORDS and cursor.peek().kind in (Kind.NAME, Kind.STRING):
            raise self._narrative(cursor)
        reader = Expressions(cursor)
        found = reader.expression()
        if cursor.token.is_op("=", "+=", "-=", "*=", "/="):
            return self.assignment(cursor, found, at)
        if isinstance(found, Call | MethodCall):
            name = self.binding(cursor)
            if isinstance(found, Call) and is_observation(found) and cursor.token.is_op(":"):
                body = self.body(cursor, line, "observe_events")
                return with_block(found, name, body, self._written_below(line))
            return Bind(at=at, name=name, value=found) if name else Do(at=at, value=found)
        if first.kind is Kind.NAME and not cursor.finished:
            raise self._narrative(cursor, first.text)
        raise cursor.error(
            "opl.syntax.no-effect", "this expression does nothing", "give it a name: STATE name = …", first
        )

    def _narrative(self, cursor: Cursor, word: str = "") -> Unreadable:
        first = cursor.tokens[0] if word else cursor.token
        return cursor.error(
            "opl.syntax.no-statement",
            f"'{shortened(first.text)}' begins no statement",
            "write a statement such as STATE, IF, FOREACH or EVENT, or put # before a comment",
            first,
        )

    def _stray(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        word = cursor.tokens[0].text.upper() if cursor.tokens else ""
        owner = {"ELSE": "IF", "ELIF": "IF", "CASE": "SWITCH", "DEFAULT": "SWITCH", "CATCH": "TRY"}.get(word, "AWAIT")
        self.report(
            problem_at(
                at,
                "opl.syntax.stray",
                f"{word} belongs to no {owner}",
                f"indent it as the {owner} it belongs to" if owner != "SWITCH" else "put it inside a SWITCH",
                length=len(word),
            )
        )
        cursor.index = len(cursor.tokens)
        return _never(at, self.block(line.indent))


def _never(at: At, body: Block) -> Stmt | None:
    """The block of a statement that could not be read: checked like any other, never carried out."""
    return If(at=at, arms=[(Const(at=at, value=False), body)]) if body else None
