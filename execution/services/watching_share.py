"""
The watch after a promotion: pairs in, e-detector on, roll back at the alarm.

In the trial behind a watch the control is the promoted version, which people
run, and the candidate what it replaced, so a pair's contrast is turned round
before the detector sees it. Order matters: pairs come as they were enrolled,
and the detector's state moves with the trial's ``settled``, in one transaction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from execution import states
from execution.errors import ExecutionError
from execution.models import ShadowShare, Trial, TrialPair
from execution.models.trial import TrialMode
from execution.services import faults, promoting, verifying
from execution.services.trial_plans import wishes_of
from execution.shadow.detector import HarmDetector
from execution.states import TrialStatus
from registry.errors import RegistryError
from registry.models import Channel
from registry.services import channels


def detector_of(watch: ShadowShare) -> HarmDetector:
    """The detector as it stands."""
    if not watch.log_sums:
        return HarmDetector()
    sums = tuple(-math.inf if value is None else float(value) for value in watch.log_sums)
    return HarmDetector(log_sums=sums, pairs=watch.pairs)


def count(trial: Trial, fresh: Sequence[TrialPair], now: datetime) -> int:
    """Show settled pairs to the detector, in order; how many."""
    watch = ShadowShare.objects.select_related("pattern__owner", "promoted", "incumbent", "verdict_of").get(trial=trial)
    detector, highest = detector_of(watch), watch.highest
    counted = 0
    for pair in fresh:
        counted += 1
        if not pair.missing:
            # 0 - x and not -x: a tie stays a plain zero.
            detector = detector.observe(0.0 - float(pair.contrasts.get("success", 0.0)))
            highest = max(detector.log_statistic, -math.inf if highest is None else highest)
        if detector.alarmed:
            break
    last = fresh[counted - 1].position
    missing = trial.missing + sum(1 for pair in fresh[:counted] if pair.missing)
    told = _stored(detector, last, highest)
    with transaction.atomic():
        rows = Trial.objects.filter(pk=trial.pk, revision=trial.revision, status=TrialStatus.RUNNING)
        if not rows.update(settled=last, missing=missing, revision=trial.revision + 1):
            return 0
        ShadowShare.objects.filter(pk=watch.pk).update(**told)
        if detector.alarmed:
            roll_back(watch, detector, now)
        elif last >= trial.plan["n_max"]:
            finish(watch, now, f"{last} pairs without an alarm")
        faults.reach("before-count-commits")
    trial.settled, trial.missing, trial.revision = last, missing, trial.revision + 1
    return counted


def _stored(detector: HarmDetector, position: int, highest: float | None) -> dict[str, Any]:
    statistic = detector.log_statistic
    return {
        "log_sums": [None if math.isinf(value) else value for value in detector.log_sums],
        "log_statistic": None if math.isinf(statistic) else statistic,
        "highest": None if highest is None or math.isinf(highest) else highest,
        "pairs": detector.pairs,
        "position": position,
    }


def roll_back(watch: ShadowShare, detector: HarmDetector, now: datetime) -> None:
    """The alarm: ``stable`` back to the pinned incumbent, the watch ends, a new trial opens."""
    reason = (
        f"after {detector.pairs} shadowed pairs the detector stands at {detector.statistic:.0f}"
        f" (alarm at {detector.alarm_at:.0f}): {watch.promoted.version} has become worse than {watch.incumbent.version}"
    )
    stable = promoting.stand_of(watch.pattern_id)
    if stable is None or stable.pk == watch.promoted_id:
        try:
            with transaction.atomic():
                channels.move(
                    pattern=watch.pattern,
                    name=Channel.STABLE,
                    version=watch.incumbent,
                    user=None,
                    via="verdict",
                    now=now,
                    reason=reason[:500],
                    by_verdict=True,
                )
        except RegistryError as error:
            reason = f"{reason}; stable stays: {error}"
    else:
        reason = f"{reason}; stable had moved on to {stable.version} and stays there"
    finish(watch, now, reason, state=ShadowShare.State.ROLLED_BACK)
    open_trial(watch, now, reason)


def open_trial(watch: ShadowShare, now: datetime, reason: str) -> None:
    """Try the version that was rolled back anew, beside real runs of the incumbent."""
    try:
        with transaction.atomic():
            opened = verifying.start_trial(
                control=watch.incumbent,
                candidate=watch.promoted,
                user=None,
                now=now,
                mode=TrialMode.LIVE,
                profile=watch.verdict_of.profile,
                backend=watch.trial.backend,
                caps=watch.trial.caps,
                share=wishes_of(watch.incumbent).share,
                budget=promoting.budget_of(watch.trial),
                success_when=watch.trial.success_when,
                score=watch.trial.score,
                is_public=watch.trial.is_public,
                follows=watch.trial,
            )
    except ExecutionError as error:
        # The way back must not hang on the way forward.
        ShadowShare.objects.filter(pk=watch.pk).update(reason=f"{reason}; no new trial: {error}")
        return
    ShadowShare.objects.filter(pk=watch.pk).update(next_trial=opened)


def finish(watch: ShadowShare, now: datetime, reason: str, state: str = ShadowShare.State.ENDED) -> None:
    """The watch is over; its trial too."""
    ShadowShare.objects.filter(pk=watch.pk).update(state=state, ended_at=now, reason=reason)
    status = states.move(states.TRIAL, TrialStatus.RUNNING, "decide")
    Trial.objects.filter(pk=watch.trial_id).update(status=status, decided_at=now, note=reason, outcome="")
    verifying.drop_pairs(watch.trial_id)
