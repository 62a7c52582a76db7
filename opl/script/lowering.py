"""
Expressions of the tree become expressions of a program: nested JSON arrays.

An array begins with its operator. Names are resolved here: a variable, a
parameter of a lambda (``["local", slot]``), or the element that a bare
predicate speaks of. What a predicate's names mean is decided by the rules of
section "Expressions over collections", and nowhere else.

=====================================  ==================================================
``["const", v]``                       a literal
``["text", [parts], line, column]``    a template; a part is a string or ``[expr, raw, root, filters]``
``["var", name, line, column]``        a variable
``["local", slot]``                    a parameter of a lambda
``["own", slot, name]``                the element's field of that name where it has it, else the element
``["where", slot, name, line, col]``   the element's field, else the variable, else the element
``["self", name]``                     a variable, or its own name where there is none
``["temp", k]``                        the answer of a call that was lifted
``["field", e, name, line, col]``      ``["index", e, index, line, col]``
``["list", [e…]]``                     ``["object", [[key, e]…]]``
``["call", NAME, [args], line, col]``  an argument may be ``["fn", arity, [slots], body]`` or ``["key", …]``
``["method", name, e, place, [args], line, col]``
``["add", a, b, line, col]`` …         operators; ``and``, ``or``, ``not``, ``if``
=====================================  ==================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opl.errors import Problem, Severity
from opl.script.builtins import BUILTINS
from opl.script.calls import CallKind, is_agent_call, kind_of_call, method_of
from opl.script.parser.cursor import problem_at
from opl.script.predicates import OUTSIDE, Lowered, Names, Predicates
from opl.script.resolver import GROUPERS, INDEX, Resolution, Scope, predicate_positions, root_name, static_kind
from opl.script.syntax import (
    At,
    Call,
    Chain,
    Compare,
    Const,
    Expr,
    Interval,
    Lambda,
    ListOf,
    Logic,
    MethodCall,
    Name,
    ObjectOf,
    Path,
    Step,
    Ternary,
    Text,
    Unary,
    Where,
)

_OPERATORS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "//": "floor_divide", "%": "modulo"}
_COMPARE = {"==": "equal", "!=": "differ", "<": "less", "<=": "at_most", ">": "more", ">=": "at_least"}


@dataclass(slots=True, kw_only=True)
class Temp(Expr):
    """Stands where a lifted call stood; ``index`` is its place among the branch's answers."""

    index: int


