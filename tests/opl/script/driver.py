"""
The smallest driver: a virtual clock and prepared answers.

It answers every event that wants an answer, so that a script runs to its end
without agents. ``replies`` maps an agent id or an event name to its answers,
in order, the last one repeating; an answer is a value, or an object
``{"reply": …, "latency": seconds}`` or ``{"error": {type, message}}``.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opl.script import Limits, machine
from opl.script.effects import completion_result, timed_out

START = 1_700_000_000_000
COMPLETIONS = ("completion:async", "optimization:async")


@dataclass
class Outcome:
    """What became of a run."""

    status: str = "running"
    result: Any = None
    error: dict[str, Any] | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    tracked: list[Any] = field(default_factory=list)
    rules: list[Any] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    effects: list[dict[str, Any]] = field(default_factory=list)
    elapsed: float = 0
    statements: int = 0
    steps: int = 0


class Driver:
    """Runs one program to its end."""

    def __init__(
        self,
        program: dict[str, Any],
        *,
        replies: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        seed: int = 1,
        between: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        turn: int | None = None,
    ) -> None:
        self.program = program
        self.replies = {
            name: list(each) if isinstance(each, list) else [each] for name, each in (replies or {}).items()
        }
        self.state = machine.start(program, inputs=inputs or {}, seed=seed, limits=limits)
        self.between = between
        self.turn = {} if turn is None else {"turn": turn}
        self.queue: list[tuple[int, int, int, dict[str, Any]]] = []
        self.outcome = Outcome()
        self.cancelled: set[tuple[str, int]] = set()

    def run(self) -> Outcome:
        """Feed the clock until the run ends or nothing can happen."""
        self.push(START, 0, 0, {"kind": "start"})
        while self.queue and self.outcome.status == "running":
            at, _, number, given = heapq.heappop(self.queue)
            if (given["kind"], number) in self.cancelled:
                continue
            self.feed({**given, "at": at})
        if self.outcome.status == "running":
            self.outcome.status = "stuck"
        self.outcome.variables = machine.variables(self.state)
        self.outcome.warnings = machine.warnings(self.state)
        self.outcome.statements = self.state["statements"]
        self.outcome.elapsed = (self.state["at"] - START) / 1000
        return self.outcome

    def push(self, at: int, rank: int, number: int, given: dict[str, Any]) -> None:
        heapq.heappush(self.queue, (at, rank, number, given))

    def feed(self, given: dict[str, Any]) -> None:
        self.state, effects = machine.step(self.program, self.state, [{**given, **self.turn}])
        self.outcome.steps += 1
        json.dumps(effects, allow_nan=False)
        if self.between is not None:
            self.state = self.between(self.state)
        for effect in effects:
            self.outcome.effects.append(effect)
            getattr(self, f"on_{effect['kind']}")(effect)

    def on_event(self, effect: dict[str, Any]) -> None:
        record = {key: effect[key] for key in ("seq", "name", "data", "branch", "line", "key", "timeout", "reply")}
        record["at"] = (effect["at"] - START) / 1000
        self.outcome.events.append(record)
        if effect["reply"] == "none":
            return
        value, latency = self.answer(effect)
        given = {"kind": "reply", "seq": effect["seq"], "value": value}
        self.push(effect["at"] + round(latency * 1000), 0, effect["seq"], given)

    def on_timer(self, effect: dict[str, Any]) -> None:
        self.push(effect["due"], 1, effect["id"], {"kind": "timer", "id": effect["id"]})

    def on_cancel_timer(self, effect: dict[str, Any]) -> None:
        self.cancelled.add(("timer", effect["id"]))

    def on_cancel(self, effect: dict[str, Any]) -> None:
        self.cancelled.add(("reply", effect["seq"]))

    def on_track(self, effect: dict[str, Any]) -> None:
        self.outcome.tracked.append(effect["data"])

    def on_rule(self, effect: dict[str, Any]) -> None:
        self.outcome.rules.append(effect)

    def on_end(self, effect: dict[str, Any]) -> None:
        self.outcome.status = effect["status"]
        self.outcome.result = effect["result"]
        self.outcome.error = effect["error"]

    def answer(self, effect: dict[str, Any]) -> tuple[Any, float]:
        """The prepared answer of an event, else one that fits its kind."""
        name, data = effect["name"], effect["data"]
        agent = data.get("agent_id")
        prepared = (self.replies.get(str(agent)) if name in COMPLETIONS else None) or self.replies.get(name)
        said = (prepared.pop(0) if len(prepared) > 1 else prepared[0]) if prepared else default_answer(name, data)
        latency, error = 1.0, None
        if isinstance(said, dict) and (said.keys() & {"reply", "error", "latency"}) and prepared:
            latency, error, said = said.get("latency", 1.0), said.get("error"), said.get("reply", "ok")
        if name in COMPLETIONS:
            limit = effect["timeout"]
            if limit is not None and latency > limit:
                return timed_out(agent_id=str(agent), seconds=limit), limit
            answer = None if error else said
            return completion_result(agent_id=str(agent), answer=answer, error=error, duration=latency), latency
        return said, latency


def default_answer(name: str, data: dict[str, Any]) -> Any:
    """What an event is answered where nothing was prepared."""
    if name in COMPLETIONS:
        return "ok"
    if name == "agent:spawn":
        return {"agent_id": data["agent_id"], "profile": data.get("profile")}
    if name.startswith("state:entity:"):
        return {"type": data.get("type"), "id": data.get("id"), "properties": data.get("properties", {})}
    return {"status": "emitted"}
