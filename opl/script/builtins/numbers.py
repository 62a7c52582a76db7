"""
Numbers: statistics over lists, rounding and the usual functions.

Aggregates skip nulls with a warning and refuse what is neither number nor
null; an agent's reply stands for its number. Sums are exact before they are
rounded once (``SUM([0.1, 0.2, 0.3])`` is 0.6). Every result is finite, or the
builtin raises ``NumberOutOfRange``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from opl.errors import BadArgument, NumberOutOfRange, TypeMismatch
from opl.script.builtins.base import (
    Context,
    Registry,
    integer_argument,
    number_argument,
    read_all,
)
from opl.script.builtins.selection import best
from opl.script.values import (
    Function,
    greater,
    is_number,
    is_reply,
    less,
    normal_integer,
    normal_number,
    number_of_reply,
    with_article,
)

registry = Registry("Numbers")
builtin = registry.builtin

Number = int | float


def gather(context: Context, name: str, list_: Any, key: Any = None) -> tuple[list[Number], bool]:
    """
    The numbers of a list, and whether the list was empty to begin with.

    Raises:
        TypeMismatch: an element that is neither number nor null.
    """
    numbers: list[Number] = []
    nulls = 0
    for place, _, said in read_all(context, name, list_, key):
        found = number_of_reply(said)
        if is_number(found):
            numbers.append(found)
        elif found is None:
            nulls += 1
        else:
            raise TypeMismatch(f"{name} needs numbers, and element {place} gives {with_article(found)}")
    if nulls:
        context.warn("opl.run.null-skipped", f"{name} left out what is null")
    return numbers, not numbers and not nulls


def total(numbers: Sequence[Number]) -> Number:
    """The sum, rounded once at the end."""
    if all(type(each) is int for each in numbers):
        return normal_integer(int(sum(numbers)))
    return finite(lambda: math.fsum(numbers))


def finite(calculate: Callable[[], float]) -> Number:
    """
    The result of a calculation as a number of the language.

    Raises:
        NumberOutOfRange: it overflows or is not defined.
    """
    try:
        return normal_number(float(calculate()))
    except (OverflowError, ValueError):
        raise NumberOutOfRange("the result is too large for a number, or is not defined") from None


def mean_of(numbers: Sequence[Number]) -> Number:
    """The mean of at least one number."""
    return finite(lambda: float(total(numbers)) / len(numbers))


def variance_of(numbers: Sequence[Number]) -> Number:
    """The population's variance of at least one number."""
    center = mean_of(numbers)
    return finite(lambda: math.fsum((each - center) ** 2 for each in numbers) / len(numbers))


@builtin("SUM", predicates=["key"])
def sum_(context: Context, list_: Any, key: Any = None) -> Number:
    """The sum; 0 where there is nothing to add."""
    return total(gather(context, "SUM", list_, key)[0])


@builtin("AVERAGE", "MEAN", "AVG", predicates=["key"])
def average(context: Context, list_: Any, key: Any = None) -> Number | None:
    """The mean; null of an empty list, 0 of a list that has elements and no number among them."""
    numbers, empty = gather(context, "AVERAGE", list_, key)
    if not numbers:
        return None if empty else 0
    return mean_of(numbers)


@builtin("MEDIAN", predicates=["key"])
def median(context: Context, list_: Any, key: Any = None) -> Number | None:
    """The middle value, or the mean of the two in the middle; null without numbers."""
    return _percentile(gather(context, "MEDIAN", list_, key)[0], 50)


@builtin("VARIANCE", predicates=["key"])
def variance(context: Context, list_: Any, key: Any = None) -> Number | None:
    """The population's variance: the mean square distance from the mean; null without numbers."""
    numbers, _ = gather(context, "VARIANCE", list_, key)
    return variance_of(numbers) if numbers else None


@builtin("STDEV", predicates=["key"])
def stdev(context: Context, list_: Any, key: Any = None) -> Number | None:
    """The square root of the variance; null without numbers."""
    numbers, _ = gather(context, "STDEV", list_, key)
    return normal_number(math.sqrt(variance_of(numbers))) if numbers else None


