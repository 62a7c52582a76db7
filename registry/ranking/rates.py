"""
What k successes in n runs tell about a rate.

In lists, a shrunk mean with a Wilson interval; for sorting, the shrunk 10 %
lower quantile (a pattern is as good as it has shown to be); for anything
watched live or used as a gate, Robbins' confidence sequence, which stays right
however often one looks.

Example:
    >>> low, high = wilson_interval(8, 10)
    >>> f"{low:.3f} {high:.3f}"
    '0.490 0.943'
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from registry.ranking.special import beta_quantile

Z_95 = 1.959963984540054
LEAST_RATED = 5  # under so many runs a list says "n runs, not rated"
SHRINK_RUNS = 4.0  # pseudo-runs that pull a rate towards its prior
_HALVINGS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Successes and runs; fractions appear once runs are weighed."""

    successes: float = 0.0  # 0 ≤ successes ≤ runs
    runs: float = 0.0  # how many, or the sum of their weights

    def __post_init__(self) -> None:
        """Refuse counts that nothing can have."""
        if not 0.0 <= self.successes <= self.runs + 1e-9 or not math.isfinite(self.runs):
            raise ValueError(f"{self.successes} of {self.runs} is no count of successes")

    def __add__(self, other: Counts) -> Counts:
        return Counts(successes=self.successes + other.successes, runs=self.runs + other.runs)

    def weighed(self, weight: float) -> Counts:
        """The same rate from ``weight`` times the runs."""
        return Counts(successes=self.successes * weight, runs=self.runs * weight)

    @property
    def rate(self) -> float | None:
        """The raw rate, None without runs."""
        return min(self.successes / self.runs, 1.0) if self.runs > 0.0 else None


def total(parts: Iterable[Counts]) -> Counts:
    """The sum of counts."""
    return sum(parts, Counts())


def wilson_interval(successes: float, runs: float, z: float = Z_95) -> tuple[float, float]:
    """
    The Wilson score interval of a rate at one look; (0, 1) without runs.

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927).
    """
    if runs <= 0.0:
        return 0.0, 1.0
    rate, squared = successes / runs, z * z
    scale = 1.0 + squared / runs
    centre = (rate + squared / (2.0 * runs)) / scale
    half = z / scale * math.sqrt(max(rate * (1.0 - rate), 0.0) / runs + squared / (4.0 * runs * runs))
    # At 0 and at all, rounding would leave the bound a hair off its exact value.
    low = 0.0 if successes <= 0.0 else max(centre - half, 0.0)
    high = 1.0 if successes >= runs else min(centre + half, 1.0)
    return low, high


def shrunk_mean(successes: float, runs: float, prior: float = 0.5, strength: float = SHRINK_RUNS) -> float:
    """The rate pulled towards ``prior`` (0–1) as if by ``strength`` further runs."""
    return (successes + strength * prior) / (runs + strength)


def lower_quantile(
    successes: float, runs: float, prior: float = 0.5, strength: float = SHRINK_RUNS, share: float = 0.1
) -> float:
    """The shrunk lower quantile that lists sort by: the rate is above it with probability 1 − ``share``."""
    a = successes + strength * prior
    b = runs - successes + strength * (1.0 - prior)
    # A prior of exactly 0 or 1 with nothing against it is certain.
    if a <= 0.0 or b <= 0.0:
        return 0.0 if a <= 0.0 else 1.0
    return beta_quantile(share, a, b)


def robbins_interval(successes: int, runs: int, alpha: float = 0.05) -> tuple[float, float]:
    """
    Robbins' confidence sequence {p : (n+1)·C(n,k)·p^k (1−p)^(n−k) > α}.

    It holds the true rate at all looks together with probability 1 − α.

    Source: Robbins, "Statistical methods related to the law of the iterated
    logarithm", Ann. Math. Stat. 41 (1970); the mixture of all rates, uniformly.
    """
    if not 0 <= successes <= runs:
        raise ValueError(f"{successes} of {runs} is no count of successes")
    if runs == 0:
        return 0.0, 1.0
    low = 0.0 if successes == 0 else _robbins_end(successes, runs, alpha, outside=0.0)
    high = 1.0 if successes == runs else _robbins_end(successes, runs, alpha, outside=1.0)
    return low, high


def _robbins_end(k: int, n: int, alpha: float, outside: float) -> float:
    """The end between the best rate k/n, which is inside, and 0 or 1, which is outside."""
    front = math.log(n + 1) + math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    inside, threshold = k / n, math.log(alpha)
    for _ in range(_HALVINGS):
        p = (inside + outside) / 2.0
        if p <= 0.0 or p >= 1.0:
            break
        log_mixture = front + k * math.log(p) + (n - k) * math.log1p(-p)
        inside, outside = (p, outside) if log_mixture > threshold else (inside, p)
    return inside


def rate_in_words(successes: int, runs: int) -> str:
    """What a list shows: "7 of 9 runs (45 to 94 %)", or that there are too few runs to rate."""
    noun = "run" if runs == 1 else "runs"
    if runs < LEAST_RATED:
        return f"{runs} {noun}, not rated" if runs else "no runs yet"
    low, high = wilson_interval(successes, runs)
    return f"{successes} of {runs} {noun} ({low * 100:.0f} to {high * 100:.0f} %)"


def rating_mean(stars_total: float, ratings: int, prior: float = 3.0, strength: float = 5.0) -> float:
    """The shrunk mean of 1–5 stars, for lists: ``strength`` imagined people gave ``prior``."""
    return (stars_total + strength * prior) / (ratings + strength)


def claim_is_possible(rate: float, runs: int, decimals: int | None = None) -> bool:
    """
    Whether some whole number of successes in ``runs`` gives this rate, as written.

    A claimed rate of 0.95 from 7 runs is impossible: nobody can have measured it.

    Args:
        rate: as claimed; 0.87 for 87 %.
        runs: how many runs the claim rests on.
        decimals: digits behind the point that were written, 0 to 15; None
            reads them off ``rate``. Either way of rounding a half is accepted.
    """
    if runs <= 0 or not math.isfinite(rate) or not 0.0 <= rate <= 1.0:
        return False
    written = Decimal(repr(rate))
    if decimals is None:
        exponent = written.as_tuple().exponent
        # A quotient written out in full is off in its last digits; nobody measures that finely.
        decimals = min(max(-exponent, 0), 12) if isinstance(exponent, int) else 0
    half_step = Fraction(1, 2 * 10**decimals)
    claimed = Fraction(round(written, decimals))
    nearest = math.floor(claimed * runs)
    candidates = (k for k in (nearest, nearest + 1) if 0 <= k <= runs)
    return any(abs(Fraction(k, runs) - claimed) <= half_step for k in candidates)
