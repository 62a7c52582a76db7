"""
What a run may take, before anybody pays for it: the pattern is rehearsed with simulated agents.

    estimate(version=version, inputs={…}, user=user)   → {completions, tokens_bound, cost_usd_bound, …}

Completions and time are those of one rehearsal on a virtual clock: another
seed, and real agents above all, may take another way. Tokens and money are a
bound of *these* completions: all that would be sent, and the longest answers
allowed, at today's price of the model. Child runs are rehearsed too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from execution.agents import conducting, messages
from execution.agents.base import MICROS, Profile, Request
from execution.agents.claude import DEFAULT_MODEL
from execution.agents.prices import price_of
from execution.primitives import tool_schemas
from execution.services import asking, children, coordinating, guiding, profiles
from opl.script.effects import EventEffect, child_result
from opl.script.rehearse.agents import Cast, Script
from opl.script.rehearse.driver import Planned, Record, Stage
from opl.script.values import to_text
from opl.script.world import LOCAL_EVENTS
from registry.models import PatternVersion, User
from registry.services import finding

DEEPEST = 3  # child runs of child runs that are rehearsed
MOST_COMPLETIONS = 2_000  # beyond it a rehearsal is not looked at more closely


@dataclass(slots=True)
class Count:
    """What was asked so far."""

    completions: int = 0
    child_runs: int = 0
    tokens: int = 0
    cost: int = 0  # millionths of a dollar
    agents: set[str] = field(default_factory=set)
    left_out: set[str] = field(default_factory=set)  # child patterns that could not be rehearsed
    models: set[str] = field(default_factory=set)


def estimate(
    *,
    version: PatternVersion,
    inputs: Mapping[str, Any] | None = None,
    user: User | None = None,
    today: date,
    seed: int = 0,
) -> dict[str, Any]:
    """
    Rehearse a run of ``version``.

    Raises:
        NotExecutable, InputsRefused: as starting a run.
    """
    planned = guiding.plan(version, inputs or {})
    count = Count()
    record = _play(version, planned, count, user=user, today=today, seed=seed, depth=0)
    return {
        "pattern": str(version.pattern),
        "version": version.version,
        "status": record.status,
        "error": record.error,
        "completions": count.completions,
        "child_runs": count.child_runs,
        "agents": len(count.agents),
        "tokens_bound": count.tokens,
        "cost_usd_bound": round(count.cost / MICROS, 6),
        "virtual_seconds": record.elapsed,
        "models": sorted(count.models),
        "not_included": sorted(count.left_out),
        "seed": seed,
        "simulated": True,
    }


def _play(
    version: PatternVersion,
    planned: guiding.Plan,
    count: Count,
    *,
    user: User | None,
    today: date,
    seed: int,
    depth: int,
) -> Record:
    stage = _Counting(planned.program, inputs=planned.inputs, seed=seed, cast=Cast(Script()))
    stage.version, stage.count, stage.user, stage.today, stage.level = version, count, user, today, depth
    return stage.play()


class _Counting(Stage):
    """A rehearsal that counts what it asks."""

    version: PatternVersion
    count: Count
    user: User | None
    today: date
    level: int

    def _question(
        self, agent_id: str, prompt: str, effect: EventEffect, data: Mapping[str, Any], *, optimizes: bool = False
    ) -> Planned:
        request = self._request(agent_id, prompt, effect, data)
        self._counted(request)
        if data.get("tools"):
            self.world.meet(agent_id, data)
            return self._completed(agent_id, conducting.turn(request), None)
        return super()._question(agent_id, prompt, effect, data, optimizes=optimizes)

    def _request(self, agent_id: str, prompt: str, effect: EventEffect, data: Mapping[str, Any]) -> Request:
        agent = self.world.agents.get(agent_id)
        known = dict(data)
        if agent is None:
            name, details = to_text(known.get("profile")) or agent_id, {}
        else:
            name, details = agent.profile, agent.details
        profile: Profile = profiles.profile_for(self.version.pk, agent_id, name, details, known)
        return Request(
            run_id=0,
            key=effect["key"],
            agent_id=agent_id,
            prompt=prompt,
            profile=profile,
            shape=effect["shape"],
            data=known,
            seed=self.seed,
        )

    def _counted(self, request: Request) -> None:
        self.count.completions += 1
        self.count.agents.add(request.agent_id)
        if self.count.completions > MOST_COMPLETIONS:
            return
        arguments = messages.message_arguments(request, model=DEFAULT_MODEL, tool_schemas=tool_schemas())
        given, answered = messages.input_estimate(arguments), int(arguments["max_tokens"])
        price = price_of(arguments["model"], on=self.today, input_tokens=given)
        self.count.models.add(arguments["model"])
        self.count.tokens += given + answered
        self.count.cost += price.cost_micros(fresh=0, written=given, output=answered)

    def _imagine(self, name: str, effect: EventEffect, data: Mapping[str, Any]) -> Planned:
        if name == "judgement:ask":
            question = asking.question_of(name, data)
            self._counted(self._request(question.agent_id, question.prompt, effect, {}))
        return super()._imagine(name, effect, data)

    def _judge(self, name: str, effect: EventEffect, data: dict[str, Any]) -> Planned:
        found = super()._judge(name, effect, data)
        if found.seconds:  # an answer that was computed takes no time
            question = asking.question_of(f"primitive:{name}", data)
            self._counted(self._request(question.agent_id, question.prompt, effect, {}))
        return found

    def _primitive(self, name: str, effect: EventEffect, data: dict[str, Any]) -> Planned:
        if name == "check_tool":
            return Planned(value=coordinating.check_tool(data))
        if name == "pending_notes":
            return Planned(value=[])
        if name == "call" and f"primitive:{to_text(data.get('name'))}" in LOCAL_EVENTS:
            arguments = data.get("arguments")
            given = arguments if isinstance(arguments, dict) else {}
            return Planned(value=self.world.answer(f"primitive:{to_text(data['name'])}", given, self.now))
        return super()._primitive(name, effect, data)

    def _child(self, data: Mapping[str, Any], effect: EventEffect) -> Planned:
        """A child run is rehearsed as well, where it can be found."""
        reference = to_text(data.get("pattern")) or f"strategy-{to_text(data.get('strategy'))}"
        self.count.child_runs += 1
        try:
            if self.level >= DEEPEST:
                raise LookupError(reference)
            own = self.own_strategy(data)
            version = self.version if own is not None else self._found(reference)
            given = self.taken(own) if own is not None else data.get("inputs")
            given = given if isinstance(given, Mapping) else {}
            planned = guiding.plan(version, given) if own is None else guiding.plan_of(own, given)
        except Exception as error:
            if not isinstance(error, LookupError) and not hasattr(error, "code"):
                raise
            self.count.left_out.add(reference)
            return super()._child(data, effect)
        record = _play(
            version, planned, self.count, user=self.user, today=self.today, seed=self.seed, depth=self.level + 1
        )
        good = record.status == "succeeded"
        value = child_result(run_id=0, status=record.status, succeeded=good, result=record.result, error=record.error)
        return Planned(value=value, seconds=float(record.elapsed))

    def _found(self, reference: str) -> PatternVersion:
        if "/" in reference:
            return finding.version(reference, self.user)
        return children.find_beside(self.version.pk, reference, self.user)
