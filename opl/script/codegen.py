"""
Statements become instructions.

A program is one flat list of instructions. What never waits is gathered: a run
of such statements, however deeply nested, is one ``plain`` instruction that
the machine carries out without looking up. Only what waits or emits stands in
the list itself, with jumps around it, so that a position in the script is a
number.

An instruction is ``[op, cost, …]``; ``cost`` is how many statements it counts.

========================================== ================================================
``plain, 0, block, targets``               statements that never wait; targets of BREAK and CONTINUE
``jump, 0, pc`` · ``unless, c, e, pc``     ``short, 0, "and", k, pc``: jump where temp k decides
``temp, 0, k, e`` · ``drop, 0``            an answer or a part of an expression; forget them
``enter, 1`` · ``tick, 1``                 begin a WHILE; begin an iteration of it
``each, 1, e, indexed``                    begin a FOREACH; ``next, 0, names, exit``
``range, 1, low, high``                    begin a LOOP; ``count, 0, name, exit``
``leave, 0`` · ``unwind, 1, depth, pc``    end a loop or TRY; leave several at once
``try, 1, pc`` · ``catch, 0, name``
``event, 1, name, data, bind, temp, mode, raises, id, shape``
``await, 1, name, source, mode, timeout, late, collect, partial, void[, events, fits]``
``wait, 1, e`` · ``track, 1, e``
``parallel, 1, limit, branches, exit``     ``yield, 0, k, e`` · ``end, 0``
``observe, 1, patterns, branch, exit``     from here on matching events carry the branch out
``return, 1, e`` · ``use, 1, e``
========================================== ================================================

Source: docs/decisions/0010-one-plain-instruction.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from opl.script.calls import ASKING, INBOX, OBSERVE, suspends
from opl.script.choosing import EVENT as CHOICE
from opl.script.instructions import Around, Code, Frozen, Label
from opl.script.lowering import Lowering
from opl.script.plaingen import PlainStatements, mentions_index
from opl.script.resolver import Resolution
from opl.script.syntax import (
    At,
    Await,
    Block,
    Branch,
    Break,
    Compare,
    Continue,
    Event,
    Expr,
    ForEach,
    If,
    Logic,
    Loop,
    Observe,
    Parallel,
    Return,
    Stmt,
    Switch,
    Track,
    Try,
    Use,
    Wait,
    While,
    blocks_of,
    children,
    walk,
)

WAITING = (Event, Await, Wait, Track, Parallel, Observe)
STRATEGY = "strategy"  # what USE in a stage of a flow binds


class Codegen(PlainStatements):
    """Generates the instructions of one script."""

    def __init__(self, names: Resolution, lowering: Lowering, helpers: Mapping[str, str]) -> None:
        self.names = names
        self.lowering = lowering
        self.helpers = helpers
        self.code = Code()
        self.around: list[Around] = []
        self.depth = 0  # frames on the branch's stack at this point
        self.trying = 0  # TRY bodies around this point
        self.temps = 0
        self.seen: dict[str, int] = {}
        self.given: set[int] = set()  # id() of the Binds that a start may override
        self.statement_id = ""
        self.lifted = 0
        self._waits: dict[int, bool] = {}
        self.staged = False  # whether the script is a flow
        self.stage_end: Label | None = None  # inside a stage of a flow: where the next one begins

    # ------------------------------------------------------------ emitting

    def emit(self, at: At, op: str, cost: int, *operands: Any) -> list[Any]:
        """Add an instruction."""
        instruction = [op, cost, *operands]
        self.code.instructions.append(instruction)
        self.code.places.append([at.line, at.column])
        return instruction

    def here(self, label: Label) -> None:
        """Place a label."""
        label.pc = len(self.code.instructions)

    def identity(self, statement: Stmt) -> str:
        """A name for the statement that survives edits elsewhere in the script."""
        digest = hashlib.blake2b(" ".join(statement.text.split()).encode(), digest_size=4).hexdigest()
        number = self.seen.get(digest, 0)
        self.seen[digest] = number + 1
        return f"{digest}.{number}" if number else digest

    # ------------------------------------------------------------ what waits

    def waits(self, statement: Stmt) -> bool:
        """Whether the statement, or one inside it, waits or emits."""
        known = self._waits.get(id(statement))
        if known is None:
            known = isinstance(statement, WAITING) or self._asks(statement)
            known = known or (self.staged and isinstance(statement, Use))
            known = known or any(self.waits(each) for block in blocks_of(statement) for each in block)
            self._waits[id(statement)] = known
        return known

    def _asks(self, statement: Stmt) -> bool:
        """Whether an expression of the statement itself, not of its blocks, asks an agent."""
        inner = {id(each) for block in blocks_of(statement) for each in block}
        return any(
            isinstance(child, Expr) and suspends(child, self.helpers)
            for child in children(statement)
            if id(child) not in inner
        )

    # ------------------------------------------------------------ blocks

    def block(self, block: Block) -> None:
        """The instructions of a block, runs of plain statements gathered."""
        plain: list[Stmt] = []
        for statement in block:
            if not self.waits(statement):
                plain.append(statement)
                continue
            self.flush(plain)
            plain = []
            self.statement(statement)
        self.flush(plain)

    def flow(self, body: Block, first_lines: Sequence[int]) -> None:
        """The stages of a flow, one after the other."""
        starts = sorted(first_lines)
        for place, start in enumerate(starts):
            until = starts[place + 1] if place + 1 < len(starts) else None
            self.stage_end = Label()
            self.block([each for each in body if each.at.line >= start and (until is None or each.at.line < until)])
            self.here(self.stage_end)
        self.stage_end = None

    def _use(self, node: Use) -> None:
        """Of a script: the end, with the strategy as its result. Of a stage: the strategy, then the next stage."""
        if self.stage_end is None:
            self.emit(node.at, "use", 1, self._strategy(node.value))
            return
        name, data = "strategy:use", ["object", [[["const", "strategy"], self._strategy(node.value)]]]
        self.code.events.setdefault(name, node.at)
        self.emit(node.at, "event", 1, name, data, STRATEGY, None, "branch", True, self.statement_id, None)
        if not any(each.branch for each in self.around):
            jump = ["break", node.at.line, node.at.column]
            self.emit(node.at, "plain", 0, Frozen([jump]), [self.stage_end, self.stage_end, 0])

    def flush(self, plain: list[Stmt]) -> None:
        """One instruction for a run of plain statements."""
        if not plain:
            return
        statements = self.plain_block(plain)
        targets = None
        if self.around and any(isinstance(node, Break | Continue) for each in plain for node in walk(each)):
            near = self.around[-1]
            targets = [near.out, near.again, near.depth]
        self.emit(plain[0].at, "plain", 0, Frozen(statements), targets)

    def statement(self, node: Stmt) -> None:
        """The instructions of a statement that waits."""
        self.statement_id, self.lifted = self.identity(node), 0
        before = self.temps
        match node:
            case Event():
                self._event(node)
            case If():
                self._if(node)
            case Switch():
                self._switch(node)
            case While():
                self._while(node)
            case Loop():
                self._loop(node)
            case ForEach():
                self._foreach(node)
            case Try():
                self._try(node)
            case Parallel():
                self._parallel(node)
            case Await():
                self._await(node)
            case Wait():
                self.emit(node.at, "wait", 1, self.value(node.seconds))
            case Track():
                self.emit(node.at, "track", 1, self.value(node.data))
            case Return():
                self.emit(node.at, "return", 1, self.value(node.value) if node.value else ["const", None])
            case Use():
                self._use(node)
            case Branch():
                self.block(node.body)
            case Observe():
                self._observe(node)
            case _:
                self._lifted_plain(node)
        if self.temps > before:
            self.emit(node.at, "drop", 0)

    def _lifted_plain(self, node: Stmt) -> None:
        """A statement that would be plain but for a call of an agent inside it."""
        lifted = self.lift_statement(node)
        self.emit(node.at, "plain", 0, Frozen(self.plain_block([lifted])), None)

    # ------------------------------------------------------------ events and waiting

    def _event(self, node: Event) -> None:
        data = self.value(node.data) if node.data is not None else ["object", []]
        if node.name == CHOICE:
            self._choice(node, data)
            return
        self.code.events.setdefault(node.name, node.at)
        raises = bool(self.trying) and node.name in ASKING
        if node.bind:
            mode = "branch"
        elif raises:
            mode = "both"
        else:
            mode = "inbox" if node.name in INBOX else "none"
        found = self.emit(
            node.at, "event", 1, node.name, Frozen(data), node.bind, None, mode, raises, self.statement_id, None
        )
        self.code.event_nodes.append((found, node))

    def _choice(self, node: Event, data: Any) -> None:
        """The primitive as an event is asked in both orders too."""
        asked = self._kept(node.at, "asked", data)
        given = {name: self._computed(node.at, f"asked.{name}", asked=asked) for name in ("options", "criteria")}
        found = self.expression(self.choose(node, given))
        if node.bind is not None:
            place = [node.at.line, node.at.column]
            self.emit(node.at, "plain", 0, [["set", *place, node.bind, found, False]], None)

    def _await(self, node: Await) -> None:
        source = self.value(node.source) if node.source is not None else None
        timeout = self.value(node.timeout) if node.timeout is not None else None
        collect = self.value(node.collect) if node.collect is not None else None
        late, end = Label(), Label()
        narrower = [self.value(each) if each is not None else None for each in (node.events, node.fits)]
        operands = [node.name, source, node.mode, timeout, late, collect, node.partial, node.void]
        self.emit(node.at, "await", 1, *operands, *(narrower if any(narrower) else ()))
        self.block(node.body)
        self.emit(node.at, "jump", 0, end)
        self.here(late)
        self.block(node.late or [])
        self.here(end)

    # ------------------------------------------------------------ control flow

    def _if(self, node: If) -> None:
        end = Label()
        for number, (condition, block) in enumerate(node.arms):
            after = Label()
            self.emit(condition.at, "unless", 0 if number else 1, self.value(condition), after)
            self.block(block)
            self.emit(condition.at, "jump", 0, end)
            self.here(after)
        self.block(node.other or [])
        self.here(end)

    def _switch(self, node: Switch) -> None:
        end, subject = Label(), self.temp(node.subject)
        for number, (values, block) in enumerate(node.cases):
            after = Label()
            tests: list[Expr] = [Compare(at=each.at, operator="==", left=subject, right=each) for each in values]
            test = tests[0] if len(tests) == 1 else Logic(at=values[0].at, operator="or", operands=tests)
            self.emit(values[0].at, "unless", 0 if number else 1, self.value(test), after)
            self.block(block)
            self.emit(values[0].at, "jump", 0, end)
            self.here(after)
        self.block(node.other or [])
        self.here(end)

    def _while(self, node: While) -> None:
        head, again, out = Label(), Label(), Label()
        self.emit(node.at, "enter", 1)
        self.depth += 1
        self.here(head)
        if not node.until:
            self.here(again)
            self.emit(node.condition.at, "unless", 0, self.value(node.condition), out)
        self.emit(node.at, "tick", 1)
        self._loop_body(node.body, again, out)
        if node.until:
            self.here(again)
            self.emit(node.condition.at, "unless", 0, self.value(node.condition), head)
        else:
            self.emit(node.at, "jump", 0, head)
        self._loop_end(node.at, out)

    def _loop(self, node: Loop) -> None:
        head, out = Label(), Label()
        self._not_the_index(node.name, node.at)
        self.emit(node.at, "range", 1, *self.values([node.low, node.high]))
        self.depth += 1
        self.here(head)
        self.emit(node.at, "count", 0, node.name, out)
        self._loop_body(node.body, head, out)
        self.emit(node.at, "jump", 0, head)
        self._loop_end(node.at, out)

    def _foreach(self, node: ForEach) -> None:
        head, out = Label(), Label()
        for name in node.names:
            self._not_the_index(name, node.at)
        self.emit(node.at, "each", 1, self.value(node.source), len(node.names), mentions_index(node.body))
        self.depth += 1
        self.here(head)
        self.emit(node.at, "next", 0, list(node.names), out)
        self._loop_body(node.body, head, out)
        self.emit(node.at, "jump", 0, head)
        self._loop_end(node.at, out)

    def _loop_body(self, body: Block, again: Label, out: Label) -> None:
        self.around.append(Around(again=again, out=out, depth=self.depth))
        self.block(body)
        self.around.pop()

    def _loop_end(self, at: At, out: Label) -> None:
        self.here(out)
        self.emit(at, "leave", 0)
        self.depth -= 1

    def _try(self, node: Try) -> None:
        handler, end = Label(), Label()
        self.emit(node.at, "try", 1, handler)
        self.depth += 1
        self.trying += 1
        self.block(node.body)
        self.trying -= 1
        self.depth -= 1
        self.emit(node.at, "leave", 0)
        self.emit(node.at, "jump", 0, end)
        self.here(handler)
        self.emit(node.at, "catch", 0, node.name)
        self.block(node.handler)
        self.here(end)

    # ------------------------------------------------------------ parallel

    def _parallel(self, node: Parallel) -> None:
        limit = self.value(node.limit) if node.limit is not None else None
        exit_ = Label()
        sources = [self.value(each.source) if isinstance(each, ForEach) else None for each in node.branches]
        described: list[list[Any]] = []
        self.emit(node.at, "parallel", 1, limit, described, exit_)
        for branch, source in zip(node.branches, sources, strict=True):
            entry = Label()
            if isinstance(branch, ForEach):
                described.append(["each", branch.names, source, entry, mentions_index(branch.body)])
            else:
                described.append(["one", branch.name, None, entry, False])
            self.code.branches.append((described[-1], len(described[-1]), self.names.scopes[id(branch)]))
            described[-1].append([])
            self.branch(entry, branch, branch.body)
        self.here(exit_)

    def branch(self, entry: Label, node: Stmt, body: Block) -> None:
        """The instructions of one branch, apart from the others."""
        around, depth, scope = self.around, self.depth, self.lowering.scope
        end = Label()
        self.around = [Around(again=end if isinstance(node, ForEach) else None, out=None, depth=0, branch=True)]
        self.depth = 0
        self.lowering.scope = self.names.scopes[id(node)]
        self.here(entry)
        self.block(body)
        self.here(end)
        self.emit(node.at, "end", 0)
        self.around, self.depth, self.lowering.scope = around, depth, scope

    def _observe(self, node: Observe) -> None:
        """The block that events carry out, then the primitive, whose reply is the subscription."""
        patterns, out, entry = self.temp(node.patterns), Label(), Label()
        callback = node.callback
        described = ["each", callback.names, None, entry, mentions_index(callback.body)]
        self.code.branches.append((described, len(described), self.names.scopes[id(callback)]))
        described.append([])
        self.emit(node.at, "observe", 1, self.expression(patterns), described, out)
        trying, self.trying = self.trying, 0  # whoever emits the event is in no TRY of this place
        self.branch(entry, callback, callback.body)
        self.trying = trying
        self.here(out)
        self.code.primitives.setdefault(OBSERVE, node.at)
        self.code.events.setdefault(f"primitive:{OBSERVE}", node.at)
        told = {"patterns": self.expression(patterns), "callback": ["const", node.told]}
        data = ["object", [[["const", name], value] for name, value in told.items()]]
        mode = "none" if node.bind is None else "branch"
        self.emit(
            node.at, "event", 1, f"primitive:{OBSERVE}", data, node.bind, None, mode, False, self.statement_id, None
        )
