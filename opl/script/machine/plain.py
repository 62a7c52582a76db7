"""
Statements that never wait become closures.

A closure carries its statement out and gives None, or a signal: ``BREAK``,
``CONTINUE``, or ``(result,)`` for RETURN and USE. A block counts its
statements when it begins, a loop its iterations; only loops look at the limit,
since everything else is bounded by the program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opl.errors import AssertionFailed, LimitExceeded, MachineError, ScriptError, TypeMismatch
from opl.script import values
from opl.script.machine import functions as functions  # these three make link know their operations
from opl.script.machine import operators as operators
from opl.script.machine import texts as texts
from opl.script.machine.frame import MISSING, Frame
from opl.script.machine.link import Closure, link, links, owned, placed
from opl.script.values import copy, equal, is_number, to_text, with_article

BREAK = "break"
CONTINUE = "continue"
INDEX = "FOREACH_INDEX"
_FAULTS = (ScriptError, LimitExceeded)
_OPERATORS = {"+": values.add, "-": values.subtract, "*": values.multiply, "/": values.divide}


def link_block(block: list[Any]) -> Closure:
    """The closure of a block."""
    parts = [link_statement(statement) for statement in block]
    places = [(statement[1], statement[2]) for statement in block]
    count = len(parts)
    if not parts:
        return lambda f: None
    if count == 1:
        only = parts[0]

        def one(f: Frame) -> Any:
            f.count += 1
            try:
                return only(f)
            except _FAULTS as error:
                raise placed(error, *places[0]) from None

        return one

    def many(f: Frame) -> Any:
        f.count += count
        done = 0
        try:
            for part in parts:
                done += 1
                signal = part(f)
                if signal is not None:
                    f.count -= count - done
                    return signal
        except _FAULTS as error:
            f.count -= count - done
            raise placed(error, *places[done - 1]) from None
        return None

    return many


def link_statement(node: list[Any]) -> Closure:
    """The closure of a statement ``[op, line, column, …]``."""
    maker = _MAKERS.get(node[0])
    if maker is None:
        raise MachineError(f"this machine has no statement {node[0]!r}")
    return maker(*node[1:])


# ---------------------------------------------------------------- variables


def _set(line: int, column: int, name: str, value: list[Any], given: bool) -> Closure:
    inner = owned(value)
    if given:
        return _set_given(name, inner)

    def run(f: Frame) -> None:
        f.vars[name] = found = inner(f)
        if name in f.mirror:
            f.reflect(name, found)

    return run


def _set_given(name: str, inner: Closure) -> Closure:
    """A constant that the start of the run may have overridden."""

    def run(f: Frame) -> None:
        chosen = f.run.given
        f.bind(name, f.take(chosen[name]) if name in chosen else inner(f))

    return run


def _assign(line: int, column: int, name: str, steps: list[Any], value: list[Any], operator: str) -> Closure:
    if steps or operator:
        return _assign_place(line, column, name, steps, value, operator)
    inner = owned(value)

    def run(f: Frame) -> None:
        found = inner(f)
        if name in f.vars and not f.mirror:
            f.vars[name] = found
        else:
            f.assign(name, found)

    return run


def _assign_place(line: int, column: int, name: str, steps: list[Any], value: list[Any], operator: str) -> Closure:
    inner, accessors = owned(value), links(steps)
    apply = _OPERATORS.get(operator)
    if apply is None and all(step[0] == "const" and type(step[1]) is str for step in steps):
        return _assign_field(line, column, name, [step[1] for step in steps], inner)

    def run(f: Frame) -> None:
        keys = [accessor(f) for accessor in accessors]
        try:
            if apply is None:
                f.write(name, keys, inner(f))
                return
            before = f.read(name, keys) if keys or f.find(name) is not MISSING else f.outer(name, line)
            f.write(name, keys, f.take(apply(before, inner(f))))
        except _FAULTS as error:
            raise placed(error, line, column) from None

    return run


def _assign_field(line: int, column: int, name: str, keys: list[str], inner: Closure) -> Closure:
    """``a.b.c = value``: straight down where the objects are there."""
    way, last = keys[:-1], keys[-1]

    def run(f: Frame) -> None:
        value = inner(f)
        held = f.vars.get(name) if not f.mirror else None
        for key in way:
            if type(held) is not dict:
                break
            held = held.get(key)
        if type(held) is dict:
            held[last] = value
            f.charge(16)
            return
        try:
            f.write(name, keys, value)
        except _FAULTS as error:
            raise placed(error, line, column) from None

    return run


def _append(line: int, column: int, name: str, steps: list[Any], value: list[Any]) -> Closure:
    inner, accessors = owned(value), links(steps)

    def run(f: Frame) -> None:
        keys = [accessor(f) for accessor in accessors]
        try:
            f.append(name, keys, inner(f))
        except _FAULTS as error:
            raise placed(error, line, column) from None

    def to_name(f: Frame) -> None:
        found = inner(f)
        held = f.vars.get(name)
        if type(held) is list and not f.mirror:
            held.append(found)
            f.weight += 8
            if f.weight > f.room:
                f.run.settle(f)
            return
        try:
            f.append(name, [], found)
        except _FAULTS as error:
            raise placed(error, line, column) from None

    return run if steps else to_name


def _update_where(
    line: int, column: int, name: str, steps: list[Any], slot: int, condition: list[Any], changes: list[Any]
) -> Closure:
    test, accessors = link(condition), links(steps)
    parts = [(field, owned(value)) for field, value, _, _ in changes]

    def run(f: Frame) -> None:
        keys = [accessor(f) for accessor in accessors]
        found = f.read(name, keys)
        if found is None:
            f.ctx.null_read(line)
            return
        if type(found) is not list:
            raise TypeMismatch(
                f"UPDATE … WHERE changes the elements of a list, not {with_article(found)}", line, column
            )
        changed = []
        f.charge(16 * len(found))
        for element in found:
            f.loc[slot] = element
            if type(element) is dict and test(f):
                element = {**element, **{field: value(f) for field, value in parts}}
            changed.append(element)
        f.write(name, keys, changed)

    return run


# ---------------------------------------------------------------- choices


def _if(line: int, column: int, arms: list[Any], other: list[Any]) -> Closure:
    parts = [(link(test), link_block(block)) for test, block in arms]
    last = link_block(other)
    if len(parts) == 1:
        test, body = parts[0]
        if not other:
            return lambda f: body(f) if test(f) else None
        return lambda f: body(f) if test(f) else last(f)

    def run(f: Frame) -> Any:
        for test, body in parts:
            if test(f):
                return body(f)
        return last(f)

    return run


def _switch(line: int, column: int, subject: list[Any], cases: list[Any], other: list[Any]) -> Closure:
    inner, last = link(subject), link_block(other)
    parts = [(links(tests), link_block(block)) for tests, block in cases]

    def run(f: Frame) -> Any:
        value = inner(f)
        for tests, body in parts:
            for test in tests:
                if equal(value, test(f)):
                    return body(f)
        return last(f)

    return run


# ---------------------------------------------------------------- loops


def _while(line: int, column: int, condition: list[Any], body: list[Any], until: bool) -> Closure:
    test, block = link(condition), link_block(body)

    def run(f: Frame) -> Any:
        while until or test(f):
            f.count += 1
            if f.count > f.limit:
                raise LimitExceeded("statements", f.limit, line, column)
            signal = block(f)
            if signal is not None and signal is not CONTINUE:
                return None if signal is BREAK else signal
            if until and test(f):
                return None
        return None

    return run


def _loop(line: int, column: int, name: str, low: list[Any], high: list[Any], body: list[Any]) -> Closure:
    first, last, block = link(low), link(high), link_block(body)

    def run(f: Frame) -> Any:
        number, end = bounds(first(f), last(f), line, column)
        mirrored = name in f.mirror
        while number <= end:
            f.count += 1
            if f.count > f.limit:
                raise LimitExceeded("statements", f.limit, line, column)
            f.vars[name] = number
            if mirrored:
                f.reflect(name, number)
            signal = block(f)
            if signal is not None and signal is not CONTINUE:
                return None if signal is BREAK else signal
            number += 1
        return None

    return run


def bounds(low: Any, high: Any, line: int, column: int) -> tuple[Any, Any]:
    """The two ends of a LOOP."""
    low, high = values.number_of_reply(low), values.number_of_reply(high)
    if is_number(low) and is_number(high):
        return low, high
    wrong = high if is_number(low) else low
    raise TypeMismatch(f"LOOP goes from one number to another, not to {with_article(wrong)}", line, column)


def _each(line: int, column: int, names: list[str], source: list[Any], body: list[Any], indexed: bool) -> Closure:
    inner, block = owned(source), link_block(body)
    name = names[0]
    second = names[1] if len(names) > 1 else None

    def run(f: Frame) -> Any:
        items = members(f, inner(f), len(names), line, column)
        before = f.vars.get(INDEX, MISSING) if indexed else MISSING
        try:
            for index, item in enumerate(items):
                f.count += 1
                if f.count > f.limit:
                    raise LimitExceeded("statements", f.limit, line, column)
                if second is not None:
                    f.bind(name, item[0])
                    f.bind(second, item[1])
                elif name in f.mirror:
                    f.bind(name, item)
                else:
                    f.vars[name] = item
                if indexed:
                    f.vars[INDEX] = index
                signal = block(f)
                if signal is not None and signal is not CONTINUE:
                    return None if signal is BREAK else signal
            return None
        finally:
            if indexed:
                restore_index(f, before)

    return run


def restore_index(f: Frame, before: Any) -> None:
    """After a FOREACH, FOREACH_INDEX is again that of the loop around."""
    if before is MISSING:
        f.vars.pop(INDEX, None)
    else:
        f.vars[INDEX] = before


def members(f: Frame, source: Any, names: int, line: int, column: int) -> list[Any]:
    """What FOREACH goes over: elements, keys, or pairs; of null nothing, with a warning."""
    if type(source) is list:
        f.charge(16 * len(source))
        return source if names == 1 else [[index, item] for index, item in enumerate(source)]
    if type(source) is dict:
        return list(source) if names == 1 else [[key, value] for key, value in source.items()]
    if source is None:
        f.ctx.line = line
        f.ctx.warn("opl.run.null-collection", "FOREACH over null goes over nothing")
        return []
    hint = "; use SPLIT for its parts" if type(source) is str else "; use RANGE(n) or a..b" if is_number(source) else ""
    raise TypeMismatch(f"cannot iterate {with_article(source)}{hint}", line, column)


# ---------------------------------------------------------------- errors and ends


def _try(line: int, column: int, body: list[Any], name: str | None, handler: list[Any]) -> Closure:
    inner, rescue = link_block(body), link_block(handler)

    def run(f: Frame) -> Any:
        try:
            return inner(f)
        except ScriptError as error:
            caught = error.at(line, column)
        if name is not None:
            f.bind(name, caught_value(caught))
        return rescue(f)

    return run


def caught_value(error: ScriptError) -> dict[str, Any]:
    """What CATCH binds."""
    return {"type": error.kind, "message": error.message, "line": error.line}


def _return(line: int, column: int, value: list[Any]) -> Closure:
    inner = owned(value)
    return lambda f: (inner(f),)


def _use(line: int, column: int, value: list[Any]) -> Closure:
    inner = owned(value)
    return lambda f: ({"use": inner(f)},)


def _do(line: int, column: int, value: list[Any]) -> Closure:
    inner = link(value)

    def run(f: Frame) -> None:
        inner(f)

    return run


def _assert(line: int, column: int, condition: list[Any], message: list[Any] | None, text: str) -> Closure:
    test, said = link(condition), link(message) if message else None

    def run(f: Frame) -> None:
        if not test(f):
            told = to_text(said(f)) if said else text.removeprefix("ASSERT").strip()
            raise AssertionFailed(f"assertion failed: {told}", line, column)

    return run


_MAKERS: dict[str, Callable[..., Closure]] = {
    "set": _set,
    "assign": _assign,
    "append": _append,
    "update_where": _update_where,
    "if": _if,
    "switch": _switch,
    "while": _while,
    "loop": _loop,
    "each": _each,
    "break": lambda line, column: lambda f: BREAK,
    "continue": lambda line, column: lambda f: CONTINUE,
    "try": _try,
    "return": _return,
    "use": _use,
    "do": _do,
    "assert": _assert,
}

__all__ = ["BREAK", "CONTINUE", "INDEX", "bounds", "caught_value", "copy", "link_block", "members", "restore_index"]
