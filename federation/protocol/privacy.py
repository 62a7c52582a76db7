"""
What a node may say about how a pattern is used here, and how far claims of others move a score.

``org`` tells exact counts, once enough runs of enough people stand behind
them. ``public`` adds discrete Laplace noise, so that whoever reads all a node
ever published in a period learns almost nothing about one person: a person
counts for at most 20 runs in a period, over all patterns and contexts
together; successes and failures are noised apart, each run being one or the
other, so the whole publication of a period has L1 sensitivity 20 and scale
20/ε gives ε-differential privacy of the numbers. A cell appears only from a
noisy total of 100 on; that one person alone makes a cell appear has a chance
of about 3 in 100, which is what remains as δ. The page says both.

The sampler is exact: integers only, no floating point that could leak.
Randomness comes in as ``below(n)``, uniform in 0 … n-1; services pass
``secrets.randbelow``.

Source: OPL-Fed/1, "Statistics and privacy"; Canonne, Kamath and Steinke,
The Discrete Gaussian for Differential Privacy (2020), algorithms 1 and 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from federation.protocol.kinds import PERIOD_SECONDS

Below = Callable[[int], int]  # uniform in 0 … n-1

ORG_LEAST_RUNS = 20
ORG_LEAST_PRINCIPALS = 5
PUBLIC_MOST_RUNS = 20  # per principal and period
PUBLIC_LEAST_NOISY_RUNS = 100
PUBLIC_EPSILON = Fraction(1)  # per period
INFLUENCE_LEAST = 20  # of all remote claims together, in runs


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """Where a run is counted."""

    digest: str  # of the pattern's source
    context: str  # the context cell, as canonical text


@dataclass(frozen=True, slots=True)
class Tally:
    """Runs and how many of them succeeded."""

    runs: int
    success: int

    @property
    def failures(self) -> int:
        """Runs that did not succeed."""
        return self.runs - self.success

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(self.runs + other.runs, self.success + other.success)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One row that may leave the node."""

    cell: Cell
    tally: Tally
    profile: str  # org or public
    epsilon: float | None  # spent on the whole period; None where the counts are exact


NOTHING = Tally(0, 0)
# principal → cell → what that principal did in the period; principals never leave this module
Counts = Mapping[str, Mapping[Cell, Tally]]


def period_of(unix_seconds: int) -> int:
    """The number of the 28-day period a time lies in."""
    return unix_seconds // PERIOD_SECONDS


def org(counts: Counts) -> list[Published]:
    """Exact counts, of cells with 20 runs and 5 principals or more."""
    totals, principals = _totals(counts), _principals(counts)
    return [
        Published(cell=cell, tally=tally, profile="org", epsilon=None)
        for cell, tally in sorted(totals.items(), key=lambda item: item[0])
        if tally.runs >= ORG_LEAST_RUNS and principals[cell] >= ORG_LEAST_PRINCIPALS
    ]


def public(counts: Counts, *, below: Below, epsilon: Fraction = PUBLIC_EPSILON) -> list[Published]:
    """
    Noisy counts of a whole period. Call it once per period and keep the answer: every call spends ``epsilon`` anew.
    """
    clipped = {principal: clip(cells, below=below) for principal, cells in counts.items()}
    scale = PUBLIC_MOST_RUNS / epsilon
    published = []
    for cell, tally in sorted(_totals(clipped).items(), key=lambda item: item[0]):
        success = max(0, tally.success + discrete_laplace(scale, below=below))
        failures = max(0, tally.failures + discrete_laplace(scale, below=below))
        noisy = Tally(success + failures, success)
        if noisy.runs >= PUBLIC_LEAST_NOISY_RUNS:
            published.append(Published(cell=cell, tally=noisy, profile="public", epsilon=float(epsilon)))
    return published


def clip(cells: Mapping[Cell, Tally], *, below: Below) -> dict[Cell, Tally]:
    """
    At most 20 runs of one principal, drawn without replacement from all it did in the period.

    A draw, not the first twenty: what a person did first must not decide.
    """
    left = {cell: [tally.success, tally.failures] for cell, tally in cells.items()}
    total = sum(tally.runs for tally in cells.values())
    kept: dict[Cell, Tally] = {}
    for taken in range(min(total, PUBLIC_MOST_RUNS)):
        cell, succeeded = _take(left, below(total - taken))
        kept[cell] = kept.get(cell, NOTHING).plus(Tally(1, int(succeeded)))
    return kept


def discrete_laplace(scale: Fraction, *, below: Below) -> int:
    """
    An integer x with probability proportional to exp(-|x|/scale), exactly.

    Args:
        scale: above 0.
    """
    numerator, denominator = scale.numerator, scale.denominator
    while True:
        remainder = below(numerator)
        if not _bernoulli_exp(Fraction(remainder, numerator), below):
            continue
        quotient = 0
        while _bernoulli_exp(Fraction(1), below):
            quotient += 1
        magnitude = (remainder + numerator * quotient) // denominator
        negative = below(2) == 1
        if not (negative and magnitude == 0):  # zero has one sign only
            return -magnitude if negative else magnitude


def influence(n_local: int) -> float:
    """R: how many runs all remote claims together may weigh."""
    return max(float(INFLUENCE_LEAST), n_local / 2)


def blended(local: Tally, remote: Iterable[tuple[Tally, float]]) -> float:
    """
    The success rate with what peers attest, shrunk by one success in two runs.

    Args:
        remote: claims with their weights, 0-1 (tier, trust, reproduction).

    Returns:
        A rate 0-1 that all claims together have moved by at most
        R/(R + n_local + 2) from the local one.
    """
    claims = [(tally, weight) for tally, weight in remote if tally.runs > 0 and weight > 0]
    runs = sum(tally.runs * weight for tally, weight in claims)
    success = sum(tally.success * weight for tally, weight in claims)
    cut = min(1.0, influence(local.runs) / runs) if runs else 0.0
    return (local.success + cut * success + 1) / (local.runs + cut * runs + 2)


def _bernoulli_exp(gamma: Fraction, below: Below) -> bool:
    """True with probability exp(-gamma), for gamma in 0 … 1."""
    k = 1
    while below(gamma.denominator * k) < gamma.numerator:
        k += 1
    return k % 2 == 1


def _take(left: dict[Cell, list[int]], place: int) -> tuple[Cell, bool]:
    """Take out the run that stands at ``place`` when all that are left are laid in a row."""
    for cell, counts in left.items():
        for kind in (0, 1):
            if place < counts[kind]:
                counts[kind] -= 1
                return cell, kind == 0
            place -= counts[kind]
    raise AssertionError("place lies beyond the last run")


def _totals(counts: Counts) -> dict[Cell, Tally]:
    totals: dict[Cell, Tally] = {}
    for cells in counts.values():
        for cell, tally in cells.items():
            totals[cell] = totals.get(cell, NOTHING).plus(tally)
    return totals


def _principals(counts: Counts) -> dict[Cell, int]:
    principals: dict[Cell, int] = {}
    for cells in counts.values():
        for cell, tally in cells.items():
            principals[cell] = principals.get(cell, 0) + (tally.runs > 0)
    return principals
