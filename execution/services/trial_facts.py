"""
What pages, the API and commands say about a trial: facts, ready to be shown.

Queries stay few: a trial's page costs the rows of the curve and one walk over
its counted pairs, a row of a list nothing beside its own columns.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Count, QuerySet

from execution.models import ShadowShare, Trial, TrialLook, TrialPair
from execution.models.trial import TrialMode
from execution.services import batching, counting, examining, promoting
from execution.services.promoting import Adoption
from execution.services.reporting import subject_of
from execution.shadow.assessment import Course, Estimate, thresholds
from execution.shadow.contrast import RULES, Metric
from execution.shadow.detector import ALARM
from execution.shadow.enrolment import commitment_of
from execution.shadow.figures import typeset
from execution.shadow.planning import expected_pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """One metric of a trial, as a table shows it."""

    metric: str
    mean: float  # mean contrast, as clipped by the test; above 0 the candidate does better
    low: float  # 95 % confidence sequence
    high: float
    pairs: int  # in which it was measured
    margin: float
    relative: bool  # whether the margin is a ratio ("at most 25 % dearer")
    primary: bool  # whether better here can promote
    guard: str  # hard, soft, or "" where nothing guards it


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPage:
    """A trial's page."""

    trial: Trial
    sentence: str  # the verdict, or how it stands, in words
    outcome: str
    progress: float  # share of the pairs at most needed, 0 to 1
    wins: int  # pairs in which only the candidate succeeded
    losses: int
    ties: int
    curve: list[dict[str, float]]  # n, superiority, noninferior, harm, kept, effect as ln E
    thresholds: dict[str, float]  # curve's name → the height at which it decides, ln E
    metrics: list[MetricRow]
    pairs_needed: int | None  # further pairs until promotion, None where none would do
    expected_pairs: int  # as the start page said
    excluded: tuple[str, ...]  # strata that a promotion leaves out
    broken: tuple[str, ...]  # guardrails proven broken
    missing: list[tuple[int, str]]  # position and reason
    adoption_obstacle: str  # "" where the candidate can be adopted
    adoption: Adoption | None  # what adopting would do; None where it cannot be adopted
    watch: ShadowShare | None  # the watch that it opened, or that it is
    simulated: bool
    judge: dict[str, Any] | None  # what it is told and how its examination went; None where none is asked


def trial_page(trial: Trial) -> TrialPage:
    """Everything that the page of one trial shows."""
    # A watch has no verdict, and may have many pairs: its detector says how it stands. Nor has an examination.
    has_verdict = trial.mode in (TrialMode.BATCH, TrialMode.LIVE)
    found = counting.assessment_of(trial) if has_verdict else Course(trial.trial_plan).assessment()
    plan = trial.trial_plan
    counted = TrialPair.objects.filter(trial=trial, position__lte=trial.settled)
    tally = tally_of(counted)
    rails = {rail.metric: rail for rail in plan.rails}
    rows = [
        _metric_row(
            name, estimate, margin=plan.margin, primary=Metric(name) in plan.primary, rail=rails.get(Metric(name))
        )
        for name, estimate in found.estimates.items()
    ]
    return TrialPage(
        trial=trial,
        sentence=typeset(trial.sentence or found.verdict.sentence),
        outcome=trial.outcome,
        progress=min(trial.settled / max(plan.n_max, 1), 1.0) if not trial.has_ended else 1.0,
        wins=tally[0],
        losses=tally[1],
        ties=tally[2],
        curve=curve_of(trial),
        thresholds=thresholds(plan),
        metrics=rows,
        pairs_needed=found.verdict.pairs_needed,
        expected_pairs=expected_pairs(plan),
        excluded=found.verdict.excluded,
        broken=found.verdict.broken,
        missing=list(counted.exclude(missing="").values_list("position", "missing")[:200]),
        adoption_obstacle=(obstacle := promoting.obstacle(trial)),
        adoption=None if obstacle else promoting.adoption_of(trial),
        watch=watch_of(trial),
        simulated=promoting.is_simulated(trial),
        judge=examining.facts_of(trial),
    )


def _metric_row(name: str, estimate: Estimate, *, margin: float, primary: bool, rail: Any) -> MetricRow:
    return MetricRow(
        metric=name,
        mean=estimate.mean,
        low=estimate.interval.low,
        high=estimate.interval.high,
        pairs=estimate.pairs,
        margin=margin if rail is None else rail.margin,
        relative=RULES[Metric(name)].relative,
        primary=primary,
        guard="" if rail is None else "hard" if rail.hard else "soft",
    )


def tally_of(pairs: QuerySet[TrialPair]) -> tuple[int, int, int]:
    """Wins, losses and ties of the candidate on success; missing pairs are none of them."""
    wins = losses = ties = 0
    for contrasts in pairs.filter(missing="").values_list("contrasts", flat=True):
        value = contrasts.get("success", 0.0)
        wins, losses, ties = wins + (value > 0), losses + (value < 0), ties + (value == 0)
    return wins, losses, ties


def curve_of(trial: Trial, most: int = 400) -> list[dict[str, float]]:
    """The evidence after each pair, as ln E; evenly thinned to ``most`` points, the last one kept."""
    looks = TrialLook.objects.filter(trial=trial).order_by("position")
    step = math.ceil(trial.settled / most) or 1
    return [
        {
            "n": look.position,
            "superiority": look.superiority,
            "noninferior": look.noninferior,
            "harm": look.harm,
            "kept": look.kept,
            "effect": look.effect,
        }
        for look in looks
        if look.position % step == 0 or look.position == trial.settled
    ]


