"""
What a run tells and asks the world: events, timers, progress points.

The part of a ``Run`` that appends effects and keeps account of what is
outstanding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opl.errors import BadArgument, LimitExceeded, TypeMismatch
from opl.script.calls import INBOX
from opl.script.effects import DEFAULT_TIMEOUT_SECONDS
from opl.script.machine.code import Linked
from opl.script.machine.frame import Frame
from opl.script.machine.limits import Limits
from opl.script.machine.observing import Observing
from opl.script.machine.texts import agent_id
from opl.script.machine.waiting import duration
from opl.script.values import copy, weight, with_article

EFFECT_BYTES = 200  # what an event or a progress point counts beside its data
_TIMED = frozenset({"completion:async", "optimization:async"})  # have a default timeout


class Emitting(Observing):
    """Emits effects of a run."""

    state: dict[str, Any]
    effects: list[Any]
    limits: Limits
    linked: Linked
    emitted: int  # bytes of this step's effects
    turn: float

    if TYPE_CHECKING:

        def end(self, status: str, result: Any, error: dict[str, Any] | None = None) -> None:
            """See Run."""

        @staticmethod
        def indices(branch: dict[str, Any]) -> str:
            """See Run."""
            return ""

    def emit(
        self,
        f: Frame,
        pc: int,
        name: str,
        data: dict[str, Any],
        mode: str,
        identity: str,
        shape: dict[str, Any] | None,
    ) -> bool:
        """Emit an event; whether the branch now waits for its reply."""
        line, column = self.linked.places[pc]
        self._prepare(name, data)
        timeout = self._timeout(f, name, data, mode, [line, column])
        seq = self._next_event(line, column, data)
        branch = f.data
        self.effects.append(
            {
                "kind": "event",
                "seq": seq,
                "key": f"{identity}@{branch['path']}{self.indices(branch)}",
                "name": name,
                "data": data,
                "branch": branch["path"],
                "line": line,
                "column": column,
                "at": self.state["at"],
                "reply": "branch" if mode == "both" else mode,
                "timeout": timeout,
                "shape": shape,
            }
        )
        if name == "completion:async":
            self.state["completion"] = {"seq": seq, "value": None}
        if name == "orchestration:request_termination":
            self.end("terminated", None)
            return True
        waiting = mode not in ("none", "inbox")
        if mode != "none":
            self.state["outstanding"][str(seq)] = {
                "to": mode,
                "branch": branch["id"] if waiting else None,
                "agent": _source(name, data),
                **({} if mode == "branch" else {"name": name}),
            }
        if waiting:
            branch["pc"] = pc
            branch["wait"] = {"kind": "event", "seq": seq}
        if "observers" in self.state:
            self.notice(f, name, data, seq)
            return self.give_way(f, None if waiting else pc + 1) or waiting
        return waiting or (self.emitted >= self.turn and self.step_back(f, pc + 1))

    def _prepare(self, name: str, data: dict[str, Any]) -> None:
        """Agents by their ids; a spawned one gets an id of its own."""
        if name == "agent:spawn":
            given = data.get("agent_id")
            if given is None:
                data["agent_id"] = self._fresh_agent(data.get("profile"))
            else:
                data["agent_id"] = _agent_name(given)
                self.state["agents"][data["agent_id"]] = 1
        elif "agent_id" in data and name in ("completion:async", "agent:terminate"):
            data["agent_id"] = _agent_name(data["agent_id"])
            self.state["agents"].setdefault(data["agent_id"], 1)

    def _fresh_agent(self, profile: Any) -> str:
        """The profile's last part as a name, numbered from the second on."""
        if profile is not None and type(profile) is not str:
            raise TypeMismatch(f"the profile of an agent is a string, not {with_article(profile)}")
        base = (profile or "agent").rstrip("/").rsplit("/", 1)[-1] or "agent"
        name, number = base, 1
        while name in self.state["agents"]:
            number += 1
            name = f"{base}_{number}"
        self.state["agents"][name] = 1
        return name

    def _timeout(self, f: Frame, name: str, data: dict[str, Any], mode: str, place: list[int]) -> float | None:
        if mode == "none" or name not in INBOX:
            return None
        found = duration(f, data.get("timeout"), place)
        return DEFAULT_TIMEOUT_SECONDS if found is None and name in _TIMED else found

    def _next_event(self, line: int, column: int, data: dict[str, Any]) -> int:
        if self.state["seq"] >= self.limits.events:
            raise LimitExceeded("events", self.limits.events, line, column)
        self._charge_step(weight(data), line, column)
        self.state["seq"] += 1
        seq: int = self.state["seq"]
        return seq

    def _charge_step(self, size: int, line: int, column: int) -> None:
        self.emitted += size + EFFECT_BYTES
        if self.emitted > self.limits.step_bytes:
            raise LimitExceeded("step-bytes", self.limits.step_bytes, line, column)

    def timer(self, f: Frame, seconds: float, line: int) -> int:
        """Start a timer for a branch."""
        return self.start_timer(f.data["id"], round(seconds * 1000), f.data["path"], line)

    def start_timer(self, branch_id: str, milliseconds: int, path: str, line: int) -> int:
        """Start a timer; nobody is woken by one whose branch is ""."""
        self.state["timers"] += 1
        number: int = self.state["timers"]
        self.state["timer_of"][str(number)] = branch_id
        due = self.state["at"] + milliseconds
        self.effects.append({"kind": "timer", "id": number, "due": due, "branch": path, "line": line})
        return number

    def cancel_timer(self, number: int) -> None:
        """Nobody waits for a timer any more."""
        if self.state["timer_of"].pop(str(number), None) is not None:
            self.effects.append({"kind": "cancel_timer", "id": number})

    def track(self, f: Frame, data: dict[str, Any], line: int, after: int) -> bool:
        """A progress point; then the adaptive rules are looked at. Whether observers of a rule go first."""
        from opl.script.machine.rules import apply_rules

        if self.state["tracks"] >= self.limits.events:
            raise LimitExceeded("events", self.limits.events, line, 1)
        self.state["tracks"] += 1
        self._charge_step(weight(data), line, 1)
        at = self.state["at"]
        self.effects.append({"kind": "track", "data": data, "branch": f.data["path"], "line": line, "at": at})
        if self.linked.tests or self.linked.program.get("primitives"):
            self.state["tracked"].update(copy(data))  # rules read it, and so do primitives about metrics
            apply_rules(f.run, f)
        if "observers" in self.state and self.give_way(f, after):
            return True
        return self.emitted >= self.turn and self.step_back(f, after)

    def step_back(self, f: Frame, after: int) -> bool:
        """The turn is over: the branch goes on at ``after`` in the next one."""
        f.data["pc"] = after
        self.state["ready"].insert(0, f.data["id"])
        return True


def _agent_name(value: Any) -> str:
    found = agent_id(value)
    if type(found) is str and found:
        return found
    raise BadArgument(f"agent_id is the name of an agent, not {with_article(found)}")


def _source(name: str, data: dict[str, Any]) -> str:
    """By what name AWAIT … FROM knows the reply of an event."""
    given = data.get("agent_id")
    if type(given) is str:
        return given
    if name == "optimization:async":
        return "optimizer"
    if name == "human:ask":
        return "human"
    pattern = data.get("pattern")
    return pattern if type(pattern) is str else ""
