"""
The betting e-process: evidence that may be looked at after every pair.

For H0: mean of clip(D, −b, b) ≤ m0, fourteen gamblers start with shares w_k of
one unit of money and stake the fixed fractions c_k on "D is above m0":

    E_n(m0) = Σ_k w_k Π_{i≤n} (1 + λ_k (clip(D_i) − m0)),   λ_k = c_k / (b + m0)

Under H0 the expected wealth never grows, so by Ville's inequality it ever
reaches 1/α with probability at most α, whatever the looks, the stopping rule
or the dependence between pairs.

Source: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by
betting", J. R. Stat. Soc. B 86 (2023), arXiv:2010.09686: the capital process
K_n(m) = Π (1 + λ_i (X_i − m)) of section 4, with constant bets mixed by a prior
(a mixture of martingales is one). Ville, "Étude critique de la notion de
collectif" (1939), for the bound on ever crossing.

Each log-wealth is kept as an integer number of units of 2⁻⁵² nats. Integers add
exactly, so the evidence of several workers or resumed trials is the same to
the last bit in whatever order it comes, and 10⁶ pairs neither overflow nor
drift (docs/decisions/0060-evidence-in-integers.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from execution.shadow.contrast import clipped
from execution.shadow.errors import MergeRefused

BETS = 14
UNITS_PER_NAT = 2**52
_UNITS_PER_ONE = 2**40  # for sums of contrasts (six decimals) and of their squares
_LARGEST_LOG = 700.0  # exp of more is not a finite float

FRACTIONS: tuple[float, ...] = tuple(0.03 * (0.96 / 0.03) ** (k / (BETS - 1)) for k in range(BETS))


def _log_prior() -> tuple[float, ...]:
    raw = [-((math.log(c) - math.log(0.35)) ** 2) / (2 * 0.9**2) for c in FRACTIONS]
    total = log_sum_exp(raw)
    return tuple(value - total for value in raw)


def log_sum_exp(values: Iterable[float]) -> float:
    """ln Σ exp(v) without overflow; -inf for none."""
    found = list(values)
    top = max(found, default=-math.inf)
    if math.isinf(top):
        return top
    return top + math.log(math.fsum([math.exp(value - top) for value in found]))


LOG_PRIOR: tuple[float, ...] = _log_prior()


def finite_exp(log_value: float) -> float:
    """exp, cut at the largest power that is still a finite number: what pages and JSON can show."""
    return math.exp(min(log_value, _LARGEST_LOG))


def log_factors(value: float, bound: float, null: float) -> tuple[float, ...]:
    """ln(1 + λ_k (clip(value) − m0)) for the fourteen bets; finite, as no bet stakes everything."""
    gain = (clipped(value, bound) - null) / (bound + null)
    return tuple(math.log1p(fraction * gain) for fraction in FRACTIONS)


@lru_cache(maxsize=4096)
def _unit_factors(value: float, bound: float, null: float) -> tuple[int, ...]:
    return tuple(round(factor * UNITS_PER_NAT) for factor in log_factors(value, bound, null))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wealth:
    """
    The fourteen log-wealths of one test, and the first two moments of what it saw.

    Example:
        >>> wealth = Wealth(bound=1.0, null=-0.1)
        >>> f"{wealth.observe(0.0, times=10).e_value:.4f}"
        '1.5595'
    """

    bound: float  # b: values are clipped to [-b, b]
    null: float  # m0, in (-b, b]
    units: tuple[int, ...] = (0,) * BETS  # log-wealths in units of 2**-52 nats
    pairs: int = 0  # how many values were observed
    total: int = 0  # their clipped sum, in units of 2**-40
    squares: int = 0  # the sum of their clipped squares, in the same units

    def __post_init__(self) -> None:
        """Refuse a test that could not be bet on."""
        if not (self.bound > 0.0 and -self.bound < self.null <= self.bound):
            raise ValueError(f"the null {self.null} is outside of (-{self.bound}, {self.bound}]")

    def observe(self, value: float, times: int = 1) -> Wealth:
        """The wealth after ``times`` further pairs with this value; NaN is a ValueError."""
        if math.isnan(value):
            raise ValueError("a contrast is a number, not NaN")
        cut = clipped(value, self.bound)
        factors = _unit_factors(cut, self.bound, self.null)
        return Wealth(
            bound=self.bound,
            null=self.null,
            units=tuple([have + times * more for have, more in zip(self.units, factors, strict=True)]),
            pairs=self.pairs + times,
            total=self.total + times * round(cut * _UNITS_PER_ONE),
            squares=self.squares + times * round(cut * cut * _UNITS_PER_ONE),
        )

    def __add__(self, other: Wealth) -> Wealth:
        """
        The evidence of two disjoint sets of pairs together; exact, in any order.

        Raises:
            MergeRefused: the two are wealths of different tests.
        """
        if (self.bound, self.null) != (other.bound, other.null):
            raise MergeRefused("evidence adds only over one test: clip and null differ")
        return Wealth(
            bound=self.bound,
            null=self.null,
            units=tuple([mine + more for mine, more in zip(self.units, other.units, strict=True)]),
            pairs=self.pairs + other.pairs,
            total=self.total + other.total,
            squares=self.squares + other.squares,
        )

    @property
    def log_e(self) -> float:
        """ln E_n(m0); 0 before the first pair."""
        return log_sum_exp([prior + units / UNITS_PER_NAT for prior, units in zip(LOG_PRIOR, self.units, strict=True)])

    @property
    def e_value(self) -> float:
        """E_n(m0), cut at e^700 to stay finite."""
        return finite_exp(self.log_e)

    @property
    def mean(self) -> float:
        """The mean of the clipped values; 0 before the first pair."""
        return self.total / _UNITS_PER_ONE / self.pairs if self.pairs else 0.0

    @property
    def mean_square(self) -> float:
        """The mean of the squared clipped values; 0 before the first pair."""
        return self.squares / _UNITS_PER_ONE / self.pairs if self.pairs else 0.0

    def best_growth(self) -> float:
        """The largest gain per pair, in nats, that any of the bets has made; 0 before the first pair."""
        return max(self.units) / UNITS_PER_NAT / self.pairs if self.pairs else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The whole state of a success test: how often each side alone succeeded."""

    wins: int = 0  # the candidate succeeded, the control did not
    losses: int = 0  # the control succeeded, the candidate did not
    ties: int = 0  # both or neither

    def __add__(self, other: Tally) -> Tally:
        """Counts over disjoint inputs add."""
        return Tally(wins=self.wins + other.wins, losses=self.losses + other.losses, ties=self.ties + other.ties)

    def counts(self) -> dict[float, int]:
        """The same as contrasts and how often each occurred."""
        return {1.0: self.wins, -1.0: self.losses, 0.0: self.ties}

    def wealth(self, null: float) -> Wealth:
        """The e-process for H0: mean ≤ null, from the counts alone."""
        return wealth_of(self.counts(), bound=1.0, null=null)

    def flipped(self) -> Tally:
        """The same pairs with control and candidate exchanged: −D."""
        return Tally(wins=self.losses, losses=self.wins, ties=self.ties)


def wealth_of(counts: Mapping[float, int], *, bound: float, null: float) -> Wealth:
    """The wealth over a sample given as value → how often."""
    wealth = Wealth(bound=bound, null=null)
    for value, times in counts.items():
        if times:
            wealth = wealth.observe(value, times)
    return wealth
