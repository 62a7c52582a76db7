"""
A judge is examined before it serves: pairs of the control against itself, asked in both orders.

An examination is a trial of its own (``mode`` is ``exam``, it ``follows`` the
trial that the judge is for): its pairs, runs, budget and crashes are handled as
any trial's, and none of its pairs is evidence. After thirty pairs that the
judge was asked about, in the order of enrolment, what it showed is written into
the trial, which goes on, or ends ``invalid`` when the judge may not serve.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from execution import states
from execution.errors import TrialNotPossible, TrialRefused
from execution.models import Run, Trial, TrialPair
from execution.models.trial import TrialMode
from execution.services import faults
from execution.services.preferring import Judge, asked_of
from execution.services.trial_inputs import GivenInput, recorded
from execution.services.trial_plans import wishes_of
from execution.shadow import enrolment
from execution.shadow.figures import percent, typeset
from execution.shadow.judge import LEAST_PAIRS, Examination, examine
from execution.shadow.report import plan_to_json
from execution.states import TrialStatus
from registry.models import PatternVersion

MOST_PAIRS = 2 * LEAST_PAIRS  # tried, to have so many in which both runs left an answer


def usual_judge(control: PatternVersion) -> Judge | None:
    """The judge that the control's document asks for."""
    criteria = wishes_of(control).judge
    return Judge(criteria=criteria) if criteria else None


def begin(trial: Trial, given: Sequence[GivenInput], now: datetime) -> Trial:
    """
    Open the examination of a trial's judge, inside the transaction that starts the trial.

    Args:
        given: the trial's inputs; () for a live trial, whose judge is examined on inputs of earlier runs.

    Raises:
        TrialRefused: a live trial of a pattern that was never run.
    """
    from execution.services import verifying

    given = given or recorded(version=trial.control, user=trial.started_by, limit=MOST_PAIRS)
    if not given:
        raise TrialRefused(
            "judge", "it is examined on inputs of earlier runs, and there are none; run the control first"
        )
    plan = replace(trial.trial_plan, profile="custom", n_max=MOST_PAIRS, n_min=1, looks=(), strata=())
    seed = secrets.token_bytes(enrolment.SEED_BYTES)
    exam = Trial(
        mode=TrialMode.EXAM,
        status=TrialStatus.RUNNING,
        control=trial.control,
        candidate=trial.control,
        profile=trial.profile,
        plan=plan_to_json(plan),
        backend=trial.backend,
        judge=trial.judge,
        success_when=trial.success_when,
        score=trial.score,
        caps=trial.caps,
        at_once=trial.at_once,
        in_batches=trial.in_batches,
        seed=seed,
        seed_commitment=enrolment.commitment_of(seed),
        salt=secrets.token_bytes(enrolment.SEED_BYTES),
        tokens_limit=trial.tokens_limit,
        cost_limit=trial.cost_limit,
        daily_tokens_limit=trial.daily_tokens_limit,
        daily_cost_limit=trial.daily_cost_limit,
        is_public=trial.is_public,
        follows=trial,
        started_by=trial.started_by,
        created_at=now,
        started_at=now,
    )
    # Recorded answers would lay the same text before the judge twice: the control is run anew here.
    verifying.enrol_batch(
        exam, [replace(one, stratum="", source_run=None) for one in given[:MOST_PAIRS]], MOST_PAIRS, now
    )
    return exam


def exam_of(trial: Trial) -> Trial | None:
    """The examination of a trial's judge, the latest."""
    if trial.judge is None or trial.mode == TrialMode.EXAM:
        return None
    return Trial.objects.filter(follows=trial, mode=TrialMode.EXAM).order_by("-pk").first()


def examination_of(trial: Trial) -> Examination | None:
    """What the examination of its judge found; None before its end, and where there is no judge."""
    found = (trial.judge or {}).get("examination")
    return None if found is None else Examination(**{name: found[name] for name in Examination.__dataclass_fields__})