@builtin("PERCENTILE", predicates=["key"])
def percentile(context: Context, list_: Any, p: Any, key: Any = None) -> Number | None:
    """The value below which `p` percent lie (0 to 100), linear between two elements; null without numbers."""
    share = number_argument("PERCENTILE", p)
    if not 0 <= share <= 100:
        raise BadArgument(f"PERCENTILE needs p between 0 and 100, not {share}")
    return _percentile(gather(context, "PERCENTILE", list_, key)[0], share)


def _percentile(numbers: Sequence[Number], share: Number) -> Number | None:
    if not numbers:
        return None
    ordered = sorted(numbers)
    place = (len(ordered) - 1) * share / 100
    low, fraction = int(place), place - int(place)
    if not fraction:
        return ordered[low]
    return finite(lambda: ordered[low] * (1 - fraction) + ordered[low + 1] * fraction)


@builtin("MAX", predicates=["key"], key_needs_list=True)
def max_(context: Context, list_: Any, key: Any = None, *more: Any) -> Any:
    """
    The largest value of a list; with a key the *element* with the largest key; of two or more values the largest.

    `MAX(scores)` is a number, `MAX(runs, run.score)` a run, `MAX(a, b)` the larger of both.
    """
    return _extreme(context, "MAX", list_, key, more, largest=True)


@builtin("MIN", predicates=["key"], key_needs_list=True)
def min_(context: Context, list_: Any, key: Any = None, *more: Any) -> Any:
    """The smallest value of a list; with a key the *element* with the smallest key; of two or more values the smallest."""
    return _extreme(context, "MIN", list_, key, more, largest=False)


def _extreme(context: Context, name: str, list_: Any, key: Any, more: tuple[Any, ...], largest: bool) -> Any:
    if (type(list_) is list and key is not None) or type(key) is Function:
        if type(list_) is not list and list_ is not None:
            raise TypeMismatch(f"{name} takes a key where a list is before it, not {with_article(list_)}")
        return best(context, name, list_, key, largest)
    if key is None and not more:
        if is_number(list_):
            return list_
        numbers, _ = gather(context, name, list_)
        return (max if largest else min)(numbers) if numbers else None
    return _of_values(context, name, [list_, key, *more], largest)


def _of_values(context: Context, name: str, values: list[Any], largest: bool) -> Any:
    """The largest or smallest of values that are all numbers or all strings; nulls are left out."""
    known = [found for found in map(number_of_reply, values) if found is not None]
    if len(known) < len(values):
        context.warn("opl.run.null-skipped", f"{name} left out what is null")
    beats = greater if largest else less
    winner = known[0] if known else None
    for each in known[1:]:
        winner = each if beats(each, winner) else winner
    return winner


@builtin("WEIGHTED_MEAN", predicates=["value", "weight"])
def weighted_mean(context: Context, list_: Any, value: Any = None, weight: Any = None) -> Number | None:
    """
    The mean of values by their weights; null without numbers or where the weights add up to 0.

    Of objects it reads `value`, else `score`, and `weight`, else `confidence`; a weight that is missing is 1.
    """
    values = read_all(context, "WEIGHTED_MEAN", list_, value or Function(1, _own_value))
    weights = read_all(context, "WEIGHTED_MEAN", list_, weight or Function(1, _own_weight))
    read: list[tuple[Number, Number]] = []
    skipped = 0
    for (place, _, said), (_, _, heft) in zip(values, weights, strict=True):
        found = number_of_reply(said)
        if found is None:
            skipped += 1
        else:
            read.append((_checked(place, found), 1 if heft is None else _checked(place, heft)))
    if skipped:
        context.warn("opl.run.null-skipped", "WEIGHTED_MEAN left out what is null")
    return _weighted(read)


