"""
What a run may use up. A script comes from a stranger, so nothing is without a bound.

Each limit ends the run with the code ``opl.limit.<name>``; no CATCH sees it.
Time, tokens and money are the driver's to count (a ``terminate`` input).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one run, kept in its state."""

    statements: int = 1_000_000  # carried out; a loop iteration counts as one
    events: int = 10_000  # emitted; TRACK points are counted apart, against the same number
    branches: int = 1_000  # alive at one time
    state_bytes: int = (
        4 * 1024 * 1024
    )  # of the state as JSON; found at the end of an input, half a MiB later inside one
    step_bytes: int = 64 * 1024 * 1024  # of what one step emits
    work: int = 1_000_000_000  # bytes copied, and 16 for each element that a builtin looks at
    instants: int = 1_000  # AWAITs in a row that time out at once without the clock moving
    wait_seconds: int = 366 * 24 * 3600  # of one WAIT or time-out

    def to_json(self) -> dict[str, int]:
        """As the state holds them."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Limits:
        """The limits that ``to_json`` wrote."""
        return cls(**data)
