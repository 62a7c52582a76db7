"""
Counting settled pairs in the order of enrolment, looking after each, deciding.

A settled pair counts only when every pair before it does; ``Trial.settled``
moves under the trial's revision, together with the looks of the curve, and the
verdict with the report in the same transaction. So a trial that a crash
interrupted goes on from its last counted pair, and none counts twice.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction

from execution import states
from execution.models import Trial, TrialLook, TrialPair
from execution.models.trial import TrialMode
from execution.services import examining, faults, promoting, reporting, watching_share
from execution.services.reporting import Written
from execution.services.verifying import drop_pairs
from execution.shadow.assessment import Assessment, Course
from execution.shadow.evidence import Pair
from execution.shadow.verdict import Health, Outcome
from execution.states import PairStatus, TrialStatus

_CODE = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)+")  # of an error: execution.agent.unreachable
KEPT = 64
BATCH = 500

_courses: OrderedDict[int, tuple[int, Course]] = OrderedDict()  # trial → (settled, course)


def count(trial: Trial, now: datetime) -> int:
    """Let every pair that may count now do so; how many did."""
    fresh = ready(trial)
    if not fresh:
        return 0
    if trial.mode == TrialMode.WATCH:
        return watching_share.count(trial, fresh, now)
    if trial.mode == TrialMode.EXAM:
        return examining.count(trial, fresh, now)
    course = course_of(trial)
    looks: list[TrialLook] = []
    for pair in fresh:
        course.feed(as_pair(pair))
        assert course.point is not None  # it has just looked
        looks.append(TrialLook(trial=trial, **asdict(course.point)))
        if course.outcome.final:
            break
    counted = fresh[: len(looks)]
    if not _write(trial, course, counted, looks, now):
        forget(trial.pk)
        return 0
    faults.reach("pairs-counted")
    return len(counted)


def _write(trial: Trial, course: Course, counted: list[TrialPair], looks: list[TrialLook], now: datetime) -> bool:
    """Everything in one transaction; what takes time is computed before it. False where somebody was faster."""
    settled = counted[-1].position
    sentence = course.assessment().verdict.sentence
    missing = trial.missing + sum(1 for pair in counted if pair.missing)
    health = health_of(trial, settled)
    final = course.outcome.final or health.replay_fidelity < course.plan.least_fidelity
    report = reporting.write(trial, counted_pairs(trial, settled), health, now) if final else None
    with transaction.atomic():
        rows = Trial.objects.filter(pk=trial.pk, revision=trial.revision, status=TrialStatus.RUNNING)
        if not rows.update(
            settled=settled,
            missing=missing,
            outcome=course.outcome,
            sentence=sentence,
            revision=trial.revision + 1,
        ):
            return False
        TrialLook.objects.bulk_create(looks)
        if report is not None:
            trial.settled, trial.missing = settled, missing
            decide(trial, report, now)
        faults.reach("before-count-commits")
    trial.settled, trial.missing, trial.revision = settled, missing, trial.revision + 1
    if report is None:
        trial.outcome, trial.sentence = course.outcome, sentence
        keep(trial, course)
    return True


def decide_unjudged(trial: Trial, now: datetime) -> None:
    """The judge may not serve: no verdict, no pair; inside the transaction of its examination."""
    rows = Trial.objects.filter(pk=trial.pk, revision=trial.revision, status=TrialStatus.RUNNING)
    if rows.update(revision=trial.revision + 1):
        decide(trial, reporting.write(trial, [], health_of(trial, 0), now), now)


def decide(trial: Trial, report: Written, now: datetime) -> None:
    """The verdict is in: report, no further pairs, and adoption where the pattern says so."""
    status = states.move(states.TRIAL, trial.status, "decide")
    trial.status, trial.decided_at = status, now
    trial.outcome, trial.sentence = report.outcome, report.sentence
    Trial.objects.filter(pk=trial.pk).update(
        status=status, decided_at=now, outcome=trial.outcome, sentence=trial.sentence, note=""
    )
    reporting.keep(trial, report, now)
    drop_pairs(trial.pk)
    if Outcome(trial.outcome).adopts:
        promoting.adopt_automatically(trial, now)


def ready(trial: Trial) -> list[TrialPair]:
    """Settled pairs right behind those that count, without a gap."""
    behind = TrialPair.objects.filter(trial=trial, position__gt=trial.settled, status=PairStatus.SETTLED)
    found: list[TrialPair] = []
    for pair in behind.order_by("position")[:BATCH]:
        if pair.position != trial.settled + len(found) + 1:
            break
        found.append(pair)
    return found


def as_pair(row: TrialPair) -> Pair:
    """A row as the statistics take it."""
    return Pair(
        position=row.position,
        contrasts={} if row.missing else row.contrasts,
        stratum=row.stratum,
        input_id=row.input_name,
        missing=named(row.missing),
    )


def named(reason: str) -> str:
    """
    Why a pair is missing, as a report may say it: who was lost and the error's code, never its message.

    A message may quote what an agent was asked or answered, and a report leaves this node.
    """
    told, _, rest = reason.partition(": ")
    code = rest.partition(":")[0]
    return f"{told}: {code}" if _CODE.fullmatch(code) else told


def counted_pairs(trial: Trial, upto: int) -> list[Pair]:
    """The pairs up to a position, in order."""
    rows = TrialPair.objects.filter(trial=trial, position__lte=upto).defer("control", "candidate")
    return [as_pair(row) for row in rows.order_by("position")]


def course_of(trial: Trial) -> Course:
    """The walk so far, from memory or from the rows."""
    kept = _courses.pop(trial.pk, None)
    if kept is not None and kept[0] == trial.settled:
        return kept[1]
    course = Course(trial.trial_plan, same_version=trial.is_same_version)
    _feed(course, counted_pairs(trial, trial.settled))
    return course


def _feed(course: Course, pairs: Sequence[Pair]) -> None:
    for pair in pairs:
        if course.feed(pair).final:
            break


def keep(trial: Trial, course: Course) -> None:
    """Keep the walk for the next look; the oldest make room."""
    _courses[trial.pk] = (trial.settled, course)
    while len(_courses) > KEPT:
        _courses.popitem(last=False)


def forget(trial_id: int | None = None) -> None:
    """Drop what this process knows of one trial, or of all."""
    if trial_id is None:
        _courses.clear()
    else:
        _courses.pop(trial_id, None)


def assessment_of(trial: Trial) -> Assessment:
    """The trial as it stands: verdict, estimates, claims."""
    course = Course(trial.trial_plan, health_of(trial, trial.settled), same_version=trial.is_same_version)
    if not course.outcome.final:
        _feed(course, counted_pairs(trial, trial.settled))
    return course.assessment()


def health_of(trial: Trial, upto: int) -> Health:
    """The judge's qualification, and replay fidelity once enough was replayed to speak of it."""
    examined = examining.examination_of(trial)
    judged: dict[str, Any] = (
        {"judge_qualified": examined.qualified, "judge_reason": examined.reason} if examined else {}
    )
    if not trial.recorded or upto < trial.plan["n_min"]:
        return Health(**judged)
    found = total = 0
    for told in TrialPair.objects.filter(trial=trial, position__lte=upto).values_list("control", flat=True):
        alike, asked = (told or {}).get("replayed", (0, 0))
        found, total = found + alike, total + asked
    return Health(**judged, replay_fidelity=found / total if total else 1.0)
