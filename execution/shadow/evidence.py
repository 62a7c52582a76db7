"""
All that a trial knows, as numbers that add.

``Evidence`` holds one ``Wealth`` per test of the plan and one per stratum. It
is order-independent, and the evidence of disjoint inputs adds exactly: workers,
resumed trials and other nodes. Whoever adds vouches that no pair is in both
parts; ``report.pool`` checks it for reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from execution.shadow.contrast import Metric
from execution.shadow.eprocess import Wealth
from execution.shadow.plan import Process, Test, TrialPlan, stratum_process


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One settled pair: its contrasts, or the reason why it is missing."""

    position: int  # place in the order of enrolment, counts from 1
    contrasts: Mapping[str, float] = field(default_factory=dict)  # metric → contrast; {} when missing
    stratum: str = ""  # group of its input, "" for none
    input_id: str = ""  # salted name of the input
    missing: str = ""  # the infrastructure failure that lost it, "" for a pair that counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Wealth by test, and how many pairs are in it."""

    wealths: Mapping[str, Wealth]  # process name → its wealth, strata included
    pairs: int = 0  # pairs that count
    missing: int = 0  # pairs lost to the infrastructure

    @classmethod
    def empty(cls, plan: TrialPlan) -> Evidence:
        """Nothing seen yet: every wealth is 1."""
        tests = (*plan.processes(), *(stratum_process(name) for name in plan.strata))
        return cls(wealths={test.name: Wealth(bound=test.bound, null=test.null) for test in tests})

    def wealth(self, metric: Metric, test: Test) -> Wealth:
        """The wealth of one test; KeyError when the plan does not keep it."""
        return self.wealths[f"{metric}/{test}"]

    def __add__(self, other: Evidence) -> Evidence:
        """The evidence of two disjoint sets of pairs; raises MergeRefused for tests that differ."""
        names = dict.fromkeys((*self.wealths, *other.wealths))
        return Evidence(
            wealths={name: _sum(self.wealths.get(name), other.wealths.get(name)) for name in names},
            pairs=self.pairs + other.pairs,
            missing=self.missing + other.missing,
        )

    @property
    def settled(self) -> int:
        """All pairs with an end, missing ones included."""
        return self.pairs + self.missing

    def log_e(self) -> dict[str, float]:
        """ln E of every test."""
        return {name: wealth.log_e for name, wealth in self.wealths.items()}


class Collector:
    """
    Feed pairs one by one; ask for the evidence whenever wanted.

    The tests of the plan are looked up once, which is what makes a look after
    every pair cheap.
    """

    def __init__(self, plan: TrialPlan) -> None:
        self._plan = plan
        self._tests = plan.processes()
        self._wealths = dict(Evidence.empty(plan).wealths)
        self._pairs = self._missing = 0

    def add(self, pair: Pair) -> None:
        """Take one settled pair, in the order of enrolment."""
        if pair.missing:
            self._missing += 1
            return
        self._pairs += 1
        for test in self._tests:
            self._bet(test, pair)
        if pair.stratum in self._plan.strata:
            self._bet(stratum_process(pair.stratum), pair)

    def _bet(self, test: Process, pair: Pair) -> None:
        # A metric the pair was not measured in says nothing either way: no bet, no change.
        contrast = pair.contrasts.get(test.metric)
        if contrast is not None:
            self._wealths[test.name] = self._wealths[test.name].observe(test.value_of(contrast))

    @property
    def evidence(self) -> Evidence:
        """Everything so far."""
        return Evidence(wealths=dict(self._wealths), pairs=self._pairs, missing=self._missing)


def collect(plan: TrialPlan, pairs: Iterable[Pair]) -> Evidence:
    """The evidence of a set of pairs; their order does not matter."""
    collector = Collector(plan)
    for pair in pairs:
        collector.add(pair)
    return collector.evidence


def _sum(mine: Wealth | None, more: Wealth | None) -> Wealth:
    if mine is not None and more is not None:
        return mine + more
    found = mine if mine is not None else more
    assert found is not None  # the name came from one of the two
    return found
