"""
``observe_events`` as a statement: its callback is a block of script.

=============================================== =================================================
``observe_events(patterns) AS event:``          and the block below
``observe_events(patterns, event):``            the same
``observe_events(patterns):``                   the same, the event is called ``event``
``observe_events(patterns, e => list.push(e))`` one call
``observe_events(patterns, "APPEND xs event")`` a block in a string
=============================================== =================================================

The last two are expressions too, whose value is the subscription:
``STATE watching = observe_events(…)``. A string that is no script is left to
the primitive, which remembers it as a note.

Source: docs/decisions/0105-callbacks-are-branches.md
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from opl.errors import Problem, Severity
from opl.script.calls import OBSERVE
from opl.script.parser.cursor import problem_at
from opl.script.syntax import (
    Assign,
    At,
    Bind,
    Block,
    Call,
    Const,
    Do,
    Expr,
    ForEach,
    Lambda,
    MethodCall,
    Name,
    Node,
    Observe,
    Stmt,
    walk,
)

EVENT = "event"  # what a block calls its event where nothing else is said
Report = Callable[[Problem], None]
ReadBlock = Callable[[str, At], tuple[Block, list[Problem]]]


def is_observation(node: Expr) -> bool:
    """Whether an expression is a call of the primitive."""
    return isinstance(node, Call) and node.name == OBSERVE


def with_block(call: Call, name: str | None, body: Block, told: str) -> Observe:
    """The statement with a block below it."""
    patterns, callback = _arguments(call)
    event = name or (callback.name if isinstance(callback, Name) else EVENT)
    return _observe(call.at, patterns, event, body, told)


def with_callback(statement: Stmt, read_block: ReadBlock, report: Report) -> Stmt:
    """The statement whose callback is an argument; as it was where the callback is no script."""
    call, bind = _call_of(statement)
    if call is None:
        return statement
    patterns, callback = _arguments(call)
    found: tuple[str, Block] | None = None
    if isinstance(callback, Lambda):
        found = _one_call(callback, report)
    elif isinstance(callback, Const) and isinstance(callback.value, str):
        found = _written(callback, callback.value, read_block, report)
    if found is None:
        return statement
    told = callback.value if isinstance(callback, Const) else statement.text
    observe = _observe(call.at, patterns, found[0], found[1], told)
    observe.bind, observe.text = bind, statement.text
    return observe


def _call_of(statement: Stmt) -> tuple[Call | None, str | None]:
    """The call that a statement makes on its own, and the name it gives the answer."""
    match statement:
        case Do(value=Call() as call):
            found, bind = call, None
        case Bind(name=name, value=Call() as call):
            found, bind = call, name
        case Assign(place=Name(name=name), value=Call() as call, operator=""):
            found, bind = call, name
        case _:
            return None, None
    return (found, bind) if is_observation(found) else (None, None)


def _arguments(call: Call) -> tuple[Expr, Expr | None]:
    given = dict(zip(("patterns", "callback"), call.args, strict=False)) | call.keywords
    return given.get("patterns", Const(at=call.at, value="*")), given.get("callback")


def _observe(at: At, patterns: Expr, event: str, body: Block, told: str) -> Observe:
    callback = ForEach(at=at, names=[event], source=Const(at=at, value=None), body=body, text=told)
    return Observe(at=at, patterns=patterns, callback=callback, told=told)


def _one_call(callback: Lambda, report: Report) -> tuple[str, Block]:
    name = callback.params[0] if callback.params else EVENT
    if not isinstance(callback.body, Call | MethodCall):
        hint = "write observe_events(patterns) AS event: and a block below it"
        message = "this callback does nothing: it is no call"
        report(problem_at(callback.body.at, "opl.syntax.no-effect", message, hint))
    return name, [Do(at=callback.body.at, value=callback.body)]


def _written(node: Const, text: str, read_block: ReadBlock, report: Report) -> tuple[str, Block] | None:
    body, problems = read_block(text, node.at)
    if not problems and body:
        for each in (inner for statement in body for inner in walk(statement)):
            _move(each, node.at)
        return EVENT, body
    told = f": {problems[0].message}" if problems else ""
    report(
        problem_at(
            node.at,
            "opl.script.callback",
            f"this callback is remembered as a note, and not carried out{told}",
            "write observe_events(patterns) AS event: and a block below it",
            severity=Severity.WARNING,
        )
    )
    return None


def _move(node: object, at: At) -> None:
    """A string has one place in its file, whatever its own lines are."""
    if isinstance(node, Node) and any(each.name == "at" for each in fields(node)):
        node.at = at
