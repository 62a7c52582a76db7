"""
The watch after a promotion: a Shiryaev–Roberts e-detector.

After each shadowed pair, every bet restarts once more with one unit:
R_k ← (R_k + 1)·(1 + λ_k(−D − m0)). R = Σ w_k R_k sums the evidence of "it turned
worse at pair j" over all j. As long as the promoted version is not worse, the
mean time to an alarm at 1000 is at least 1000 pairs.

Source: Shin, Ramdas & Rinaldo, "E-detectors: a nonparametric framework for
sequential change detection", New England J. Stat. Data Sci. (2023),
arXiv:2203.03532: the Shiryaev–Roberts e-detector (section 2), a sum of e-processes
started at every time; alarm at A gives an average run length of at least A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from execution.shadow.eprocess import BETS, LOG_PRIOR, finite_exp, log_factors, log_sum_exp

ALARM = 1000.0


def _log_plus_one(log_value: float) -> float:
    """ln(exp(v) + 1) without overflow; 0 for −inf."""
    return max(log_value, 0.0) + math.log1p(math.exp(-abs(log_value)))


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmDetector:
    """
    The running evidence that the promoted version has become worse than the pinned incumbent.

    Order matters here, unlike in a trial: feed pairs as they were enrolled.
    """

    bound: float = 1.0  # clip of the contrast watched; 1 for success
    tolerance: float = 0.0  # how much worse, as a mean contrast, raises no alarm
    alarm_at: float = ALARM  # R that rolls the promotion back
    log_sums: tuple[float, ...] = (-math.inf,) * BETS  # ln R_k
    pairs: int = 0  # how many pairs were watched

    def observe(self, contrast: float) -> HarmDetector:
        """The detector after one more pair; ``contrast`` > 0 where the promoted version did better."""
        factors = log_factors(-contrast, self.bound, self.tolerance)
        return HarmDetector(
            bound=self.bound,
            tolerance=self.tolerance,
            alarm_at=self.alarm_at,
            log_sums=tuple(_log_plus_one(have) + factor for have, factor in zip(self.log_sums, factors, strict=True)),
            pairs=self.pairs + 1,
        )

    @property
    def log_statistic(self) -> float:
        """ln R; −inf before the first pair."""
        return log_sum_exp(prior + sums for prior, sums in zip(LOG_PRIOR, self.log_sums, strict=True))

    @property
    def statistic(self) -> float:
        """R, cut at e^700 to stay finite."""
        return finite_exp(self.log_statistic)

    @property
    def alarmed(self) -> bool:
        """Whether the evidence of harm has reached the alarm."""
        return self.log_statistic >= math.log(self.alarm_at)
