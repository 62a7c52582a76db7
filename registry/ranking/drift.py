"""
The rate of today from the days of the past.

Raw daily counts stay for ever; the current rate weighs them. A run loses half
its weight for every hundred runs after it, and everything before a proven
change of the rate is forgotten. A new version of a pattern starts from its
parent's posterior at a quarter of its weight; a fork starts at zero.

The change detector stakes one unit every week on "from today on the rate is
outside of what the days before make possible" (Robbins' sequence at 1 %), and
alarms when all stakes together have become 1000: a Shiryaev–Roberts e-detector.
A pattern whose rate stays put is restarted by mistake once in 1000 weeks at most,
or where the sequence itself failed, which it does in one pattern of a hundred.

Source: Shin, Ramdas & Rinaldo, "E-detectors" (2023), arXiv:2203.03532.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from registry.ranking.rates import Counts, robbins_interval

HALF_LIFE_RUNS = 100.0
ALARM = 1000.0
BASELINE_RUNS = 20  # runs before the first stake
DAYS_PER_BET = 7
MOST_DAYS = 400  # days looked back; older ones have lost all their weight
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
    start = max(len(days) - MOST_DAYS, 0)
    known = 0
    while True:
        found = _next_change(days, start)
        if found is None:
            return known
        start = known = found


def _next_change(days: Sequence[Counts], start: int) -> int | None:
    """The day on which the next regime began, once the evidence for it reaches the alarm."""
    bets: list[_Bet] = []
    seen, since_bet = Counts(), DAYS_PER_BET
    for index in range(start, len(days)):
        if seen.runs >= BASELINE_RUNS and since_bet >= DAYS_PER_BET:
            bets.append(_Bet(seen))
            since_bet = 0
        for bet in bets:
            bet.observe(days[index])
        if bets and log_sum_exp([bet.log_wealth for bet in bets]) >= math.log(ALARM):
            strongest = max(bets, key=lambda bet: bet.log_wealth)
            return _begin(days, strongest, first=start + 1, last=index)
        seen = seen + days[index]
        since_bet += 1
    return None


class _Bet:
    """One unit staked, from one day on, on "the rate left what the days before make possible"."""

    def __init__(self, before: Counts) -> None:
        self.low, self.high = robbins_interval(round(before.successes), round(before.runs), alpha=0.01)
        self._log_shares = [0.0] * (2 * len(_STAKES))

    def observe(self, day: Counts) -> None:
        """Pay out one day."""
        gains = _gains(day, self.low, self.high)
        self._log_shares = [have + gain for have, gain in zip(self._log_shares, gains, strict=True)]

    @property
    def log_wealth(self) -> float:
        """ln of what the unit has become; every side and stake had an equal share of it."""
        return log_sum_exp(self._log_shares) - math.log(len(self._log_shares))


def _gains(day: Counts, low: float, high: float) -> list[float]:
    """
    ln of what a day pays to each stake on "fell below low", then on "rose above high".

    A stake c on a fall pays 1 + c(low − x)/(1 − low), whose mean is at most 1
    while the rate is at least low; likewise for a rise.
    """
    failures = max(day.runs - day.successes, 0.0)
    up, down = low / (1.0 - low), (1.0 - high) / high
    fell = [day.successes * math.log1p(-c) + failures * math.log1p(c * up) for c in _STAKES]
    rose = [failures * math.log1p(-c) + day.successes * math.log1p(c * down) for c in _STAKES]
    return fell + rose


def _begin(days: Sequence[Counts], bet: _Bet, *, first: int, last: int) -> int:
    """The day from which the evidence is strongest: the change most likely began then."""
    best, begin = -math.inf, last
    sums = [0.0] * (2 * len(_STAKES))
    for index in range(last, first - 1, -1):
        gains = _gains(days[index], bet.low, bet.high)
        sums = [have + gain for have, gain in zip(sums, gains, strict=True)]
        if max(sums) > best:
            best, begin = max(sums), index
    return begin


def log_sum_exp(values: Sequence[float]) -> float:
    """ln Σ exp(v) without overflow, of at least one value."""
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values))
