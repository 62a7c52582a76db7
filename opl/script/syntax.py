"""
The tree of a script, as the parser builds it.

Nodes say what was written and where, nothing about what it means: names are
not resolved, predicates look like any other argument. ``At`` is a place in the
file. Chains (``a + b + c``, ``a.b[c].d``) are one node with several parts, so
that a long line never makes a deep tree.

Source: docs/language.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class At:
    """A place in the file; both count from 1."""

    line: int
    column: int


@dataclass(slots=True, kw_only=True)
class Node:
    """Anything with a place."""

    at: At


# ---------------------------------------------------------------- expressions


@dataclass(slots=True, kw_only=True)
class Expr(Node):
    """An expression."""


@dataclass(slots=True, kw_only=True)
class Const(Expr):
    """A literal without parts: null, a boolean, a number, a string without slots."""

    value: Any


@dataclass(slots=True, kw_only=True)
class SlotPart:
    """One ``{{…}}`` of a template."""

    raw: str  # as written, braces included
    value: Expr | None  # None where the text is no expression; it then stays as written
    filters: tuple[tuple[str, str | None], ...] = ()


@dataclass(slots=True, kw_only=True)
class Text(Expr):
    """A string with slots, or (``bare``) a ``{{expression}}`` that stands for its value."""

    parts: list[str | SlotPart]
    bare: bool = False


@dataclass(slots=True, kw_only=True)
class Name(Expr):
    """A name."""

    name: str


@dataclass(slots=True, kw_only=True)
class Step(Node):
    """One ``.field`` or ``[index]`` of a path."""

    field: str | None = None  # the name after the dot
    index: Expr | None = None  # else the expression between the brackets


@dataclass(slots=True, kw_only=True)
class Path(Expr):
    """``base.field[index]…``"""

    base: Expr
    steps: list[Step]


@dataclass(slots=True, kw_only=True)
class ListOf(Expr):
    """``[a, b]``"""

    items: list[Expr]


@dataclass(slots=True, kw_only=True)
class ObjectOf(Expr):
    """``{key: value}``; a key is a string, or an expression where it was computed."""

    entries: list[tuple[str | Expr, Expr]]


@dataclass(slots=True, kw_only=True)
class Unary(Expr):
    """``-x`` or ``NOT x``."""

    operator: str  # "-" or "not"
    operand: Expr


@dataclass(slots=True, kw_only=True)
class Chain(Expr):
    """``a + b - c``: operators of one rank, from left to right. ``ats[i]`` is where operator i stands."""

    first: Expr
    rest: list[tuple[str, Expr, At]]


@dataclass(slots=True, kw_only=True)
class Compare(Expr):
    """``a < b``, ``a == b``, ``a IN b``."""

    operator: str  # == != < <= > >= in "not in"
    left: Expr
    right: Expr


@dataclass(slots=True, kw_only=True)
class Logic(Expr):
    """``a AND b AND c`` or the same with OR."""

    operator: str  # "and" or "or"
    operands: list[Expr]


@dataclass(slots=True, kw_only=True)
class Ternary(Expr):
    """``condition ? then : other``"""

    condition: Expr
    then: Expr
    other: Expr


@dataclass(slots=True, kw_only=True)
class Interval(Expr):
    """``a..b``: the whole numbers from a to b, both included."""

    low: Expr
    high: Expr


@dataclass(slots=True, kw_only=True)
class Where(Expr):
    """``list WHERE condition`` as an argument."""

    source: Expr
    condition: Expr


@dataclass(slots=True, kw_only=True)
class Lambda(Expr):
    """``x => body`` or ``(k, v) => body``."""

    params: list[str]
    body: Expr


@dataclass(slots=True, kw_only=True)
class Call(Expr):
    """``name(arguments)``; ``JSON.parse`` is one name."""

    name: str
    args: list[Expr]
    keywords: dict[str, Expr] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class MethodCall(Expr):
    """``receiver.name(arguments)``"""

    receiver: Expr
    name: str
    args: list[Expr]
    keywords: dict[str, Expr] = field(default_factory=dict)


# ---------------------------------------------------------------- statements


@dataclass(slots=True, kw_only=True)
class Stmt(Node):
    """A statement; ``text`` is its first line without outer blanks, by which it is recognised in an edited script."""

    text: str = ""


Block = list[Stmt]


@dataclass(slots=True, kw_only=True)
class Bind(Stmt):
    """``STATE name = value``"""

    name: str
    value: Expr


@dataclass(slots=True, kw_only=True)
class Assign(Stmt):
    """``UPDATE place = value``; ``place`` is a Name or a Path. ``operator`` of ``+=`` is ``+``."""

    place: Expr
    value: Expr
    operator: str = ""


@dataclass(slots=True, kw_only=True)
class Append(Stmt):
    """``APPEND place value``"""

    place: Expr
    value: Expr


@dataclass(slots=True, kw_only=True)
class UpdateWhere(Stmt):
    """``UPDATE list WHERE condition:`` with assignments to fields of the elements."""

    place: Expr
    condition: Expr
    changes: list[tuple[str, Expr, At]]


@dataclass(slots=True, kw_only=True)
class If(Stmt):
    """Tests with their blocks, in order, and the block of ELSE."""

    arms: list[tuple[Expr, Block]]
    other: Block | None = None


@dataclass(slots=True, kw_only=True)
class Switch(Stmt):
    """``SWITCH subject:``; several cases may share a block."""

    subject: Expr
    cases: list[tuple[list[Expr], Block]]
    other: Block | None = None


@dataclass(slots=True, kw_only=True)
class While(Stmt):
    """``WHILE condition:``; ``until`` tests after the body and negates (LOOP UNTIL)."""

    condition: Expr
    body: Block
    until: bool = False


@dataclass(slots=True, kw_only=True)
class Loop(Stmt):
    """``LOOP name FROM low TO high:``, inclusive."""

    name: str
    low: Expr
    high: Expr
    body: Block


@dataclass(slots=True, kw_only=True)
class ForEach(Stmt):
    """``FOREACH x IN source:`` or ``FOREACH k, v IN source:``"""

    names: list[str]
    source: Expr
    body: Block


@dataclass(slots=True, kw_only=True)
class Break(Stmt):
    """``BREAK``"""


@dataclass(slots=True, kw_only=True)
class Continue(Stmt):
    """``CONTINUE``"""


@dataclass(slots=True, kw_only=True)
class Event(Stmt):
    """``EVENT name {data} [AS name]``; SEND, PERSIST and SHARE are events too."""

    name: str
    data: Expr | None
    bind: str | None = None


@dataclass(slots=True, kw_only=True)
class Await(Stmt):
    """``AWAIT name FROM source TIMEOUT seconds:``"""

    name: str | None
    source: Expr | None
    mode: str  # "any", or "all" for ALL(list)
    timeout: Expr | None
    body: Block
    late: Block | None = None
    collect: Expr | None = None  # how many replies the wider dialect waits for; None is one
    partial: bool = False  # with ``collect``: take what is there at the time-out
    void: bool = False  # a time-out binds null, since the statement has no block that would know
    events: Expr | None = None  # globs of the events whose replies are taken; None takes any
    fits: Expr | None = None  # fields that a reply must have


@dataclass(slots=True, kw_only=True)
class Branch(Stmt):
    """One branch of a PARALLEL: ``BRANCH [name]:`` or a statement that stands directly in it."""

    name: str
    body: Block


@dataclass(slots=True, kw_only=True)
class Parallel(Stmt):
    """``PARALLEL(limit: n):``; a ForEach among the branches makes one per element."""

    limit: Expr | None
    branches: list[Branch | ForEach]


@dataclass(slots=True, kw_only=True)
class Wait(Stmt):
    """``WAIT seconds``"""

    seconds: Expr


@dataclass(slots=True, kw_only=True)
class Track(Stmt):
    """``TRACK {data}``"""

    data: Expr


@dataclass(slots=True, kw_only=True)
class Try(Stmt):
    """``TRY:`` … ``CATCH [name]:``"""

    body: Block
    name: str | None
    handler: Block


@dataclass(slots=True, kw_only=True)
class Return(Stmt):
    """``RETURN value``"""

    value: Expr | None


@dataclass(slots=True, kw_only=True)
class Use(Stmt):
    """``USE strategy``"""

    value: Expr


@dataclass(slots=True, kw_only=True)
class Assert(Stmt):
    """``ASSERT condition[, message]``"""

    condition: Expr
    message: Expr | None = None


@dataclass(slots=True, kw_only=True)
class Observe(Stmt):
    """``observe_events(patterns) AS event:`` and a block, carried out for each event that matches."""

    patterns: Expr
    callback: ForEach  # its one name is the event's; its source is null
    told: str  # the block as it is written
    bind: str | None = None  # the subscription


@dataclass(slots=True, kw_only=True)
class Do(Stmt):
    """An expression on its own, which is a call; ``F(args) AS x`` is a Bind."""

    value: Expr


# ---------------------------------------------------------------- walking


def children(node: Any) -> Iterator[Any]:
    """The nodes directly inside a node (or inside its lists and pairs), in the order of the text."""
    if isinstance(node, _NODES):
        kind: Any = type(node)
        for name in _parts_of(kind):
            value = getattr(node, name)
            if isinstance(value, _NODES):
                yield value
            elif isinstance(value, _CONTAINERS):
                yield from _inside(value)


@cache
def _parts_of(kind: type[Any]) -> tuple[str, ...]:
    """The fields of a kind of node; asking the dataclass for each node takes as long as reading the script."""
    return tuple(each.name for each in fields(kind))


def _inside(value: Any) -> Iterator[Any]:
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, _NODES):
            yield item
        elif isinstance(item, list | tuple):
            yield from _inside(item)


_NODES = (Node, SlotPart)
_CONTAINERS = (list, tuple, dict)


def walk(node: Any) -> Iterator[Any]:
    """The node and all nodes inside it."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(list(children(current))))


def blocks_of(statement: Stmt) -> list[Block]:
    """The blocks of statements directly inside a statement."""
    match statement:
        case If(arms=arms, other=other):
            return [block for _, block in arms] + ([other] if other else [])
        case Switch(cases=cases, other=other):
            return [block for _, block in cases] + ([other] if other else [])
        case While() | Loop() | ForEach() | Branch():
            return [statement.body]
        case Await(body=body, late=late):
            return [body] + ([late] if late else [])
        case Parallel(branches=branches):
            return [list(branches)]
        case Try(body=body, handler=handler):
            return [body, handler]
        case Observe(callback=callback):
            return [[callback]]
    return []
