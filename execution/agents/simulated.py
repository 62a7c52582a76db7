"""
Agents without a model: seeded personas that answer the shape they are asked for.

A wind tunnel, not evidence: whoever runs on it is marked and counts in no
rate. The same seed, agent and effect key give the same answer, on every
machine. Who an agent is, its name and the request's ``world`` decide; what it
answers, the run's seed. So two runs of one world meet the same people.

A persona may be set in the profile. A number may also be a distribution from
which each agent's own is drawn::

    simulation: {success_rate: 0.95, quality: 0.8, spread: 0.1, latency: 0.5, failure: agent_error,
                 answers: {vote: [approve, reject]}}
    simulation: {ability: {mean: 0, deviation: 1}, discrimination: 1, guessing: 0.2, items: 5,
                 latency: {mean: 40, deviation: 15}}

A request whose data names a ``difficulty`` (0 to 1; 0.5 is the baseline) is a
test: ``psychometrics`` says what comes of it. ``quality`` is then the average
in baseline tests, and ``ability`` the same thing in logits.

``latency`` is in seconds and multiplied by the backend's ``scale``: 0, the
default, answers at once; otherwise ``sleep`` (given by the caller) waits. A
test that takes longer than its time limit has timed out.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from execution.agents import conducting
from execution.agents.base import Answer, Capabilities, Request, Reservation, Usage
from execution.agents.psychometrics import Examinee, ability_of
from execution.errors import AgentError
from opl.script.chance import Chance
from opl.script.rehearse.plausible import Manner, fill, is_described, optimization
from opl.script.rehearse.simulated import judgement
from opl.script.values import is_number

Sleep = Callable[[float], Awaitable[None]]

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """How one simulated agent behaves."""

    success_rate: float = 1.0  # chance that it answers at all
    quality: float = 0.75  # mean of what it scores, 0 to 1
    spread: float = 0.12  # standard deviation of what it scores
    latency_seconds: float = 0.5  # mean; drawn between half and one and a half of it
    failure: str = "agent_error"  # error.type when it fails
    answers: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # field → values to choose from
    examinee: Examinee = field(default_factory=lambda: Examinee(ability=ability_of(0.75)))  # how it fares in tests

    @classmethod
    def of(cls, request: Request) -> Persona:
        """The persona of an agent: drawn from its name, then set by its profile."""
        world = request.seed if request.world is None else request.world
        draw = Chance(f"{world}:{request.agent_id}:persona")
        told = request.profile.settings.get("simulation")
        own = _Settings(told if isinstance(told, Mapping) else {}, f"{world}:{request.agent_id}")
        # Drawn whether they are told or not, so that telling one leaves the others as they are.
        quality, spread, latency = 0.6 + 0.35 * draw.fraction(), 0.05 + 0.1 * draw.fraction(), 0.2 + draw.fraction()
        discrimination = own.number("discrimination", 1.0, low=0.01, high=10.0)
        quality = own.number("quality", quality)
        ability = own.number("ability", ability_of(quality, discrimination), low=-20.0, high=20.0)
        latency = own.number("latency", latency, high=DAY_SECONDS)
        usual = Examinee(
            ability=ability,
            discrimination=discrimination,
            guessing=own.number("guessing", 0.0),
            items=int(own.number("items", 5, low=1, high=1000)),
            difficulty_range=own.number("difficulty_range", 6.0, high=20.0),
            blunting=own.number("blunting", 0.0, high=10.0),
            median_seconds=latency,
            slowing=own.number("slowing", 0.2, high=5.0),
            time_spread=own.number("time_spread", 0.35, high=5.0),
        )
        return cls(
            success_rate=own.number("success_rate", 1.0),
            quality=usual.chance_right(0.5) if own.says("ability") and not own.says("quality") else quality,
            spread=own.number("spread", spread),
            latency_seconds=latency,
            failure=str(own.told.get("failure") or "agent_error"),
            answers=_choices(own.told.get("answers")),
            examinee=usual,
        )

    def manner(self, difficulty: float | None) -> Manner:
        """How it answers a question, or a test of a difficulty."""
        if difficulty is None:
            return Manner(good=self.quality, spread=self.spread, answers=self.answers)
        return Manner(
            good=self.examinee.chance_right(difficulty),
            spread=self.spread,
            answers=self.answers,
            score=lambda draw: self.examinee.score(difficulty, draw),
        )


@dataclass(frozen=True, slots=True, kw_only=False)
class _Settings:
    """What a profile says about its simulation; anything of the wrong kind counts as not said."""

    told: Mapping[str, Any]
    person: str  # whose own numbers are drawn from a distribution

    def says(self, name: str) -> bool:
        """Whether the profile settles this."""
        return is_number(self.told.get(name)) or isinstance(self.told.get(name), Mapping)

    def number(self, name: str, default: float, *, low: float = 0.0, high: float = 1.0) -> float:
        """A number within its bounds, or one drawn from ``{mean, deviation}``."""
        value = self.told.get(name)
        if isinstance(value, Mapping):
            mean, deviation = value.get("mean"), value.get("deviation", 0)
            if not (is_number(mean) and is_number(deviation)):
                return default
            value = Chance(f"{self.person}:{name}").gaussian(float(mean), abs(float(deviation)))
        return min(max(float(value), low), high) if is_number(value) else default


def difficulty_of(request: Request) -> float | None:
    """How hard a test the request is, 0 to 1; None where it is none."""
    told = request.data.get("difficulty")
    return min(max(float(told), 0.0), 1.0) if is_number(told) else None


def _choices(value: Any) -> dict[str, Sequence[Any]]:
    if not isinstance(value, Mapping):
        return {}
    return {
        str(name): choices if isinstance(choices, list) and choices else [choices] for name, choices in value.items()
    }


class SimulatedAgents:
    """The offline default."""

    name = "simulated"

    def __init__(self, *, scale: float = 0.0, sleep: Sleep | None = None) -> None:
        self.scale, self.sleep = scale, sleep
        self.capabilities = Capabilities(
            simulated=True, structured=True, tools=True, immediate=scale == 0 or sleep is None
        )

    def reserve(self, request: Request) -> Reservation:
        """Simulated tokens count against a budget like real ones; money does not."""
        return Reservation(tokens=len(request.prompt) // 4 + 400)

    async def complete(self, request: Request) -> Answer:
        """One answer, after the persona's latency."""
        persona, difficulty = Persona.of(request), difficulty_of(request)
        draw = Chance(f"{request.seed}:{request.agent_id}:{request.key}:{request.attempt}")
        late = False
        if difficulty is None:
            latency = persona.latency_seconds * (0.5 + draw.fraction())
        else:
            latency = persona.examinee.seconds(difficulty, draw)
            late = latency > request.timeout_seconds
            latency = min(latency, request.timeout_seconds)
        if self.sleep is not None and self.scale > 0:
            await self.sleep(latency * self.scale)
        if late:
            told = f"{request.agent_id} was not done within {request.timeout_seconds:g} seconds, as simulated"
            raise AgentError("timeout", told, paid=False)
        if draw.fraction() >= persona.success_rate:
            raise AgentError(persona.failure, f"{request.agent_id} failed, as simulated", paid=False)
        if request.purpose == "optimization":
            value: Any = optimization(request.data, request.shape, draw)
        elif request.purpose == "judgement":
            value = judgement(str(request.data.get("name")), request.shape, draw)
        elif request.data.get("tools"):
            value = conducting.turn(request)
        elif request.purpose == "selection":
            value = choose(request)
        elif isinstance(request.data.get("compares"), Mapping):
            value = compare(request, draw)
        else:
            value = answer(request, persona.manner(difficulty), draw)
        return Answer(value=value, duration_seconds=round(latency, 3), usage=_usage(request, value))


