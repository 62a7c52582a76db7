"""
Choosing elements by an order: sorting, the largest, the top few, the most frequent.

Keys are numbers or strings, all of one kind; an agent's reply stands for its
number. Nulls are last in any direction, and among equals the earlier element
stays first.
"""

from __future__ import annotations

from typing import Any

from opl.errors import BadArgument, TypeMismatch
from opl.script.builtins.base import (
    Context,
    Registry,
    identity,
    integer_argument,
    read_all,
)
from opl.script.values import number_of_reply, truthy, type_name, with_article

registry = Registry("Choosing")
builtin = registry.builtin

Ranked = tuple[Any, Any, Any]  # (key or index, element, what it is ordered by)


def ranked(context: Context, name: str, list_: Any, by: Any, descending: bool) -> tuple[list[Ranked], list[Ranked]]:
    """
    The members in order, and those whose key is null.

    Raises:
        TypeMismatch: keys that have no order, or of two kinds.
    """
    found = [(key, element, number_of_reply(said)) for key, element, said in read_all(context, name, list_, by)]
    nulls = [member for member in found if member[2] is None]
    members = [member for member in found if member[2] is not None]
    kinds = {type_name(member[2]) for member in members}
    if len(kinds) > 1:
        raise TypeMismatch(f"{name} cannot order {' and '.join(sorted(kinds))}s together")
    if kinds - {"number", "string", "boolean"}:
        example = with_article(members[0][2])
        raise TypeMismatch(f"{name} has no order for {example}; say by which field: {name}(list, x => x.score)")
    # A stable descending sort: Python's reverse keeps equals in their order.
    members.sort(key=lambda member: member[2], reverse=descending)
    return members, nulls


@builtin("SORT", predicates=["by"])
def sort(context: Context, list_: Any, by: Any = None, direction: Any = None, descending: Any = None) -> Any:
    """
    The elements in rising order, or falling with `"DESC"`: `SORT(tasks, task.priority DESC)`.

    Equals keep their order in both directions, nulls are last. Of an object:
    the object with its fields in the order of their values. ``descending=true``
    is another way to say ``"DESC"``.
    """
    if direction is None and type(by) is str and by.upper() in ("ASC", "DESC"):
        by, direction = None, by
    falling = truthy(descending) if direction is None and descending is not None else _descending(direction)
    members, nulls = ranked(context, "SORT", list_, by, falling)
    both = [*members, *nulls]
    if type(list_) is dict:
        return {key: element for key, element, _ in both}
    return [element for _, element, _ in both]


def _descending(direction: Any) -> bool:
    word = "ASC" if direction is None else str(direction).upper()
    if word not in ("ASC", "DESC"):
        raise BadArgument('the direction of SORT is "ASC" or "DESC"')
    return word == "DESC"


def best(context: Context, name: str, list_: Any, by: Any, largest: bool) -> Any:
    """The first element whose key is the largest or smallest; null where no key is set."""
    members, nulls = ranked(context, name, list_, by, descending=largest)
    if nulls:
        context.warn("opl.run.null-skipped", f"{name} left out what is null")
    return members[0][1] if members else None


@builtin("SELECT_MAX", predicates=["by"])
def select_max(context: Context, list_: Any, by: Any = None) -> Any:
    """The element with the largest key; null of an empty list."""
    return best(context, "SELECT_MAX", list_, by, largest=True)


@builtin("SELECT_BEST", predicates=["by"])
def select_best(context: Context, list_: Any, by: Any = None) -> Any:
    """The element with the largest key; null of an empty list."""
    return best(context, "SELECT_BEST", list_, by, largest=True)


@builtin("SELECT_MIN", predicates=["by"])
def select_min(context: Context, list_: Any, by: Any = None) -> Any:
    """The element with the smallest key; null of an empty list."""
    return best(context, "SELECT_MIN", list_, by, largest=False)


@builtin("SELECT_TOP", predicates=["by"])
def select_top(context: Context, list_: Any, count: Any, by: Any = None) -> list[Any]:
    """The `count` elements with the largest keys, the largest first."""
    taken = integer_argument("SELECT_TOP", count, least=0)
    members, nulls = ranked(context, "SELECT_TOP", list_, by, descending=True)
    return [element for _, element, _ in [*members, *nulls][:taken]]


@builtin("MOST_COMMON", predicates=["by"])
def most_common(context: Context, list_: Any, by: Any = None) -> Any:
    """The most frequent value, the earliest of equally frequent ones; null of an empty list."""
    counts: dict[Any, int] = {}
    first: dict[Any, Any] = {}
    for _, _, said in read_all(context, "MOST_COMMON", list_, by):
        mark = identity(said)
        counts[mark] = counts.get(mark, 0) + 1
        first.setdefault(mark, said)
    return first[max(counts, key=counts.__getitem__)] if counts else None