def _own_value(element: Any) -> Any:
    """What an element says without a key: its ``value``, else its ``score``, else itself; a reply its number."""
    if type(element) is dict and not is_reply(element):
        for name in ("value", "score"):
            if element.get(name) is not None:
                return element[name]
        if "value" in element or "score" in element:
            return None
    return element


def _own_weight(element: Any) -> Any:
    """An element's ``weight``, else its ``confidence``, else null."""
    if type(element) is not dict:
        return None
    found = element.get("weight")
    return element.get("confidence") if found is None else found


def _checked(place: Any, value: Any) -> Number:
    if is_number(value):
        return value  # type: ignore[no-any-return]
    raise TypeMismatch(f"WEIGHTED_MEAN needs numbers, and element {place} gives {with_article(value)}")


def _weighted(read: Sequence[tuple[Number, Number]]) -> Number | None:
    if any(weight < 0 for _, weight in read):
        raise BadArgument("WEIGHTED_MEAN needs weights of at least 0")
    heft = finite(lambda: math.fsum(weight for _, weight in read))
    if not heft:
        return None
    return finite(lambda: math.fsum(value * weight for value, weight in read) / heft)


# ---------------------------------------------------------------- single numbers


@builtin("ROUND")
def round_(_context: Context, number: Any, digits: Any = 0) -> Number:
    """The number rounded to `digits` places after the point, halves away from zero."""
    value = number_argument("ROUND", number)
    places = max(-400, min(400, integer_argument("ROUND", digits)))
    # By the digits that the number prints with, so that ROUND(1.005, 2) is 1.01.
    unit = Decimal(1).scaleb(-places)
    try:
        exact = (Decimal(repr(value)) / unit).to_integral_value(ROUND_HALF_UP) * unit
    except ArithmeticError:
        return value
    return finite(lambda: float(exact)) if places > 0 or type(value) is float else normal_integer(int(exact))


@builtin("FLOOR")
def floor(_context: Context, number: Any) -> Number:
    """The next whole number below."""
    return normal_integer(math.floor(number_argument("FLOOR", number)))


@builtin("CEIL")
def ceil(_context: Context, number: Any) -> Number:
    """The next whole number above."""
    return normal_integer(math.ceil(number_argument("CEIL", number)))


@builtin("ABS")
def abs_(_context: Context, number: Any) -> Number:
    """The number without its sign."""
    return abs(number_argument("ABS", number))


@builtin("SQRT")
def sqrt(_context: Context, number: Any) -> Number:
    """The square root; of a negative number an error."""
    value = number_argument("SQRT", number)
    return finite(lambda: math.sqrt(value))


@builtin("LOG")
def log(_context: Context, number: Any, base: Any = None) -> Number:
    """The natural logarithm, or that to a base; of 0 and below an error."""
    value = number_argument("LOG", number)
    if base is None:
        return finite(lambda: math.log(value))
    root = number_argument("LOG", base)
    if root <= 0 or root == 1:
        raise BadArgument("LOG needs a base above 0 other than 1")
    if root in (2, 10):
        return finite(lambda: (math.log2 if root == 2 else math.log10)(value))
    return finite(lambda: math.log(value, root))


@builtin("EXP")
def exp(_context: Context, number: Any) -> Number:
    """The power of e."""
    value = number_argument("EXP", number)
    return finite(lambda: math.exp(value))


@builtin("POW")
def pow_(_context: Context, base: Any, exponent: Any) -> Number:
    """The power of a number."""
    low, high = number_argument("POW", base), number_argument("POW", exponent)
    if low == 0 and high < 0:
        raise NumberOutOfRange("0 has no negative power")
    return finite(lambda: math.pow(low, high))


@builtin("CLAMP")
def clamp(_context: Context, number: Any, low: Any, high: Any) -> Number:
    """The number, or the bound that it lies beyond."""
    value, least, most = (number_argument("CLAMP", each) for each in (number, low, high))
    if least > most:
        raise BadArgument("CLAMP needs a lower bound that is not above the upper one")
    return least if value < least else most if value > most else value
