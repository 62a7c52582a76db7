"""
What the names of a predicate mean.

A predicate or key argument is a lambda, a string, or a bare expression about
the element. In a bare expression an unbound head of a path is the element; else
unbound names alone are its fields; else, every name being bound, the leftmost
speaks of the element.

Source: docs/language.md, section Expressions over collections.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opl.errors import Severity
from opl.script.builtins import BUILTINS
from opl.script.calls import method_of
from opl.script.resolver import Resolution, Scope, predicate_positions
from opl.script.syntax import (
    At,
    Call,
    Const,
    Expr,
    Lambda,
    MethodCall,
    Name,
    Path,
    SlotPart,
    Where,
    children,
)

Lowered = list[Any]


@dataclass(slots=True)
class Names:
    """What names mean inside lambdas and predicates; looked up before the script's variables."""

    local: dict[str, Lowered] = field(default_factory=dict)  # parameters of lambdas around
    element: dict[str, Lowered] = field(default_factory=dict)  # names of the innermost bare predicate
    where: int | None = None  # slot of the element, inside a WHERE
    group: int | None = None  # slot of the group, inside an aggregate
    inside: bool = False  # any predicate or lambda at all

    def find(self, name: str) -> Lowered | None:
        """What the name means here, or None for a variable."""
        return self.element.get(name) or self.local.get(name)

    def inner(self, **changes: Any) -> Names:
        """The names of a predicate within this one: its own element, the lambdas' parameters kept."""
        return Names(local=changes.pop("local", self.local), inside=True, **changes)


OUTSIDE = Names()


class Predicates:
    """The part of the lowering that reads predicates."""

    names: Resolution
    scope: Scope
    warned: set[str]

    if TYPE_CHECKING:

        def lower(self, node: Expr, names: Names = OUTSIDE) -> Lowered:
            """See Lowering."""
            return []

        def slot(self) -> int:
            """See Lowering."""
            return 0

        def problem(
            self, at: At, code: str, message: str, hint: str, *, severity: Severity = Severity.ERROR, length: int = 1
        ) -> None:
            """See Lowering."""

    def predicate(self, node: Expr, names: Names, *, either: bool = False) -> Lowered:
        """
        A predicate or key argument.

        Args:
            either: the argument is a predicate only where the first argument is a list (MAX, MIN).
        """
        if isinstance(node, Lambda):
            found = self._lambda(node, names)
            return ["either", found, ["const", None]] if either else found
        if isinstance(node, Const) and type(node.value) in (str, int):
            return ["const", node.value]
        heads, alone = self._names_of(node, names)
        unbound = {name for name in heads | alone if not self._known(name, names)}
        doubtful = either and not unbound & heads
        meaning = self._meaning(node, heads, alone, names, quiet=doubtful)
        if meaning is None:
            return ["const", None]
        name, slot, element = meaning
        if name is None:
            found = ["fn", 0, [], self.lower(node, names.inner())]
        else:
            found = ["fn", 1, [slot], self.lower(node, names.inner(element=element))]
        if name is not None and isinstance(node, Name) and name not in unbound:
            self.scope.reads.add(name)
            found = ["key", name, found, names.local.get(name) or ["var", name, node.at.line, node.at.column]]
        if not either:
            return found
        return ["either", found, self._quietly(node, names) if doubtful else ["const", None]]

    def _quietly(self, node: Expr, names: Names) -> Lowered:
        """The argument as a plain value, without a warning for names that may speak of the element."""
        before, self.warned = self.warned, _Everything()
        found = self.lower(node, names)
        self.warned = before
        return found

    def _lambda(self, node: Lambda, names: Names) -> Lowered:
        slots = [self.slot() for _ in node.params]
        local = {**names.local, **{name: ["local", slot] for name, slot in zip(node.params, slots, strict=True)}}
        return ["fn", len(slots), slots, self.lower(node.body, names.inner(local=local))]

    def _known(self, name: str, names: Names) -> bool:
        return name in names.local or self.names.knows(name)

    def _meaning(
        self, node: Expr, heads: set[str], alone: set[str], names: Names, *, quiet: bool
    ) -> tuple[str | None, int, dict[str, Lowered]] | None:
        """Which names speak of the element: (the first of them, its slot, name → lowered)."""
        unbound_heads = [name for name in _ordered(node, heads) if not self._known(name, names)]
        unbound_alone = [name for name in _ordered(node, alone) if not self._known(name, names)]
        if len(unbound_heads) > 1:
            self.problem(
                node.at,
                "opl.script.two-elements",
                f"'{unbound_heads[0]}' and '{unbound_heads[1]}' both seem to be the element",
                f"write a lambda: {unbound_heads[0]} => …",
            )
            return None
        slot = self.slot()
        if unbound_heads:
            return unbound_heads[0], slot, {unbound_heads[0]: ["local", slot]}
        if unbound_alone:
            return unbound_alone[0], slot, {name: ["own", slot, name] for name in unbound_alone}
        first = next(iter(_ordered(node, heads | alone)), None)
        if first is None:
            return None, slot, {}
        if not quiet and not self._holds_a_key(node):
            self._suggest_lambda(node, first)
        element = ["local", slot] if first in heads else ["own", slot, first]
        return first, slot, {first: element}

    def _holds_a_key(self, node: Expr) -> bool:
        """Whether the predicate is a variable that only ever holds strings: the name of a field."""
        values = self.names.values.get(node.name, []) if isinstance(node, Name) else []
        return bool(values) and all(isinstance(each, Const) and type(each.value) is str for each in values)

    def _suggest_lambda(self, node: Expr, first: str) -> None:
        self.problem(
            node.at,
            "opl.script.bound-element",
            f"every name in this predicate is bound; '{first}' is taken for the element",
            f"write a lambda: x => … with x for '{first}'",
            severity=Severity.WARNING,
        )

    def _names_of(self, node: Expr, names: Names) -> tuple[set[str], set[str]]:
        """The names of a bare predicate: heads of paths, and those that stand alone."""
        heads: set[str] = set()
        alone: set[str] = set()
        for name, head in _free(node, self.names):
            (heads if head else alone).add(name)
        return heads, alone