def _usage(request: Request, value: Any) -> Usage:
    return Usage(input_tokens=len(request.prompt) // 4 + 1, output_tokens=len(str(value)) // 4 + 1, model="simulated")


def choose(request: Request) -> dict[str, Any]:
    """The option that this judge likes best: the same one in whatever order they are asked about."""
    options = request.data.get("options") or []
    liking = [
        Chance(f"{request.seed}:{request.agent_id}:{json.dumps(one, sort_keys=True)}").fraction() for one in options
    ]
    return {"index": liking.index(max(liking)) if liking else 0, "reason": "simulated preference"}


def compare(request: Request, draw: Chance) -> dict[str, Any]:
    """
    What the judge of a trial says about two answers: mostly the same in whatever order they lie before it.

    Its taste is drawn from the answers' own texts, so it carries no information; one time in ten it looks at the
    position instead, now at the one and now at the other.
    """
    told = request.data["compares"]
    liking = [Chance(f"{request.agent_id}:{told.get(place)}").fraction() for place in ("first", "second")]
    better = "tie" if abs(liking[0] - liking[1]) < 0.1 else ("first", "second")[liking[1] > liking[0]]
    if draw.fraction() < 0.1:
        better = draw.choice(("first", "second"))
    return {"better": better, "first_score": round(liking[0], 3), "second_score": round(liking[1], 3)}


def answer(request: Request, manner: Manner, draw: Chance) -> Any:
    """A value of the shape that was asked for, or a sentence where none was."""
    if is_described(request.shape):
        return fill(request.shape, draw, manner=manner)
    return sentence(request, draw)


def sentence(request: Request, draw: Chance) -> str:
    """A reply in words that says what it replies to, so that a reader can follow a run."""
    task = " ".join(request.prompt.split())[:120]
    verb = draw.choice(("Worked through", "Considered", "Completed", "Looked into"))
    return f"[simulated] {verb}: {task}"
