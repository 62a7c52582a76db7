"""
Templates, and what is said to and about agents, become closures.

Importing this module makes ``link`` know them.
"""

from __future__ import annotations

from typing import Any

from opl.errors import LimitExceeded, ScriptError, TypeMismatch
from opl.script.machine.frame import MISSING, Frame
from opl.script.machine.link import MAKERS, Closure, link, links, placed
from opl.script.templates import FILTERS
from opl.script.values import checked_string, to_text, with_article

_FAULTS = (ScriptError, LimitExceeded)


def _text(parts: list[Any], line: int, column: int) -> Closure:
    pieces: list[Any] = [part if isinstance(part, str) else _slot(line, *part) for part in parts]

    def run(f: Frame) -> str:
        try:
            text = "".join([piece if type(piece) is str else piece(f) for piece in pieces])
            f.charge(len(text) >> 3)
            return checked_string(text)
        except _FAULTS as error:
            raise placed(error, line, column) from None

    return run


def _slot(line: int, value: list[Any] | None, raw: str, root: str | None, filters: list[Any]) -> Closure:
    if value is None:
        return _no_slot(raw, line)
    inner = _filtered(value, filters, line, 0)
    if root is None or any(name == "default" for name, _ in filters):
        return lambda f: to_text(inner(f))

    def run(f: Frame) -> str:
        if root not in f.vars and f.find(root) is MISSING:
            f.ctx.unbound(root, line)
            return raw
        return to_text(inner(f))

    return run


def _no_slot(raw: str, line: int) -> Closure:
    """Text in ``{{ }}`` that is no expression: it stays, with a warning."""

    def run(f: Frame) -> str:
        f.ctx.line = line
        f.ctx.warn("opl.run.template-text", f"{raw[:60]} is no expression and stays in the text")
        return raw

    return run


def _filtered(value: list[Any], filters: list[Any], line: int, column: int) -> Closure:
    inner = link(value)
    if not filters:
        return inner
    known = [(FILTERS.get(name), name, argument) for name, argument in filters]

    def run(f: Frame) -> Any:
        found = inner(f)
        for apply, name, argument in known:
            if apply is None:
                raise TypeMismatch(f"there is no filter '{name}'; there are {', '.join(sorted(FILTERS))}", line)
            found = apply(found, argument)
        return found

    return run


def agent_id(value: Any) -> Any:
    """The id of an agent: of a handle ``{agent_id, …}``, or the string itself."""
    if type(value) is dict and type(value.get("agent_id")) is str:
        return value["agent_id"]
    return value


def _agent(value: list[Any], line: int, column: int) -> Closure:
    inner = link(value)

    def run(f: Frame) -> str:
        found = agent_id(inner(f))
        if type(found) is str:
            return found
        raise TypeMismatch(f"{with_article(found)} is no agent; use the name of one, or what spawn gave", line, column)

    return run


def _ask(name: str, args: list[Any], keywords: list[Any]) -> Closure:
    parts = links(args)
    named = [(key, link(value)) for key, value in keywords]

    def run(f: Frame) -> str:
        words = [to_text(part(f)) for part in parts]
        words += [f"{key}={to_text(value(f))}" for key, value in named]
        return checked_string(f"{name}: {', '.join(words)}" if words else name)

    return run


MAKERS.update(
    {
        "text": _text,
        "filtered": _filtered,
        "agent": _agent,
        "ask": _ask,
    }
)
