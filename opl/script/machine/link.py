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
from opl.script import values
from opl.script.machine.frame import MISSING, Frame
from opl.script.templates import FILTERS
from opl.script.values import SAFE, checked_string, copy, get_field, get_index, stringify, to_text, with_article

Closure = Callable[[Frame], Any]
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


# ---------------------------------------------------------------- operators


def _add(left: list[Any], right: list[Any], line: int, column: int) -> Closure:
    one, two = link(left), link(right)
    slow = values.add

    def run(f: Frame) -> Any:
        a = one(f)
        b = two(f)
        if type(a) is int and type(b) is int:
            total = a + b
            if -SAFE < total < SAFE:
                return total
        try:
            return slow(a, b)
        except _FAULTS as error:
            raise placed(error, line, column) from None

    def by_constant(f: Frame) -> Any:
        try:
            a = f.vars[name]
        except KeyError:
            a = f.outer(name, line)
        if type(a) is int:
            total = a + constant
            if -SAFE < total < SAFE:
                return total
        try:
            return slow(a, constant)
        except _FAULTS as error:
            raise placed(error, line, column) from None

    if left[0] == "var" and right[0] == "const" and type(right[1]) is int:
        name, constant = left[1], right[1]
        return by_constant
    return run


def _arithmetic(slow: Callable[[Any, Any], Any]) -> Callable[..., Closure]:
    def make(left: list[Any], right: list[Any], line: int, column: int) -> Closure:
        one, two = link(left), link(right)

        def run(f: Frame) -> Any:
            try:
                return slow(one(f), two(f))
            except ScriptError as error:
                raise error.at(line, column) from None

        return run

    return make


def _ordering(slow: Callable[[Any, Any], bool], fast: Callable[[Any, Any], bool]) -> Callable[..., Closure]:
    def make(left: list[Any], right: list[Any], line: int, column: int) -> Closure:
        one, two = link(left), link(right)

        def run(f: Frame) -> bool:
            a = one(f)
            b = two(f)
            if type(a) is int and type(b) is int:
                return fast(a, b)
            try:
                return slow(a, b)
            except ScriptError as error:
                raise error.at(line, column) from None

        return run

    return make


_general_less = _ordering(values.less, lambda a, b: a < b)


def _less(left: list[Any], right: list[Any], line: int, column: int) -> Closure:
    general = _general_less(left, right, line, column)
    if left[0] != "var" or right[0] != "const" or type(right[1]) is not int:
        return general
    name, constant = left[1], right[1]

    def run(f: Frame) -> bool:
        a = f.vars.get(name)
        if type(a) is int:
            return a < constant  # type: ignore[no-any-return]
        return general(f)  # type: ignore[no-any-return]

    return run


def _equal(left: list[Any], right: list[Any], line: int, column: int) -> Closure:
    one, two = link(left), link(right)
    slow = values.equal

    def run(f: Frame) -> bool:
        a = one(f)
        b = two(f)
        kind = type(a)
        if kind is type(b) and (kind is str or kind is int):
            return a == b  # type: ignore[no-any-return]
        return slow(a, b)

    return run


def _differ(left: list[Any], right: list[Any], line: int, column: int) -> Closure:
    same = _equal(left, right, line, column)
    return lambda f: not same(f)


def _not(operand: list[Any]) -> Closure:
    inner = link(operand)
    return lambda f: not inner(f)


def _negate(operand: list[Any], line: int, column: int) -> Closure:
    inner = link(operand)

    def run(f: Frame) -> Any:
        try:
            return values.negate(inner(f))
        except ScriptError as error:
            raise error.at(line, column) from None

    return run


def _and(operands: list[Any]) -> Closure:
    parts = links(operands)

    def run(f: Frame) -> Any:
        found = None
        for part in parts:
            found = part(f)
            if not found:
                return found
        return found

    return run


def _or(operands: list[Any]) -> Closure:
    parts = links(operands)

    def run(f: Frame) -> Any:
        found = None
        for part in parts:
            found = part(f)
            if found:
                return found
        return found

    return run


def _if(condition: list[Any], then: list[Any], other: list[Any]) -> Closure:
    test, yes, no = link(condition), link(then), link(other)
    return lambda f: yes(f) if test(f) else no(f)


_CHAINED = {
    "add": values.add,
    "subtract": values.subtract,
    "multiply": values.multiply,
    "divide": values.divide,
    "floor_divide": values.floor_divide,
    "modulo": values.modulo,
}


def _chain(first: list[Any], rest: list[Any]) -> Closure:
    head = link(first)
    parts = [(_CHAINED[op], link(operand), line, column) for op, operand, line, column in rest]

    def run(f: Frame) -> Any:
        total = head(f)
        for apply, operand, line, column in parts:
            value = operand(f)
            try:
                total = apply(total, value)
            except _FAULTS as error:
                raise placed(error, line, column) from None
        return total

    return run


def _interval(low: list[Any], high: list[Any], line: int, column: int) -> Closure:
    one, two = link(low), link(high)

    def run(f: Frame) -> Any:
        a, b = one(f), two(f)
        if type(a) is not int or type(b) is not int:
            wrong = b if type(a) is int else a
            raise TypeMismatch(f"'..' needs two whole numbers, not {with_article(wrong)}", line, column)
        values.check_length(max(b - a + 1, 0))
        f.charge(max(b - a, 0) * 8)
        return list(range(a, b + 1))

    return run


# ---------------------------------------------------------------- templates


def _text(parts: list[Any], line: int, column: int) -> Closure:
    pieces = [part if isinstance(part, str) else _slot(*part, line) for part in parts]

    def run(f: Frame) -> str:
        try:
            text = "".join([piece if type(piece) is str else piece(f) for piece in pieces])
            f.charge(len(text) >> 3)
            return checked_string(text)
        except _FAULTS as error:
            raise placed(error, line, column) from None

    return run


def _slot(value: list[Any] | None, raw: str, root: str | None, filters: list[Any], line: int) -> Closure:
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


# ---------------------------------------------------------------- agents


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


MAKERS: dict[str, Callable[..., Closure]] = {
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
    "text": _text,
    "filtered": _filtered,
    "add": _add,
    "subtract": _arithmetic(values.subtract),
    "multiply": _arithmetic(values.multiply),
    "divide": _arithmetic(values.divide),
    "floor_divide": _arithmetic(values.floor_divide),
    "modulo": _arithmetic(values.modulo),
    "negate": _negate,
    "chain": _chain,
    "equal": _equal,
    "differ": _differ,
    "less": _less,
    "at_most": _ordering(values.less_equal, lambda a, b: a <= b),
    "more": _ordering(values.greater, lambda a, b: a > b),
    "at_least": _ordering(values.greater_equal, lambda a, b: a >= b),
    "in": _arithmetic(values.contains),
    "not": _not,
    "and": _and,
    "or": _or,
    "if": _if,
    "interval": _interval,
    "agent": _agent,
    "ask": _ask,
}

__all__ = ["MAKERS", "Closure", "agent_id", "copy", "link", "links", "owned", "placed", "stringify"]
