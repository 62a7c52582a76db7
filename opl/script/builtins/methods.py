"""
What may follow a value and a dot: ``tasks.shift()``, ``name.toUpperCase()``.

Names are JavaScript's, with Python's beside them where they differ. A
mutating method answers ``(result, the receiver's new value)`` and never
changes the receiver it was given: the machine puts the new value in the
receiver's place. So ``STATE task = queue.shift()`` takes from the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from opl.errors import TypeMismatch
from opl.script.builtins import collections, selection, strings
from opl.script.builtins.base import (
    Context,
    Method,
    Shape,
    first_paragraph,
    integer_argument,
    list_argument,
    text_argument,
)
from opl.script.values import (
    add,
    check_length,
    checked_string,
    contains,
    get_index,
    to_text,
    with_article,
)

METHODS: dict[str, Method] = {}


def method(
    *names: str, mutates: bool = False, predicates: Iterable[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function ``(context, receiver, *arguments)`` under names."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        shape = Shape.of(function, skip=2)
        for name in names:
            METHODS[name] = Method(
                name=name,
                call=function,
                mutates=mutates,
                min_args=shape.least,
                max_args=shape.most,
                predicates=frozenset(shape.names.index(each) for each in predicates),
                signature=shape.text(f".{name}"),
                doc=first_paragraph(function),
            )
        return function

    return register


def _wrong(name: str, receiver: Any, wanted: str) -> TypeMismatch:
    return TypeMismatch(f".{name}() works on {wanted}, not on {with_article(receiver)}")


def _list(name: str, receiver: Any) -> list[Any]:
    if type(receiver) is list:
        return receiver
    raise _wrong(name, receiver, "a list")


def _growing(name: str, receiver: Any) -> list[Any]:
    """A list to add to; null is one that does not exist yet."""
    return [] if receiver is None else _list(name, receiver)


def _text(name: str, receiver: Any) -> str:
    if type(receiver) is str:
        return receiver
    raise _wrong(name, receiver, "a string")


# ---------------------------------------------------------------- lists, changing


@method("push", mutates=True)
def push(_context: Context, receiver: Any, *items: Any) -> tuple[Any, Any]:
    """Adds elements at the end and gives the new length."""
    grown = add(_growing("push", receiver), list(items))
    return len(grown), grown


@method("append", mutates=True)
def append(_context: Context, receiver: Any, item: Any) -> tuple[Any, Any]:
    """Adds an element at the end and gives the new list."""
    grown = add(_growing("append", receiver), [item])
    return grown, grown


@method("extend", mutates=True)
def extend(context: Context, receiver: Any, items: Any) -> tuple[Any, Any]:
    """Adds the elements of a list at the end and gives the new list."""
    grown = add(_growing("extend", receiver), list_argument(context, ".extend()", items))
    return grown, grown


@method("unshift", mutates=True)
def unshift(_context: Context, receiver: Any, *items: Any) -> tuple[Any, Any]:
    """Adds elements at the start and gives the new length."""
    grown = add(list(items), _growing("unshift", receiver))
    return len(grown), grown


@method("shift", mutates=True)
def shift(_context: Context, receiver: Any) -> tuple[Any, Any]:
    """Takes the first element away and gives it; null of an empty list."""
    whole = _list("shift", receiver)
    return (whole[0] if whole else None), whole[1:]


@method("pop", mutates=True)
def pop(_context: Context, receiver: Any, place: Any = -1) -> tuple[Any, Any]:
    """Takes the last element away, or the one at a place, and gives it; null where there is none."""
    whole = _list("pop", receiver)
    at = integer_argument(".pop()", place)
    if not -len(whole) <= at < len(whole):
        return None, whole
    at %= len(whole)
    return whole[at], whole[:at] + whole[at + 1 :]


@method("insert", mutates=True)
def insert(_context: Context, receiver: Any, place: Any, item: Any) -> tuple[Any, Any]:
    """Puts an element before the place and gives the new list."""
    grown = list(_growing("insert", receiver))
    check_length(len(grown) + 1)
    grown.insert(integer_argument(".insert()", place), item)
    return grown, grown


@method("remove", mutates=True)
def remove(context: Context, receiver: Any, item: Any) -> tuple[Any, Any]:
    """Takes the first equal element away and says whether there was one."""
    whole = _list("remove", receiver)
    at = collections.index(context, whole, item)
    return (False, whole) if at < 0 else (True, whole[:at] + whole[at + 1 :])


# ---------------------------------------------------------------- lists, strings and objects


@method("includes", "contains")
def includes(_context: Context, receiver: Any, item: Any) -> bool:
    """Whether a list has the element, an object the key, or a string the part."""
    return contains(item, receiver)


@method("indexOf", "index_of", "index", "find_index")
def index_of(context: Context, receiver: Any, item: Any) -> Any:
    """The place of an element in a list or of a part in a string; -1 where it is absent."""
    return collections.index(context, receiver, item)


@method("slice")
def slice_(context: Context, receiver: Any, start: Any = 0, end: Any = None) -> Any:
    """The part of a list or string from start up to but without end."""
    return collections.slice_(context, receiver, start, end)


@method("concat")
def concat(_context: Context, receiver: Any, *more: Any) -> Any:
    """The list or string with others after it."""
    joined = receiver if type(receiver) is str else _list("concat", receiver)
    for each in more:
        joined = add(joined, each if type(joined) is str or type(each) is list else [each])
    return joined


@method("join")
def join(context: Context, receiver: Any, separator: Any = ",") -> str:
    """The elements of a list with the separator between them; a string is put between those of a list."""
    if type(receiver) is str and type(separator) is list:
        receiver, separator = separator, receiver  # Python's order: ", ".join(list)
    return strings.join(context, _list("join", receiver), separator)  # type: ignore[no-any-return]


@method("reverse")
def reverse(context: Context, receiver: Any) -> Any:
    """The list or string backwards; the receiver stays as it is."""
    return collections.reverse(context, receiver)


@method("sort", predicates=["by"])
def sort(context: Context, receiver: Any, by: Any = None, direction: Any = None) -> Any:
    """The list in order, as SORT gives it; the receiver stays as it is."""
    return selection.sort(context, receiver, by, direction)


@method("map", predicates=["expression"])
def map_(context: Context, receiver: Any, expression: Any) -> Any:
    """What the expression says of each element."""
    return collections.map_(context, receiver, expression)


@method("filter", predicates=["predicate"])
def filter_(context: Context, receiver: Any, predicate: Any) -> Any:
    """The elements for which the predicate is true."""
    return collections.filter_(context, receiver, predicate)


@method("find", predicates=["predicate"])
def find(context: Context, receiver: Any, predicate: Any) -> Any:
    """The first element for which the predicate is true, or null."""
    return collections.first(context, receiver, predicate)


@method("some", predicates=["predicate"])
def some(context: Context, receiver: Any, predicate: Any) -> Any:
    """Whether the predicate is true for some element."""
    return collections.any_(context, receiver, predicate)


@method("every", predicates=["predicate"])
def every(context: Context, receiver: Any, predicate: Any) -> Any:
    """Whether the predicate is true for every element."""
    return collections.all_(context, receiver, predicate)


@method("keys")
def keys(context: Context, receiver: Any) -> Any:
    """The keys of an object."""
    return collections.keys(context, receiver)


@method("values")
def values(context: Context, receiver: Any) -> Any:
    """The values of an object."""
    return collections.values(context, receiver)


@method("items", "entries")
def entries(context: Context, receiver: Any) -> Any:
    """The pairs `[key, value]` of an object."""
    return collections.entries(context, receiver)


@method("get")
def get(_context: Context, receiver: Any, key: Any, default: Any = None) -> Any:
    """The field or element, or the default where it is missing or null."""
    found = get_index(receiver, key)
    return default if found is None else found


@method("length", "len", "size", "count")
def length(context: Context, receiver: Any) -> Any:
    """How many elements, fields or characters there are."""
    return collections.length(context, receiver)


# ---------------------------------------------------------------- strings


@method("toUpperCase", "upper")
def upper(_context: Context, receiver: Any) -> str:
    """The string in upper case."""
    return checked_string(_text("toUpperCase", receiver).upper())


@method("toLowerCase", "lower")
def lower(_context: Context, receiver: Any) -> str:
    """The string in lower case."""
    return checked_string(_text("toLowerCase", receiver).lower())


@method("trim", "strip")
def trim(_context: Context, receiver: Any) -> str:
    """The string without blanks at both ends."""
    return _text("trim", receiver).strip()


@method("split")
def split(context: Context, receiver: Any, separator: Any = None) -> Any:
    """The parts between the separators; without one, the words."""
    return strings.split(context, _text("split", receiver), separator)


@method("replace", "replaceAll")
def replace(context: Context, receiver: Any, old: Any, new: Any) -> Any:
    """The string with every `old` replaced by `new`."""
    return strings.replace(context, _text("replace", receiver), old, new)


@method("startsWith", "starts_with", "startswith")
def starts_with(_context: Context, receiver: Any, part: Any) -> bool:
    """Whether the string begins with the part."""
    return _text("startsWith", receiver).startswith(text_argument(".startsWith()", part))


@method("endsWith", "ends_with", "endswith")
def ends_with(_context: Context, receiver: Any, part: Any) -> bool:
    """Whether the string ends with the part."""
    return _text("endsWith", receiver).endswith(text_argument(".endsWith()", part))


@method("matches", "match")
def matches(context: Context, receiver: Any, pattern: Any) -> Any:
    """Whether the regular expression is found in the string."""
    return strings.matches(context, _text("matches", receiver), pattern)


@method("repeat")
def repeat(_context: Context, receiver: Any, count: Any) -> str:
    """The string several times."""
    return strings.repeated(_text("repeat", receiver), integer_argument(".repeat()", count, least=0))


@method("charAt")
def char_at(_context: Context, receiver: Any, place: Any) -> Any:
    """The character at a place, or null."""
    return get_index(_text("charAt", receiver), integer_argument(".charAt()", place))


@method("toString")
def to_string(_context: Context, receiver: Any) -> str:
    """The value as a template prints it."""
    return to_text(receiver)
