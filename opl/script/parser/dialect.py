"""
The wider dialect: what real pattern files write beyond the seeds.

Every form becomes statements of the seeds' grammar; no form of the seeds
changes its meaning.

=============================================== ==========================================
``SPAWN {profile, count, …} AS x``              ``EVENT agent:spawn``, once or ``count`` times
``SEND {to, message}``                          ``EVENT completion:async``
``EMIT "e" [FOR i IN 1..n] [WITH] {…} [AS x]``  ``EVENT``, in a FOREACH
``AWAIT {from, count, timeout, …} AS x``        AWAIT; with a count a list of replies
``AGGREGATE {data, method, options} AS x``      a vote, ranking, mean or consensus
``TERMINATE x`` · ``TERMINATE ALL``             ``EVENT agent:terminate``
``COMPUTE x = e`` (CALCULATE, STORE)            ``UPDATE x = e``
``UPDATE xs WITH e``                            add to a list, merge into an object
``UPDATE xs WHERE c:``                          assignments to fields of the elements that fit
``FOR x IN e:`` · ``LOOP UNTIL c:``             FOREACH · WHILE, tested after the body
=============================================== ==========================================

Source: docs/language.md, section The wider dialect.
"""

from __future__ import annotations

from opl.errors import Problem, Severity
from opl.script.calls import INBOX, answered
from opl.script.parser.cursor import Cursor, Unreadable, problem_at
from opl.script.parser.statements import Statements, own_name
from opl.script.scanner import scan
from opl.script.syntax import (
    Append,
    Assert,
    Assign,
    At,
    Await,
    Bind,
    Block,
    Call,
    Chain,
    Const,
    Do,
    Event,
    Expr,
    ForEach,
    If,
    Interval,
    ListOf,
    Loop,
    Name,
    ObjectOf,
    Stmt,
    UpdateWhere,
    Wait,
    While,
)
from opl.script.tokens import Kind, Line

_SECONDS = {"MS": 0.001, "MILLISECONDS": 0.001, "SECOND": 1, "SECONDS": 1, "MINUTE": 60, "MINUTES": 60, "HOURS": 3600}
_AWAIT_FIELDS = frozenset(
    [
        "from",
        "event_pattern",
        "count",
        "min_responses",
        "max_responses",
        "timeout",
        "collect_partial",
        "collect_all",
        "filter",
    ]
)
SPAWNED, NUMBER = "%spawned", "%number"  # hidden names of a SPAWN with a count
RECEIVER = "%receiver"  # hidden name of a SEND to several


