"""
Who binds and who reads which name.

The first pass over a tree. It answers the questions that need the whole
script: which names are bound anywhere, which are inputs, and which names of a
parallel branch are mirrored into the scope around it. What a name means at
one place, predicates above all, is decided where it is lowered, with these
answers at hand.

Invariants:

- a block opens no scope; only the branches of a PARALLEL and the callbacks of
  ``observe_events`` do;
- a name is *strongly* bound where the statement always binds it in its own
  scope (STATE, AS, loops, AWAIT, CATCH) and *weakly* where it may change an
  outer one (UPDATE, SET, APPEND).

Source: docs/language.md, sections Statements and Expressions over collections.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opl.script.builtins import BUILTINS
from opl.script.calls import method_of
from opl.script.syntax import (
    Append,
    Assign,
    Await,
    Bind,
    Block,
    Branch,
    Call,
    Chain,
    Const,
    Event,
    Expr,
    ForEach,
    Interval,
    Lambda,
    ListOf,
    Loop,
    MethodCall,
    Name,
    Observe,
    Parallel,
    Path,
    SlotPart,
    Stmt,
    Text,
    Try,
    Unary,
    UpdateWhere,
    Where,
    blocks_of,
    children,
)

INDEX = "FOREACH_INDEX"
# In an aggregate (the third argument of GROUP_BY) these speak of the group.
GROUPERS = frozenset(
    [
        "SUM",
        "COUNT",
        "AVERAGE",
        "AVG",
        "MEAN",
        "MEDIAN",
        "VARIANCE",
        "STDEV",
        "MIN",
        "MAX",
        "DISTINCT",
        "UNIQUE",
        "FIRST",
        "LAST",
        "ANY",
        "ALL",
        "MOST_COMMON",
        "MAP",
        "FILTER",
        "EXTRACT",
        "SORT",
    ]
)


@dataclass(slots=True, eq=False)
class Scope:
    """The names of the script, or of one parallel branch."""

    parent: Scope | None = None
    strong: set[str] = field(default_factory=set)
    weak: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)  # filled while expressions are lowered
    children: list[Scope] = field(default_factory=list)
    mirrored: set[str] = field(default_factory=set)  # to the parent

    def binds(self, name: str) -> bool:
        """Whether a statement of this very scope may bind the name."""
        return name in self.strong or name in self.weak

    def inside(self, other: Scope) -> bool:
        """Whether this scope is ``other`` or stands within it."""
        scope: Scope | None = self
        while scope is not None:
            if scope is other:
                return True
            scope = scope.parent
        return False


@dataclass(slots=True)
class Resolution:
    """What is known of a script's names."""

    root: Scope = field(default_factory=Scope)
    scopes: dict[int, Scope] = field(default_factory=dict)  # by id() of a Branch or of a ForEach in a PARALLEL
    bound: set[str] = field(default_factory=set)  # anywhere, declared parameters included
    inputs: dict[str, Name] = field(default_factory=dict)  # read outside predicates and bound nowhere: first read
    in_text: set[str] = field(default_factory=set)  # those of them that only templates read
    changes: dict[str, int] = field(default_factory=dict)  # how many statements bind or change a name
    values: dict[str, list[Expr | None]] = field(default_factory=dict)  # what they give it, None where unknown

    def knows(self, name: str) -> bool:
        """Whether the name counts as bound when a predicate is read."""
        return name in self.bound or name in self.inputs or name == INDEX


def resolve(body: Block, parameters: Iterable[str] = ()) -> Resolution:
    """
    Read a whole script.

    Args:
        parameters: names that the document declares as inputs.
    """
    found = Resolution()
    found.bound.update(parameters)
    resolver = _Resolver(found)
    resolver.block(body, found.root)
    found.bound.update(*(scope.strong | scope.weak for scope in [found.root, *found.scopes.values()]))
    outside = [read for read in resolver.reads if read[0].name not in found.bound and read[0].name != INDEX]
    for name, _ in outside:
        found.inputs.setdefault(name.name, name)
    found.in_text = set(found.inputs) - {name.name for name, in_text in outside if not in_text}
    return found


