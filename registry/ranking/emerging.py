"""
Which patterns are suddenly used more, and deserve to be.

Weekly uses y are bet against λ0, the 75 % upper quantile of what older weeks
make plausible: R ← (R + 1)·f^y·e^{−λ0 (f − 1)}, the Shiryaev–Roberts statistic for
Poisson counts that grew by the factor f, averaged over f ∈ {1.7, 2.5, 4}.
A pattern is flagged at 1000, and only if its success is not below its
category's and at least three operators use it.

The posterior of the older weeks' mean is Gamma(1 + uses, 1 + weeks): the prior
is one week with one use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from registry.ranking.special import gamma_quantile

GROWTH = (1.7, 2.5, 4.0)
FLAG_AT = 1000.0
BASE_QUANTILE = 0.75
RECENT_WEEKS = 8
LEAST_OPERATORS = 3
_LARGEST_LOG = 700.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergence:
    """Whether a pattern is emerging, and why."""

    statistic: float  # R; flagged at 1000
    base: float  # λ0, uses per week that older weeks make plausible
    flagged: bool  # whether it is shown as emerging
    reason: str  # in words


def base_rate(older_weeks: Sequence[int]) -> float:
    """λ0: the 75 % upper posterior quantile of the weekly mean of older weeks."""
    return gamma_quantile(BASE_QUANTILE, 1.0 + sum(older_weeks), 1.0 + len(older_weeks))


def growth_statistic(recent_weeks: Sequence[int], base: float) -> float:
    """The mean over f of R after these weeks, oldest first; 0 before the first, cut at e^700."""
    logs = []
    for factor in GROWTH:
        log_r = -math.inf
        for uses in recent_weeks:
            plus_one = max(log_r, 0.0) + math.log1p(math.exp(-abs(log_r)))
            log_r = plus_one + uses * math.log(factor) - base * (factor - 1.0)
        logs.append(log_r)
    return math.fsum(math.exp(min(log_r, _LARGEST_LOG)) for log_r in logs) / len(logs)


def emergence(
    weeks: Sequence[int],
    *,
    success: float | None,
    category_success: float | None,
    operators: int,
    recent: int = RECENT_WEEKS,
) -> Emergence:
    """
    Judge one pattern's weekly uses.

    Args:
        weeks: uses per week, oldest first, the running week last; page views are no uses.
        success: its shrunk success rate, None when nothing is known.
        category_success: that of its category.
        operators: how many different operators use it.
        recent: how many of the last weeks are watched; those before set λ0.
    """
    split = max(len(weeks) - recent, 0)
    base = base_rate(weeks[:split])
    statistic = growth_statistic(weeks[split:], base)
    obstacle = _obstacle(statistic, success, category_success, operators)
    lately = sum(weeks[split:]) / max(len(weeks) - split, 1)
    grown = f"{lately:.1f} uses a week lately, where at most {base:.1f} were to be expected"
    return Emergence(
        statistic=statistic,
        base=base,
        flagged=not obstacle,
        reason=f"{grown}; {obstacle}" if obstacle else f"{grown}, by {operators} operators",
    )


def _obstacle(statistic: float, success: float | None, category_success: float | None, operators: int) -> str:
    """Why the pattern is not flagged, "" when it is."""
    if statistic < FLAG_AT:
        return "that may be chance"
    if operators < LEAST_OPERATORS:
        return f"but only {operators} of the {LEAST_OPERATORS} operators needed use it"
    if success is None or (category_success is not None and success < category_success):
        return "but its success is below that of its category"
    return ""
