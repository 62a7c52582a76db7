"""
``mode: scheduled``: a group-sequential test for those who know how many pairs they will run.

The trial is looked at only at planned numbers of pairs, and never extended. In
return it needs fewer pairs than the test that may be looked at always. The
error is spent over the looks as O'Brien & Fleming would: hardly any early,
nearly all of it at the end,

    α*(t) = 2 − 2Φ(Φ⁻¹(1 − α/2)/√t),  t = pairs so far / pairs planned,

and each boundary solves P(first crossing at look k) = α*(t_k) − α*(t_{k−1}) for
Brownian motion, by numerical integration over the grid of paths that have not
crossed.

The statistic is the mean over its standard error, so the bound holds as far as
the normal approximation does, unlike that of ``eprocess``. Two pseudo-pairs, one
at each end of the clip, keep the variance of a run of ties from being zero.

Source: Lan & DeMets, "Discrete sequential boundaries for clinical trials",
Biometrika 70 (1983); Armitage, McPherson & Rowe, J. R. Stat. Soc. A 132 (1969),
for the recursion; Agresti & Min, Stat. Med. 24 (2005), for pseudo-pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

from execution.shadow.eprocess import Wealth

_NORMAL = NormalDist()
_CELLS = 400  # grid cells for the density of surviving paths
_LOWEST = -8.0  # paths this many standard deviations down carry no weight
_HALVINGS = 60


def spent(alpha: float, share: float) -> float:
    """α*(t): how much of the one-sided error α may be used up to information share t in (0, 1]."""
    return 2.0 - 2.0 * _NORMAL.cdf(_NORMAL.inv_cdf(1.0 - alpha / 2.0) / math.sqrt(share))


@lru_cache(maxsize=256)
def boundaries(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    """
    The z-value to reach at each planned look, so that the chance of ever crossing is α.

    Args:
        looks: pairs at each look, ascending; the last is the planned size.
        alpha: one-sided error of the whole trial.

    Returns:
        One boundary per look, falling; about Φ⁻¹(1 − α) at the last.
    """
    found: list[float] = []
    grid = [(0.0, 1.0)]  # place of B(t), and the probability of being there uncrossed
    before, used = 0.0, 0.0
    for look in looks:
        share = look / looks[-1]
        allowed = spent(alpha, share) - used
        used += allowed
        edge = _edge(grid, math.sqrt(share - before), allowed)
        found.append(edge / math.sqrt(share))
        grid = _advance(grid, math.sqrt(share - before), edge, share)
        before = share
    return tuple(found)


def _crossing(grid: Sequence[tuple[float, float]], step: float, edge: float) -> float:
    """P(the next step of this spread ends at or above the edge)."""
    return math.fsum(weight * (1.0 - _NORMAL.cdf((edge - place) / step)) for place, weight in grid)


def _edge(grid: Sequence[tuple[float, float]], step: float, allowed: float) -> float:
    """The edge that paths cross next with probability ``allowed``, by bisection."""
    low, high = -10.0, 40.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if _crossing(grid, step, middle) > allowed:
            low = middle
        else:
            high = middle
    return high


def _advance(grid: Sequence[tuple[float, float]], step: float, edge: float, share: float) -> list[tuple[float, float]]:
    """The distribution of uncrossed paths after the next look, as cells of exact probability."""
    lowest = _LOWEST * math.sqrt(share)
    width = (edge - lowest) / _CELLS
    walls = [lowest + width * k for k in range(_CELLS + 1)]
    below = [1.0 - _crossing(grid, step, wall) for wall in walls]
    cells = zip(walls, below, below[1:], strict=False)
    found = [(wall + width / 2.0, after - before) for wall, before, after in cells]
    return [(place, mass) for place, mass in found if mass > 1e-15]


def z_value(wealth: Wealth) -> float:
    """
    How many standard errors the mean lies above the null.

    The variance counts one pseudo-pair at each end of the clip; the mean does not.
    """
    if not wealth.pairs:
        return 0.0
    seen = wealth.pairs
    square = (wealth.mean_square * seen + 2.0 * wealth.bound**2) / (seen + 2)
    variance = max(square - wealth.mean**2, 1e-12)
    return (wealth.mean - wealth.null) / math.sqrt(variance / seen)
