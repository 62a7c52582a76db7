"""
``broadcast_task``, ``await_responses`` and ``select_best`` in a script become several events.

A broadcast asks several agents and does not wait, gathering takes their
replies from the inbox, and a choice is asked for in both orders. So they are
written out where they stand, in the language's own instructions, and every
driver that carries out completions carries them out too::

    broadcast_task(task, agents)     primitive:broadcast_task, then completion:async for each agent
    await_responses(agents, timeout) primitive:await_responses, then AWAIT … FROM ALL(agents), partial
    select_best(options, criteria)   primitive:select_best, and again with the options reversed where that chose one

Always true: what ``await_responses`` gives has one completion result for each
agent, in the order of its list; who did not answer in time is a failed one, so
that a script sees who is missing. Variables made here begin with ``%`` and
belong to no author.

Source: docs/decisions/0054-broadcasts-are-written-out.md, 0106-a-choice-is-two-questions.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opl.script.choosing import EVENT, ORDERS
from opl.script.effects import DEFAULT_TIMEOUT_SECONDS
from opl.script.lowering import OUTSIDE, Lowered, Lowering, Names, Temp
from opl.script.parser.expressions import parse_expression
from opl.script.syntax import At, Call, Event, Expr, walk

if TYPE_CHECKING:
    from opl.script.instructions import Code, Label

_NAMES = "MAP(FLATTEN([agents]), each => AGENT_ID(each))"
_LISTED = "MAP(listed, each => each.agent_id)"
_SECONDS = f"seconds == null ? {DEFAULT_TIMEOUT_SECONDS:g} : seconds"
_RESULTS = """
MAP(agents, each => COUNT(heard, one => one.agent_id == each) > 0
  ? FIRST(FILTER(heard, one => one.agent_id == each))
  : {agent_id: each, success: false, output: null, duration: seconds, usage: {},
     error: {type: "timeout", message: "no answer within " + seconds + " seconds"}})
"""


class Gathering:
    """The part of the code generator that writes these two primitives out."""

    lowering: Lowering
    code: Code
    temps: int
    lifted: int
    depth: int
    statement_id: str
    env: Names = OUTSIDE

    if TYPE_CHECKING:
        emit: Callable[..., list[Any]]

        def here(self, label: Label) -> None:
            """See Codegen."""

        def _new_temp(self, at: At) -> Temp:
            raise NotImplementedError

        def _request(self, node: Expr | Event, name: str, data: Lowered) -> Temp:
            raise NotImplementedError

        def expression(self, node: Expr) -> Lowered:
            """See Lifting."""

    def broadcast(self, node: Call, given: Mapping[str, Lowered]) -> Temp:
        """Ask every agent the same, without waiting; the value is ``{sent_to}``."""
        from opl.script.instructions import Label

        at = node.at
        task = self._kept(at, "task", given.get("task_description", ["const", None]))
        wanted = given.get("target_agents")
        if wanted is None:
            listed = self.expression(self._request(node, "primitive:list_agents", ["object", []]))
            names = self._kept(at, "agents", self._computed(at, _LISTED, listed=listed))
        else:
            names = self._kept(at, "agents", self._computed(at, _NAMES, agents=wanted))
        self._told(node, "primitive:broadcast_task", {"task_description": task, "target_agents": names})
        head, out, each = Label(), Label(), f"%each{self.lifted}"
        self.emit(at, "each", 1, names, 1, False)
        self.depth += 1
        self.here(head)
        self.emit(at, "next", 0, [each], out)
        asked = {"agent_id": ["var", each, at.line, at.column], "prompt": task}
        found = self._told(node, "completion:async", asked, mode="inbox")
        self.code.event_nodes.append((found, node))
        self.emit(at, "jump", 0, head)
        self.here(out)
        self.emit(at, "leave", 0)
        self.depth -= 1
        return self._answer(at, _object({"sent_to": names}))

    def gather(self, node: Call, given: Mapping[str, Lowered]) -> Temp:
        """Wait for one answer of each agent, at most so long; the value is a completion result for each."""
        from opl.script.instructions import Label

        at = node.at
        names = self._kept(at, "agents", self._computed(at, _NAMES, agents=given.get("agents", ["const", []])))
        wanted = given.get("timeout", ["const", None])
        seconds = self._kept(at, "seconds", self._computed(at, _SECONDS, seconds=wanted))
        self._told(node, "primitive:await_responses", {"agents": names, "timeout": seconds})
        late, end, heard = Label(), Label(), f"%heard{self.lifted}"
        self.emit(at, "await", 1, heard, names, "all", seconds, late, None, True, False)
        self.emit(at, "jump", 0, end)
        self.here(late)
        self.emit(at, "plain", 0, [["set", at.line, at.column, heard, ["const", []], False]], None)
        self.here(end)
        heard_var: Lowered = ["var", heard, at.line, at.column]
        return self._answer(at, self._computed(at, _RESULTS, agents=names, seconds=seconds, heard=heard_var))

    def choose(self, node: Call | Event, given: Mapping[str, Lowered]) -> Temp:
        """Ask for the best option in both orders; the value is the option, null where the answers differ."""
        from opl.script.instructions import Label

        at, end = node.at, Label()
        options = self._kept(at, "options", given.get("options", ["const", None]))
        criteria = self._kept(at, "criteria", given.get("criteria", ["const", None]))
        answers: list[Lowered] = []
        choice = self._new_temp(at)
        for order in ORDERS:
            data = _object({"options": options, "criteria": criteria, "order": ["const", order]})
            answers.append(self.expression(self._request(node, EVENT, data)))
            first, last = answers[0], answers[-1]
            found = self._computed(at, "first == last ? last : null", first=first, last=last)
            self.emit(at, "temp", 0, choice.index, found)
            if order == ORDERS[0]:
                self.emit(at, "unless", 0, self._computed(at, "first != null", first=first), end)
        self.here(end)
        return choice

    # ------------------------------------------------------------ parts

    def _told(self, node: Call, name: str, data: Mapping[str, Lowered], mode: str = "none") -> list[Any]:
        """An event whose reply no expression waits for."""
        self.lifted += 1
        self.code.events.setdefault(name, node.at)
        identity = f"{self.statement_id}~{self.lifted}"
        return self.emit(node.at, "event", 1, name, _object(data), None, None, mode, False, identity, None)

    def _kept(self, at: At, name: str, value: Lowered) -> Lowered:
        """A value in a variable of its own."""
        self.lifted += 1
        own = f"%{name}{self.lifted}"
        self.emit(at, "plain", 0, [["set", at.line, at.column, own, value, False]], None)
        return ["var", own, at.line, at.column]

    def _answer(self, at: At, value: Lowered) -> Temp:
        kept = self._new_temp(at)
        self.emit(at, "temp", 0, kept.index, value)
        return kept

    def _computed(self, at: At, text: str, **local: Lowered) -> Lowered:
        """One of the expressions above, over values that are there already."""
        node = parse_expression(" ".join(text.split()), at)
        assert node is not None, text
        for part in walk(node):
            if isinstance(part, Call) and part.name == "AGENT_ID":
                part.name = "%ID"
        return self.lowering.lower(node, replace(self.env, local={**self.env.local, **local}))


def _object(fields: Mapping[str, Lowered]) -> Lowered:
    return ["object", [[["const", name], value] for name, value in fields.items()]]
