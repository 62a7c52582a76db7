"""
What a builtin is, what it may ask of its run, and how its arguments are read.

A builtin is a plain function ``(context, *arguments) -> value``. Its
parameter names are the keywords a script may use, its docstring is its entry
in docs/language.md, so neither is written down twice::

    @builtin("collections", predicates=["predicate"])
    def FILTER(context, list, predicate): ...

Always true: a builtin never changes its arguments, and refuses a result that
is too large before it builds it.

Source: docs/decisions/0020-builtins-describe-themselves.md
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from opl.errors import BadArgument, TypeMismatch
from opl.script.chance import Chance
from opl.script.values import (
    Function,
    get_field,
    get_index,
    is_number,
    number_of_reply,
    stringify,
    to_text,
    with_article,
)


class Context(Protocol):
    """What a builtin may know of the run that calls it."""

    @property
    def chance(self) -> Chance:
        """The run's recorded chance."""

    @property
    def now_ms(self) -> int:
        """The run's clock, milliseconds since the epoch."""

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What the run was started with."""

    def timestamp(self) -> int:
        """Milliseconds since the epoch, larger than at the last call."""

    def elapsed(self) -> float:
        """Seconds since the run started."""

    def warn(self, code: str, message: str) -> None:
        """Record a warning at the statement that runs; equal ones are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Builtin:
    """A function of the language."""

    name: str  # upper case, as BUILTINS has it; "JSON.STRINGIFY" for methods of JSON
    call: Callable[..., Any]  # (context, *arguments) -> value
    min_args: int  # fewest arguments, the context not counted
    max_args: int | None  # most arguments; None where there may be any number
    predicates: frozenset[int]  # positions that take a lambda, a bare expression or a string key
    keywords: Mapping[str, int]  # argument names a script may write, lower case, and their positions
    pure: bool  # same arguments, same result: needs neither clock nor chance nor inputs
    key_needs_list: bool = False  # a predicate only where the first argument is a list (MAX)
    group: str = ""  # heading in the manual
    signature: str = ""  # as the manual shows it: "FILTER(list, predicate)"
    doc: str = ""  # first paragraph of the docstring


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A function called on a value with a dot."""

    name: str  # as scripts write it: "toUpperCase"
    call: Callable[..., Any]  # (context, receiver, *arguments) -> result, or (result, new receiver)
    mutates: bool  # the call returns a pair, and the receiver's place gets the second
    min_args: int = 0  # fewest arguments, the receiver not counted
    max_args: int | None = None  # most arguments; None where there may be any number
    predicates: frozenset[int] = field(default_factory=frozenset)  # positions of lambdas
    signature: str = ""  # as the manual shows it
    doc: str = ""  # first paragraph of the docstring


class Registry:
    """Collects the builtins of one module."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.builtins: dict[str, Builtin] = {}

    def builtin(
        self,
        *names: str,
        predicates: Iterable[str] = (),
        pure: bool = True,
        key_needs_list: bool = False,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a function under names; ``predicates`` are names of its parameters."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            shape = Shape.of(function)
            for name in names:
                self.builtins[name] = Builtin(
                    name=name,
                    call=function,
                    min_args=shape.least,
                    max_args=shape.most,
                    predicates=frozenset(shape.names.index(each) for each in predicates),
                    keywords=shape.keywords(),
                    pure=pure,
                    key_needs_list=key_needs_list,
                    group=self.group,
                    signature=shape.text(name),
                    doc=first_paragraph(function),
                )
            return function

        return register


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The parameters of a builtin after the context, read off its function."""

    names: tuple[str, ...]  # of the parameters, the variadic one included
    least: int  # how many have no default
    most: int | None  # None where the last is variadic

    @classmethod
    def of(cls, function: Callable[..., Any], skip: int = 1) -> Shape:
        """The shape of a function whose first ``skip`` parameters are no arguments."""
        parameters = list(inspect.signature(function).parameters.values())[skip:]
        variadic = any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters)
        plain = [each for each in parameters if each.kind is not inspect.Parameter.VAR_POSITIONAL]
        return cls(
            names=tuple(each.name.rstrip("_") for each in parameters),
            least=sum(each.default is inspect.Parameter.empty for each in plain),
            most=None if variadic else len(plain),
        )

    def keywords(self) -> dict[str, int]:
        """Keyword → position; ``key`` and ``by``, ``order`` and ``direction`` mean the same."""
        found = {name: position for position, name in enumerate(self.names)}
        for one, other in (("by", "key"), ("key", "by"), ("direction", "order"), ("descending", "reverse")):
            if one in found:
                found.setdefault(other, found[one])
        return found

    def text(self, name: str) -> str:
        """``NAME(list, count[, by])``."""
        needed = list(self.names[: self.least])
        optional = list(self.names[self.least :])
        if self.most is None:
            optional[-1] += " …"
        inner = ", ".join(needed)
        for each in optional:
            inner += f"[, {each}]" if inner else f"[{each}]"
        return f"{name}({inner})"


def first_paragraph(function: Callable[..., Any]) -> str:
    """The docstring up to its first empty line, on one line."""
    text = inspect.cleandoc(function.__doc__ or "")
    return " ".join(text.split("\n\n")[0].split())


# ---------------------------------------------------------------- reading arguments

Reader = Callable[[Any, Any], Any]  # (element, index or key) -> what the predicate says of it


def pairs(context: Context, name: str, value: Any) -> Iterable[tuple[Any, Any]]:
    """
    The members of a list or object as ``(key, element)``; of null none, with a warning.

    Raises:
        TypeMismatch: any other value.
    """
    if type(value) is list:
        return enumerate(value)
    if type(value) is dict:
        return value.items()
    if value is None:
        warn_null(context, name)
        return ()
    raise TypeMismatch(f"{name} needs a list or an object, not {with_article(value)}")


def items(context: Context, name: str, value: Any) -> Sequence[Any]:
    """
    The elements of a list or the values of an object; of null none, with a warning.

    Raises:
        TypeMismatch: any other value.
    """
    if type(value) is list:
        return value
    return [element for _, element in pairs(context, name, value)]


def warn_null(context: Context, name: str) -> None:
    """Say that a builtin took null for an empty list."""
    context.warn("opl.run.null-collection", f"{name} was given null and takes it for an empty list")


def reader(by: Any, over_object: bool = False) -> Reader:
    """
    What a predicate or key argument says of an element.

    A lambda of two parameters gets key and value of an object, element and
    index of a list. A string or number is the field or index to read, which
    gives null where the element has no such field. None reads the element.
    """
    if by is None:
        return lambda element, _key: element
    if type(by) is Function:
        call = by.call
        if by.arity == 0:
            return lambda _element, _key: call()
        if by.arity == 1:
            return lambda element, _key: call(element)
        return (lambda element, key: call(key, element)) if over_object else call
    if type(by) is str:
        return lambda element, _key: get_field(element, by) if type(element) is dict else None
    if type(by) is int:
        return lambda element, _key: get_index(element, by) if type(element) is list else None
    raise TypeMismatch(f"a predicate is a lambda, an expression or a field name, not {with_article(by)}")


def read_all(context: Context, name: str, value: Any, by: Any) -> Iterator[tuple[Any, Any, Any]]:
    """``(key, element, what the predicate says)`` for each member."""
    read = reader(by, over_object=type(value) is dict)
    for key, element in pairs(context, name, value):
        yield key, element, read(element, key)


def text_argument(name: str, value: Any) -> str:
    """
    A string argument.

    Raises:
        TypeMismatch: anything else, with a hint for null.
    """
    if type(value) is str:
        return value
    raise TypeMismatch(f"{name} needs a string, not {with_article(value)}")


def number_argument(name: str, value: Any) -> int | float:
    """
    A number argument; a reply of an agent stands for its number.

    Raises:
        TypeMismatch: anything else.
    """
    found = number_of_reply(value)
    if is_number(found):
        return found  # type: ignore[no-any-return]
    raise TypeMismatch(f"{name} needs a number, not {with_article(found)}")


def integer_argument(name: str, value: Any, least: int | None = None) -> int:
    """
    A number argument without a fraction.

    Raises:
        TypeMismatch: no number.
        BadArgument: a fraction, or smaller than ``least``.
    """
    number = number_argument(name, value)
    if type(number) is not int:
        raise BadArgument(f"{name} needs a whole number, not {to_text(number)}")
    if least is not None and number < least:
        raise BadArgument(f"{name} needs a number of at least {least}, not {number}")
    return number


def list_argument(context: Context, name: str, value: Any) -> list[Any]:
    """
    A list argument; null is an empty list, with a warning.

    Raises:
        TypeMismatch: anything else.
    """
    if type(value) is list:
        return value
    if value is None:
        warn_null(context, name)
        return []
    raise TypeMismatch(f"{name} needs a list, not {with_article(value)}")


def identity(value: Any) -> Any:
    """A hashable that is the same for values that ``equal`` calls equal."""
    kind = type(value)
    if kind is int or kind is float:
        return ("n", value)
    if kind is str or kind is bool or value is None:
        return (kind, value)
    return (kind, stringify(_sorted(value)))


def _sorted(value: Any) -> Any:
    if type(value) is dict:
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if type(value) is list else value


def group_name(value: Any) -> str:
    """The key under which an object holds a group: strings as they are, the rest as JSON."""
    return value if type(value) is str else stringify(value)