def watch_of(trial: Trial) -> ShadowShare | None:
    """The watch that a trial opened, or that it is."""
    watches = ShadowShare.objects.select_related("promoted", "incumbent", "next_trial", "trial")
    if trial.mode == TrialMode.WATCH:
        return watches.filter(trial=trial).first()
    return watches.filter(verdict_of=trial).first()


def pairs_for_list(trial: Trial) -> QuerySet[TrialPair]:
    """The pairs in their order, with their runs; what a page or the API cuts into pages."""
    return TrialPair.objects.filter(trial=trial).prefetch_related("arm_runs__run").order_by("position")


def status_counts(trial: Trial) -> dict[str, int]:
    """How many pairs stand where."""
    return dict(trial.pairs.order_by().values_list("status").annotate(n=Count("pk")))


def trial_json(trial: Trial) -> dict[str, Any]:
    """A row of a list."""
    return {
        "id": trial.pk,
        "mode": trial.mode,
        "status": trial.status,
        "outcome": trial.outcome or None,
        "sentence": trial.said,
        "note": trial.note,
        "control": {"name": str(trial.control), **_digest(trial, "control")},
        "candidate": {"name": str(trial.candidate), **_digest(trial, "candidate")},
        "profile": trial.profile,
        "backend": trial.backend,
        "recorded": trial.recorded,
        "in_batches": trial.in_batches,
        "share": trial.share or None,
        "pairs": {
            "most": trial.plan["n_max"],
            "enrolled": trial.enrolled,
            "settled": trial.settled,
            "missing": trial.missing,
        },
        "seed_commitment": trial.seed_commitment,
        "inputs_commitment": trial.inputs_commitment or None,
        "public": trial.is_public,
        "killed_at": trial.killed_at,
        "started_by": trial.started_by.username if trial.started_by else None,
        "created_at": trial.created_at,
        "started_at": trial.started_at,
        "decided_at": trial.decided_at,
        "adopted_at": trial.adopted_at,
        "follows": trial.follows_id,
        "url": f"/trials/{trial.pk}",
    }


def _digest(trial: Trial, arm: str) -> dict[str, str]:
    return {"digest": subject_of(getattr(trial, arm)).digest}


def trial_detail(trial: Trial) -> dict[str, Any]:
    """A trial by itself."""
    page = trial_page(trial)
    return {
        **trial_json(trial),
        "plan": trial.plan,
        "caps": trial.caps,
        "repeats": trial.repeats,
        "at_once": trial.at_once,
        "batches": batching.facts(trial.pk) if trial.in_batches else None,
        "success_when": trial.success_when,
        "score": trial.score,
        "progress": page.progress,
        "wins": page.wins,
        "losses": page.losses,
        "ties": page.ties,
        "pairs_needed": page.pairs_needed,
        "expected_pairs": page.expected_pairs,
        "metrics": [{name: getattr(row, name) for name in MetricRow.__dataclass_fields__} for row in page.metrics],
        "broken": list(page.broken),
        "excluded": list(page.excluded),
        "simulated": page.simulated,
        "judge": page.judge,
        "adoption_obstacle": page.adoption_obstacle or None,
        "adoption": None if page.adoption is None else asdict(page.adoption),
        "adopted_version": trial.adopted_version.version if trial.adopted_version else None,
        "watch": None if page.watch is None else watch_json(page.watch),
        "report": f"/api/v1/trials/{trial.pk}/report" if trial.status == "decided" and trial.outcome else None,
    }


def watch_json(watch: ShadowShare) -> dict[str, Any]:
    """A watch after a promotion."""
    return {
        "trial": watch.trial_id,
        "verdict_of": watch.verdict_of_id,
        "state": watch.state,
        "promoted": watch.promoted.version,
        "incumbent": watch.incumbent.version,
        "share": watch.trial.share,
        "pairs": watch.pairs,
        "log_statistic": watch.log_statistic,
        "alarm_at": math.log(ALARM),
        "reason": watch.reason,
        "started_at": watch.started_at,
        "ended_at": watch.ended_at,
        "next_trial": watch.next_trial_id,
    }


def pair_json(pair: TrialPair) -> dict[str, Any]:
    """One pair; its inputs and answers stand in its runs, for whoever may see these."""
    runs: dict[str, list[int]] = {"control": [], "candidate": [], "judge": []}
    for one in pair.arm_runs.all():
        runs[one.arm].append(one.run_id)
    return {
        "n": pair.position,
        "status": pair.status,
        "first": pair.first,
        "input": pair.input_name,
        "stratum": pair.stratum,
        "contrasts": pair.contrasts,
        "judged": pair.judged,
        "control": pair.control,
        "candidate": pair.candidate,
        "control_runs": runs["control"],
        "candidate_runs": runs["candidate"],
        "judge_runs": runs["judge"],
        "missing": pair.missing or None,
        "settled_at": pair.settled_at,
    }


def seed_of(trial: Trial) -> str | None:
    """The seed, once it is no secret any more: hex that opens ``seed_commitment``."""
    seed = bytes(trial.seed)
    assert commitment_of(seed) == trial.seed_commitment
    return seed.hex() if trial.has_ended else None
