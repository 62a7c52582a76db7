"""
Calls of builtins and methods become closures.

A predicate becomes a ``Function`` when its call is evaluated: its parameters
live in the run's slots, so evaluating one costs a list write and the body's
closure. Work is charged by the number of elements a call looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from opl.errors import LimitExceeded, MachineError, ScriptError, TypeMismatch
from opl.script.builtins import BUILTINS
from opl.script.calls import method_of
from opl.script.machine.aggregate import aggregate
from opl.script.machine.frame import Frame
from opl.script.machine.link import MAKERS, Closure, link, owned, placed
from opl.script.values import Function, checked_string, with_article

_FAULTS = (ScriptError, LimitExceeded)
_ELEMENT = 16  # work for each element that a call looks at
Argument = Callable[[Frame, Any], Any]  # (frame, first argument) -> value


def _function(arity: int, slots: list[int], body: list[Any]) -> Closure:
    inner = link(body)
    if arity == 0:
        return lambda f: Function(0, lambda: inner(f))
    if arity == 1:
        slot = slots[0]

        def one(f: Frame) -> Function:
            loc = f.loc

            def call(element: Any) -> Any:
                loc[slot] = element
                return inner(f)

            return Function(1, call)

        return one
    first, second = slots

    def two(f: Frame) -> Function:
        loc = f.loc

        def call(key: Any, value: Any) -> Any:
            loc[first] = key
            loc[second] = value
            return inner(f)

        return Function(2, call)

    return two


def _argument(node: list[Any]) -> Argument:
    """The closure of an argument, which may depend on the first one."""
    if node[0] == "key":
        return _key(*node[1:])
    if node[0] == "either":
        return _either(*node[1:])
    inner = link(node)
    return lambda f, first: inner(f)


def _key(name: str, function: list[Any], variable: list[Any]) -> Argument:
    """A bound name alone: the element's field, or the string it holds where no element has that field."""
    make, read = link(function), link(variable)

    def run(f: Frame, first: Any) -> Any:
        held = read(f)
        if type(held) is str and not any(type(each) is dict and name in each for each in _elements(first)):
            return held
        return make(f)

    return run


def _either(predicate: list[Any], value: list[Any]) -> Argument:
    """The second argument of MAX and MIN: a key where the first is a list, else a value."""
    make, read = _argument(predicate), link(value)
    return lambda f, first: make(f, first) if type(first) is list else read(f)


def _elements(value: Any) -> Iterable[Any]:
    return value.values() if type(value) is dict else value if type(value) is list else ()


def _settled(f: Frame, first: Any, found: Any, line: int, column: int) -> Any:
    """Charge a call and hold its result to the limit of a string."""
    if type(first) is list or type(first) is dict:
        f.weight += len(first) * _ELEMENT
    kind = type(found)
    if kind is str:
        f.weight += len(found) >> 3
        checked_string(found)
    elif kind is list:
        f.weight += len(found) * 8
    if f.weight > f.room:
        f.run.settle(f)
    return found


def _call(name: str, args: list[Any], line: int, column: int) -> Closure:
    spec = BUILTINS.get(name)
    if spec is None:
        raise MachineError(f"this machine has no builtin {name!r}")
    function = spec.call
    simple = all(node[0] not in ("key", "either") for node in args)

    if simple and len(args) == 1:
        only = link(args[0])

        def one(f: Frame) -> Any:
            value = only(f)
            f.ctx.line = line
            try:
                return _settled(f, value, function(f.ctx, value), line, column)
            except _FAULTS as error:
                raise placed(error, line, column) from None

        return one

    parts = [_argument(node) for node in args]

    def run(f: Frame) -> Any:
        given: list[Any] = []
        first = None
        for part in parts:
            given.append(part(f, first))
            if len(given) == 1:
                first = given[0]
        f.ctx.line = line
        try:
            return _settled(f, first, function(f.ctx, *given), line, column)
        except _FAULTS as error:
            raise placed(error, line, column) from None

    return run


def _method(
    name: str, receiver: list[Any], place: list[Any] | None, args: list[Any], line: int, column: int
) -> Closure:
    spec = method_of(name)
    if spec is None:
        raise MachineError(f"this machine has no method {name!r}")
    function = spec.call
    if spec.mutates:
        return _mutating(function, receiver, place, [owned(node) for node in args], line, column)
    inner, parts = link(receiver), [_argument(node) for node in args]

    def run(f: Frame) -> Any:
        value = inner(f)
        given = [part(f, value) for part in parts]
        f.ctx.line = line
        try:
            return _settled(f, value, function(f.ctx, value, *given), line, column)
        except _FAULTS as error:
            raise placed(error, line, column) from None

    return run


def _mutating(
    function: Callable[..., Any],
    receiver: list[Any],
    place: list[Any] | None,
    parts: list[Closure],
    line: int,
    column: int,
) -> Closure:
    inner = link(receiver)
    name = place[0] if place else ""
    steps = [link(step) for step in place[1]] if place else []

    def run(f: Frame) -> Any:
        keys = [step(f) for step in steps]
        value = f.read(name, keys) if place else inner(f)
        given = [part(f) for part in parts]
        f.ctx.line = line
        try:
            found, changed = function(f.ctx, value, *given)
            if place:
                f.write(name, keys, changed)
            if type(changed) is list:
                f.charge(len(changed))
        except _FAULTS as error:
            raise placed(error, line, column) from None
        return found

    return run


def _with(place: list[Any], value: list[Any], line: int, column: int) -> Closure:
    """``UPDATE place WITH value``: what the place then holds."""
    before, added = link(place), link(value)

    def run(f: Frame) -> Any:
        held, found = before(f), added(f)
        if held is None:
            return [found]
        if type(held) is list:
            return [*held, found]
        if type(held) is dict and type(found) is dict:
            return {**held, **found}
        raise TypeMismatch(
            f"UPDATE … WITH adds to a list or merges objects, not {with_article(held)} and {with_article(found)}",
            line,
            column,
        )

    return run


def _aggregate(given: list[Any], line: int, column: int) -> Closure:
    inner = link(given)

    def run(f: Frame) -> Any:
        value = inner(f)
        f.ctx.line = line
        data = value.get("data") if type(value) is dict else None
        try:
            return _settled(f, data, aggregate(f.ctx, value), line, column)
        except _FAULTS as error:
            raise placed(error, line, column) from None

    return run


MAKERS.update({"fn": _function, "call": _call, "method": _method, "with": _with, "aggregate": _aggregate})
