"""
Statements and blocks: the grammar of the seeds, section 1.3 of the language.

A ``Statements`` walks the logical lines; each statement is read from the
tokens of one line, its block from the deeper lines that follow. A statement
that cannot be read becomes a problem, its block is read all the same.

Source: docs/language.md, section Statements.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from opl.errors import Problem
from opl.script.parser.blocks import Blocks
from opl.script.parser.cursor import Cursor, Unreadable, problem_at
from opl.script.scanner import scan, title_of
from opl.script.syntax import (
    Append,
    At,
    Await,
    Bind,
    Block,
    Branch,
    Break,
    Call,
    Const,
    Continue,
    Event,
    Expr,
    ForEach,
    If,
    ListOf,
    Loop,
    Name,
    ObjectOf,
    Parallel,
    Path,
    Return,
    Stmt,
    Switch,
    Track,
    Try,
    Use,
    Wait,
    While,
)
from opl.script.tokens import Kind, Line


@dataclass(slots=True, kw_only=True)
class Script:
    """A script that was read; ``body`` lacks the statements that ``problems`` tell of."""

    title: str
    body: Block
    problems: list[Problem] = field(default_factory=list)


def parse(text: str, *, first_line: int = 1) -> Script:
    """
    Read a whole script.

    Args:
        first_line: the number of the text's first line in its file.
    """
    from opl.script.parser.dialect import Dialect

    lines, problems = scan(text, first_line=first_line)
    parser = Dialect(lines, problems, text.splitlines(), first_line)
    body = parser.block(-1)
    problems.sort(key=lambda problem: (problem.line, problem.column))
    return Script(title=title_of(text), body=body, problems=problems)


class Statements(Blocks):
    """The statements of the seeds."""

    def __init__(self, lines: list[Line], problems: list[Problem], rows: list[str], first_line: int) -> None:
        super().__init__(lines, problems, rows, first_line)

        self.forms = {
            "STATE": self._state,
            "UPDATE": self._update,
            "SET": self._update,
            "APPEND": self._append,
            "IF": self._if,
            "SWITCH": self._switch,
            "WHILE": self._while,
            "LOOP": self._loop,
            "FOREACH": self._foreach,
            "BREAK": self._break,
            "CONTINUE": self._continue,
            "EVENT": self._event,
            "SEND": self._send,
            "AWAIT": self._await,
            "PARALLEL": self._parallel,
            "BRANCH": self._branch,
            "WAIT": self._wait,
            "TRACK": self._track,
            "TRY": self._try,
            "PERSIST": self._persist,
            "SHARE": self._share,
            "RETURN": self._return,
            "USE": self._use,
            "ELSE": self._stray,
            "ELIF": self._stray,
            "CASE": self._stray,
            "DEFAULT": self._stray,
            "CATCH": self._stray,
            "TIMEOUT": self._stray,
        }
        self.add_forms()

    def add_forms(self) -> None:
        """The forms of a wider dialect."""

    # ------------------------------------------------------------ variables

    def _state(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        place = self.place(cursor)
        if not isinstance(place, Name) or cursor.token.is_op("+=", "-=", "*=", "/="):
            return self.assignment(cursor, place, at)
        cursor.expect_op("=", "write STATE name = value")
        return Bind(at=at, name=place.name, value=self.expression(cursor))

    def _update(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        return self.assignment(cursor, self.place(cursor), at)

    def _append(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        place = self.place(cursor)
        if not isinstance(place, Name | Path):
            raise cursor.unexpected("a value", "write APPEND list value")
        return Append(at=at, place=place, value=self.expression(cursor))

    # ------------------------------------------------------------ control flow

    def _if(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        found = If(at=at, arms=[(self.expression(cursor), self.body(cursor, line, "the condition"))])
        while (after := self.follower(line, "ELSE", "ELIF")) is not None:
            word = after.next()
            if word.is_word("ELIF") or after.take_word("IF"):
                condition = self.expression(after)
                found.arms.append((condition, self.body(after, line, "the condition")))
                continue
            found.other = self.body(after, line, "ELSE")
            break
        return found

    def _switch(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        found = Switch(at=at, subject=self.expression(cursor), cases=[])
        cursor.expect_op(":", "write SWITCH value:")
        inner = self.line
        if inner is None or inner.indent <= line.indent or not cursor.finished:
            return found
        level = inner.indent
        while (inner := self.line) is not None and inner.indent > line.indent:
            self.index += 1
            start = self.index
            try:
                if not inner.broken:
                    self._case(Cursor(inner.tokens, At(inner.number, inner.indent + 1)), inner, found, level)
            except Unreadable as error:
                self.report(error.problem)
                if self.index == start:
                    self.block(inner.indent)
        return found

    def _case(self, cursor: Cursor, line: Line, switch: Switch, level: int) -> None:
        if line.indent != level:
            self._misplaced(line, level)
        if cursor.take_word("DEFAULT") or (cursor.token.is_word("ELSE") and cursor.next()):
            if switch.other is not None:
                raise cursor.error("opl.syntax.stray", "a second DEFAULT", "keep one", cursor.tokens[0])
            switch.other = self.body(cursor, line, "DEFAULT")
            return
        cursor.expect_word("CASE", "inside SWITCH write CASE value: or DEFAULT:")
        values = [self.expression(cursor)]
        while cursor.take_op(","):
            values.append(self.expression(cursor))
        switch.cases.append((values, self.body(cursor, line, "CASE")))

    def _while(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        condition = self.expression(cursor)
        return While(at=at, condition=condition, body=self.body(cursor, line, "the condition"))

    def _loop(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        name = cursor.expect_name("a name", "write LOOP name FROM 1 TO 10:").text
        cursor.expect_word("FROM", "write LOOP name FROM 1 TO 10:")
        low = self.expression(cursor)
        cursor.expect_word("TO", "write LOOP name FROM 1 TO 10:")
        high = self.expression(cursor)
        return Loop(at=at, name=name, low=low, high=high, body=self.body(cursor, line, "LOOP"))

    def _foreach(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        names = [cursor.expect_name("a name", "write FOREACH item IN list:").text]
        if cursor.take_op(","):
            names.append(cursor.expect_name("a second name", "write FOREACH key, value IN object:").text)
        cursor.expect_word("IN", "write FOREACH item IN list:")
        source = self.expression(cursor)
        return ForEach(at=at, names=names, source=source, body=self.body(cursor, line, "FOREACH"))

    def _break(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        return Break(at=at)

    def _continue(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        return Continue(at=at)

    def _try(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        body = self.body(cursor, line, "TRY")
        after = self.follower(line, "CATCH")
        if after is None:
            raise Unreadable(
                problem_at(at, "opl.syntax.stray", "TRY has no CATCH", "write CATCH error: below it", length=3)
            )
        after.next()
        name = after.next().text if after.token.kind is Kind.NAME else None
        return Try(at=at, body=body, name=name, handler=self.body(after, line, "CATCH"))

    def _return(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        return Return(at=at, value=None if cursor.finished else self.expression(cursor))

    def _use(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        return Use(at=at, value=self.expression(cursor))

    # ------------------------------------------------------------ events

    def event_name(self, cursor: Cursor) -> str:
        """``completion:async``: names, colons, dots and hyphens without blanks, or a string."""
        token = cursor.token
        if token.kind is Kind.STRING and "{{" not in token.value:
            cursor.next()
            return str(token.value)
        pieces = [cursor.expect_name("the name of an event", "write EVENT completion:async {…}").text]
        while True:
            sign, word = cursor.token, cursor.peek()
            joined = sign.is_op(":", ".", "-") and not sign.spaced
            if not (joined and word.kind is Kind.NAME and not word.spaced):
                return "".join(pieces)
            pieces += [sign.text, word.text]
            cursor.index += 2

    def _event(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        name = self.event_name(cursor)
        data = None if cursor.finished or cursor.token.is_word("AS") else self.expression(cursor)
        return Event(at=at, name=name, data=data, bind=self.binding(cursor))

    def agent(self, cursor: Cursor) -> Expr:
        """An agent: an expression; a bare name that is no variable stands for itself."""
        token = cursor.token
        found = self.place(cursor) if token.kind is Kind.NAME else self.expression(cursor)
        return own_name(found)

    def _send(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        agent = self.agent(cursor)
        prompt = self.expression(cursor)
        data = ObjectOf(at=at, entries=[("agent_id", agent), ("prompt", prompt)])
        return Event(at=at, name="completion:async", data=data, bind=self.binding(cursor))

    def _persist(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        kind = cursor.expect_name("the name of an entity type", "write PERSIST type {key: …, data: …}").text
        value = self.expression(cursor)
        entries = {k: v for k, v in value.entries if isinstance(k, str)} if isinstance(value, ObjectOf) else {}
        if set(entries) - {"key", "data"} or "key" not in entries:
            raise Unreadable(
                problem_at(at, "opl.syntax.persist", "PERSIST needs a key", "write PERSIST type {key: …, data: …}")
            )
        data = entries.get("data", ObjectOf(at=at, entries=[]))
        fields: list[tuple[str | Expr, Expr]] = [("type", Const(at=at, value=kind)), ("id", entries["key"])]
        return Event(
            at=at,
            name="state:entity:create",
            data=ObjectOf(at=at, entries=[*fields, ("properties", data)]),
            bind=self.binding(cursor),
        )

    def _share(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        value = self.expression(cursor)
        cursor.expect_word("WITH", "write SHARE value WITH agent")
        agent = self.agent(cursor)
        prompt = Call(at=at, name="%SHARE", args=[value])
        data = ObjectOf(at=at, entries=[("agent_id", agent), ("prompt", prompt)])
        return Event(at=at, name="completion:async", data=data, bind=self.binding(cursor))

    def _wait(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        return Wait(at=at, seconds=self.expression(cursor))

    def _track(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        return Track(at=at, data=self.expression(cursor))

    # ------------------------------------------------------------ waiting and branching

    def _await(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        name = cursor.expect_name("a name", "write AWAIT reply FROM agent TIMEOUT 30:").text
        source, mode, timeout = None, "any", None
        if cursor.take_word("FROM"):
            source, mode = self.source(cursor)
        if cursor.take_word("TIMEOUT"):
            timeout = self.expression(cursor)
        body = [] if cursor.finished else self.body(cursor, line, "AWAIT")
        found = Await(at=at, name=name, source=source, mode=mode, timeout=timeout, body=body)
        after = self.follower(line, "TIMEOUT")
        if after is not None:
            after.next()
            found.late = self.body(after, line, "TIMEOUT")
        return found

    def source(self, cursor: Cursor) -> tuple[Expr, str]:
        """Where a reply comes from, and whether one of the list is enough ("any") or each is wanted ("all")."""
        word = cursor.token
        if word.is_word("ANY", "ALL") and cursor.peek().is_op("("):
            cursor.index += 2
            found = own_name(self.expression(cursor))
            cursor.expect_op(")", f"write {word.upper}(list)")
            return found, word.upper.lower()
        return own_name(self.expression(cursor)), "any"

    def _parallel(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        limit = None
        if cursor.take_op("("):
            word = cursor.expect_name("limit", "write PARALLEL(limit: 3):")
            if not word.is_word("LIMIT"):
                raise cursor.error("opl.syntax.unexpected", f"PARALLEL has no '{word.text}'", "write limit", word)
            if not cursor.take_op("="):
                cursor.expect_op(":", "write PARALLEL(limit: 3):")
            limit = self.expression(cursor)
            cursor.expect_op(")", "write PARALLEL(limit: 3):")
        body = self._branches(cursor, line)
        return Parallel(at=at, limit=limit, branches=body)

    def _branches(self, cursor: Cursor, line: Line) -> list[Branch | ForEach]:
        form, self.forms["BRANCH"] = self.forms["BRANCH"], self._inner_branch
        try:
            statements = self.body(cursor, line, "PARALLEL")
        finally:
            self.forms["BRANCH"] = form
        return [
            each if isinstance(each, Branch | ForEach) else Branch(at=each.at, text=each.text, name="", body=[each])
            for each in statements
        ]

    def _inner_branch(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        token = cursor.token
        name = ""
        if token.kind in (Kind.NAME, Kind.STRING):
            name = str(cursor.next().value or token.text)
        form, self.forms["BRANCH"] = self.forms["BRANCH"], self._branch
        try:
            return Branch(at=at, name=name, body=self.body(cursor, line, "BRANCH"))
        finally:
            self.forms["BRANCH"] = form

    def _branch(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        self.report(
            problem_at(
                at,
                "opl.syntax.stray",
                "BRANCH stands outside PARALLEL",
                "put it directly inside a PARALLEL block",
                length=len("BRANCH"),
            )
        )
        return self._inner_branch(cursor, line, at)


def own_name(found: Expr) -> Expr:
    """A bare name in the place of an agent: it stands for itself where it is no variable."""
    if isinstance(found, Name):
        return Call(at=found.at, name="%AGENT", args=[found])
    if isinstance(found, ListOf):
        return ListOf(at=found.at, items=[own_name(item) for item in found.items])
    return found
