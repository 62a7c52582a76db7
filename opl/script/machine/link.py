"""
Expressions of a program become Python closures.

A closure takes the frame and gives the value; it is made once per program.
There is no ``eval`` and no generated code. The common cases (two integers, a
name of the script's own scope) come first in each closure; everything else is
left to ``values``.

``link`` gives values that may be shared with a variable and must not be
stored; ``owned`` gives values that nothing else holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opl.errors import LimitExceeded, MachineError, ScriptError, TypeMismatch
from opl.script.machine.frame import MISSING, Frame
from opl.script.values import get_field, get_index, to_text, with_article

Closure = Callable[[Frame], Any]
MAKERS: dict[str, Callable[..., Closure]] = {}  # by operator; operators, texts and functions add theirs
_FAULTS = (ScriptError, LimitExceeded)


def placed(error: ScriptError | LimitExceeded, line: int, column: int) -> ScriptError | LimitExceeded:
    """The error with its place, where it had none."""
    if isinstance(error, ScriptError):
        return error.at(line, column)
    if not error.line:
        error.line, error.column = line, column
    return error


def link(node: list[Any]) -> Closure:
    """The closure of an expression."""
    maker = MAKERS.get(node[0])
    if maker is None:
        raise MachineError(f"this machine has no operation {node[0]!r}")
    return maker(*node[1:])


def links(nodes: list[Any]) -> list[Closure]:
    """The closures of several expressions."""
    return [link(node) for node in nodes]


# ---------------------------------------------------------------- values and names


def _const(value: Any) -> Closure:
    return lambda f: value


def _var(name: str, line: int, column: int) -> Closure:
    def run(f: Frame) -> Any:
        try:
            return f.vars[name]
        except KeyError:
            return f.outer(name, line)

    return run


def _local(slot: int) -> Closure:
    return lambda f: f.loc[slot]


def _own(slot: int, name: str) -> Closure:
    def run(f: Frame) -> Any:
        element = f.loc[slot]
        return element[name] if type(element) is dict and name in element else element

    return run


def _where(slot: int, name: str, line: int, column: int) -> Closure:
    def run(f: Frame) -> Any:
        element = f.loc[slot]
        if type(element) is dict and name in element:
            return element[name]
        found = f.find(name)
        return element if found is MISSING else found

    return run


def _self(name: str) -> Closure:
    def run(f: Frame) -> Any:
        found = f.find(name)
        return name if found is MISSING else found

    return run


def _temp(index: int) -> Closure:
    key = str(index)
    return lambda f: f.data["temps"].get(key)


def _field(base: list[Any], name: str, line: int, column: int) -> Closure:
    inner = link(base)
    measured = name == "length"

    def run(f: Frame) -> Any:
        value = inner(f)
        if type(value) is dict and not measured:
            return value.get(name)
        if value is None:
            f.ctx.null_read(line)
            return None
        try:
            return get_field(value, name)
        except ScriptError as error:
            raise error.at(line, column) from None

    return run


def _index(base: list[Any], index: list[Any], line: int, column: int) -> Closure:
    inner, at = link(base), link(index)

    def run(f: Frame) -> Any:
        value, key = inner(f), at(f)
        if value is None:
            f.ctx.null_read(line)
            return None
        try:
            return get_index(value, key)
        except ScriptError as error:
            raise error.at(line, column) from None

    return run


def _list(items: list[Any]) -> Closure:
    parts = links(items)
    return lambda f: [part(f) for part in parts]


def _object(entries: list[Any], owner: Callable[[list[Any]], Closure] = link) -> Closure:
    if all(key[0] == "const" and type(key[1]) is str for key, _ in entries):
        fixed = [(key[1], owner(value)) for key, value in entries]
        return lambda f: {key: value(f) for key, value in fixed}
    parts = [(link(key), owner(value)) for key, value in entries]

    def run(f: Frame) -> Any:
        found = {}
        for key, value in parts:
            name = key(f)
            if name is None or type(name) in (list, dict):
                raise TypeMismatch(f"the key of an object is a string, not {with_article(name)}")
            found[to_text(name)] = value(f)
        return found

    return run


# ---------------------------------------------------------------- owned values

_SCALAR = frozenset(
    [
        "subtract",
        "multiply",
        "divide",
        "floor_divide",
        "modulo",
        "negate",
        "equal",
        "differ",
        "less",
        "at_most",
        "more",
        "at_least",
        "in",
        "not",
        "ask",
        "agent",
    ]
)


def owned(node: list[Any]) -> Closure:
    """A closure whose value nothing else holds, weighed against the limits."""
    op = node[0]
    if op == "const":
        return _owned_const(node[1])
    if op in _SCALAR:
        return link(node)
    if op == "list":
        return _owned_list([owned(item) for item in node[1]])
    if op == "object":
        return _weighed(_object(node[1], owned), 4 * len(node[1]) + 2)
    inner = link(node)

    def run(f: Frame) -> Any:
        value = inner(f)
        kind = type(value)
        if kind is int or kind is bool or value is None or kind is float:
            return value
        return f.take(value)

    return run


def _owned_const(value: Any) -> Closure:
    if type(value) is list or type(value) is dict:
        return lambda f: f.take(value)
    return lambda f: value


def _owned_list(parts: list[Closure]) -> Closure:
    weight = len(parts) * 2 + 2

    def run(f: Frame) -> Any:
        f.weight += weight
        return [part(f) for part in parts]

    return run


def _weighed(inner: Closure, weight: int) -> Closure:
    def run(f: Frame) -> Any:
        f.weight += weight
        if f.weight > f.room:
            f.run.settle(f)
        return inner(f)

    return run


MAKERS.update(
    {
        "const": _const,
        "var": _var,
        "local": _local,
        "own": _own,
        "where": _where,
        "self": _self,
        "temp": _temp,
        "field": _field,
        "index": _index,
        "list": _list,
        "object": _object,
    }
)
