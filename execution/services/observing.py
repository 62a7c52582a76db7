"""
What the workers of the queue ``trials`` do beside carrying runs out.

    observe(now_ms) → enrol real runs, start arms, settle pairs, count them in order, decide

Each step reads its rows and writes under an epoch or a revision, so any number
of workers may look after the same trials, and one that dies is not missed.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from datetime import datetime

from django.db import DatabaseError, connection

from execution.errors import TrialNotPossible
from execution.models import Trial, TrialPair, WorkerLease
from execution.models.trial import TrialMode
from execution.services import clock, counting, enrolling, examining, pairing, verifying
from execution.services.clock import to_datetime
from execution.services.isolating import TRIALS
from execution.services.reaping import LEASE_MS
from execution.states import PairStatus, TrialStatus

log = logging.getLogger(__name__)

MOST_TRIALS = 100
UNJUDGED_PAIRS = 3  # so many say that the words are at fault, and not one odd input
CLEAR_MS = 5_000
_cleared = {"at": 0}


def observe(now_ms: int) -> int:
    """Look after every trial that is on; how many things were done."""
    now = to_datetime(now_ms)
    done = 0
    trials = Trial.objects.filter(status=TrialStatus.RUNNING).select_related(
        "control__pattern__owner", "candidate__pattern__owner", "started_by"
    )
    for trial in trials.defer("control__source", "candidate__source").order_by("pk")[:MOST_TRIALS]:
        try:
            done += look_after(trial, now)
        except DatabaseError:
            raise
        except Exception as error:
            # One trial's fault must not stop the others, nor the runs that this worker carries out.
            log.exception("trial %s broke", trial.pk)
            with contextlib.suppress(TrialNotPossible):
                verifying.pause(trial=trial, now=now, note=f"a fault of the hub: {error!r}"[:500])
    return done + clear(now_ms)


def workers_alive(now_ms: int | None = None) -> bool:
    """Whether a worker of the queue ``trials`` is at work, here or elsewhere."""
    now = clock.now_ms() if now_ms is None else now_ms
    leases = WorkerLease.objects.filter(gone=False, beat_at__gt=now - LEASE_MS)
    return leases.filter(name__endswith=f":{TRIALS}").exists()


def look_after(trial: Trial, now: datetime) -> int:
    """One trial's next steps; how many there were."""
    done = 0
    if not examining.lets_go_on(trial, now):
        return 0
    if trial.is_beside_runs:
        done += enrolling.enrol_live(trial, now)
    pairs = list(TrialPair.objects.filter(trial=trial).under_way().select_related("input").order_by("position"))
    arms = pairing.arms_of(pairs)
    done += sum(pairing.tend(trial, pair, arms[pair.pk], now) for pair in pairs)
    if trial.settled < UNJUDGED_PAIRS and pause_unjudged(trial, pairs, now):
        return done + 1
    under_way = sum(pair.status == PairStatus.RUNNING for pair in pairs)
    # Pairs beside real runs cost nothing while they wait for these.
    room = enrolling.MOST_OPEN if trial.is_beside_runs else trial.at_once
    done += start_pairs(trial, room - under_way, now)
    return done + counting.count(trial, now)


def pause_unjudged(trial: Trial, pairs: Sequence[TrialPair], now: datetime) -> bool:
    """
    Pause a trial whose words say nothing about any of its control's first runs, before they decide something.

    A misspelt name in ``success_when`` makes every run of both arms a failure:
    that would be read as "no difference worth having" and be paid for.
    """
    if trial.mode == TrialMode.WATCH or not any(pair.status == PairStatus.SETTLED for pair in pairs):
        return False
    settled = TrialPair.objects.filter(trial=trial, status=PairStatus.SETTLED, missing="")
    errors = [str((told or {}).get("error", "")) for told in settled.values_list("control", flat=True)]
    if len(errors) < UNJUDGED_PAIRS or not all(map(pairing.cannot_be_judged, errors)):
        return False
    with contextlib.suppress(TrialNotPossible):
        verifying.pause(
            trial=trial, now=now, note=f"{errors[0]}, in all {len(errors)} runs of the control so far"[:500]
        )
    return True


def start_pairs(trial: Trial, room: int, now: datetime) -> int:
    """Start enrolled pairs, in their order, as far as there is room and budget."""
    if room <= 0:
        return 0
    waiting = TrialPair.objects.filter(trial=trial, status=PairStatus.ENROLLED).select_related("input")
    pairs = list(waiting.order_by("position")[:room])
    if not pairs:
        return 0
    reason = enrolling.budget_used_up(trial, now)
    if reason != trial.note:
        Trial.objects.filter(pk=trial.pk).update(note=reason)
        trial.note = reason
    if reason:
        return end_spent(trial, now)
    if trial.is_beside_runs:
        return sum(pairing.begin_live(pair) for pair in pairs)
    return sum(pairing.start(trial, pair, now) for pair in pairs)


def end_spent(trial: Trial, now: datetime) -> int:
    """End a trial whose whole budget is used up, once its last pair is counted; a spent day only waits for the next."""
    if not enrolling.is_spent(trial) or TrialPair.objects.filter(trial=trial).under_way().exists():
        return 0
    if counting.ready(trial):
        return 0
    with contextlib.suppress(TrialNotPossible):
        verifying.cancel(trial=trial, now=now, reason=f"{trial.note} after {trial.settled} pairs, without a verdict")
    return 1


def clear(now_ms: int) -> int:
    """Every few seconds: cancel runs that a worker's death left behind for pairs that will not count."""
    if 0 <= now_ms - _cleared["at"] < CLEAR_MS:
        return 0
    _cleared["at"] = now_ms
    with connection.cursor() as cursor:
        # Literals, so that the partial index on the runs of trials serves.
        cursor.execute(
            "SELECT DISTINCT p.trial_id FROM execution_run r JOIN execution_armrun a ON a.run_id = r.id"
            " JOIN execution_trialpair p ON p.id = a.pair_id WHERE r.queue = 'trials'"
            " AND r.status IN ('queued', 'running', 'waiting', 'paused') AND (p.status = 'dropped' OR (p.status = 'settled' AND p.missing <> '')) LIMIT 20"
        )
        trials = [row[0] for row in cursor.fetchall()]
    return sum(verifying.end_runs(trial_id, now_ms) for trial_id in trials)
