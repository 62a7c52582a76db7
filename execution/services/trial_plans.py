"""
The plan of a trial: a profile, and what the control's own document asks for.

``verification:`` of a document may say::

    verification:
      method: shadow_execution
      profile: strict
      margins: {success: 0.05, cost: 0.10, quality: 0.02}
      automatic: true          # a verdict in its favour moves `stable` by itself
      share: 0.2               # of real runs that stay shadowed after a promotion
      mode: scheduled          # looked at only at planned numbers of pairs
      looks: [50, 100, 200]    # these; without them five equal ones
      judge: Which answer is more helpful and makes no false statement?

It is the control's section that counts: a candidate does not loosen the rules
by which it is judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Avg

from execution.models import Run
from execution.shadow.contrast import Metric
from execution.shadow.errors import PlanInvalid
from execution.shadow.plan import PROFILES, Mode, TrialPlan
from execution.shadow.planning import expected_pairs
from opl.script.values import is_number
from registry.models import PatternVersion
from registry.services import analytics

METHOD = "shadow_execution"
USUAL = "standard"
MOST_CRITERIA = 4_000  # characters of what a judge is told to judge by
LATEST_RUNS = 50  # of the control, that tell what a run costs


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a ``verification:`` section asks for."""

    profile: str = ""
    margins: Mapping[str, float] | None = None  # metric → margin
    automatic: bool = False
    share: float = 0.10
    scheduled: bool = False  # looked at only at planned numbers of pairs
    looks: tuple[int, ...] = ()  # these numbers; () for five equal ones
    judge: str = ""  # criteria of a judge that is asked which answer it prefers


def wishes_of(version: PatternVersion) -> Wishes:
    """The section of a version; what is not understood is left at its default."""
    section = version.verification
    if not isinstance(section, Mapping) or section.get("method") not in (METHOD, None):
        return Wishes()
    profile, share, margins = section.get("profile"), section.get("share"), section.get("margins")
    numbers = (
        {name: float(value) for name, value in margins.items() if is_number(value)}
        if isinstance(margins, Mapping)
        else {}
    )
    if is_number(section.get("margin")):
        numbers.setdefault("success", float(section["margin"]))
    return Wishes(
        profile=profile if profile in PROFILES else "",
        margins=numbers,
        automatic=section.get("automatic") is True and section.get("method") == METHOD,
        scheduled=section.get("mode") == Mode.SCHEDULED.value,
        looks=_whole_numbers(section.get("looks")),
        judge=section["judge"].strip()[:MOST_CRITERIA] if isinstance(section.get("judge"), str) else "",
        share=float(share) if isinstance(share, int | float) and is_number(share) and 0.0 < share <= 1.0 else 0.10,
    )


def _whole_numbers(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, list) and all(type(each) is int for each in value) else ()


def scheduled(plan: TrialPlan, looks: tuple[int, ...] = ()) -> TrialPlan:
    """
    The plan as a group-sequential one; with looks of its own its size is the last of them.

    Raises:
        PlanInvalid: the looks are not ascending, or too many.
    """
    if not looks:
        return replace(plan, mode=Mode.SCHEDULED, looks=())
    size = looks[-1]
    return replace(
        plan,
        profile=plan.profile if size == plan.n_max else "custom",
        mode=Mode.SCHEDULED,
        looks=looks,
        n_max=size,
        n_min=max(min(plan.n_min, size), 1),
    )


def usual_profile(control: PatternVersion) -> str:
    """The profile that the control's document names, else standard."""
    return wishes_of(control).profile or USUAL


def plan_for(
    *,
    control: PatternVersion,
    profile: str,
    scored: bool,
    strata: tuple[str, ...] = (),
    judged: bool = False,
    timed: bool = True,
) -> TrialPlan:
    """
    The plan of a profile with the control's own margins.

    Args:
        scored: whether a score is at hand, so that quality is measured.
        judged: whether a judge is asked which answer it prefers.
        timed: whether the time of answers says anything; in message batches it does not.

    Raises:
        PlanInvalid: no such profile, or margins that no trial can run with.
    """
    metrics = [Metric.SUCCESS, Metric.QUALITY, Metric.COST, Metric.TOKENS, Metric.LATENCY]
    if not scored:
        metrics.remove(Metric.QUALITY)
    if not timed:
        metrics.remove(Metric.LATENCY)
    if judged:
        metrics.insert(metrics.index(Metric.COST), Metric.PREFERENCE)
    plan = TrialPlan.of_profile(profile, metrics=metrics, strata=strata)
    margins = dict(wishes_of(control).margins or {})
    unknown = [name for name in margins if name not in set(Metric)]
    if unknown:
        raise PlanInvalid("margins", f"there is no metric {', '.join(unknown)}")
    if not margins:
        return plan
    rails = tuple(replace(rail, margin=margins.get(rail.metric.value, rail.margin)) for rail in plan.rails)
    success = margins.get(Metric.SUCCESS.value, plan.margin)
    name = plan.profile if success == plan.margin and rails == plan.rails else "custom"
    return replace(plan, profile=name, margin=success, guardrails=rails)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a trial will take, as the start page shows it."""

    pairs: int  # until a candidate better by 20 points is promoted
    most_pairs: int
    cost_usd: float | None  # of the expected pairs, None where no run of the control is known
    tokens: float | None
    control_rate: float  # that it was computed with


def expectation(
    *, control: PatternVersion, profile: str = "", effect: float = 0.2, simulated: bool = False
) -> Expectation:
    """
    Expected pairs and cost, from the control's measured runs where there are some.

    Args:
        simulated: for a trial with simulated agents: from simulated runs alone. The two are never added.
    """
    plan = plan_for(control=control, profile=profile or usual_profile(control), scored=False)
    evidence = analytics.evidence_of(control)
    known = evidence.simulated if simulated else evidence.measured
    rate = known.shrunk if known.runs else 0.6
    pairs = expected_pairs(plan, control_rate=rate, effect=effect)
    cost, tokens = _means(control, simulated=simulated)
    return Expectation(
        pairs=pairs,
        most_pairs=plan.n_max,
        cost_usd=None if cost is None else 2 * pairs * cost,
        tokens=None if tokens is None else 2 * pairs * tokens,
        control_rate=rate,
    )


def _means(version: PatternVersion, *, simulated: bool) -> tuple[float | None, float | None]:
    """Mean cost and tokens of the version's latest ended runs of one kind; in a trial, recorded answers cost nothing."""
    latest = Run.objects.of_callers().ended().filter(version=version, simulated=simulated).order_by("-pk")
    means = Run.objects.filter(pk__in=list(latest.values_list("pk", flat=True)[:LATEST_RUNS])).aggregate(
        cost=Avg("cost_used"), tokens=Avg("tokens_used")
    )
    return (None if means["cost"] is None else means["cost"] / 1_000_000), means["tokens"]
