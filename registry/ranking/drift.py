"""
The rate of today from the days of the past.

Raw daily counts stay for ever; the current rate weighs them. A run loses half
its weight for every hundred runs after it, and everything before a proven
change of the rate is forgotten. A new version of a pattern starts from its
parent's posterior at a quarter of its weight; a fork starts at zero.

The change detector watches days after a baseline: it bets that the rate fell
below, or rose above, what the baseline leaves possible, restarting a bet every
day and summing them (Shiryaev–Roberts); it alarms at 1000, so that a pattern
whose rate stays put is restarted by mistake once in 1000 days at most.

Source: Shin, Ramdas & Rinaldo, "E-detectors" (2023), arXiv:2203.03532.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from registry.ranking.rates import Counts, robbins_interval, total

HALF_LIFE_RUNS = 100.0
ALARM = 1000.0
BASELINE_RUNS = 40  # runs that set what "as before" means
INHERITED_SHARE = 0.25
MOST_INHERITED = 20.0
_STAKES = (0.1, 0.3, 0.6, 0.9)


def decayed(days: Sequence[Counts], half_life: float = HALF_LIFE_RUNS) -> Counts:
    """
    The weighed counts of a series of days, oldest first.

    A run's weight is 2^(−runs after it / half-life). Within a day the order is
    not known, so its runs share the weights of their places.
    """
    ratio = 2.0 ** (-1.0 / half_life)
    weighed, after = Counts(), 0.0
    for day in reversed(days):
        if day.runs > 0.0:
            share = ratio**after * (1.0 - ratio**day.runs) / (1.0 - ratio)
            weighed = weighed + day.weighed(share / day.runs)
            after += day.runs
    return weighed


def current(days: Sequence[Counts], parent: Counts | None = None) -> Counts:
    """
    What the current rate is computed from: days since the last change, weighed, and what was inherited.

    Args:
        days: one entry per day of this version, oldest first.
        parent: the parent version's current counts; they only count until
            this version's own rate has changed.
    """
    start = last_change(days)
    own = decayed(days[start:])
    return own + inherited(parent) if parent is not None and start == 0 else own


def inherited(parent: Counts) -> Counts:
    """What a new version starts from: its parent's counts at a quarter of their weight, at most 20 runs."""
    if parent.runs <= 0.0:
        return Counts()
    return parent.weighed(min(INHERITED_SHARE * parent.runs, MOST_INHERITED) / parent.runs)


def last_change(days: Sequence[Counts]) -> int:
    """The index of the first day of the current regime; 0 when the rate never changed."""
    start = 0
    while True:
        found = _next_change(days, start)
        if found is None:
            return start
        start = found


def _next_change(days: Sequence[Counts], start: int) -> int | None:
    """The day on which the next regime began, once the evidence for it reaches the alarm."""
    first = _after_baseline(days, start)
    if first is None:
        return None
    seen = total(days[start:first])
    low, high = robbins_interval(round(seen.successes), round(seen.runs))
    log_sums = [[-math.inf] * len(_STAKES), [-math.inf] * len(_STAKES)]
    for index in range(first, len(days)):
        for side, gains in enumerate(_gains(days[index], low, high)):
            log_sums[side] = [
                _log1pexp(sums) + gain for sums, gain in zip(log_sums[side], gains, strict=True)
            ]
        # Each side and stake had an equal share of the one unit.
        every = [value for side in log_sums for value in side]
        if _log_mean_exp(every) >= math.log(ALARM):
            return _begin(days, first, index, low, high)
    return None


def _after_baseline(days: Sequence[Counts], start: int) -> int | None:
    runs = 0.0
    for index in range(start, len(days)):
        runs += days[index].runs
        if runs >= BASELINE_RUNS:
            return index + 1
    return None


def _gains(day: Counts, low: float, high: float) -> tuple[list[float], list[float]]:
    """ln of what a day pays to the bets on "fell below low" and on "rose above high"."""
    failures = day.runs - day.successes
    # Stake c pays 1 + c(low − x)/(1 − low): mean at most 1 while the rate is at least low; likewise for high.
    fell = [
        day.successes * math.log1p(-stake) + failures * math.log1p(stake * low / (1.0 - low))
        if low > 0.0
        else 0.0
        for stake in _STAKES
    ]
    rose = [
        failures * math.log1p(-stake) + day.successes * math.log1p(stake * (1.0 - high) / high)
        if high < 1.0
        else 0.0
        for stake in _STAKES
    ]
    return fell, rose


def _begin(days: Sequence[Counts], first: int, last: int, low: float, high: float) -> int:
    """The day from which the evidence is strongest: the change most likely began then."""
    best, begin = -math.inf, last
    sums = ([0.0] * len(_STAKES), [0.0] * len(_STAKES))
    for index in range(last, first - 1, -1):
        for side, gains in enumerate(_gains(days[index], low, high)):
            for k, gain in enumerate(gains):
                sums[side][k] += gain
        strongest = max(max(side) for side in sums)
        if strongest > best:
            best, begin = strongest, index
    return begin


def _log1pexp(value: float) -> float:
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))


def _log_mean_exp(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values) / len(values))
