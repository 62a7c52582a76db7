"""
Lists and objects: making, taking apart, filtering, grouping.

Members are walked in their order; what compares elements compares them as
``==`` does. An object stands for its values, and ``FILTER`` and ``SORT`` of an
object give an object. Null is taken for an empty list, with a warning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import combinations
from typing import Any

from opl.errors import BadArgument, TypeMismatch
from opl.script.builtins.base import (
    Context,
    Registry,
    group_name,
    identity,
    integer_argument,
    items,
    list_argument,
    number_argument,
    pairs,
    read_all,
    reader,
    warn_null,
)
from opl.script.values import (
    add,
    check_length,
    contains,
    equal,
    normal_number,
    truthy,
    type_name,
    with_article,
)

registry = Registry("Lists and objects")
builtin = registry.builtin


@builtin("RANGE")
def range_(_context: Context, from_: Any, to: Any = None, step: Any = 1) -> list[Any]:
    """The numbers from 0 up to but without `from`; with two or three arguments from `from` up to but without `to`, `step` apart."""
    first, last = (0, from_) if to is None else (from_, to)
    low, high, stride = (number_argument("RANGE", each) for each in (first, last, step))
    if stride == 0:
        raise BadArgument("RANGE needs a step other than 0")
    count = max(0, math.ceil((high - low) / stride))
    check_length(count)
    if type(low) is int and type(stride) is int:
        return [low + stride * place for place in range(count)]
    return [normal_number(float(low + stride * place)) for place in range(count)]


@builtin("LENGTH", "LEN")
def length(context: Context, value: Any) -> int:
    """How many elements a list, fields an object or characters a string has; 0 for null, with a warning."""
    if isinstance(value, str | list | dict):
        return len(value)
    if value is None:
        warn_null(context, "LENGTH")
        return 0
    raise TypeMismatch(f"LENGTH needs a list, an object or a string, not {with_article(value)}")


@builtin("KEYS")
def keys(context: Context, object_: Any) -> list[Any]:
    """The keys of an object, the indices of a list."""
    return [key for key, _ in pairs(context, "KEYS", object_)]


@builtin("VALUES")
def values(context: Context, object_: Any) -> list[Any]:
    """The values of an object, the elements of a list."""
    return list(items(context, "VALUES", object_))


@builtin("ENTRIES")
def entries(context: Context, object_: Any) -> list[Any]:
    """The pairs `[key, value]` of an object, `[index, element]` of a list."""
    return [[key, value] for key, value in pairs(context, "ENTRIES", object_)]


@builtin("FILTER", predicates=["predicate"])
def filter_(context: Context, list_: Any, predicate: Any) -> Any:
    """The elements for which the predicate is true; of an object, an object."""
    kept = [(key, element) for key, element, said in read_all(context, "FILTER", list_, predicate) if truthy(said)]
    return dict(kept) if type(list_) is dict else [element for _, element in kept]


@builtin("MAP", predicates=["expression"])
def map_(context: Context, list_: Any, expression: Any) -> list[Any]:
    """What the expression says of each element, as a list."""
    return [said for _, _, said in read_all(context, "MAP", list_, expression)]


@builtin("EXTRACT", predicates=["expression"])
def extract(context: Context, list_: Any, expression: Any) -> Any:
    """Filters where the expression is a boolean for every element, else maps."""
    found = list(read_all(context, "EXTRACT", list_, expression))
    if not all(type(said) is bool for _, _, said in found):
        return [said for _, _, said in found]
    if type(list_) is dict:
        return {key: element for key, element, said in found if said}
    return [element for _, element, said in found if said]


@builtin("REVERSE")
def reverse(context: Context, list_: Any) -> Any:
    """The elements of a list or the characters of a string from the last to the first."""
    return list_[::-1] if type(list_) is str else list_argument(context, "REVERSE", list_)[::-1]


@builtin("UNIQUE", predicates=["by"])
def unique(context: Context, list_: Any, by: Any = None) -> list[Any]:
    """The elements without repetition; with `by`, the first element for each value of it."""
    first: dict[Any, Any] = {}
    for _, element, said in read_all(context, "UNIQUE", list_, by):
        first.setdefault(identity(said), element)
    return list(first.values())


@builtin("DISTINCT", predicates=["by"])
def distinct(context: Context, list_: Any, by: Any = None) -> list[Any]:
    """The different values that `by` has in the list, or the different elements."""
    first: dict[Any, Any] = {}
    for _, _, said in read_all(context, "DISTINCT", list_, by):
        first.setdefault(identity(said), said)
    return list(first.values())


@builtin("FLATTEN")
def flatten(context: Context, list_: Any, depth: Any = 1) -> list[Any]:
    """Lists inside the list are replaced by their elements, `depth` levels deep."""
    flat = list_argument(context, "FLATTEN", list_)
    for _ in range(min(64, integer_argument("FLATTEN", depth, least=0))):
        check_length(sum(len(each) if type(each) is list else 1 for each in flat))
        flat = [part for each in flat for part in (each if type(each) is list else (each,))]
    return list(flat)


@builtin("SLICE")
def slice_(context: Context, list_: Any, start: Any = 0, end: Any = None) -> Any:
    """The part of a list or string from `start` up to but without `end`; negative ones count from the end."""
    low = integer_argument("SLICE", start)
    high = None if end is None else integer_argument("SLICE", end)
    return list_[low:high] if type(list_) is str else list_argument(context, "SLICE", list_)[low:high]


@builtin("CONTAINS")
def contains_(_context: Context, list_: Any, item: Any) -> bool:
    """Whether a list has the element, an object the key, or a string the part."""
    return contains(item, list_)


@builtin("APPEND")
def append(context: Context, list_: Any, item: Any) -> list[Any]:
    """A new list with the element at its end; the list itself stays as it is."""
    old = list_argument(context, "APPEND", list_)
    check_length(len(old) + 1)
    return [*old, item]


@builtin("INDEX")
def index(context: Context, list_: Any, item: Any) -> int:
    """The place of an element in a list or of a part in a string, from 0; -1 where it is absent."""
    if type(list_) is str:
        return list_.find(item) if type(item) is str else -1
    for place, element in enumerate(list_argument(context, "INDEX", list_)):
        if equal(element, item):
            return place
    return -1


@builtin("FIRST", predicates=["predicate"])
def first(context: Context, list_: Any, predicate: Any = None) -> Any:
    """The first element, or the first for which the predicate is true; null where there is none."""
    if predicate is None and type(list_) is str:
        return list_[:1] or None
    for _, element, said in read_all(context, "FIRST", list_, predicate):
        if predicate is None or truthy(said):
            return element
    return None


@builtin("LAST", predicates=["predicate"])
def last(context: Context, list_: Any, predicate: Any = None) -> Any:
    """The last element, or the last for which the predicate is true; null where there is none."""
    if predicate is None and type(list_) is str:
        return list_[-1:] or None
    read = reader(predicate, over_object=type(list_) is dict)
    for key, element in reversed(list(pairs(context, "LAST", list_))):
        if predicate is None or truthy(read(element, key)):
            return element
    return None


@builtin("CHUNK")
def chunk(context: Context, list_: Any, size: Any) -> list[Any]:
    """The list cut into lists of `size` elements; the last may be shorter."""
    whole = list_argument(context, "CHUNK", list_)
    step = integer_argument("CHUNK", size, least=1)
    return [whole[place : place + step] for place in range(0, len(whole), step)]


@builtin("ZIP")
def zip_(context: Context, list_: Any, *more: Any) -> list[Any]:
    """Lists of the first elements, of the second elements and so on, as long as every list has one."""
    columns = [list_argument(context, "ZIP", each) for each in (list_, *more)]
    return [list(row) for row in zip(*columns, strict=False)]


@builtin("MERGE")
def merge(_context: Context, first: Any, *more: Any) -> Any:
    """Objects become one in which later fields win; lists are joined. Nulls are left out."""
    given = [each for each in (first, *more) if each is not None]
    if all(type(each) is dict for each in given):
        return {key: value for each in given for key, value in each.items()}
    if all(type(each) is list for each in given):
        joined: Any = []
        for each in given:
            joined = add(joined, each)
        return joined
    kinds = ", ".join(type_name(each) for each in given)
    raise TypeMismatch(f"MERGE needs only objects or only lists, not {kinds}")


@builtin("GROUP_BY", predicates=["key", "aggregate"])
def group_by(context: Context, list_: Any, key: Any, aggregate: Any = None) -> dict[str, Any]:
    """
    An object of lists: the elements for each value of the key.

    With an aggregate, what it says of each group: `GROUP_BY(sales, region, SUM(amount))`.
    """
    groups: dict[str, Any] = {}
    for _, element, said in read_all(context, "GROUP_BY", list_, key):
        groups.setdefault(group_name(said), []).append(element)
    if aggregate is None:
        return groups
    read = reader(aggregate)
    return {name: read(group, name) for name, group in groups.items()}


@builtin("COUNT", predicates=["predicate"])
def count(context: Context, list_: Any, predicate: Any = None) -> int:
    """How many elements there are, or for how many the predicate is true."""
    if predicate is None:
        return len(items(context, "COUNT", list_))
    return sum(truthy(said) for _, _, said in read_all(context, "COUNT", list_, predicate))


@builtin("COUNT_BY", predicates=["key"])
def count_by(context: Context, list_: Any, key: Any = None) -> dict[str, int]:
    """An object that counts the elements for each value of the key."""
    counts: dict[str, int] = {}
    for _, _, said in read_all(context, "COUNT_BY", list_, key):
        name = group_name(said)
        counts[name] = counts.get(name, 0) + 1
    return counts


@builtin("ANY", predicates=["predicate"])
def any_(context: Context, list_: Any, predicate: Any = None) -> bool:
    """Whether the predicate is true for some element; false for an empty list."""
    return any(truthy(said) for _, _, said in read_all(context, "ANY", list_, predicate))


@builtin("ALL", predicates=["predicate"])
def all_(context: Context, list_: Any, predicate: Any = None) -> bool:
    """Whether the predicate is true for every element; true for an empty list."""
    return all(truthy(said) for _, _, said in read_all(context, "ALL", list_, predicate))


@builtin("COMBINATIONS")
def combinations_(context: Context, list_: Any, size: Any = 2) -> list[Any]:
    """Every choice of `size` elements, each in the order of the list."""
    pool = list_argument(context, "COMBINATIONS", list_)
    taken = integer_argument("COMBINATIONS", size, least=0)
    if taken <= len(pool):
        check_length(_capped_comb(len(pool), taken) * max(1, taken))
    return [list(each) for each in combinations(pool, taken)]


def _capped_comb(count: int, taken: int) -> float:
    """How many choices there are; infinity once it is far beyond any limit, without the huge number."""
    total = 1
    for place in range(min(taken, count - taken)):
        total = total * (count - place) // (place + 1)
        if total > 10**12:
            return math.inf
    return total


@builtin("INTERSECTION")
def intersection(context: Context, list_: Any, *more: Any) -> list[Any]:
    """The different elements that every list has, in the order of the first."""
    return _keep(context, "INTERSECTION", list_, more, all)


@builtin("DIFFERENCE")
def difference(context: Context, list_: Any, *more: Any) -> list[Any]:
    """The different elements of the first list that no other list has."""
    return _keep(context, "DIFFERENCE", list_, more, lambda found: not any(found))


def _keep(
    context: Context,
    name: str,
    list_: Any,
    more: Iterable[Any],
    wanted: Callable[[Iterable[bool]], bool],
) -> list[Any]:
    """Elements of a list by whether the other lists have them, each once."""
    others = [{identity(each) for each in items(context, name, other)} for other in more]
    kept: dict[Any, Any] = {}
    for element in items(context, name, list_):
        mark = identity(element)
        if wanted(mark in other for other in others):
            kept.setdefault(mark, element)
    return list(kept.values())


@builtin("CONDITIONAL", "IF")
def conditional(_context: Context, condition: Any, then: Any, else_: Any = None) -> Any:
    """`then` where the condition is true, else `else`; both are evaluated."""
    return then if truthy(condition) else else_
