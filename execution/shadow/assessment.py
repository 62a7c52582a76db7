"""
A trial from its pairs: walk them in the order of enrolment, look after each, stop at the first verdict.

What lies behind the first final verdict is not evidence: pairs that were
already running when the trial ended neither help nor harm. ``Course`` is the
same walk for a trial that is still on, fed pair by pair.

Example:
    >>> from execution.shadow.plan import TrialPlan
    >>> pairs = [Pair(position=n, contrasts={"success": -1.0}) for n in range(1, 30)]
    >>> assess(TrialPlan.of_profile("quick", metrics=("success",)), pairs).verdict.sentence[:15]
    'Keep the contro'
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from execution.shadow.contrast import RULES, Metric
from execution.shadow.errors import PairConflict
from execution.shadow.evidence import Collector, Evidence, Pair
from execution.shadow.interval import Interval, confidence_sequence
from execution.shadow.plan import Mode, Test, TrialPlan
from execution.shadow.planning import pairs_still_needed
from execution.shadow.verdict import Claims, Health, Outcome, claims_of, decide, log_e_superiority
from execution.shadow.wording import sentence_of

__all__ = ["Assessment", "Course", "CurvePoint", "Estimate", "Pair", "Verdict", "assess"]

MOST_CURVE_POINTS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What is known about one metric's mean contrast."""

    mean: float  # mean of the contrasts as clipped by the test
    interval: Interval  # 95 % confidence sequence for it (1 − α)
    pairs: int  # pairs in which the metric was measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a trial stands or ended, and why."""

    outcome: Outcome  # the row of the table
    sentence: str  # the verdict in words
    position: int  # settled pairs when it was reached
    pairs: int  # of those, how many count
    missing: int  # of those, how many are missing
    broken: tuple[str, ...] = ()  # guardrails proven broken
    excluded: tuple[str, ...] = ()  # strata the promotion leaves out
    pairs_needed: int | None = None  # further pairs until promotion, None if no number would do


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """The evidence at one look, as natural logarithms; thresholds are ln(1/α) and ln(1/β)."""

    position: int  # settled pairs
    superiority: float  # of the mean over the primary metrics
    noninferior: float  # of success
    harm: float  # of success
    kept: float  # the weakest hard guardrail's, 0 where there is none
    effect: float  # the weakest refutation among the primary metrics' effects


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A trial, looked at."""

    verdict: Verdict
    claims: Claims
    evidence: Evidence
    estimates: dict[str, Estimate]  # metric → what is known
    curve: tuple[CurvePoint, ...]  # at most 400 looks, the last included


class Course:
    """A trial that is on: feed settled pairs in order; it stops listening at its verdict."""

    def __init__(self, plan: TrialPlan, health: Health | None = None, *, same_version: bool = False) -> None:
        self.plan, self.health, self.same_version = plan, health or Health(), same_version
        self._collector = Collector(plan)
        self._samples: dict[str, Counter[float]] = {metric.value: Counter() for metric in plan.metrics}
        self._curve: list[CurvePoint] = []
        self._position = 0
        self._evidence = self._collector.evidence
        self._claims = self._look()
        self.outcome = decide(self._claims)

    def feed(self, pair: Pair) -> Outcome:
        """
        Take the next pair and look; a trial that is over takes nothing more.

        Raises:
            PairConflict: this is not the next position; pairs count in their order.
        """
        if self.outcome.final:
            return self.outcome
        if pair.position != self._position + 1:
            raise PairConflict(pair.position)
        self._position = pair.position
        self._collector.add(pair)
        if not pair.missing:
            for metric, contrast in pair.contrasts.items():
                if metric in self._samples:
                    self._samples[metric][contrast] += 1
        self._evidence = self._collector.evidence
        self._claims = self._look()
        self.outcome = decide(self._claims)
        self._curve.append(_point(self.plan, self._evidence))
        return self.outcome

    def _look(self) -> Claims:
        return claims_of(self.plan, self._evidence, self.health, same_version=self.same_version)

    @property
    def point(self) -> CurvePoint | None:
        """The evidence at the last look; None before the first pair."""
        return self._curve[-1] if self._curve else None

    def assessment(self) -> Assessment:
        """The trial as it stands."""
        estimates = {name: _estimate(self.plan, name, sample) for name, sample in self._samples.items()}
        adopts_part = self.outcome is Outcome.PROMOTE_SCOPED
        waiting = self.outcome in (Outcome.INCONCLUSIVE, Outcome.NEEDS_MORE)
        needed = pairs_still_needed(self.plan, self._evidence) if waiting else None
        success = estimates[Metric.SUCCESS.value]
        verdict = Verdict(
            outcome=self.outcome,
            sentence=sentence_of(
                self.plan,
                self._claims,
                self.outcome,
                pairs=self._evidence.pairs,
                means={name: estimate.mean for name, estimate in estimates.items() if estimate.pairs},
                success=success.interval,
                needed=needed,
            ),
            position=self._position,
            pairs=self._evidence.pairs,
            missing=self._evidence.missing,
            broken=self._claims.broken,
            excluded=self._claims.vetoes if adopts_part else (),
            pairs_needed=needed,
        )
        return Assessment(
            verdict=verdict,
            claims=self._claims,
            evidence=self._evidence,
            estimates=estimates,
            curve=_thinned(self._curve),
        )


def assess(
    plan: TrialPlan, pairs: Iterable[Pair], health: Health | None = None, *, same_version: bool = False
) -> Assessment:
    """
    The verdict on settled pairs, positions 1, 2, 3 … without gaps.

    Args:
        plan: fixed before the first pair.
        pairs: in any order; they are read in the order of enrolment.
        health: what the judge's examination and the replay check found.
        same_version: an A/A trial, which never adopts anything.

    Raises:
        PairConflict: a position is missing in between, or there twice.
    """
    course = Course(plan, health, same_version=same_version)
    for pair in sorted(pairs, key=lambda settled: settled.position):
        if course.feed(pair).final:
            break
    return course.assessment()


def _estimate(plan: TrialPlan, name: str, sample: Counter[float]) -> Estimate:
    bound = RULES[Metric(name)].clip
    seen = sample.total()
    total = math.fsum(min(max(value, -bound), bound) * times for value, times in sample.items())
    return Estimate(
        mean=total / seen if seen else 0.0,
        interval=confidence_sequence(sample, bound=bound, alpha=plan.alpha),
        pairs=seen,
    )


def _point(plan: TrialPlan, evidence: Evidence) -> CurvePoint:
    kept = [evidence.wealth(rail.metric, Test.NONINFERIOR).log_e for rail in plan.hard_rails]
    return CurvePoint(
        position=evidence.settled,
        superiority=log_e_superiority(plan, evidence),
        noninferior=evidence.wealth(Metric.SUCCESS, Test.NONINFERIOR).log_e,
        harm=evidence.wealth(Metric.SUCCESS, Test.HARM).log_e,
        kept=min(kept, default=0.0),
        effect=min(evidence.wealth(metric, Test.EFFECT).log_e for metric in plan.primary),
    )


def _thinned(curve: list[CurvePoint]) -> tuple[CurvePoint, ...]:
    """Evenly spaced looks, at most as many as a page can draw; the last one always stays."""
    step = math.ceil(len(curve) / MOST_CURVE_POINTS) or 1
    return tuple(point for index, point in enumerate(curve, 1) if index % step == 0 or index == len(curve))


def thresholds(plan: TrialPlan) -> dict[str, float]:
    """The heights at which the lines of the curve decide, as ln E; none in scheduled mode."""
    if plan.mode is Mode.SCHEDULED:
        return {}
    proven = -math.log(plan.alpha)
    return {
        "superiority": proven,
        "noninferior": proven,
        "harm": proven,
        "kept": proven,
        "effect": -math.log(plan.beta),
    }
