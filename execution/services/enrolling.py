"""
Live trials: real runs of the control become pairs, and nobody's run notices.

Nothing stands on a caller's way: the workers of trials look for new runs by
themselves. Which runs are shadowed is drawn from the committed seed and the
run's id alone; runs are enrolled in the order of their ids.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Q, Sum

from execution.models import ArmRun, Run, Trial, TrialPair
from execution.models.run import RunQuerySet
from execution.models.trial import TrialMode
from execution.services import faults
from execution.services.isolating import TRIALS
from execution.services.verifying import name_of_input
from execution.shadow.enrolment import first_arm, sampled
from execution.shadow.observation import Arm

LOOKED_AT = 500  # real runs in one look
# On PostgreSQL a run whose id is lower may commit later than one that is looked at; SQLite has one writer.
COMMIT_LAG = timedelta(seconds=2)
MOST_OPEN = 200  # pairs without an end; beyond that, real runs pass unshadowed


def enrol_live(trial: Trial, now: datetime) -> int:
    """Enrol the real runs that are new and drawn; how many."""
    fresh = Run.objects.of_callers().filter(version_id=trial.control_id, parent=None, pk__gt=trial.last_run)
    if connection.vendor != "sqlite":
        fresh = fresh.filter(created_at__lte=now - COMMIT_LAG)
    rows = list(fresh.order_by("pk")[:LOOKED_AT])
    if not rows:
        return 0
    wanted = [run for run in rows if sampled(bytes(trial.seed), str(run.pk), trial.share)]
    room = 0
    if wanted and not budget_used_up(trial, now):
        under_way = trial.pairs.filter(status__in=("enrolled", "running")).count()
        room = min(MOST_OPEN - under_way, trial.plan["n_max"] - trial.enrolled)
    # Those for which there is no room pass unshadowed, for good: whether a run counts never depends on its end.
    chosen = wanted[: max(room, 0)]
    last = rows[-1].pk
    with transaction.atomic():
        moved = Trial.objects.filter(pk=trial.pk, last_run=trial.last_run, status="running")
        if not moved.update(enrolled=F("enrolled") + len(chosen), last_run=last):
            return 0
        for position, run in enumerate(chosen, trial.enrolled + 1):
            _enrol(trial, run, position, now)
    trial.enrolled, trial.last_run = trial.enrolled + len(chosen), last
    faults.reach("live-enrolled")
    return len(chosen)


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
    """Why no further run may be started today, "" where one may."""
    own = runs_of(trial)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    today = own.filter(created_at__gte=midnight)
    return _over(own, trial.tokens_limit, trial.cost_limit, "of the trial") or _over(
        today, trial.daily_tokens_limit, trial.daily_cost_limit, "of the day"
    )


def runs_of(trial: Trial) -> RunQuerySet:
    """The runs that a trial pays for: of its arms, of its judge, and of the judge's examination."""
    root = trial.follows_id if trial.mode == TrialMode.EXAM else trial.pk
    paid = Q(arms__pair__trial=root) | Q(arms__pair__trial__follows=root, arms__pair__trial__mode=TrialMode.EXAM)
    return Run.objects.filter(paid, queue=TRIALS)


def is_spent(trial: Trial) -> bool:
    """Whether the budget of the whole trial is used up, so that no day to come changes that."""
    own = runs_of(trial)
    return bool(_over(own, trial.tokens_limit, trial.cost_limit, ""))


def _over(runs: RunQuerySet, tokens: int | None, cost: int | None, whose: str) -> str:
    if tokens is None and cost is None:
        return ""
    used = runs.aggregate(
        tokens=Sum(F("tokens_used") + F("tokens_reserved")), cost=Sum(F("cost_used") + F("cost_reserved"))
    )
    if tokens is not None and (used["tokens"] or 0) >= tokens:
        return f"the budget {whose}, {tokens} tokens, is used up"
    if cost is not None and (used["cost"] or 0) >= cost:
        return f"the budget {whose}, {cost / 1_000_000:g} US dollars, is used up"
    return ""