class Dialect(Statements):
    """Statements with the wider dialect."""

    def add_forms(self) -> None:
        """The words that begin the dialect's statements."""
        self.forms.update(
            {
                "SPAWN": self._spawn,
                "EMIT": self._emit,
                "AGGREGATE": self._aggregate,
                "TERMINATE": self._terminate,
                "ASSERT": self._assert,
                "COMPUTE": self._compute,
                "CALCULATE": self._compute,
                "STORE": self._compute,
                "FOR": self._for,
            }
        )

    def _inner_block(self, text: str, at: At) -> tuple[Block, list[Problem]]:
        lines, problems = scan(text)
        inner = Dialect(lines, problems, text.splitlines(), 1)
        return inner.block(-1), problems

    # ------------------------------------------------------------ variables

    def _compute(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        return self.assignment(cursor, self.place(cursor), at)

    def _update(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        place = self.place(cursor)
        if cursor.take_word("WITH"):
            value = Call(at=at, name="%WITH", args=[place, self.expression(cursor)])
            return Assign(at=at, place=place, value=value)
        if cursor.take_word("WHERE"):
            condition = self.expression(cursor)
            cursor.expect_op(":", "write UPDATE list WHERE condition: and assignments below")
            return UpdateWhere(at=at, place=place, condition=condition, changes=self._changes(cursor, line))
        return self.assignment(cursor, place, at)

    def _changes(self, cursor: Cursor, line: Line) -> list[tuple[str, Expr, At]]:
        """The assignments ``field = value`` below (or behind) UPDATE … WHERE."""
        if not cursor.finished:
            return [self._change(cursor)]
        found = []
        while (inner := self.line) is not None and inner.indent > line.indent:
            self.index += 1
            try:
                if not inner.broken:
                    found.append(self._change(Cursor(inner.tokens, At(inner.number, inner.indent + 1))))
            except Unreadable as error:
                self.report(error.problem)
        return found

    def _change(self, cursor: Cursor) -> tuple[str, Expr, At]:
        cursor.take_word("UPDATE", "SET", "STATE")
        at = cursor.at
        name = cursor.expect_name("a field", "write field = value").text
        operator = cursor.take_op("=", "+=", "-=", "*=", "/=")
        if operator is None:
            raise cursor.unexpected("'='", "write field = value")
        value = self.expression(cursor)
        if not cursor.finished:
            raise cursor.unexpected("the end of the line", "begin a new line")
        if operator.text != "=":
            value = Chain(at=at, first=Name(at=at, name=name), rest=[(operator.text[0], value, at)])
        return name, value, at

    # ------------------------------------------------------------ loops

    def _for(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        if cursor.token.is_word("EACH") and cursor.peek().kind is Kind.NAME and not cursor.peek().is_word("IN"):
            cursor.next()
        if cursor.peek().is_word("FROM"):
            return self._loop(cursor, line, at)
        return self._foreach(cursor, line, at)

    def _loop(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        until = cursor.token.is_word("UNTIL")
        if until or (cursor.token.is_word("WHILE") and not cursor.peek().is_word("FROM", "IN")):
            cursor.next()
            condition = self.expression(cursor)
            return While(at=at, condition=condition, body=self.body(cursor, line, "LOOP"), until=until)
        name = cursor.expect_name("a name", "write LOOP name FROM 1 TO 10:").text
        if not cursor.take_word("IN"):
            cursor.expect_word("FROM", "write LOOP name FROM 1 TO 10:")
        low = self.expression(cursor)
        if isinstance(low, Interval):
            return Loop(at=at, name=name, low=low.low, high=low.high, body=self.body(cursor, line, "LOOP"))
        cursor.expect_word("TO", "write LOOP name FROM 1 TO 10:")
        high = self.expression(cursor)
        return Loop(at=at, name=name, low=low, high=high, body=self.body(cursor, line, "LOOP"))

    def _wait(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        seconds = self.expression(cursor)
        if cursor.token.upper in _SECONDS:
            factor = Const(at=at, value=_SECONDS[cursor.next().upper])
            seconds = Chain(at=at, first=seconds, rest=[("*", factor, at)])
        return Wait(at=at, seconds=seconds)

    # ------------------------------------------------------------ events

    def _emit(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        name = self.event_name(cursor)
        loop: tuple[list[str], Expr] | None = None
        if cursor.take_word("FOR"):
            names = [cursor.expect_name("a name", 'write EMIT "event" FOR i IN 1..3 {…}').text]
            if cursor.take_op(","):
                names.append(cursor.expect_name("a second name").text)
            cursor.expect_word("IN", 'write EMIT "event" FOR i IN 1..3 {…}')
            loop = names, self.expression(cursor)
        if cursor.take_word("WITH") and not cursor.token.is_op("{", "["):
            raise cursor.unexpected("'{'", 'write EMIT "event" WITH {field: value}')
        data = None if cursor.finished or cursor.token.is_word("AS") else self.expression(cursor)
        event = Event(at=at, name=name, data=data, bind=self.binding(cursor), text=self._text(at))
        return ForEach(at=at, names=loop[0], source=loop[1], body=[event]) if loop else event

    def _send(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        if not cursor.token.is_op("{"):
            return super()._send(cursor, line, at)
        value = self.expression(cursor)
        fields = named(value)
        if "to" not in fields or not fields.keys() & {"message", "prompt"}:
            raise Unreadable(
                problem_at(at, "opl.syntax.send", "SEND needs to and message", "write SEND {to: agent, message: …}")
            )
        prompt = fields.pop("message", None) or fields.pop("prompt")
        receiver = fields.pop("to")
        agent = Name(at=at, name=RECEIVER) if isinstance(receiver, ListOf) else own_name(receiver)
        entries: list[tuple[str | Expr, Expr]] = [("agent_id", agent), ("prompt", prompt)]
        data = ObjectOf(at=at, entries=[*entries, *fields.items()])
        event = Event(at=at, name="completion:async", data=data, bind=self.binding(cursor))
        if not isinstance(receiver, ListOf):
            return event
        return ForEach(at=at, names=[RECEIVER], source=own_name(receiver), body=[event], text=self._text(at))

    def _terminate(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        entry: tuple[str | Expr, Expr] = ("all", Const(at=at, value=True))
        if not cursor.take_word("ALL"):
            entry = ("agent_id", self.agent(cursor))
        return Event(at=at, name="agent:terminate", data=ObjectOf(at=at, entries=[entry]), bind=self.binding(cursor))

    def _spawn(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        if cursor.token.is_op("{"):
            fields = named(self.expression(cursor))
        else:
            fields = {"profile": self.agent(cursor)}
            if cursor.take_word("WITH"):
                fields |= named(self.expression(cursor))
        if "component" in fields:
            fields.setdefault("profile", fields.pop("component"))
        count = fields.pop("count", None)
        data = ObjectOf(at=at, entries=list(fields.items()))
        name = self.binding(cursor)
        if count is None or (isinstance(count, Const) and count.value == 1):
            return Event(at=at, name="agent:spawn", data=data, bind=name)
        return self._spawn_many(at, data, count, name)

    def _spawn_many(self, at: At, data: ObjectOf, count: Expr, name: str | None) -> Stmt:
        """``SPAWN {count: n} AS xs``: a list of handles."""
        text = self._text(at)
        event = Event(at=at, name="agent:spawn", data=data, bind=SPAWNED if name else None, text=text)
        body: Block = [event]
        if name:
            place = Name(at=at, name=name)
            body.append(Append(at=at, place=place, value=Name(at=at, name=SPAWNED)))
        loop = Loop(at=at, name=NUMBER, low=Const(at=at, value=1), high=count, body=body, text=text)
        if name is None:
            return loop
        empty = Bind(at=at, name=name, value=ListOf(at=at, items=[]), text=text)
        return If(at=at, arms=[(Const(at=at, value=True), [empty, loop])])

    # ------------------------------------------------------------ replies

    def _await(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        if not cursor.token.is_op("{"):
            return super()._await(cursor, line, at)
        fields = named(self.expression(cursor))
        unknown = sorted(fields.keys() - _AWAIT_FIELDS)
        if unknown:
            raise Unreadable(
                problem_at(
                    at,
                    "opl.syntax.await",
                    f"AWAIT has no field '{unknown[0]}'",
                    "write AWAIT {from, count, timeout, collect_partial} AS replies",
                )
            )
        name = self.binding(cursor)
        source, mode = _source(fields.get("from"))
        collect = fields.get("count") or fields.get("min_responses")
        if collect is None and _is_true(fields.get("collect_all")):
            collect = Const(at=at, value=None)
        body = self.body(cursor, line, "AWAIT") if not cursor.finished else []
        found = Await(
            at=at,
            name=name,
            source=source,
            mode=mode,
            timeout=fields.get("timeout"),
            body=body,
            collect=collect,
            partial=_is_true(fields.get("collect_partial")),
            void=collect is None,
            events=self._answered(fields.get("event_pattern")),
            fits=fields.get("filter"),
        )
        after = self.follower(line, "TIMEOUT")
        if after is not None:
            after.next()
            found.late = self.body(after, line, "TIMEOUT")
        return found

    def _answered(self, pattern: Expr | None) -> Expr | None:
        """The pattern of AWAIT, where a reply can be to such an event; agents say nothing by themselves here."""
        parts = pattern.items if isinstance(pattern, ListOf) else [pattern]
        written = [each.value for each in parts if isinstance(each, Const) and isinstance(each.value, str)]
        if pattern is None or len(written) < len(parts) or any(answered(each) for each in written):
            return pattern
        message = f"nothing that is asked is called {' or '.join(written)}: any reply is taken for it"
        hint = f"leave event_pattern out, or name one of {', '.join(sorted(INBOX))}"
        note = Severity.NOTE
        self.report(problem_at(pattern.at, "opl.script.event-pattern", message, hint, severity=note))
        return None

    def _aggregate(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        value = Call(at=at, name="%AGGREGATE", args=[self.expression(cursor)])
        name = self.binding(cursor)
        return Bind(at=at, name=name, value=value) if name else Do(at=at, value=value)

    def _assert(self, cursor: Cursor, line: Line, at: At) -> Stmt | None:
        condition = self.expression(cursor)
        message = self.expression(cursor) if cursor.take_op(",") else None
        return Assert(at=at, condition=condition, message=message)


def named(value: Expr) -> dict[str, Expr]:
    """
    The fields of an object literal.

    Raises:
        Unreadable: it is none, or has a computed key.
    """
    if isinstance(value, ObjectOf) and all(isinstance(key, str) for key, _ in value.entries):
        return {str(key): inner for key, inner in value.entries}
    raise Unreadable(
        problem_at(value.at, "opl.syntax.unexpected", "an object with named fields is needed", "write {field: value}")
    )


def _source(node: Expr | None) -> tuple[Expr | None, str]:
    """Where replies come from: an agent or a list; "all" and a description of agents are anyone."""
    match node:
        case None | ObjectOf():
            return None, "any"
        case Const(value=value) if isinstance(value, str) and value.lower() in ("all", "any", "*"):
            return None, "any"
    return own_name(node), "any"


def _is_true(node: Expr | None) -> bool:
    return isinstance(node, Const) and node.value is True
