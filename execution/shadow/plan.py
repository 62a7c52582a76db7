"""
What a trial is asked to show, fixed before its first pair.

A plan is data: it travels in the report, and the verdict follows from plan and
pairs alone. ``processes`` lists every test the plan keeps wealth for; their
names (``success/superiority``) are the keys of evidence, curve and report.

    <metric>/superiority    H0: mean ≤ 0            the candidate is not better
    <metric>/noninferior    H0: mean ≤ −margin      it is worse by the margin or more
    <metric>/broken         H0: mean ≥ −margin      it is at most the margin worse
    <metric>/harm           H0: mean ≥ 0            it is not worse
    <metric>/effect         H0: mean ≥ effect       the effect worth finding is there (futility)
    success/harm:<stratum>  the same as success/harm, within one stratum
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from execution.shadow.contrast import RULES, Metric, guard_contrast
from execution.shadow.errors import PlanInvalid


class Mode(StrEnum):
    """When a trial may be looked at."""

    ALWAYS = "always"  # the e-process: after every pair, stop whenever, extend at will
    SCHEDULED = "scheduled"  # group-sequential: at planned looks only, no extension


class Test(StrEnum):
    """The one-sided questions asked of a metric; the module's table says which."""

    __test__ = False  # not a case for pytest

    SUPERIORITY = "superiority"
    NONINFERIOR = "noninferior"
    BROKEN = "broken"
    HARM = "harm"
    EFFECT = "effect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """A limit on how much worse the candidate may be in one metric."""

    metric: Metric
    margin: float  # an absolute difference, or τ for cost, tokens and latency
    hard: bool = True  # a soft guardrail is shown and decides nothing

    @property
    def relative(self) -> bool:
        """Whether the margin is a ratio τ ("at most 25 % dearer")."""
        return RULES[self.metric].relative


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One test of the plan: how a contrast becomes a value to bet on, and against which null."""

    name: str  # key of evidence, curve and report
    metric: Metric
    test: Test
    bound: float  # clip b
    null: float  # m0
    sign: int = 1  # −1 where the bet is on −D
    tolerance: float = 0.0  # τ of a relative guardrail; 0 leaves the contrast as it is

    def value_of(self, contrast: float) -> float:
        """What this test bets on for a pair with this contrast."""
        if self.tolerance:
            contrast = guard_contrast(contrast, self.tolerance)
        return self.sign * contrast


