"""
Agents without a model: seeded personas that answer the shape they are asked for.

A wind tunnel, not evidence: whoever runs on it is marked and counts in no
rate. The same seed, agent and effect key give the same answer, on every
machine. A persona is drawn from the agent's name and may be set in its profile::

    simulation: {success_rate: 0.95, quality: 0.8, spread: 0.1, latency: 0.5,
                 failure: agent_error, answers: {vote: [approve, reject]}}

A request whose data names a ``difficulty`` (0 to 1; 0.5 is the baseline) is
scored as a test of it: harder ones score lower and tell personas further apart.

``latency`` is in seconds and multiplied by the backend's ``scale``: 0, the
default, answers at once; otherwise ``sleep`` (given by the caller) waits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from execution.agents import conducting
from execution.agents.base import Answer, Capabilities, Request, Reservation, Usage
from execution.errors import AgentError
from opl.script.chance import Chance
from opl.script.rehearse.simulated import judgement

Sleep = Callable[[float], Awaitable[None]]

_RATE_WORDS = ("score", "rate", "confidence", "quality", "probability", "share", "accuracy", "similarity", "weight")
_COUNT_WORDS = ("count", "number", "total", "size", "duration", "round", "tokens")
_BAD_WORDS = ("error", "failed", "timeout", "rejected", "conflict")
MAX_DEPTH = 8
_QUOTED = re.compile(r"[\"'“]([^\"'”]{1,80})[\"'”]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """How one simulated agent behaves."""

    success_rate: float = 1.0  # chance that it answers at all
    quality: float = 0.75  # mean of what it scores, 0 to 1
    spread: float = 0.12  # standard deviation of what it scores
    latency_seconds: float = 0.5  # mean; drawn between half and one and a half of it
    failure: str = "agent_error"  # error.type when it fails
    answers: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # field → values to choose from

    @classmethod
    def of(cls, request: Request) -> Persona:
        """The persona of an agent: drawn from its name, then set by its profile."""
        draw = Chance(f"{request.seed}:{request.agent_id}:persona")
        told = request.profile.settings.get("simulation")
        told = told if isinstance(told, Mapping) else {}
        return cls(
            success_rate=_number(told.get("success_rate"), 1.0),
            quality=_tested(_number(told.get("quality"), 0.6 + 0.35 * draw.fraction()), request.data.get("difficulty")),
            spread=_number(told.get("spread"), 0.05 + 0.1 * draw.fraction()),
            latency_seconds=_number(told.get("latency"), 0.2 + draw.fraction(), high=86_400.0),
            failure=str(told.get("failure") or "agent_error"),
            answers=_choices(told.get("answers")),
        )


def _tested(quality: float, difficulty: Any) -> float:
    """
    The mean score of a persona in a test: ``q - 2 (d - 1/2) (1 - q)``, within 0 to 1.

    Its slope over ``q`` is ``2 d``: a test of difficulty 0.9 separates two
    personas almost twice as far as the baseline does, for the same spread.
    """
    hard = _number(difficulty, 0.5)
    return min(max(quality - 2 * (hard - 0.5) * (1 - quality), 0.0), 1.0)


def _number(value: Any, default: float, high: float = 1.0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return min(max(float(value), 0.0), high)


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
        persona = Persona.of(request)
        draw = Chance(f"{request.seed}:{request.agent_id}:{request.key}:{request.attempt}")
        latency = persona.latency_seconds * (0.5 + draw.fraction())
        if self.sleep is not None and self.scale > 0:
            await self.sleep(latency * self.scale)
        if draw.fraction() >= persona.success_rate:
            raise AgentError(persona.failure, f"{request.agent_id} failed, as simulated", paid=False)
        if request.purpose == "optimization":
            value: Any = optimize(request, draw)
        elif request.purpose == "judgement":
            value = judgement(str(request.data.get("name")), request.shape, draw)
        elif request.data.get("tools"):
            value = conducting.turn(request)
        elif request.purpose == "selection":
            value = choose(request)
        elif isinstance(request.data.get("compares"), Mapping):
            value = compare(request, draw)
        else:
            value = answer(request, persona, draw)
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


def answer(request: Request, persona: Persona, draw: Chance) -> Any:
    """A value of the shape that was asked for, or a sentence where none was."""
    shape = request.shape
    if shape and (shape.get("properties") or shape.get("type") not in (None, "object")):
        return fill(shape, "", persona, draw)
    return sentence(request, draw)


def sentence(request: Request, draw: Chance) -> str:
    """A reply in words that says what it replies to, so that a reader can follow a run."""
    task = " ".join(request.prompt.split())[:120]
    verb = draw.choice(("Worked through", "Considered", "Completed", "Looked into"))
    return f"[simulated] {verb}: {task}"


def fill(schema: Any, name: str, persona: Persona, draw: Chance, depth: int = 0) -> Any:
    """A value that fits ``schema``; ``name`` is the field it stands in and steers numbers and words."""
    schema = schema if isinstance(schema, Mapping) else {}
    if name in persona.answers:
        return draw.choice(list(persona.answers[name]))
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return draw.choice(schema["enum"])
    if "const" in schema:
        return schema["const"]
    for union in ("anyOf", "oneOf"):
        parts = schema.get(union)
        options = [part for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []
        options = [part for part in options if part.get("type") != "null"]
        if options and depth <= MAX_DEPTH:
            return fill({**options[0], "description": schema.get("description", "")}, name, persona, draw, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((part for part in kind if part != "null"), "null")
    make: Callable[..., Any] = _OF_KIND.get(str(kind), _null)
    return make(schema, name, persona, draw, depth)


def _bound(schema: Mapping[str, Any], name: str) -> float | None:
    """A numeric keyword of the schema, None where it is none."""
    value = schema.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _object(schema: Mapping[str, Any], name: str, persona: Persona, draw: Chance, depth: int) -> Any:
    fields = schema.get("properties")
    if not isinstance(fields, Mapping) or depth > MAX_DEPTH:
        return {}
    return {key: fill(inner, key, persona, draw, depth + 1) for key, inner in fields.items()}


def _array(schema: Mapping[str, Any], name: str, persona: Persona, draw: Chance, depth: int) -> Any:
    low = _bound(schema, "minItems")
    count = 0 if depth > MAX_DEPTH else int(min(max(2 if low is None else low, 1), 50))
    inner = schema.get("items")
    inner = inner if isinstance(inner, Mapping) else {"type": "string"}
    return [fill(inner, name.removesuffix("s"), persona, draw, depth + 1) for _ in range(count)]


def _number_value(schema: Mapping[str, Any], name: str, persona: Persona, draw: Chance, depth: int) -> float:
    low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
    unit = min(max(draw.gaussian(persona.quality, persona.spread), 0.0), 1.0)
    if low is None and high is None and any(word in name.lower() for word in _COUNT_WORDS):
        return float(draw.integer(1, 10))
    low = 0.0 if low is None else low
    high = (1.0 if low <= 1.0 else low + 10.0) if high is None else high
    return round(low + (high - low) * unit, 3)


def _integer(schema: Mapping[str, Any], name: str, persona: Persona, draw: Chance, depth: int) -> int:
    low = int(_bound(schema, "minimum") or 0)
    high = _bound(schema, "maximum")
    return draw.integer(low, max(low, low + 10 if high is None else int(high)))


def _boolean(schema: Mapping[str, Any], name: str, persona: Persona, draw: Chance, depth: int) -> bool:
    good = draw.fraction() < persona.quality
    return not good if any(word in name.lower() for word in _BAD_WORDS) else good


def _string(schema: Mapping[str, Any], name: str, persona: Persona, draw: Chance, depth: int) -> str:
    """One of the words that the script compares it with (they stand quoted in the description), else a phrase."""
    words = _QUOTED.findall(str(schema.get("description", "")))
    if words:
        # The first word a script asks about is nearly always the hopeful one.
        hopeful = len(words) == 1 or draw.fraction() < persona.quality
        return str(words[0] if hopeful else draw.choice(words[1:]))
    return f"simulated {name or 'text'} {draw.integer(1, 999)}"


def _null(schema: Mapping[str, Any], name: str, persona: Persona, draw: Chance, depth: int) -> None:
    return None


_OF_KIND: dict[str, Callable[[Mapping[str, Any], str, Persona, Chance, int], Any]] = {
    "object": _object,
    "array": _array,
    "number": _number_value,
    "integer": _integer,
    "boolean": _boolean,
    "string": _string,
    "null": _null,
}


def optimize(request: Request, draw: Chance) -> dict[str, Any]:
    """
    Better parameters, of the shape they had: a step of local search around what was tried.

    Numbers move by up to a quarter, whole ones by at least one; everything
    else stays, since a simulation knows nothing about words.
    """
    data = request.data
    current = next((data[name] for name in ("parameters", "params", "current_params", "config") if name in data), None)
    if current is None:
        shape = (request.shape or {}).get("properties", {}).get("optimized_params")
        current = fill(shape, "params", Persona(), draw) if isinstance(shape, Mapping) else {}
    return {
        "success": True,
        "optimized_params": nudged(current, draw),
        "improvement": round(0.2 * draw.fraction(), 3),
        "method": data.get("method", "local search"),
    }


def nudged(value: Any, draw: Chance) -> Any:
    """The same structure with its numbers moved a little."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        step = max(1, abs(value) // 4)
        return max(value + draw.choice((-step, step)), 1 if value > 0 else value - step)
    if isinstance(value, float):
        return round(value * (1 + 0.25 * (2 * draw.fraction() - 1)), 4)
    if isinstance(value, list):
        return [nudged(item, draw) for item in value]
    return {key: nudged(item, draw) for key, item in value.items()}
