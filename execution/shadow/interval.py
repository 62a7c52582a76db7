"""
The confidence sequence: which means the pairs seen so far do not refute.

    {m : E_n(m on D) < 2/α  and  E_n(−m on −D) < 2/α}

It covers the true mean at every look together with probability at least 1 − α.
E_n(m) falls as m rises (each factor is 1 − c + c·(D+b)/(m+b)), so both ends are
found by bisection.

Source: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by
betting" (2023), arXiv:2010.09686, section 4: a confidence sequence is the set of
means whose capital process has not reached its threshold; two sides, α/2 each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from execution.shadow.contrast import clipped
from execution.shadow.eprocess import FRACTIONS, LOG_PRIOR, log_sum_exp

_STEPS = 48  # halvings: the ends are exact to 2b / 2^48


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A closed interval for a mean contrast."""

    low: float  # lower end
    high: float  # upper end

    @property
    def width(self) -> float:
        """How much is still unknown."""
        return self.high - self.low


def log_e_at(counts: Mapping[float, int], *, bound: float, null: float) -> float:
    """ln E_n(null) over a sample given as value → how often, for any null in (-b, b)."""
    wealths = list(LOG_PRIOR)
    for value, times in counts.items():
        gain = (clipped(value, bound) - null) / (bound + null)
        for k, fraction in enumerate(FRACTIONS):
            wealths[k] += times * math.log1p(fraction * gain)
    return log_sum_exp(wealths)


def confidence_sequence(counts: Mapping[float, int], *, bound: float, alpha: float = 0.05) -> Interval:
    """
    The two-sided 1 − α confidence sequence for the mean of clip(D, −b, b).

    Args:
        counts: contrast → how many pairs had it; empty gives [-b, b].
        bound: the metric's clip b.
        alpha: the chance that any of all looks misses the mean.
    """
    flipped = {-value: times for value, times in counts.items()}
    return Interval(
        low=_lower_end(counts, bound, alpha),
        high=-_lower_end(flipped, bound, alpha),
    )


def _lower_end(counts: Mapping[float, int], bound: float, alpha: float) -> float:
    """The largest m that is refuted as an upper bound of the mean; −b when none is."""
    threshold = math.log(2.0 / alpha)
    low, high = -bound, bound
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        if log_e_at(counts, bound=bound, null=middle) >= threshold:
            low = middle
        else:
            high = middle
    return low