# What a profile fixes: margin on success, most pairs.
PROFILES: Final[dict[str, tuple[float, int]]] = {
    "quick": (0.15, 200),
    "standard": (0.10, 400),
    "strict": (0.05, 2000),
}
# The metrics whose superiority is averaged: "better, or as good and cheaper".
PRIMARY: Final[tuple[Metric, ...]] = (Metric.SUCCESS, Metric.QUALITY, Metric.COST, Metric.LATENCY)
MOST_PAIRS = 1_000_000
MOST_STRATA = 50
_LOOKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPlan:
    """
    Metrics, margins, error rates and size of a trial.

    Example:
        >>> plan = TrialPlan.of_profile("quick")
        >>> plan.margin, plan.n_max, [str(metric) for metric in plan.primary]
        (0.15, 200, ['success', 'cost', 'latency'])
    """

    profile: str = "standard"  # quick, standard, strict, or "custom" where numbers differ
    margin: float = 0.10  # how much lower the success rate may be and still count as not worse
    n_min: int = 20  # no promotion and no futility before so many pairs
    n_max: int = 400  # enrolled pairs, missing ones included, after which the trial ends
    alpha: float = 0.05  # the chance of promoting what should not be
    beta: float = 0.10  # the chance of calling a useful effect futile
    mode: Mode = Mode.ALWAYS
    looks: tuple[int, ...] = ()  # pairs at each planned look, ascending; () gives five equal ones
    metrics: tuple[Metric, ...] = (Metric.SUCCESS, Metric.COST, Metric.TOKENS, Metric.LATENCY)
    primary: tuple[Metric, ...] = ()  # averaged for superiority; () means all of PRIMARY that are measured
    guardrails: tuple[Guardrail, ...] | None = None  # None means the usual ones for the metrics
    effects: Mapping[str, float] = field(default_factory=dict)  # metric → smallest effect worth finding
    strata: tuple[str, ...] = ()  # groups of inputs that each may veto; () means none
    most_missing: float = 0.05  # share of pairs lost to the infrastructure that spoils the trial
    least_fidelity: float = 0.95  # share of recorded effects that replay alike, below which it is spoiled

    def __post_init__(self) -> None:
        """Fill in what was left to the defaults, then check it all."""
        _set(self, "metrics", tuple(Metric(metric) for metric in self.metrics))
        measured = tuple(metric for metric in PRIMARY if metric in self.metrics)
        _set(self, "primary", tuple(Metric(metric) for metric in self.primary) or measured)
        _set(self, "mode", Mode(self.mode))
        if self.guardrails is None:
            _set(self, "guardrails", tuple(_usual_guardrails(self.metrics)))
        if self.mode is Mode.SCHEDULED and not self.looks:
            _set(self, "looks", tuple(math.ceil(self.n_max * k / _LOOKS) for k in range(1, _LOOKS + 1)))
        _check(self)

    @classmethod
    def of_profile(
        cls,
        profile: str,
        *,
        metrics: Iterable[Metric | str] | None = None,
        strata: Iterable[str] = (),
        mode: Mode = Mode.ALWAYS,
    ) -> TrialPlan:
        """
        The plan of a named profile.

        Raises:
            PlanInvalid: there is no such profile or metric.
        """
        if profile not in PROFILES:
            raise PlanInvalid("profile", f"there is no profile {profile!r}; use {', '.join(PROFILES)}")
        margin, n_max = PROFILES[profile]
        plan = cls(profile=profile, margin=margin, n_max=n_max, strata=tuple(strata), mode=mode)
        if metrics is None:
            return plan
        try:
            chosen = tuple(Metric(metric) for metric in metrics)
        except ValueError as error:
            raise PlanInvalid("metrics", f"{error}; use {', '.join(Metric)}") from None
        return replace(plan, metrics=chosen, primary=(), guardrails=None)

    @property
    def rails(self) -> tuple[Guardrail, ...]:
        """The guardrails, never None."""
        return self.guardrails or ()

    @property
    def hard_rails(self) -> tuple[Guardrail, ...]:
        """The guardrails that decide."""
        return tuple(rail for rail in self.rails if rail.hard)

    def effect_of(self, metric: Metric) -> float:
        """The smallest effect worth finding, as a contrast; on success the margin, unless the plan says."""
        usual = self.margin if metric is Metric.SUCCESS else RULES[metric].effect
        return self.effects.get(metric.value, usual)

    def processes(self) -> tuple[Process, ...]:
        """Every test this plan keeps wealth for, strata aside; the order is stable."""
        found: list[Process] = []
        for metric in self.metrics:
            if metric in self.primary or metric is Metric.SUCCESS:
                found.append(_process(metric, Test.SUPERIORITY, null=0.0))
                found.append(_process(metric, Test.EFFECT, null=-self.effect_of(metric), sign=-1))
            if metric is Metric.SUCCESS:
                found.append(_process(metric, Test.NONINFERIOR, null=-self.margin))
                found.append(_process(metric, Test.HARM, null=0.0, sign=-1))
        for rail in self.rails:
            found.extend(_rail_processes(rail))
        return tuple(found)


def stratum_process(stratum: str) -> Process:
    """The test for harm on success within one stratum."""
    whole = _process(Metric.SUCCESS, Test.HARM, null=0.0, sign=-1)
    return replace(whole, name=f"{whole.name}:{stratum}")


