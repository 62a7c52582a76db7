"""
Operators of a program become closures; two integers are the case that comes first.

Importing this module makes ``link`` know them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opl.errors import LimitExceeded, ScriptError, TypeMismatch
from opl.script import values
from opl.script.machine.frame import Frame
from opl.script.machine.link import MAKERS, Closure, link, links, placed
from opl.script.values import SAFE, with_article

_FAULTS = (ScriptError, LimitExceeded)


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


MAKERS.update(
    {
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
    }
)
