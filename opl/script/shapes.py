"""
The shape of an answer: which fields of a reply a script reads, and of which type.

Every event that asks becomes a *kind*; names, and the elements of lists and
objects that names hold, are linked to the kinds that may be in them. What is
then read of them (``response.vote == "approve"``, ``AVERAGE(results,
r.quality)``) gives the fields, and how it is used their types. The shape is a
JSON Schema of the agent's answer: all fields required, none added, and the
strings a field is compared with in its description, never as an enum.

It is an inference, made to be useful: what it cannot follow it leaves out.

Source: docs/decisions/0013-shapes-of-answers.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opl.script.builtins import BUILTINS
from opl.script.calls import method_of
from opl.script.kinds import ELEMENT, Kind, same, schema_of_answer, schema_of_value
from opl.script.syntax import (
    Append,
    Assign,
    Await,
    Bind,
    Block,
    Call,
    Chain,
    Compare,
    Const,
    Event,
    Expr,
    ForEach,
    If,
    Lambda,
    Logic,
    Loop,
    MethodCall,
    Name,
    ObjectOf,
    Parallel,
    Path,
    SlotPart,
    Step,
    Stmt,
    Switch,
    Ternary,
    Text,
    Unary,
    Wait,
    Where,
    While,
    blocks_of,
    children,
    walk,
)

_SHAPED = frozenset({"completion:async", "optimization:async", "orchestration:start"})
_PLAIN = frozenset({"judgement:ask", "human:ask"})  # the reply is the answer itself, no completion result
_MEASURED = frozenset(
    [
        "SUM",
        "AVERAGE",
        "AVG",
        "MEAN",
        "MEDIAN",
        "VARIANCE",
        "STDEV",
        "MIN",
        "MAX",
        "WEIGHTED_MEAN",
        "PERCENTILE",
        "TRIMMED_MEAN",
        "SELECT_MAX",
        "SELECT_MIN",
        "SELECT_TOP",
        "SELECT_BEST",
    ]
)
# A builtin whose arguments are single numbers.
_OF_NUMBERS = frozenset(["ROUND", "FLOOR", "CEIL", "ABS", "SQRT", "LOG", "EXP", "POW", "CLAMP"])
# A builtin whose result is elements of its first argument, or one of them.
_SAME_LIST = frozenset(
    ["FILTER", "SORT", "REVERSE", "UNIQUE", "SLICE", "SHUFFLE", "SAMPLE", "SELECT_TOP", "EXTRACT", "VALUES"]
)
_ONE_OF = frozenset(["FIRST", "LAST", "MAX", "MIN", "SELECT_MAX", "SELECT_MIN", "SELECT_BEST", "RANDOM_CHOICE"])


def infer_shapes(body: Block, events: list[tuple[list[Any], Any]]) -> None:
    """Fill in the shape of each event instruction; ``events`` pairs them with the nodes they came from."""
    shapes = _Shapes()
    for instruction, node in events:
        if instruction[2] in _SHAPED | _PLAIN or (isinstance(node, MethodCall) and method_of(node.name) is None):
            shapes.answers[id(node)] = Kind()
    shapes.block(body)
    for instruction, node in events:
        answer = shapes.answers.get(id(node))
        if answer is not None:
            instruction[-1] = schema_of_value(answer) if instruction[2] in _PLAIN else schema_of_answer(answer)


class _Shapes:
    """Walks a script once; ``answers`` are the kinds of the replies by event node."""

    def __init__(self) -> None:
        self.names: dict[str, Kind] = {}
        self.answers: dict[int, Kind] = {}
        self.inbox = Kind()  # replies without AS

    # ------------------------------------------------------------ statements

    def block(self, block: Block) -> None:
        """Events first, so that an AWAIT finds the answers of all that stand before the last one."""
        statements = list(_statements(block))
        last = max((i for i, each in enumerate(block) if _awaits(each)), default=-1)
        for statement in _statements(block[: last + 1]):
            if isinstance(statement, Event) and id(statement) in self.answers and statement.bind is None:
                same(self.inbox, self.answers[id(statement)])
            for call in _broadcasts(statement):
                same(self.inbox, self.answers.get(id(call), Kind()))
        for _ in range(2):  # a loop may use below what it binds further down
            for statement in statements:
                self.statement(statement)

    def statement(self, node: Stmt) -> None:
        """The links that a statement makes; its blocks are visited on their own."""
        match node:
            case Bind(name=name, value=value):
                self._link(self.name(name), value)
            case Assign(place=place, value=value):
                self._link(self.place(place), value)
            case Append(place=place, value=value):
                self._link(self.place(place).get(ELEMENT), value)
            case Parallel(limit=limit):
                if limit is not None:
                    self._typed(limit, "integer")
            case Event(bind=bind, data=data):
                self._value(data)
                for key, value in data.entries if isinstance(data, ObjectOf) else ():
                    if key == "timeout":
                        self._typed(value, "number")
                if bind is not None:
                    same(self.name(bind), self.answers.get(id(node), Kind()))
            case Await() if node.name is None:
                self._fits(node)
            case Await(name=str(name), mode=mode, collect=collect):
                self._fits(node)
                found = self.name(name).get(ELEMENT) if mode == "all" or collect is not None else self.name(name)
                same(found, self.inbox)
            case ForEach(names=names, source=source):
                same(self.kind(source).get(ELEMENT), self.name(names[-1]))
            case If(arms=arms):
                for condition, _ in arms:
                    self._condition(condition)
            case While(condition=condition):
                self._condition(condition)
            case Switch(subject=subject, cases=cases):
                for tests, _ in cases:
                    for test in tests:
                        self._compared(subject, test)
            case Loop(low=low, high=high):
                self._typed(low, "number")
                self._typed(high, "number")
            case Wait(seconds=seconds):
                self._typed(seconds, "number")
            case _:
                inner = {id(each) for block in blocks_of(node) for each in block}
                for child in children(node):
                    if id(child) not in inner and isinstance(child, Expr):
                        self._value(child)

    def _fits(self, node: Await) -> None:
        """A filter says what replies must have, like a comparison."""
        for key, value in node.fits.entries if isinstance(node.fits, ObjectOf) else ():
            if isinstance(key, str):
                self._compared_kind(self.inbox.get(key), value)

    def _link(self, kind: Kind, value: Expr) -> None:
        same(kind, self.kind(value))

    # ------------------------------------------------------------ kinds of expressions

    def name(self, name: str) -> Kind:
        """The kind of a variable."""
        return self.names.setdefault(name, Kind()).root()

    def place(self, node: Expr) -> Kind:
        """The kind of what is assigned to."""
        return self.kind(node)

    def kind(self, node: Expr | None) -> Kind:
        """The kind of an expression's value; what is read on the way is noted."""
        match node:
            case Name(name=name):
                return self.name(name)
            case Path(base=base, steps=steps):
                return self._path(self.kind(base), steps)
            case MethodCall() if id(node) in self.answers:
                self._arguments(node)
                return self.answers[id(node)].root()
            case MethodCall():
                return self._method(node)
            case Call(name="broadcast_task" | "await_responses"):
                for child in [*node.args, *node.keywords.values()]:
                    self._value(child)
                found = Kind()
                if node.name == "await_responses":
                    same(found.get(ELEMENT), self.inbox)
                return found.root()
            case Call() if id(node) in self.answers and node.name.upper() != "PARALLEL_MAP":
                for child in [*node.args, *node.keywords.values()]:
                    self._value(child)
                return self.answers[id(node)].root()
            case Call():
                return self._call(node)
            case Ternary(condition=condition, then=then, other=other):
                self._condition(condition)
                found = self.kind(then)
                same(found, self.kind(other))
                return found.root()
            case Where(source=source, condition=condition):
                found = self.kind(source)
                self._predicate(condition, found, where=True)
                return found
        self._value(node)
        found = Kind()
        if isinstance(node, ObjectOf):
            for key, value in node.entries:
                if isinstance(key, str):
                    same(found.get(key), self.kind(value))
        elif isinstance(node, Const) and type(node.value) in (int, float):
            found.types.add("number")
        return found

    def _path(self, found: Kind, steps: list[Step]) -> Kind:
        for step in steps:
            if step.field is not None:
                found = found.get(step.field)
            elif isinstance(step.index, Const) and type(step.index.value) is str:
                found = found.get(step.index.value)
            else:
                self._value(step.index)
                element = found.get(ELEMENT)
                for name, inner in list(found.root().fields.items()):
                    if name not in (ELEMENT, "length"):  # indexed by a name that is computed: any field may be meant
                        same(element, inner)
                found = element.root()
        return found

    def _call(self, node: Call) -> Kind:
        name = node.name.upper()
        if name == "PARALLEL_MAP":
            found = Kind()
            if id(node) in self.answers:
                same(found.get(ELEMENT), self.answers[id(node)])
            for argument in node.args[:1]:
                self._value(argument)
            if len(node.args) > 1 and isinstance(node.args[1], Lambda):
                same(found.get(ELEMENT), self.kind(node.args[1].body))
            return found.root()
        spec = BUILTINS.get(name)
        first = self.kind(node.args[0]) if node.args else Kind()
        for index, argument in enumerate(node.args[1:], 1):
            if spec is not None and index in spec.predicates:
                said = self._predicate(argument, first, where=False)
                if said is not None and (name in _MEASURED or (name == "SORT")):
                    said.root().types.add("number")
                if said is not None and name in ("COUNT", "FILTER", "ANY", "ALL"):
                    self._flag(said)
                if said is not None and name == "MAP":
                    result = Kind()
                    same(result.get(ELEMENT), said)
                    return result.root()
            else:
                self._value(argument)
        for argument in node.keywords.values():
            self._value(argument)
        if name in _OF_NUMBERS:
            for argument in node.args:
                self.kind(argument).root().types.add("number")
        if name in _MEASURED and len(node.args) == 1:
            first.get(ELEMENT).root().types.add("measured")
        if name in _SAME_LIST:
            return first.root()
        if name in _ONE_OF:
            return first.get(ELEMENT)
        return Kind()

    def _method(self, node: MethodCall) -> Kind:
        receiver = self.kind(node.receiver)
        if node.name in ("push", "append", "unshift"):
            for argument in node.args:
                same(receiver.get(ELEMENT), self.kind(argument))
            return Kind()
        method = method_of(node.name)
        for index, argument in enumerate(node.args):
            if method is not None and index in method.predicates:
                self._predicate(argument, receiver, where=False)
            else:
                self._value(argument)
        if node.name in ("shift", "pop", "find"):
            return receiver.get(ELEMENT)
        if node.name in ("toUpperCase", "toLowerCase", "trim", "split", "startsWith", "endsWith", "upper", "lower"):
            receiver.root().types.add("string")
        return receiver.root() if node.name in ("filter", "slice", "reverse", "sort") else Kind()

    def _arguments(self, node: MethodCall) -> None:
        for child in [node.receiver, *node.args, *node.keywords.values()]:
            self._value(child)

    def _predicate(self, node: Expr, source: Kind, *, where: bool) -> Kind | None:
        """The kind of what a predicate says, its names standing for the elements of ``source``."""
        element = source.get(ELEMENT)
        if isinstance(node, Const) and type(node.value) is str:
            return element.get(node.value)
        params = node.params if isinstance(node, Lambda) else []
        body = node.body if isinstance(node, Lambda) else node
        kept = dict(self.names)
        if params:
            self.names[params[-1]] = element
        else:
            inside = list(walk(body))
            heads = [each.base.name for each in inside if isinstance(each, Path) and isinstance(each.base, Name)]
            for head in dict.fromkeys(heads):
                if head not in kept or not _bound_elsewhere(kept[head]):
                    self.names[head] = element
            for alone in dict.fromkeys(each.name for each in inside if isinstance(each, Name)):
                if alone not in self.names:
                    self.names[alone] = element.get(alone) if where or element.root().fields else Kind()
        said = self.kind(body)
        self.names = kept
        return said

    # ------------------------------------------------------------ uses

    def _value(self, node: Any) -> None:
        """Visit an expression for the uses inside it."""
        match node:
            case Compare():
                self._compare(node)
            case Chain():
                self._chain(node)
            case Unary(operator="-", operand=operand):
                self._typed(operand, "number")
            case Unary(operand=operand):
                self._condition(operand)
            case Logic(operands=operands):
                for operand in operands:
                    self._condition(operand)
            case Name() | Path() | Call() | MethodCall() | Ternary() | Where():
                self.kind(node)
            case Text():
                for part in node.parts:
                    if isinstance(part, SlotPart):
                        self._value(part.value)
            case None | str():
                pass
            case _:
                for child in children(node):
                    self._value(child)

    def _chain(self, node: Chain) -> None:
        """Numbers, unless a plus may join strings: then only beside a number."""
        operands = [node.first, *(operand for _, operand, _ in node.rest)]
        counted = any(isinstance(each, Const) and type(each.value) in (int, float) for each in operands)
        if counted or any(operator != "+" for operator, _, _ in node.rest):
            for each in operands:
                self._typed(each, "number")
        else:
            for each in operands:
                self._value(each)

    def _typed(self, node: Expr, kind: str) -> None:
        self.kind(node).root().types.add(kind)

    def _condition(self, node: Expr) -> None:
        if isinstance(node, Path | Name) or (isinstance(node, Call) and id(node) in self.answers):
            self._flag(self.kind(node))
        else:
            self._value(node)

    def _flag(self, kind: Kind) -> None:
        kind.root().types.add("flag")

    def _compare(self, node: Compare) -> None:
        if node.operator in ("<", "<=", ">", ">="):
            for side, other in ((node.left, node.right), (node.right, node.left)):
                text = isinstance(other, Const) and type(other.value) is str
                self._typed(side, "string" if text else "number")
        elif node.operator in ("==", "!="):
            self._compared(node.left, node.right)
            self._compared(node.right, node.left)
        else:
            self._value(node.left)
            self.kind(node.right)

    def _compared(self, node: Expr, other: Expr) -> None:
        self._compared_kind(self.kind(node).root(), other)

    def _compared_kind(self, kind: Kind, other: Expr) -> None:
        if isinstance(other, Const) and other.value is not None:
            value = other.value
            kind.types.add({bool: "boolean", str: "string"}.get(type(value), "number"))
            if type(value) is str:
                kind.words.setdefault(value)
        else:
            self._value(other)


def _bound_elsewhere(kind: Kind) -> bool:
    """Whether a name is known to hold something of its own, so is no element of a bare predicate."""
    found = kind.root()
    return bool(found.types or found.fields)


def _awaits(statement: Stmt) -> bool:
    return (
        isinstance(statement, Await)
        or any(each.name == "await_responses" for each in _calls(statement))
        or any(_awaits(each) for block in blocks_of(statement) for each in block)
    )


def _statements(block: Block) -> Iterator[Stmt]:
    for statement in block:
        yield statement
        for inner in blocks_of(statement):
            yield from _statements(inner)


def _calls(statement: Stmt) -> Iterator[Call]:
    """The calls in a statement's own expressions."""
    inner = {id(each) for block in blocks_of(statement) for each in block}
    for child in children(statement):
        if id(child) not in inner:
            yield from (each for each in walk(child) if isinstance(each, Call))


def _broadcasts(statement: Stmt) -> Iterator[Call]:
    return (each for each in _calls(statement) if each.name == "broadcast_task")