def _process(metric: Metric, test: Test, *, null: float, sign: int = 1, tolerance: float = 0.0) -> Process:
    return Process(
        name=f"{metric}/{test}",
        metric=metric,
        test=test,
        bound=RULES[metric].clip,
        null=null,
        sign=sign,
        tolerance=tolerance,
    )


def _rail_processes(rail: Guardrail) -> Iterable[Process]:
    """The two sides of a guardrail: proven kept, proven broken."""
    margin, tolerance = (0.0, rail.margin) if rail.relative else (rail.margin, 0.0)
    yield _process(rail.metric, Test.NONINFERIOR, null=-margin, tolerance=tolerance)
    yield _process(rail.metric, Test.BROKEN, null=margin, sign=-1, tolerance=tolerance)


def _usual_guardrails(metrics: Iterable[Metric]) -> Iterable[Guardrail]:
    """Cost and quality decide; tokens and latency are shown. Success has its own non-inferiority test."""
    for metric in metrics:
        if metric is not Metric.SUCCESS:
            hard = metric in (Metric.COST, Metric.QUALITY, Metric.PREFERENCE)
            yield Guardrail(metric=metric, margin=RULES[metric].margin, hard=hard)


def _set(plan: TrialPlan, name: str, value: object) -> None:
    object.__setattr__(plan, name, value)


def _check(plan: TrialPlan) -> None:
    """Raise PlanInvalid for the first field that no trial can run with."""
    for name in ("alpha", "beta"):
        if not 0.0 < getattr(plan, name) < 1.0:
            raise PlanInvalid(name, "is a probability above 0 and below 1")
    if not 0.0 < plan.margin < 1.0:
        raise PlanInvalid("margin", "is a difference of success rates above 0 and below 1")
    if not 1 <= plan.n_min <= plan.n_max <= MOST_PAIRS:
        raise PlanInvalid("n_max", f"needs 1 ≤ n_min ≤ n_max ≤ {MOST_PAIRS}")
    if len(set(plan.metrics)) != len(plan.metrics):
        raise PlanInvalid("metrics", "names a metric twice")
    if len(plan.strata) > MOST_STRATA or len(set(plan.strata)) != len(plan.strata) or "" in plan.strata:
        raise PlanInvalid("strata", f"are at most {MOST_STRATA} different names")
    if Metric.SUCCESS not in plan.metrics:
        raise PlanInvalid("metrics", "success is always measured; add it")
    for name, used in (("primary", plan.primary), ("guardrails", tuple(r.metric for r in plan.rails))):
        unmeasured = [str(metric) for metric in used if metric not in plan.metrics]
        if unmeasured:
            raise PlanInvalid(name, f"{', '.join(unmeasured)} is not among the metrics")
        if len(set(used)) != len(used):
            raise PlanInvalid(name, "names a metric twice")
    for rail in plan.rails:
        _check_rail(rail)
    for name, effect in plan.effects.items():
        if name not in set(Metric) or not 0.0 < effect < RULES[Metric(name)].clip:
            raise PlanInvalid(f"effects.{name}", "is a metric's effect above 0 and below its clip")
    if plan.mode is Mode.SCHEDULED:
        _check_looks(plan)


def _check_rail(rail: Guardrail) -> None:
    if rail.metric is Metric.SUCCESS:
        raise PlanInvalid("guardrails", "success has its own test of non-inferiority; set margin instead")
    most = 10.0 if rail.relative else RULES[rail.metric].clip
    if not 0.0 < rail.margin < most:
        raise PlanInvalid(f"guardrails.{rail.metric}", f"needs a margin above 0 and below {most:g}")


def _check_looks(plan: TrialPlan) -> None:
    ascending = all(a < b for a, b in zip(plan.looks, plan.looks[1:], strict=False))
    if not ascending or plan.looks[0] < 2 or plan.looks[-1] != plan.n_max or len(plan.looks) > 20:
        raise PlanInvalid("looks", "are at most 20 ascending numbers of pairs from 2 on, ending at n_max")
