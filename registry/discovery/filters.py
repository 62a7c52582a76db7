"""
The query language of the search field, read into a ``Query``.

    tournament tag:adaptive owner:ada mode:guided performance.avg_score > 0.7

Words are searched for; ``key:value`` pairs and comparisons filter. Any path
into a document's own keys may be compared with a number, a quoted text, true
or false. Nothing a person types is an error: what is no filter is a word. Pure.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

FACETS = ("tag", "owner", "mode", "category", "author", "event", "envelope", "profile")

_TOKEN = re.compile(
    r"""
    (?P<path>[A-Za-z_][\w-]*(?:\.[\w-]+)*)\s*(?P<operator>>=|<=|!=|==|=|>|<)\s*
        (?P<operand>"[^"]*"|'[^']*'|[^\s]+)
  | (?P<minus>-)?(?P<key>tag|owner|mode|category|author|event|envelope|profile):
        (?P<value>"[^"]*"|[^\s]+)
  | "(?P<phrase>[^"]*)"
  | (?P<word>\S+)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One filter over a document's own keys."""

    path: tuple[str, ...]  # keys from the top of the document
    operator: str  # one of > >= < <= = == !=
    operand: str | float | bool  # what it is compared with

    def holds(self, value: Mapping[str, Any]) -> bool:
        """Whether the document has the path (or has it under ``metadata``) and the comparison is true."""
        found = _at(value, self.path)
        if found is None and isinstance(value.get("metadata"), Mapping):
            found = _at(value["metadata"], self.path)
        candidates = found if isinstance(found, list) else [found]
        return any(self._compare(candidate) for candidate in candidates)

    def _compare(self, found: Any) -> bool:
        if found is None:
            return False
        if isinstance(self.operand, bool) or isinstance(found, bool):
            same_kind = isinstance(self.operand, bool) and isinstance(found, bool)
        elif isinstance(self.operand, float):
            same_kind = isinstance(found, int | float)
        else:
            same_kind = isinstance(found, str)
        return same_kind and _OPERATORS[self.operator](found, self.operand)

    def __str__(self) -> str:
        operand = f'"{self.operand}"' if isinstance(self.operand, str) else _written(self.operand)
        return f"{'.'.join(self.path)} {self.operator} {operand}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a person asks for."""

    words: str = ""  # free text
    facets: tuple[tuple[str, str], ...] = ()  # (key, value), all must hold
    without: tuple[tuple[str, str], ...] = ()  # (key, value), none may hold
    comparisons: tuple[Comparison, ...] = ()  # all must hold

    @property
    def is_empty(self) -> bool:
        """Whether it asks for everything."""
        return not (self.words or self.facets or self.without or self.comparisons)

    def values_of(self, key: str) -> list[str]:
        """The values asked for of one facet."""
        return [value for name, value in self.facets if name == key]


def parse(text: str) -> Query:
    """The query in ``text``; every text is one."""
    words: list[str] = []
    facets: list[tuple[str, str]] = []
    without: list[tuple[str, str]] = []
    comparisons: list[Comparison] = []
    for token in _TOKEN.finditer(text[:1000].replace("\0", " ")):
        if token["path"]:
            path = tuple(token["path"].split("."))
            comparisons.append(Comparison(path=path, operator=token["operator"], operand=_operand(token["operand"])))
        elif token["key"]:
            pair = (token["key"].lower(), token["value"].strip('"')[:100])
            (without if token["minus"] else facets).append(pair)
        else:
            words.append(token["phrase"] if token["phrase"] is not None else token["word"])
    return Query(
        words=" ".join(words),
        facets=tuple(dict.fromkeys(facets)),
        without=tuple(dict.fromkeys(without)),
        comparisons=tuple(comparisons[:8]),
    )


def _operand(text: str) -> str | float | bool:
    if text[0] in "\"'":
        return text.strip(text[0])
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text


def _written(operand: float | bool) -> str:
    return str(operand).lower() if isinstance(operand, bool) else f"{operand:.12g}"


def _at(value: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """What stands at a path of keys; of a list, what its members have there."""
    here: Any = value
    for number, key in enumerate(path):
        if isinstance(here, list):
            rest = path[number:]
            found = [_at(member, rest) for member in here if isinstance(member, Mapping)]
            return [item for item in found if item is not None] or None
        if not isinstance(here, Mapping):
            return None
        here = here.get(key)
    return here