class _Everything(set[str]):
    """Holds every name, so that nothing is warned of."""

    def __contains__(self, name: object) -> bool:
        return True


def _free(node: Any, names: Resolution) -> Iterator[tuple[str, bool]]:
    """The names that belong to a predicate, in the order of the text, and whether each is the head of a path."""
    match node:
        case Name():
            yield node.name, False
        case Path(base=Name(name=name)):
            yield name, True
            for step in node.steps:
                yield from _free(step.index, names)
        case MethodCall(receiver=Name(name=name)):
            yield name, True
            method = method_of(node.name)
            for index, argument in enumerate(node.args):
                if method is None or index not in method.predicates:
                    yield from _free(argument, names)
        case Call():
            inner = predicate_positions(node, names.values)
            for index, argument in enumerate(node.args):
                if index not in inner:
                    yield from _free(argument, names)
            spec = BUILTINS.get(node.name.upper())
            for keyword, argument in node.keywords.items():
                if spec is None or spec.keywords.get(keyword) not in inner:
                    yield from _free(argument, names)
        case Lambda():
            return
        case Where():
            yield from _free(node.source, names)
        case SlotPart():
            yield from _free(node.value, names)
        case None | str():
            return
        case _:
            for child in children(node):
                yield from _free(child, names)


def _ordered(node: Expr, wanted: set[str]) -> list[str]:
    """The wanted names in the order of the text, each once."""
    found: dict[str, None] = {}
    for each in _walk_names(node):
        if each in wanted:
            found.setdefault(each)
    return list(found)


def _walk_names(node: Any) -> Iterator[str]:
    if isinstance(node, Name):
        yield node.name
    for child in children(node):
        yield from _walk_names(child)