class _Resolver:
    """Walks the statements; ``reads`` are the names outside predicates, with whether a template reads them."""

    def __init__(self, found: Resolution) -> None:
        self.found = found
        self.reads: list[tuple[Name, bool]] = []

    def block(self, block: Block, scope: Scope) -> None:
        for statement in block:
            self.statement(statement, scope)

    def statement(self, statement: Stmt, scope: Scope) -> None:
        self._bindings(statement, scope)
        if isinstance(statement, Parallel):
            self._parallel(statement, scope)
            return
        if isinstance(statement, Observe):
            self.expression(statement.patterns, frozenset(), False)
            self._branch(statement.callback, scope)
            return
        if isinstance(statement, UpdateWhere):
            self.expression(statement.place, frozenset(), False)
            return
        inner = {id(each) for block in blocks_of(statement) for each in block}
        for child in children(statement):
            if id(child) not in inner:
                self.expression(child, frozenset(), False)
        for block in blocks_of(statement):
            self.block(block, scope)

    def _parallel(self, statement: Parallel, scope: Scope) -> None:
        self.expression(statement.limit, frozenset(), False)
        for branch in statement.branches:
            self._branch(branch, scope)

    def _branch(self, branch: Branch | ForEach, scope: Scope) -> None:
        inner = Scope(parent=scope)
        scope.children.append(inner)
        self.found.scopes[id(branch)] = inner
        if isinstance(branch, ForEach):
            self.expression(branch.source, frozenset(), False)
            for name in branch.names:
                self._bind(inner.strong, name, None)
        self.block(branch.body, inner)

    def _bindings(self, statement: Stmt, scope: Scope) -> None:
        match statement:
            case Bind(name=name, value=value):
                self._bind(scope.strong, name, value)
            case Assign(place=Name(name=name), value=value, operator=operator):
                self._bind(scope.weak, name, None if operator else value)
            case Assign(place=Path(base=Name(name=name))) | UpdateWhere(place=Name(name=name)):
                self._bind(scope.weak, name, None)
            case UpdateWhere(place=Path(base=Name(name=name))):
                self._bind(scope.weak, name, None)
            case Append(place=Name(name=name)) | Append(place=Path(base=Name(name=name))):
                self._bind(scope.weak, name, None)
            case ForEach(names=names):
                for name in names:
                    self._bind(scope.strong, name, None)
            case Loop(name=name):
                self._bind(scope.strong, name, Const(at=statement.at, value=0))
            case Event(bind=str(name)) | Await(name=str(name)) | Try(name=str(name)) | Observe(bind=str(name)):
                self._bind(scope.strong, name, None)

    def _bind(self, names: set[str], name: str, value: Expr | None) -> None:
        names.add(name)
        self.found.changes[name] = self.found.changes.get(name, 0) + 1
        self.found.values.setdefault(name, []).append(value)

    # ------------------------------------------------------------ expressions

    def expression(self, node: Any, known: frozenset[str], in_text: bool) -> None:
        """Collect reads; ``known`` are the parameters of lambdas around the node."""
        match node:
            case Name():
                if node.name not in known:
                    self.reads.append((node, in_text))
            case Text(bare=bare):
                for part in node.parts:
                    if isinstance(part, SlotPart):
                        self.expression(part.value, known, in_text or not bare)
            case Call(name="%AGENT") | Lambda():
                pass
            case Call():
                self._call(node, known, in_text)
            case MethodCall():
                self._method(node, known, in_text)
            case Where():
                self.expression(node.source, known, in_text)
            case None:
                pass
            case _:
                for child in children(node):
                    self.expression(child, known, in_text)

    def _call(self, node: Call, known: frozenset[str], in_text: bool) -> None:
        skipped = predicate_positions(node, self.found.values)
        if node.name.lower() == "parallel_map":
            skipped = frozenset({1})
        for index, argument in enumerate(node.args):
            if index not in skipped:
                self.expression(argument, known, in_text)
        spec = BUILTINS.get(node.name.upper())
        for keyword, argument in node.keywords.items():
            if spec is None or spec.keywords.get(keyword) not in skipped:
                self.expression(argument, known, in_text)

    def _method(self, node: MethodCall, known: frozenset[str], in_text: bool) -> None:
        method = method_of(node.name)
        self.expression(node.receiver, known, in_text)
        if method is not None and method.mutates and (root := root_name(node.receiver)):
            self.found.changes[root] = self.found.changes.get(root, 0) + 1
            self.found.values.setdefault(root, []).append(None)
        for index, argument in enumerate(node.args):
            if method is None or index not in method.predicates:
                self.expression(argument, known, in_text)


