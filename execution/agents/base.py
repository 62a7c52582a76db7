"""
What a run asks of an agent, and what an agent answers: the seam to every backend.

Pure: values, a protocol, and the reading of an answer. A backend says what it
can do in ``capabilities``, and a run is refused before it starts when it needs
more. ``complete`` either answers or raises ``AgentError``; deciding about
another attempt is the deliverer's business, never the backend's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

MICROS = 1_000_000  # money is counted in whole millionths of a dollar


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a backend can do; asked before a run starts and before an effect is sent."""

    simulated: bool = False  # its runs are marked, and count in no rate
    immediate: bool = False  # ``complete`` never suspends: it may be called without an event loop
    structured: bool = False  # answers the JSON Schema it is given
    tools: bool = False  # can be offered tools
    paid: bool = False  # costs money: reservations are worth their statements
    batches: bool = False  # takes many questions at once, at half the price and within a day


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Who the agent is asked to be."""

    name: str = "default"  # as the script or the document names it
    system: str = ""  # the system prompt, extends and components resolved
    model: str = ""  # "" for the backend's default
    settings: Mapping[str, Any] = field(default_factory=dict)  # what else the document says: simulation, effort, …


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question to one agent."""

    run_id: int  # for logs and spans
    key: str  # structural key of the effect: the same question has the same key in every replay
    agent_id: str  # as the script names it
    prompt: str
    profile: Profile = field(default_factory=Profile)
    shape: Mapping[str, Any] | None = None  # JSON Schema of the answer that the script reads
    data: Mapping[str, Any] = field(default_factory=dict)  # the event's data, whole
    purpose: str = "completion"  # or "optimization", or "judgement", whose reply is the bare value
    seed: int = 0  # of the run
    world: int | None = None  # seed of the simulated people, None for the run's own; both arms of a pair share it
    attempt: int = 1  # counts from 1; for an effect in doubt it goes on counting
    timeout_seconds: float = 120.0
    idempotency_key: str = ""  # sha256 hex of run and effect key


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an answer took."""

    input_tokens: int = 0  # all of them, cached ones included
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_micros: int = 0  # millionths of a dollar, at the price of the day
    model: str = ""
    price: str = ""  # the row of the price table it was charged at, "" where nothing was charged

    @property
    def tokens(self) -> int:
        """Input and output together: what a token budget counts."""
        return self.input_tokens + self.output_tokens

    def to_json(self) -> dict[str, Any]:
        """As a completion result shows it; zero fields are left out."""
        fields = {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cache_read_tokens": self.cache_read_tokens,
            "cache_write_tokens": self.cache_write_tokens,
            "cost_usd": self.cost_micros / MICROS,
            "model": self.model,
            "price": self.price,
        }
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the agent said."""

    value: Any  # JSON: the parsed text where it was JSON, else the text
    usage: Usage = field(default_factory=Usage)
    duration_seconds: float | None = None  # None: the deliverer's own clock is used
    request_id: str = ""  # the provider's name for the exchange
    stop_reason: str = ""
    raw: Any = None  # what a guided conversation goes on with; not read by scripts


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The most that a request may take, held back before it is sent."""

    tokens: int = 0
    cost_micros: int = 0


@runtime_checkable
class AgentBackend(Protocol):
    """One way to get answers."""

    name: str
    capabilities: Capabilities

    async def complete(self, request: Request) -> Answer:
        """
        Answer one request.

        Raises:
            execution.errors.AgentError: there is no answer; says whether trying again can help.
        """
        ...

    def reserve(self, request: Request) -> Reservation:
        """An upper bound of what ``request`` may take; cheap, and never asks the network."""
        ...


def parse_answer(text: str) -> Any:
    """
    The value an answer's text stands for: its JSON where it is JSON, else the text.

    A fenced block that is the whole answer is opened first, since models like
    to wrap JSON in one. Numbers that JSON cannot say (NaN) leave it a text.
    """
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```") and stripped.count("```") == 2:
        stripped = stripped[3:-3].partition("\n")[2].strip() or stripped
    if not stripped or stripped[0] not in '{["-0123456789tfn':
        return text
    try:
        return json.loads(stripped, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def estimate_tokens(text: str) -> int:
    """An upper bound of the tokens of a text without asking anybody: a token is at least two bytes of prose."""
    return len(text.encode("utf-8")) // 2 + 16


def effect_digest(run_id: int, key: str) -> str:
    """sha256 hex of a run's effect: the idempotency key, and the custom_id of batches."""
    return hashlib.sha256(f"{run_id}:{key}".encode()).hexdigest()