def facts_of(trial: Trial) -> dict[str, Any] | None:
    """The judge as pages and the API show it: what it is told, and how its examination went or stands."""
    if trial.judge is None:
        return None
    found, exam = examination_of(trial), exam_of(trial)
    return {
        **{name: trial.judge[name] for name in ("criteria", "quality", "backend", "model")},
        "examined_in": exam.pk if exam is not None else None,
        "asked": found.pairs if found is not None else len(heard(exam)) if exam is not None else 0,
        "needed": LEAST_PAIRS,
        "qualified": found.qualified if found is not None else None,
        "reason": found.reason if found is not None else "",
        "examination": None if found is None else asdict(found),
    }


def lets_go_on(trial: Trial, now: datetime) -> bool:
    """Whether pairs may be started: a trial waits for the examination of its judge, an examination for its trial."""
    from execution.services import counting, verifying

    if trial.mode == TrialMode.EXAM:
        return trial.follows is not None and trial.follows.status == TrialStatus.RUNNING
    if trial.judge is None:
        return True
    found, exam = examination_of(trial), exam_of(trial)
    if found is not None and not found.qualified:
        # It was paused at the moment in which its judge failed.
        with transaction.atomic():
            counting.decide_unjudged(trial, now)
        return False
    if found is not None or exam is None:
        return True
    with contextlib.suppress(TrialNotPossible):
        if exam.status == TrialStatus.CANCELLED:
            verifying.cancel(trial=trial, now=now, reason=f"its judge was not examined: {exam.note}"[:500])
        elif exam.status == TrialStatus.PAUSED:
            verifying.pause(trial=trial, now=now, note=f"the examination of its judge waits: {exam.note}"[:500])
    return False


def heard(exam: Trial) -> list[Mapping[str, Any]]:
    """What the judge said in the examination so far, in the order of enrolment, pairs without a gap only."""
    pairs = TrialPair.objects.filter(trial=exam, position__lte=exam.settled, missing="").order_by("position")
    return [told for judged in pairs.values_list("judged", flat=True) for told in judged or () if told["asked"]]


def count(exam: Trial, fresh: Sequence[TrialPair], now: datetime) -> int:
    """Take settled pairs of an examination, in order; after enough of them it is over. How many were taken."""
    asked = [asked_of(told) for told in heard(exam)]
    counted = missing = 0
    for pair in fresh:
        counted += 1
        missing += bool(pair.missing)
        asked += [asked_of(told) for told in pair.judged or () if told["asked"]]
        if len(asked) >= LEAST_PAIRS:
            break
    settled = exam.settled + counted
    with transaction.atomic():
        rows = Trial.objects.filter(pk=exam.pk, revision=exam.revision, status=TrialStatus.RUNNING)
        if not rows.update(settled=settled, missing=exam.missing + missing, revision=exam.revision + 1):
            return 0
        exam.settled, exam.missing, exam.revision = settled, exam.missing + missing, exam.revision + 1
        note = f"its judge is being examined: {len(asked)} of {LEAST_PAIRS} pairs"
        _trial_of(exam).update(note=note)
        if len(asked) >= LEAST_PAIRS or settled >= exam.plan["n_max"]:
            finish(exam, examine(asked), now)
        faults.reach("before-count-commits")
    return counted


def _trial_of(exam: Trial) -> QuerySet[Trial]:
    """The trial whose judge is examined."""
    assert exam.follows_id is not None, "an examination follows a trial"
    return Trial.objects.filter(pk=exam.follows_id)


def finish(exam: Trial, found: Examination, now: datetime) -> None:
    """Tell the trial what its judge is worth; inside the transaction of the last pair."""
    from execution.services import counting, verifying

    said = (
        typeset(found.reason)
        or f"it agrees with itself in {percent(found.consistency)} of {found.pairs} pairs, and leans to no side"
    )
    status = states.move(states.TRIAL, exam.status, "decide")
    Trial.objects.filter(pk=exam.pk).update(status=status, decided_at=now, outcome="", note=f"the judge: {said}"[:500])
    verifying.drop_pairs(exam.pk)
    trial = _trial_of(exam).select_related("control", "candidate").get()
    trial.judge = {**(trial.judge or {}), "examination": asdict(found)}
    # Real runs that passed meanwhile stay unshadowed.
    newest = Run.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    trial.last_run = newest if trial.mode == TrialMode.LIVE else trial.last_run
    Trial.objects.filter(pk=trial.pk).update(judge=trial.judge, last_run=trial.last_run, note="")
    if not found.qualified:
        counting.decide_unjudged(trial, now)