def root_name(node: Expr) -> str | None:
    """The variable that a place begins with."""
    if isinstance(node, Path):
        node = node.base
    return node.name if isinstance(node, Name) else None


def predicate_positions(node: Call, values: Mapping[str, list[Expr | None]]) -> frozenset[int]:
    """Which arguments of a builtin speak of the elements of its first."""
    spec = BUILTINS.get(node.name.upper())
    if spec is None:
        return frozenset()
    if spec.key_needs_list and (len(node.args) > 2 or (node.args and static_kind(node.args[0], values) == "number")):
        return frozenset()
    return spec.predicates


_NUMERIC = frozenset(
    [
        "LENGTH",
        "LEN",
        "COUNT",
        "SUM",
        "AVERAGE",
        "AVG",
        "MEAN",
        "MEDIAN",
        "VARIANCE",
        "STDEV",
        "ROUND",
        "FLOOR",
        "CEIL",
        "ABS",
        "SQRT",
        "LOG",
        "EXP",
        "POW",
        "CLAMP",
        "TIMESTAMP",
        "ELAPSED",
        "RANDOM",
        "PERCENTILE",
        "INDEX",
        "DURATION",
        "ELAPSED_TIME",
        "GAUSSIAN",
        "WEIGHTED_MEAN",
        "TRIMMED_MEAN",
    ]
)


def static_kind(node: Expr | None, values: Mapping[str, list[Expr | None]], depth: int = 4) -> str:
    """ "number" or "list" where the text alone says so, else ""."""
    match node:
        case Const(value=value) if type(value) in (int, float):
            return "number"
        case ListOf() | Interval():
            return "list"
        case Chain(rest=rest) if any(operator != "+" for operator, _, _ in rest):
            return "number"
        case Chain(first=first) if static_kind(first, values, depth) == "number":
            return "number"
        case Unary(operator="-"):
            return "number"
        case Call(name=name) if name.upper() in _NUMERIC:
            return "number"
        case Call(name=name, args=[first, *_]) if name.upper() in ("MIN", "MAX"):
            return static_kind(first, values, depth)
        case Path(steps=[*_, last]) if last.field == "length":
            return "number"
        case Name(name=name) if depth and values.get(name):
            kinds = {static_kind(value, values, depth - 1) for value in values[name]}
            return kinds.pop() if len(kinds) == 1 else ""
    return ""


# ---------------------------------------------------------------- mirrors


def mirror(root: Scope) -> None:
    """
    Fill ``mirrored`` of every scope, after all reads are known.

    A name that a branch binds goes to the scope around it where some code
    outside the branch reads it without a binding of its own, and no scope
    around the branch binds it.
    """
    everything = _below(root)
    readers: dict[str, list[Scope]] = {}
    for scope in everything:
        for name in scope.reads:
            if not _own(scope, name):
                readers.setdefault(name, []).append(scope)
    for scope in reversed(everything):
        if scope.parent is None:
            continue
        for name in scope.strong | scope.weak | {name for child in scope.children for name in child.mirrored}:
            outside = any(not reader.inside(scope) for reader in readers.get(name, ()))
            if outside and name != INDEX and not _bound_around(scope, name):
                scope.mirrored.add(name)


def _below(scope: Scope) -> list[Scope]:
    return [scope, *(inner for child in scope.children for inner in _below(child))]


def _bound_around(scope: Scope, name: str) -> bool:
    outer = scope.parent
    while outer is not None:
        if outer.binds(name):
            return True
        outer = outer.parent
    return False


def _own(scope: Scope, name: str) -> bool:
    """Whether a read in this scope finds a binding of the scope or of one around it."""
    current: Scope | None = scope
    while current is not None:
        if name in current.strong:
            return True
        current = current.parent
    return False
