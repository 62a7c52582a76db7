"""
Calls of agents inside expressions become events before the statement.

Expressions cannot wait; statements can. So ``a.judge(x) + b.judge(y)`` becomes
two events whose answers are kept as *temps* of the branch, and an expression
over the temps. The order is that of the text: what stands to the left of a
call is evaluated before it, and an operand that is short-circuited away makes
no call.

Source: docs/decisions/0011-lifting-agent-calls.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opl.script.builtins import BUILTINS
from opl.script.calls import PRIMITIVES, CallKind, is_agent_call, kind_of_call, method_of, suspends
from opl.script.gathering import Gathering
from opl.script.instructions import Around, Code, Label
from opl.script.lowering import OUTSIDE, Lowered, Lowering, Names, Temp
from opl.script.resolver import Scope, predicate_positions
from opl.script.syntax import (
    Append,
    Assert,
    Assign,
    At,
    Bind,
    Call,
    Chain,
    Compare,
    Const,
    Do,
    Event,
    Expr,
    Lambda,
    ListOf,
    Logic,
    MethodCall,
    Name,
    ObjectOf,
    Path,
    SlotPart,
    Stmt,
    Ternary,
    Text,
    Where,
)

if TYPE_CHECKING:
    from opl.script.resolver import Resolution

ITEM = "%item"  # the element in a branch of parallel_map whose function is a name


class Lifting(Gathering):
    """The part of the code generator that takes calls of agents out of expressions."""

    names: Resolution
    lowering: Lowering
    helpers: Mapping[str, str]
    code: Code
    temps: int
    lifted: int
    trying: int
    statement_id: str
    depth: int
    around: list[Any]
    env: Names = OUTSIDE

    if TYPE_CHECKING:

        def emit(self, at: At, op: str, cost: int, *operands: Any) -> list[Any]:
            """See Codegen."""
            return []

        def here(self, label: Label) -> None:
            """See Codegen."""

    # ------------------------------------------------------------ values

    def expression(self, node: Expr) -> Lowered:
        """An expression that does not suspend, lowered."""
        return self.lowering.lower(node, self.env)

    def value(self, node: Expr) -> Lowered:
        """An expression, its calls of agents emitted before."""
        return self.expression(self.lift(node))

    def values(self, nodes: list[Expr]) -> list[Lowered]:
        """Several expressions, evaluated from left to right."""
        return [self.expression(node) for node in self._in_order(nodes)]

    def temp(self, node: Expr) -> Temp:
        """Evaluate an expression now and keep its value for later."""
        lowered = self.value(node)
        kept = self._new_temp(node.at)
        self.emit(node.at, "temp", 0, kept.index, lowered)
        return kept

    def _new_temp(self, at: At) -> Temp:
        self.temps += 1
        return Temp(at=at, index=self.temps - 1)

    def lift_statement(self, node: Stmt) -> Stmt:
        """A plain statement with the calls of agents taken out of its expressions."""
        match node:
            case Bind() | Do():
                given = id(node) in getattr(self, "given", ())
                found = replace(node, value=self.lift(node.value))
                if given:
                    self.given.add(id(found))  # type: ignore[attr-defined]
                return found
            case Assign() | Append():
                place, value = self._in_order_place(node.place, node.value)
                return replace(node, place=place, value=value)
            case Assert():
                return replace(node, condition=self.lift(node.condition))
        self.lowering.problem(
            node.at,
            "opl.script.suspends-here",
            "an agent cannot be asked inside this statement",
            "ask before: STATE answer = …",
        )
        return Do(at=node.at, value=Const(at=node.at, value=None), text=node.text)

    def _in_order_place(self, place: Expr, value: Expr) -> tuple[Expr, Expr]:
        """A place and its value; the indexes of the place are evaluated first."""
        if not isinstance(place, Path):
            return place, self.lift(value)
        indexes = [step.index for step in place.steps if step.index is not None]
        *lifted, value = self._in_order([*indexes, value])
        rest = iter(lifted)
        steps = [replace(step, index=next(rest)) if step.index is not None else step for step in place.steps]
        return replace(place, steps=steps), value

    # ------------------------------------------------------------ lifting

    def lift(self, node: Expr) -> Expr:
        """The same expression with temps where calls of agents stood; the calls are emitted."""
        if not suspends(node, self.helpers):
            return node
        match node:
            case Logic():
                return self._lift_logic(node)
            case Ternary():
                return self._lift_choice(node)
            case Call() if is_agent_call(node, self.helpers):
                return self._ask(node)
            case Call():
                return self._lift_arguments(node)
            case MethodCall() if is_agent_call(node, self.helpers):
                return self._ask_agent(node)
            case MethodCall():
                return self._lift_method(node)
            case ListOf(items=items):
                return replace(node, items=self._in_order(items))
            case ObjectOf():
                return self._lift_object(node)
            case Chain(first=first, rest=rest):
                head, *others = self._in_order([first, *(operand for _, operand, _ in rest)])
                pairs = zip(rest, others, strict=True)
                return replace(node, first=head, rest=[(op, operand, at) for (op, _, at), operand in pairs])
            case Compare():
                left, right = self._in_order([node.left, node.right])
                return replace(node, left=left, right=right)
            case Path():
                return self._lift_path(node)
            case Text():
                return self._lift_text(node)
            case Where():
                return replace(node, source=self.lift(node.source))
        return self._lift_fields(node)

    def _lift_fields(self, node: Expr) -> Expr:
        """A node whose fields are its operands, in order: Unary, Interval."""
        names = [name for name in node.__dataclass_fields__ if isinstance(getattr(node, name), Expr)]
        found = self._in_order([getattr(node, name) for name in names])
        changes: dict[str, Any] = dict(zip(names, found, strict=True))
        return replace(node, **changes)

    def _in_order(self, nodes: list[Expr], keep: Callable[[int], bool] = lambda _index: False) -> list[Expr]:
        """Operands from left to right; those before the last call of an agent are evaluated before it."""
        last = max((i for i, node in enumerate(nodes) if suspends(node, self.helpers)), default=-1)
        found: list[Expr] = []
        for index, node in enumerate(nodes):
            if index > last or keep(index) or isinstance(node, Const | Lambda | Temp):
                found.append(node)
            elif index == last:
                found.append(self.lift(node))
            else:
                found.append(self.temp(node))
        return found

    def _lift_logic(self, node: Logic) -> Expr:
        end, kept = Label(), self._new_temp(node.at)
        for index, operand in enumerate(node.operands):
            self.emit(operand.at, "temp", 0, kept.index, self.value(operand))
            if index + 1 < len(node.operands):
                self.emit(operand.at, "short", 0, node.operator, kept.index, end)
        self.here(end)
        return kept

    def _lift_choice(self, node: Ternary) -> Expr:
        other, end, kept = Label(), Label(), self._new_temp(node.at)
        self.emit(node.at, "unless", 0, self.value(node.condition), other)
        self.emit(node.then.at, "temp", 0, kept.index, self.value(node.then))
        self.emit(node.at, "jump", 0, end)
        self.here(other)
        self.emit(node.other.at, "temp", 0, kept.index, self.value(node.other))
        self.here(end)
        return kept

    def _lift_arguments(self, node: Call) -> Expr:
        predicates = predicate_positions(node, self.names.values)
        spec = BUILTINS.get(node.name.upper())
        positions = [*range(len(node.args)), *(spec.keywords.get(k, -1) if spec else -1 for k in node.keywords)]
        found = self._in_order([*node.args, *node.keywords.values()], lambda index: positions[index] in predicates)
        args, rest = found[: len(node.args)], found[len(node.args) :]
        return replace(node, args=args, keywords=dict(zip(node.keywords, rest, strict=True)))

    def _lift_method(self, node: MethodCall) -> Expr:
        method = method_of(node.name)
        stays = method is not None and method.mutates
        receiver, *args = self._in_order([node.receiver, *node.args], lambda index: stays and index == 0)
        return replace(node, receiver=receiver, args=args)

    def _lift_object(self, node: ObjectOf) -> Expr:
        parts = [part for key, value in node.entries for part in (key, value) if not isinstance(part, str)]
        found = iter(self._in_order(parts))
        entries = [(key if isinstance(key, str) else next(found), next(found)) for key, _ in node.entries]
        return replace(node, entries=entries)

    def _lift_path(self, node: Path) -> Expr:
        indexes = [step.index for step in node.steps if step.index is not None]
        base, *lifted = self._in_order([node.base, *indexes])
        rest = iter(lifted)
        steps = [replace(step, index=next(rest)) if step.index is not None else step for step in node.steps]
        return replace(node, base=base, steps=steps)

    def _lift_text(self, node: Text) -> Expr:
        slots = [part.value for part in node.parts if isinstance(part, SlotPart) and part.value is not None]
        found = iter(self._in_order(slots, lambda index: isinstance(slots[index], Name)))
        parts = [
            replace(part, value=next(found)) if isinstance(part, SlotPart) and part.value is not None else part
            for part in node.parts
        ]
        return replace(node, parts=parts)

    # ------------------------------------------------------------ calls

    def _request(self, node: Expr | Event, name: str, data: Lowered) -> Temp:
        """Emit an event whose reply is the value of the call."""
        self.lifted += 1
        kept = self._new_temp(node.at)
        raises = bool(self.trying) and name == "completion:async"
        identity = f"{self.statement_id}~{self.lifted}"
        found = self.emit(node.at, "event", 1, name, data, None, kept.index, "branch", raises, identity, None)
        self.code.events.setdefault(name, node.at)
        self.code.event_nodes.append((found, node))
        return kept

    def _ask(self, node: Call) -> Expr:
        kind = kind_of_call(node.name, self.helpers)
        if kind is CallKind.PARALLEL_MAP:
            return self._parallel_map(node)
        found = self._in_order([*node.args, *node.keywords.values()])
        args = [self.expression(each) for each in found[: len(node.args)]]
        keywords = dict(zip(node.keywords, map(self.expression, found[len(node.args) :]), strict=True))
        if kind is CallKind.SPAWN:
            return self._request(node, "agent:spawn", self._named(node, ("profile", "prompt"), args, keywords))
        if kind is CallKind.PRIMITIVE:
            name = node.name
            self.code.primitives.setdefault(name, node.at)
            written_out = {"broadcast_task": self.broadcast, "await_responses": self.gather, "select_best": self.choose}
            if name in written_out:
                named = self._named(node, PRIMITIVES[name], args, keywords)
                return written_out[name](node, {key[1]: each for key, each in named[1]})
            return self._request(node, f"primitive:{name}", self._named(node, PRIMITIVES[name], args, keywords))
        name = node.name if node.name in self.helpers else node.name.upper()
        self.code.judgements.setdefault(name, node.at)
        data = [
            [["const", "name"], ["const", name]],
            [["const", "arguments"], ["list", args]],
            [["const", "keywords"], ["object", [[["const", key], each] for key, each in keywords.items()]]],
            [["const", "definition"], ["const", self.helpers.get(name, "")]],
        ]
        return self._request(node, "judgement:ask", ["object", data])

    def _named(self, node: Call, params: tuple[str, ...], args: list[Lowered], keywords: dict[str, Lowered]) -> Lowered:
        """The arguments of a call as an object by the names of its parameters."""
        if len(args) > len(params):
            self.lowering.problem(
                node.at,
                "opl.script.arguments",
                f"{node.name} is given {len(args)} arguments",
                f"write {node.name}({', '.join(params)})",
                length=len(node.name),
            )
        pairs = [*zip(params, args, strict=False), *keywords.items()]
        return ["object", [[["const", name], each] for name, each in pairs]]

    def _ask_agent(self, node: MethodCall) -> Expr:
        receiver, *found = self._in_order([node.receiver, *node.args, *node.keywords.values()])
        args = [self.expression(each) for each in found[: len(node.args)]]
        keywords = list(zip(node.keywords, map(self.expression, found[len(node.args) :]), strict=True))
        place = [node.at.line, node.at.column]
        data = [
            [["const", "agent_id"], ["agent", self.expression(receiver), *place]],
            [["const", "prompt"], ["ask", node.name, args, [list(pair) for pair in keywords]]],
        ]
        return self._request(node, "completion:async", ["object", data])

    # ------------------------------------------------------------ parallel_map

    def _parallel_map(self, node: Call) -> Expr:
        if len(node.args) != 2 or node.keywords:
            self.lowering.problem(
                node.at,
                "opl.script.arguments",
                "parallel_map takes a list and what to do",
                "write parallel_map(agents, evaluate) or parallel_map(items, x => …)",
                length=len(node.name),
            )
            return Const(at=node.at, value=None)
        source = self.value(node.args[0])
        kept, exit_, entry = self._new_temp(node.at), Label(), Label()
        function = node.args[1]
        params = function.params if isinstance(function, Lambda) else [ITEM]
        described = [["map", list(params), source, entry, kept.index, []]]
        self.emit(node.at, "parallel", 1, None, described, exit_)
        around, depth, scope, env = self.around, self.depth, self.lowering.scope, self.env
        self.around, self.depth = [Around(again=None, out=None, depth=0, branch=True)], 0
        self.lowering.scope = Scope(parent=scope, strong=set(params))
        self.env = Names(local={**env.local, **{each: ["var", each, node.at.line, node.at.column] for each in params}})
        self.here(entry)
        self.emit(node.at, "yield", 0, kept.index, self._mapped(node, function))
        self.emit(node.at, "end", 0)
        scope.reads |= self.lowering.scope.reads
        self.around, self.depth, self.lowering.scope, self.env = around, depth, scope, env
        self.here(exit_)
        return kept

    def _mapped(self, node: Call, function: Expr) -> Lowered:
        """What a branch of parallel_map gives: the lambda's body, or the answer of the element."""
        if isinstance(function, Lambda):
            return self.value(function.body)
        if isinstance(function, Name) and not self.names.knows(function.name):
            what: Lowered = ["const", function.name]
        else:
            what = self.value(function)
        place = [node.at.line, node.at.column]
        item = ["var", ITEM, *place]
        data = ["object", [[["const", "agent_id"], ["agent", item, *place]], [["const", "prompt"], what]]]
        return self.expression(self._request(node, "completion:async", data))
