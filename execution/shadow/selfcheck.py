"""
Simulate the procedure on this machine: does it keep its error rates here, with this code?

Behind ``manage.py verify --self-check``. Each scenario runs trials whose arms
differ in success alone, looks after every pair through the very functions that
judge real trials, and counts promotions. It takes seconds; ``benchmarks/verification.py``
does the same at length, with cost and latency.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from execution.shadow.contrast import Metric
from execution.shadow.eprocess import Tally, Wealth, wealth_of
from execution.shadow.evidence import Evidence
from execution.shadow.figures import percent
from execution.shadow.plan import Process, TrialPlan
from execution.shadow.planning import discordance
from execution.shadow.verdict import Claims, Outcome, claims_of, decide

TRIALS = 1000
# Three standard errors of a simulated share: what chance alone may add to a bound.
_SLACK = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One simulated scenario, what it showed and what it must show."""

    name: str
    promoted: float  # share of trials that promoted, 0–1
    pairs: float  # mean pairs of a trial
    bound: float  # what ``promoted`` is compared with
    at_least: bool  # whether the bound is a floor (power) or a ceiling (error)
    good: bool  # whether it holds, chance allowed for

    @property
    def sentence(self) -> str:
        """The check in a line."""
        wanted = f"{'at least' if self.at_least else 'at most'} {percent(self.bound)}"
        within = self.promoted >= self.bound if self.at_least else self.promoted <= self.bound
        kept = "as promised" if within else "beyond it by no more than chance" if self.good else "NOT as promised"
        return (
            f"{self.name}: promoted {100 * self.promoted:.2f} % ({wanted}), {self.pairs:.0f} pairs on average; {kept}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCheck:
    """All scenarios together."""

    checks: tuple[Check, ...]
    type_i_error: float  # the largest share of wrong promotions
    power: float  # share of right promotions at +20 points
    trials: int  # per scenario
    seconds: float  # how long it took, by the caller's clock

    @property
    def good(self) -> bool:
        """Whether every promise is kept."""
        return all(check.good for check in self.checks)


def self_check(
    *,
    trials: int = TRIALS,
    seed: int = 1,
    profile: str = "standard",
    clock: Callable[[], float] = time.perf_counter,
) -> SelfCheck:
    """
    Simulate three kinds of candidate under a profile.

    Args:
        trials: per scenario; the standard error of a share of 5 % from 1000 is 0.7 points.
        seed: the same seed gives the same numbers.
        profile: quick, standard or strict.
        clock: seconds, only for how long it took.
    """
    began = clock()
    plan = TrialPlan.of_profile(profile)
    rng = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    judge = _Memo(plan)
    margin = plan.margin
    checks = (
        _check("equal to the control (A/A)", judge.usual, 0.0, 0.02, trials, rng, plan.n_max),
        _check("worse by the margin, but cheaper", judge.cheaper, -margin, plan.alpha, trials, rng, plan.n_max),
        _check("better by 20 points", judge.usual, 0.2, 0.99, trials, rng, plan.n_max, at_least=True),
    )
    return SelfCheck(
        checks=checks,
        type_i_error=max(check.promoted for check in checks if not check.at_least),
        power=checks[-1].promoted,
        trials=trials,
        seconds=clock() - began,
    )


Judge = Callable[[int, int, int], Outcome]


def _check(
    name: str,
    judge: Judge,
    effect: float,
    bound: float,
    trials: int,
    rng: random.Random,
    most: int,
    *,
    at_least: bool = False,
) -> Check:
    """Run one scenario: a control that succeeds in 60 % of inputs, a candidate that differs by the effect."""
    wins, losses = discordance(0.6, 0.6 + effect, agreement=0.2)
    promoted = pairs = 0
    for _ in range(trials):
        outcome, count = _trial(judge, wins, losses, rng, most)
        promoted += outcome.adopts
        pairs += count
    share = promoted / trials
    slack = _SLACK * (bound * (1.0 - bound) / trials) ** 0.5
    return Check(
        name=name,
        promoted=share,
        pairs=pairs / trials,
        bound=bound,
        at_least=at_least,
        good=share >= bound - slack if at_least else share <= bound + slack,
    )


def _trial(judge: Judge, wins: float, losses: float, rng: random.Random, most: int) -> tuple[Outcome, int]:
    """One trial, looked at after every pair."""
    won = lost = 0
    for n in range(1, most + 1):
        luck = rng.random()
        won += luck < wins
        lost += luck >= 1.0 - losses
        outcome = judge(won, lost, n - won - lost)
        if outcome.final:
            return outcome, n
    raise AssertionError("a trial ends at n_max at the latest")


class _Memo:
    """
    The module's own claims on (wins, losses, ties), remembered: trials pass through the same counts.

    Cost, tokens and latency are the same in both arms, as with a backend that costs nothing.
    """

    def __init__(self, plan: TrialPlan) -> None:
        self._plan = plan
        self._success = [test for test in plan.processes() if test.metric is Metric.SUCCESS]
        self._equal = [test for test in plan.processes() if test.metric is not Metric.SUCCESS]
        self._others: dict[int, dict[str, Wealth]] = {}
        self._parts: dict[tuple[str, int, int, int], Wealth] = {}
        self._seen: dict[tuple[int, int, int], Claims] = {}

    def usual(self, wins: int, losses: int, ties: int) -> Outcome:
        """The verdict as a trial would give it."""
        return decide(self._claims(wins, losses, ties))

    def cheaper(self, wins: int, losses: int, ties: int) -> Outcome:
        """The verdict on a candidate already proven cheaper: superior, and no futile effect."""
        return decide(replace(self._claims(wins, losses, ties), superior=True, futile=False))

    def _claims(self, wins: int, losses: int, ties: int) -> Claims:
        key = (wins, losses, ties)
        if key not in self._seen:
            pairs = sum(key)
            wealths = dict(self._others.get(pairs) or self._others.setdefault(pairs, self._equals(pairs)))
            # Evidence adds: discordant pairs and ties are known apart from most trials before.
            for test in self._success:
                wealths[test.name] = self._part(test, wins, losses, 0) + self._part(test, 0, 0, ties)
            self._seen[key] = claims_of(self._plan, Evidence(wealths=wealths, pairs=pairs))
        return self._seen[key]

    def _part(self, test: Process, wins: int, losses: int, ties: int) -> Wealth:
        """The wealth of one success test over some of the pairs."""
        key = (test.name, wins, losses, ties)
        if key not in self._parts:
            tally = Tally(wins=wins, losses=losses, ties=ties)
            self._parts[key] = (tally if test.sign > 0 else tally.flipped()).wealth(test.null)
        return self._parts[key]

    def _equals(self, pairs: int) -> dict[str, Wealth]:
        """The wealths of everything that does not differ between the arms."""
        return {
            test.name: wealth_of({test.value_of(0.0): pairs}, bound=test.bound, null=test.null) for test in self._equal
        }
