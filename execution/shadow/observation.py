"""
One arm on one input, and what became of it.

A candidate that fails, crashes or hits a cap is an observation with success 0;
only an infrastructure failure after its retries leaves no observation at all.
Several runs of one arm on one input are one observation: their mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Arm(StrEnum):
    """The two sides of a pair."""

    CONTROL = "control"
    CANDIDATE = "candidate"

    @property
    def other(self) -> Arm:
        """The opposite side."""
        return Arm.CANDIDATE if self is Arm.CONTROL else Arm.CONTROL


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What running one arm on one input gave; numbers are finite and not negative."""

    success: float  # 0 or 1, or the share of successes over several runs of one input
    quality: float | None = None  # 0–1, None when the trial measures none; a failure counts as 0
    seconds: float = 0.0  # wall-clock duration of the arm, up to its end or failure
    tokens: float = 0.0  # input and output tokens of all its agents
    cost: float = 0.0  # in the currency of the price list, the same for both arms
    error: str = ""  # why it failed, "" when it did not
    runs: int = 1  # how many runs this observation is the mean of

    def __post_init__(self) -> None:
        """Refuse numbers that no run can have."""
        if not 0.0 <= self.success <= 1.0:
            raise ValueError(f"success is {self.success}, not between 0 and 1")
        if self.quality is not None and not 0.0 <= self.quality <= 1.0:
            raise ValueError(f"quality is {self.quality}, not between 0 and 1")
        for name, value in (("seconds", self.seconds), ("tokens", self.tokens), ("cost", self.cost)):
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"{name} is {value}, not a finite number from 0 up")


def mean_observation(runs: Sequence[Observation]) -> Observation:
    """
    Several runs of one arm on one input as the one observation they are.

    Args:
        runs: at least one; repeated runs of an input are not independent, so
            they never count as several pairs.

    Returns:
        Their mean. Quality is None only if no run has one; a run that failed
        before it could be scored counts as quality 0.

    Raises:
        ValueError: there are no runs.
    """
    if not runs:
        raise ValueError("an observation needs at least one run")
    count = len(runs)
    scored = any(run.quality is not None for run in runs)
    return Observation(
        success=math.fsum(run.success for run in runs) / count,
        quality=math.fsum(run.quality or 0.0 for run in runs) / count if scored else None,
        seconds=math.fsum(run.seconds for run in runs) / count,
        tokens=math.fsum(run.tokens for run in runs) / count,
        cost=math.fsum(run.cost for run in runs) / count,
        error=next((run.error for run in runs if run.error), ""),
        runs=sum(run.runs for run in runs),
    )
