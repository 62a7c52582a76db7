"""
One number per pair and metric, in [-1, 1]; positive says the candidate did better.

A contrast is rounded to six decimals when it is made. The report carries the
rounded number, so evidence and report are computed from the very same values.

Only the contrast is needed for a guardrail: (x_A − x_B)/(x_A + x_B) tells the
ratio x_A : x_B, hence "(1+τ)·x_A against x_B" as well (``guard_contrast``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from execution.shadow.observation import Observation

DECIMALS = 6


class Metric(StrEnum):
    """What a pair is compared by."""

    SUCCESS = "success"
    QUALITY = "quality"  # a score in [0, 1] of each arm alone
    PREFERENCE = "preference"  # a judge that saw both arms, in both orders
    COST = "cost"
    TOKENS = "tokens"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRule:
    """How one metric is read by the test (the table of 4.2)."""

    clip: float  # contrasts are cut to [-clip, clip] before they are bet on
    margin: float  # how much worse still counts as not worse; for relative metrics τ, a ratio
    relative: bool  # whether the contrast is a ratio of amounts, so that the margin is τ
    effect: float  # the smallest effect worth finding, as a contrast (futility)


# 10 % cheaper, the smallest saving worth finding: (1 − 0.9)/(1 + 0.9).
_TENTH_CHEAPER = 0.1 / 1.9

RULES: Final[dict[Metric, MetricRule]] = {
    Metric.SUCCESS: MetricRule(clip=1.0, margin=0.10, relative=False, effect=0.10),
    Metric.QUALITY: MetricRule(clip=0.5, margin=0.05, relative=False, effect=0.05),
    Metric.PREFERENCE: MetricRule(clip=1.0, margin=0.10, relative=False, effect=0.10),
    Metric.COST: MetricRule(clip=0.5, margin=0.25, relative=True, effect=_TENTH_CHEAPER),
    Metric.TOKENS: MetricRule(clip=0.5, margin=0.25, relative=True, effect=_TENTH_CHEAPER),
    Metric.LATENCY: MetricRule(clip=0.5, margin=0.25, relative=True, effect=_TENTH_CHEAPER),
}


def rounded(value: float) -> float:
    """The contrast as it is kept: six decimals, and never a negative zero."""
    return round(value, DECIMALS) + 0.0


def clipped(value: float, bound: float) -> float:
    """``value`` cut to [-bound, bound]."""
    return min(max(value, -bound), bound)


def difference(control: float, candidate: float) -> float:
    """The contrast of two numbers in [0, 1] of which more is better."""
    return rounded(candidate - control)


def relative_saving(control: float, candidate: float) -> float:
    """
    The contrast of two amounts of which less is better: (x_A − x_B)/(x_A + x_B).

    Two zeros are equal amounts, hence 0: a backend that costs nothing is not dearer.
    """
    # Halved first, so that two huge amounts do not add up to infinity.
    total = control / 2 + candidate / 2
    return rounded((control / 2 - candidate / 2) / total) if total > 0.0 else 0.0


def guard_contrast(contrast: float, tolerance: float) -> float:
    """
    The contrast of (1+τ)·x_A against x_B, from the contrast of x_A against x_B.

    Args:
        contrast: (x_A − x_B)/(x_A + x_B), in [-1, 1].
        tolerance: τ, how much dearer is allowed; 0.25 is 25 %.

    Returns:
        In [-1, 1]; its mean is ≤ 0 under "dearer than allowed".
    """
    control, candidate = (1.0 + tolerance) * (1.0 + contrast), 1.0 - contrast
    return (control - candidate) / (control + candidate)


def contrasts_of(control: Observation, candidate: Observation, *, preference: float | None = None) -> dict[str, float]:
    """
    Every contrast of one pair by metric name, ready for the evidence and the report.

    Quality appears when either arm was scored (an arm that failed before it
    could be scored has quality 0), preference when a judge was asked.
    """
    found: dict[str, float] = {Metric.SUCCESS.value: difference(control.success, candidate.success)}
    if control.quality is not None or candidate.quality is not None:
        found[Metric.QUALITY.value] = difference(control.quality or 0.0, candidate.quality or 0.0)
    if preference is not None:
        found[Metric.PREFERENCE.value] = rounded(preference)
    found[Metric.COST.value] = relative_saving(control.cost, candidate.cost)
    found[Metric.TOKENS.value] = relative_saving(control.tokens, candidate.tokens)
    found[Metric.LATENCY.value] = relative_saving(control.seconds, candidate.seconds)
    return found
