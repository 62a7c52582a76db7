"""
Reading foreign JSON field by field: the right type at the right place, or ``ReportRefused`` with the place.

A small reader rather than a schema validator, because it also yields the
values typed; ``schemas/verification-report.schema.json`` says the same for
others, and a test holds the two together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from execution.shadow.errors import ReportRefused

LONGEST_TEXT = 4096
MOST_WHOLE = 2**53 - 1

BODY_FIELDS = frozenset(
    {"type", "trial", "node", "backend", "started_at", "ended_at", "control", "candidate"}
    | {"seed", "seed_commitment", "inputs_commitment", "plan", "health", "pairs", "missing"}
    | {"curve", "e_values", "estimates", "verdict"}
)
PLAN_FIELDS = frozenset(
    {"profile", "margin", "n_min", "n_max", "alpha", "beta", "mode", "looks", "metrics", "primary"}
    | {"guardrails", "effects", "strata", "most_missing", "least_fidelity"}
)


class Reader:
    """One JSON object and where it stands."""

    def __init__(self, value: Any, pointer: str) -> None:
        self.pointer = pointer
        if not isinstance(value, Mapping):
            raise self._refuse("", "is an object")
        self._value: Mapping[str, Any] = value

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its fields."""
        return tuple(self._value)

    def only(self, *names: str) -> None:
        """Refuse fields besides these, and their absence."""
        if set(self._value) != set(names):
            raise self._refuse("", f"holds {', '.join(names)}, and nothing else")

    def has(self, name: str) -> bool:
        """Whether there is such a field."""
        return name in self._value

    def raw(self, name: str) -> Any:
        """The field as it is; refused when absent."""
        if name not in self._value:
            raise self._refuse(name, "is missing")
        return self._value[name]

    def text(self, name: str) -> str:
        """A string of bounded length."""
        value = self.raw(name)
        if not isinstance(value, str) or len(value) > LONGEST_TEXT:
            raise self._refuse(name, f"is a text of at most {LONGEST_TEXT} characters")
        return value

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.raw(name)
        if not isinstance(value, bool):
            raise self._refuse(name, "is true or false")
        return value

    def number(self, name: str) -> float:
        """A finite number."""
        value = self.raw(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._refuse(name, "is a finite number")
        return float(value)

    def whole(self, name: str) -> int:
        """A whole number from 0 up."""
        return self._whole(self.raw(name), name)

    def object(self, name: str) -> Reader:
        """A nested object."""
        return Reader(self.raw(name), f"{self.pointer}/{name}")

    def objects(self, name: str) -> list[Reader]:
        """A list of objects."""
        return [Reader(row, f"{self.pointer}/{name}/{index}") for index, row in enumerate(self._list(name))]

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        found = self._list(name)
        if not all(isinstance(value, str) and len(value) <= LONGEST_TEXT for value in found):
            raise self._refuse(name, "is a list of texts")
        return found

    def wholes(self, name: str) -> list[int]:
        """A list of whole numbers."""
        return [self._whole(value, name) for value in self._list(name)]

    def _list(self, name: str) -> list[Any]:
        value = self.raw(name)
        if not isinstance(value, list):
            raise self._refuse(name, "is a list")
        return value

    def _whole(self, value: Any, name: str) -> int:
        # Canonical JSON writes 20.0 as 20, so a parsed report may hold either.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_WHOLE:
            raise self._refuse(name, "is a whole number from 0 up")
        return value

    def _refuse(self, name: str, message: str) -> ReportRefused:
        return ReportRefused("shape", message, f"{self.pointer}/{name}" if name else self.pointer)


def fits(body: Mapping[str, Any]) -> None:
    """Refuse what ``recheck`` has not read: unknown fields must not ride along under a good verdict."""
    reader = Reader(body, "/body")
    reader.only(*BODY_FIELDS)
    for name in ("trial", "node", "backend", "started_at", "ended_at"):
        reader.text(name)
    reader.object("plan").only(*PLAN_FIELDS)
    for rail in reader.object("plan").objects("guardrails"):
        rail.only("metric", "margin", "hard")
    for side in ("control", "candidate"):
        reader.object(side).only("name", "digest")
        reader.object(side).text("name")
    health = reader.object("health")
    health.only("judge_qualified", "judge_reason", "replay_fidelity", "judge")
    if health.raw("judge") is not None:
        health.object("judge").only("pairs", "consistency", "leans_first", "leans_second")
    for row in reader.objects("pairs"):
        row.only("n", "input", "first", "stratum", "contrasts")
    for row in reader.objects("missing"):
        row.only("n", "reason")