class Lowering(Predicates):
    """Lowers expressions of one script, noting problems as it goes."""

    def __init__(self, names: Resolution, helpers: Mapping[str, str], report: Callable[[Problem], None]) -> None:
        self.names = names
        self.helpers = helpers
        self.report = report
        self.scope: Scope = names.root
        self.slots = 0
        self.optional: dict[str, At] = {}  # unbound names that are no inputs by rule: read in predicates
        self.warned: set[str] = set()
        self.used: set[str] = set()  # builtins, for the program's summary

    # ------------------------------------------------------------ problems

    def problem(
        self, at: At, code: str, message: str, hint: str, *, severity: Severity = Severity.ERROR, length: int = 1
    ) -> None:
        """Note something about the text."""
        self.report(problem_at(at, code, message, hint, severity=severity, length=length))

    def warn_once(self, name: str, at: At, message: str, hint: str) -> None:
        """One warning per unbound name."""
        if name not in self.warned:
            self.warned.add(name)
            self.problem(at, "opl.script.unbound-name", message, hint, severity=Severity.WARNING, length=len(name))

    def slot(self) -> int:
        """A place for a lambda's parameter."""
        self.slots += 1
        return self.slots - 1

    # ------------------------------------------------------------ expressions

    def lower(self, node: Expr, names: Names = OUTSIDE) -> Lowered:
        """The program's form of an expression without calls that suspend."""
        match node:
            case Const(value=value):
                return ["const", value]
            case Temp(index=index):
                return ["temp", index]
            case _Local(slot=slot):
                return ["local", slot]
            case Name():
                return self._name(node, names)
            case Text():
                return self._text(node, names)
            case Path(base=base, steps=steps):
                return self._path(self.lower(base, names), steps, names)
            case ListOf(items=items):
                return ["list", [self.lower(item, names) for item in items]]
            case ObjectOf(entries=entries):
                return ["object", [[self._key(key, names), self.lower(value, names)] for key, value in entries]]
            case Unary(operator="not", operand=operand):
                return ["not", self.lower(operand, names)]
            case Unary(operand=operand):
                return ["negate", self.lower(operand, names), node.at.line, node.at.column]
            case Chain(first=first, rest=rest):
                found = self.lower(first, names)
                if len(rest) > 1:
                    parts = [[_OPERATORS[op], self.lower(each, names), at.line, at.column] for op, each, at in rest]
                    return ["chain", found, parts]
                operator, operand, at = rest[0]
                return [_OPERATORS[operator], found, self.lower(operand, names), at.line, at.column]
            case Compare():
                return self._compare(node, names)
            case Logic(operator=operator, operands=operands):
                return [operator, [self.lower(each, names) for each in operands]]
            case Ternary():
                parts3 = (node.condition, node.then, node.other)
                return ["if", *(self.lower(part, names) for part in parts3)]
            case Interval(low=low, high=high):
                return ["interval", self.lower(low, names), self.lower(high, names), node.at.line, node.at.column]
            case Where():
                return self._where(node, names)
            case Call():
                return self._call(node, names)
            case MethodCall():
                return self._method(node, names)
        self.problem(
            node.at, "opl.syntax.lambda", "a lambda may only be an argument of a function", "write FILTER(list, x => …)"
        )
        return ["const", None]

    def _key(self, key: str | Expr, names: Names) -> Lowered:
        return ["const", key] if isinstance(key, str) else self.lower(key, names)

    def _compare(self, node: Compare, names: Names) -> Lowered:
        left, right = self.lower(node.left, names), self.lower(node.right, names)
        place = [node.at.line, node.at.column]
        if node.operator == "not in":
            return ["not", ["in", left, right, *place]]
        return [_COMPARE.get(node.operator, "in"), left, right, *place]

    def _path(self, found: Lowered, steps: list[Step], names: Names) -> Lowered:
        for step in steps:
            place = [step.at.line, step.at.column]
            if step.field is not None:
                found = ["field", found, step.field, *place]
            else:
                assert step.index is not None
                found = ["index", found, self.lower(step.index, names), *place]
        return found

    def _name(self, node: Name, names: Names) -> Lowered:
        found = names.find(node.name)
        if found is not None:
            return found
        if names.where is not None:
            return ["where", names.where, node.name, node.at.line, node.at.column]
        self.scope.reads.add(node.name)
        if not self.names.knows(node.name):
            self._unbound(node)
        elif node.name in self.names.inputs:
            self.warn_once(
                node.name,
                node.at,
                f"nothing binds '{node.name}'; it is an input without a default",
                f"write STATE {node.name} = … before, or give it when the run is started",
            )
        return ["var", node.name, node.at.line, node.at.column]

    def _unbound(self, node: Name) -> None:
        self.optional.setdefault(node.name, node.at)
        self.warn_once(
            node.name,
            node.at,
            f"nothing binds '{node.name}'; it reads as null",
            f"write STATE {node.name} = … before, or correct the name",
        )

    def _text(self, node: Text, names: Names) -> Lowered:
        parts: list[Any] = []
        for part in node.parts:
            if isinstance(part, str):
                parts.append(part)
            elif part.value is None:
                self.problem(
                    node.at,
                    "opl.script.template-text",
                    f"{_shortened(part.raw)} holds no expression and stays in the text",
                    "write {{name}} with a name or an expression",
                    severity=Severity.WARNING,
                    length=len(part.raw),
                )
                parts.append([None, part.raw, None, []])
            else:
                root = root_name(part.value)
                if root is not None and (names.where is not None or names.find(root) is not None):
                    root = None
                parts.append([self.lower(part.value, names), part.raw, root, [list(each) for each in part.filters]])
        if node.bare and len(parts) == 1 and not isinstance(parts[0], str) and parts[0][0] is not None:
            value, _, _, filters = parts[0]
            return ["filtered", value, filters, node.at.line, node.at.column] if filters else value
        return ["text", parts, node.at.line, node.at.column]

    # ------------------------------------------------------------ calls

    def _call(self, node: Call, names: Names) -> Lowered:
        if node.name == "%AGENT":
            return self._agent_name(node.args[0], names)
        if node.name == "%ID":
            return ["agent", self.lower(node.args[0], names), node.at.line, node.at.column]
        if node.name == "%SHARE":
            value = ["call", "JSON.STRINGIFY", [self.lower(node.args[0], names)], node.at.line, node.at.column]
            return ["add", ["const", "STATE UPDATE: "], value, node.at.line, node.at.column]
        if node.name in ("%WITH", "%AGGREGATE"):
            args = [self.lower(argument, names) for argument in node.args]
            return [node.name[1:].lower(), *args, node.at.line, node.at.column]
        kind = kind_of_call(node.name, self.helpers)
        if kind is CallKind.UNKNOWN:
            self._unknown(node)
            return ["const", None]
        if kind is not CallKind.BUILTIN:
            self._suspending(node.at, node.name)
            return ["const", None]
        return self._builtin(node, names)

    def _agent_name(self, node: Expr, names: Names) -> Lowered:
        assert isinstance(node, Name)
        found = names.find(node.name)
        if found is not None:
            return found
        self.scope.reads.add(node.name)
        return ["self", node.name]

    def _unknown(self, node: Call) -> None:
        from difflib import get_close_matches

        close = get_close_matches(node.name.upper(), BUILTINS, 1)
        hint = f"did you mean {close[0]}" if close else "write it in upper case to have an agent judge it"
        self.problem(
            node.at, "opl.script.unknown-function", f"there is no function '{node.name}'", hint, length=len(node.name)
        )

    def _suspending(self, at: At, name: str) -> None:
        self.problem(
            at,
            "opl.script.suspends-in-predicate",
            f"{name} asks an agent, which cannot be done for the elements of a predicate",
            "ask in a FOREACH before, and use the answers here",
            length=len(name),
        )

    def _builtin(self, node: Call, names: Names) -> Lowered:
        name = node.name.upper()
        self.used.add(name)
        spec = BUILTINS[name]
        node = self._grouped(node, name, names)
        positions = predicate_positions(node, self.names.values)
        slots: list[Lowered | None] = [
            self._argument(argument, index in positions, node, index, names) for index, argument in enumerate(node.args)
        ]
        for keyword, argument in self._directed(node.keywords).items():
            place = spec.keywords.get(keyword)
            if place is None or (place < len(slots) and slots[place] is not None):
                known = ", ".join(sorted(spec.keywords)) or "none"
                self.problem(
                    argument.at,
                    "opl.script.keyword",
                    f"{name} has no argument '{keyword}' left",
                    f"its arguments are {known}",
                    length=len(keyword),
                )
                continue
            slots += [None] * (place + 1 - len(slots))
            slots[place] = self._argument(argument, place in positions, node, place, names)
        if not self._counted(node, name, len(slots)):
            return ["const", None]
        return ["call", name, [each or ["const", None] for each in slots], node.at.line, node.at.column]

    @staticmethod
    def _directed(keywords: dict[str, Expr]) -> dict[str, Expr]:
        """``descending=true`` says ``direction="DESC"``."""
        if "descending" not in keywords:
            return keywords
        test = keywords["descending"]
        words = [Const(at=test.at, value=word) for word in ("DESC", "ASC")]
        direction = Ternary(at=test.at, condition=test, then=words[0], other=words[1])
        return {**{key: value for key, value in keywords.items() if key != "descending"}, "direction": direction}

    def _grouped(self, node: Call, name: str, names: Names) -> Call:
        """Inside an aggregate, ``SUM(field)`` and ``COUNT()`` get the group as their list."""
        if names.group is None or name not in GROUPERS or len(node.args) > 1:
            return node
        group: Expr = _Local(at=node.at, slot=names.group)
        if node.args and name in ("MIN", "MAX", "FIRST", "LAST"):
            group = Call(at=node.at, name="MAP", args=[group, *node.args])
            return Call(at=node.at, name=node.name, args=[group], keywords=node.keywords)
        return Call(at=node.at, name=node.name, args=[group, *node.args], keywords=node.keywords)

    def _counted(self, node: Call, name: str, given: int) -> bool:
        """Whether a builtin takes so many arguments; a problem where it does not."""
        spec = BUILTINS[name]
        if given < spec.min_args or (spec.max_args is not None and given > spec.max_args):
            self.problem(
                node.at,
                "opl.script.arguments",
                f"{name} is given {given} argument{'' if given == 1 else 's'}",
                f"write {spec.signature}",
                length=len(node.name),
            )
            return False
        return True

    def _argument(self, node: Expr, predicate: bool, call: Call, index: int, names: Names) -> Lowered:
        if call.name.upper() == "GROUP_BY" and index == 2 and not isinstance(node, Lambda):
            return self._aggregate(node, names)
        if predicate:
            return self.predicate(node, names, either=BUILTINS[call.name.upper()].key_needs_list)
        if isinstance(node, Lambda):
            self.problem(
                node.at,
                "opl.script.lambda",
                f"argument {index + 1} of {call.name.upper()} is no predicate",
                f"write {BUILTINS[call.name.upper()].signature}",
            )
            return ["const", None]
        return self.lower(node, names)

    def _aggregate(self, node: Expr, names: Names) -> Lowered:
        slot = self.slot()
        return ["fn", 1, [slot], self.lower(node, names.inner(group=slot))]

    def _where(self, node: Where, names: Names) -> Lowered:
        source = self.lower(node.source, names)
        slot = self.slot()
        inner = names.inner(where=slot)
        condition = ["fn", 1, [slot], self.lower(node.condition, inner)]
        self.used.add("FILTER")
        return ["call", "FILTER", [source, condition], node.at.line, node.at.column]

    def _method(self, node: MethodCall, names: Names) -> Lowered:
        method = method_of(node.name)
        if method is None:
            self._suspending(node.at, f".{node.name}")
            return ["const", None]
        receiver = self.lower(node.receiver, names)
        place: list[Any] | None = None
        if method.mutates and names.inside:
            self.problem(
                node.at,
                "opl.script.changes-in-predicate",
                f".{node.name} changes its list, which a predicate may not do",
                "change it in a statement of its own",
                length=len(node.name),
            )
        elif method.mutates:
            place = self.place(node.receiver)
        args = [
            self.predicate(argument, names) if index in method.predicates else self.lower(argument, names)
            for index, argument in enumerate(node.args)
        ]
        if (
            node.keywords
            or len(args) < method.min_args
            or (method.max_args is not None and len(args) > method.max_args)
        ):
            self.problem(
                node.at,
                "opl.script.arguments",
                f".{node.name} is given {len(args)} argument{'' if len(args) == 1 else 's'}",
                f"write {method.signature or node.name}",
                length=len(node.name),
            )
            return ["const", None]
        return ["method", method.name, receiver, place, args, node.at.line, node.at.column]

    def place(self, node: Expr) -> list[Any] | None:
        """``[name, [accessor…]]`` of what can be assigned to, or None for any other expression."""
        if isinstance(node, Name):
            return [node.name, []]
        if isinstance(node, Path) and isinstance(node.base, Name):
            steps = [
                ["const", step.field] if step.field is not None else self.lower(step.index or step_error())
                for step in node.steps
            ]
            return [node.base.name, steps]
        return None


def step_error() -> Expr:
    """A path's step without field and index, which the parser never builds."""
    raise AssertionError("a step is a field or an index")


@dataclass(slots=True, kw_only=True)
class _Local(Expr):
    """The group inside an aggregate."""

    slot: int


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"


__all__ = ["INDEX", "OUTSIDE", "Lowered", "Lowering", "Names", "Temp", "is_agent_call", "static_kind"]
