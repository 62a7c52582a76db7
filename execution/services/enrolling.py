"""
Live trials: real runs of the control become pairs, and nobody's run notices.

Nothing stands on a caller's way: the workers of trials look for new runs by
themselves. Which runs are shadowed is drawn from the committed seed and the
run's id alone; runs are enrolled in the order of their ids.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F, Sum

from execution.models import ArmRun, Run, Trial, TrialPair
from execution.services import faults
from execution.services.verifying import name_of_input
from execution.shadow.enrolment import first_arm, sampled
from execution.shadow.observation import Arm

LOOKED_AT = 500  # real runs in one look
# A run whose id is lower may commit later (PostgreSQL): so many are looked at again.
OVERLAP = 200
MOST_OPEN = 200  # pairs without an end; beyond that, real runs pass unshadowed


def enrol_live(trial: Trial, now: datetime) -> int:
    """Enrol the real runs that are new and drawn; how many."""
    fresh = Run.objects.of_callers().filter(version_id=trial.control_id, parent=None, created_at__gte=trial.created_at)
    rows = list(fresh.filter(pk__gt=max(trial.last_run - OVERLAP, 0)).order_by("pk")[:LOOKED_AT])
    if not rows or (rows[-1].pk <= trial.last_run and not _has_gaps(trial, rows)):
        return 0
    known = set(_known(trial, rows))
    wanted = [run for run in rows if run.pk not in known and sampled(bytes(trial.seed), str(run.pk), trial.share)]
    room = max(MOST_OPEN - trial.pairs.filter(status__in=("enrolled", "running")).count(), 0)
    room = 0 if budget_used_up(trial, now) else min(room, trial.plan["n_max"] - trial.enrolled)
    with transaction.atomic():
        moved = Trial.objects.filter(pk=trial.pk, enrolled=trial.enrolled, status="running")
        chosen = wanted[: max(room, 0)]
        last = max(rows[-1].pk, trial.last_run)
        if not moved.update(enrolled=F("enrolled") + len(chosen), last_run=last):
            return 0
        for position, run in enumerate(chosen, trial.enrolled + 1):
            _enrol(trial, run, position, now)
    trial.enrolled, trial.last_run = trial.enrolled + len(chosen), last
    faults.reach("live-enrolled")
    return len(chosen)


def _known(trial: Trial, rows: list[Run]) -> list[int]:
    arms = ArmRun.objects.filter(pair__trial=trial, arm=Arm.CONTROL, run__in=[run.pk for run in rows])
    return list(arms.values_list("run_id", flat=True))


def _has_gaps(trial: Trial, rows: list[Run]) -> bool:
    """Whether a run that was drawn is not enrolled: it committed after a later one."""
    drawn = [run for run in rows if sampled(bytes(trial.seed), str(run.pk), trial.share)]
    return bool(drawn) and trial.enrolled < trial.plan["n_max"] and len(_known(trial, drawn)) < len(drawn)


def _enrol(trial: Trial, run: Run, position: int, now: datetime) -> None:
    pair = TrialPair.objects.create(
        trial=trial,
        position=position,
        first=first_arm(bytes(trial.seed), position).value,
        input_name=name_of_input(trial, run.input_values(), run_id=run.pk),
        enrolled_at=now,
    )
    ArmRun.objects.create(pair=pair, arm=Arm.CONTROL, run=run)


def budget_used_up(trial: Trial, now: datetime) -> str:
    """Why no further run may be started, "" where one may."""
    limits = (trial.tokens_limit, trial.cost_limit, trial.daily_tokens_limit, trial.daily_cost_limit)
    if all(limit is None for limit in limits):
        return ""
    own = Run.objects.filter(queue="trials", arms__pair__trial=trial)
    today = own.filter(created_at__gte=now.replace(hour=0, minute=0, second=0, microsecond=0))
    for runs, tokens, cost, when in (
        (own, trial.tokens_limit, trial.cost_limit, "of the trial"),
        (today, trial.daily_tokens_limit, trial.daily_cost_limit, "of the day"),
    ):
        if tokens is None and cost is None:
            continue
        used = runs.aggregate(
            tokens=Sum(F("tokens_used") + F("tokens_reserved")), cost=Sum(F("cost_used") + F("cost_reserved"))
        )
        if tokens is not None and (used["tokens"] or 0) >= tokens:
            return f"the budget {when}, {tokens} tokens, is used up"
        if cost is not None and (used["cost"] or 0) >= cost:
            return f"the budget {when}, {cost / 1_000_000:g} US dollars, is used up"
    return ""
