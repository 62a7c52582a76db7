"""
Statements that never wait, as the ``plain`` instruction holds them: ``[op, line, column, …]``.
"""

from __future__ import annotations

from typing import Any

from opl.script.instructions import Around, Label
from opl.script.lifting import Lifting
from opl.script.lowering import Lowered
from opl.script.resolver import INDEX, Resolution
from opl.script.syntax import (
    Append,
    Assert,
    Assign,
    At,
    Bind,
    Block,
    Branch,
    Break,
    Call,
    Do,
    Expr,
    ForEach,
    If,
    Loop,
    Name,
    Return,
    Stmt,
    Switch,
    Try,
    UpdateWhere,
    Use,
    While,
    walk,
)


class PlainStatements(Lifting):
    """The part of the code generator for statements that never wait."""

    names: Resolution
    around: list[Around]
    depth: int
    given: set[int]  # id() of the Binds that a start may override

    def plain_block(self, block: Block) -> list[Lowered]:
        """The statements of a block that never waits."""
        return [self.plain(statement) for statement in block]

    def plain(self, node: Stmt) -> Lowered:
        """``[op, line, column, …]``"""
        place = [node.at.line, node.at.column]
        lower = self.expression
        match node:
            case Bind():
                self._not_the_index(node.name, node.at)
                return ["set", *place, node.name, lower(node.value), id(node) in self.given]
            case Assign():
                name, steps = self.target(node.place)
                return ["assign", *place, name, steps, lower(node.value), node.operator]
            case Append():
                name, steps = self.target(node.place)
                return ["append", *place, name, steps, lower(node.value)]
            case If():
                arms = [[lower(test), self.plain_block(block)] for test, block in node.arms]
                return ["if", *place, arms, self.plain_block(node.other or [])]
            case Switch():
                cases = [[[lower(v) for v in values], self.plain_block(block)] for values, block in node.cases]
                return ["switch", *place, lower(node.subject), cases, self.plain_block(node.other or [])]
            case While():
                return ["while", *place, lower(node.condition), self._inner(node.body), node.until]
            case Loop():
                self._not_the_index(node.name, node.at)
                return ["loop", *place, node.name, lower(node.low), lower(node.high), self._inner(node.body)]
            case ForEach():
                for name in node.names:
                    self._not_the_index(name, node.at)
                body = self._inner(node.body)
                return ["each", *place, list(node.names), lower(node.source), body, mentions_index(node.body)]
            case Try():
                return ["try", *place, self.plain_block(node.body), node.name, self.plain_block(node.handler)]
            case Return():
                return ["return", *place, lower(node.value) if node.value else ["const", None]]
            case Use():
                return ["use", *place, self._strategy(node.value)]
            case Do():
                return ["do", *place, lower(node.value)]
            case Assert():
                message = lower(node.message) if node.message else None
                return ["assert", *place, lower(node.condition), message, node.text]
            case UpdateWhere():
                return self._update_where(node, place)
        return self._jump(node, place)

    def _inner(self, body: Block) -> list[Lowered]:
        self.around.append(Around(again=Label(), out=Label(), depth=self.depth))
        found = self.plain_block(body)
        self.around.pop()
        return found

    def _jump(self, node: Stmt, place: list[int]) -> Lowered:
        near = self.around[-1] if self.around else None
        if isinstance(node, Branch):
            self.lowering.problem(
                node.at, "opl.syntax.stray", "BRANCH stands outside PARALLEL", "put it directly inside PARALLEL"
            )
            return ["do", *place, ["const", None]]
        word = "BREAK" if isinstance(node, Break) else "CONTINUE"
        if near is None or (near.branch and near.again is None):
            return self._stray(node, word, f"{word} stands outside a loop", "use RETURN to end the script")
        if near.branch and word == "BREAK":
            message = "BREAK cannot end a FOREACH whose iterations run in parallel"
            return self._stray(node, word, message, "use CONTINUE, or RETURN")
        return [word.lower(), *place]

    def _stray(self, node: Stmt, word: str, message: str, hint: str) -> Lowered:
        self.lowering.problem(node.at, "opl.script.stray-jump", message, hint, length=len(word))
        return ["do", node.at.line, node.at.column, ["const", None]]

    def _not_the_index(self, name: str, at: At) -> None:
        if name == INDEX:
            self.lowering.problem(
                at, "opl.script.read-only", f"{INDEX} belongs to FOREACH", "use another name", length=len(name)
            )

    def target(self, node: Expr) -> list[Any]:
        """``[name, [accessor…]]`` of what is assigned to."""
        found = self.lowering.place(node)
        if found is None:
            self.lowering.problem(
                node.at,
                "opl.syntax.place",
                "this cannot be assigned to",
                "write a variable, with .field or [index] behind it",
            )
            return ["", []]
        self._not_the_index(found[0], node.at)
        return found

    def _update_where(self, node: UpdateWhere, place: list[int]) -> Lowered:
        name, steps = self.target(node.place)
        slot = self.lowering.slot()
        inner = self.env.inner(where=slot)
        condition = self.lowering.lower(node.condition, inner)
        changes = [
            [field_, self.lowering.lower(value, inner), at.line, at.column] for field_, value, at in node.changes
        ]
        return ["update_where", *place, name, steps, slot, condition, changes]

    def _strategy(self, node: Expr) -> Lowered:
        """The strategy that USE names: a bare name that is no variable is its own name."""
        if isinstance(node, Name):
            node = Call(at=node.at, name="%AGENT", args=[node])
        return self.value(node)


def mentions_index(body: Block) -> bool:
    """Whether a block reads FOREACH_INDEX."""
    return any(isinstance(node, Name) and node.name == INDEX for statement in body for node in walk(statement))
