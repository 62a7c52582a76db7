"""
Carrying one pair out: its arms in the drawn order, then what they came to.

Whatever is started or settled for a pair is written together with its next
``epoch``, and only where the epoch is still the one that was read. So two
workers that look at the same pair do its next step once, and a worker that
dies leaves a pair from which the next step can be read.

The arm that goes second starts when the first has ended. Beside a real run the
control is nobody's to delay: there "candidate first" starts both at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Sum

from execution import states
from execution.agents import roster
from execution.errors import RunRefused
from execution.models import ArmRun, Effect, Run, Trial, TrialPair
from execution.models.trial import TrialMode
from execution.services import faults, guiding, judging, preferring, starting
from execution.services.checking import POLICY_NAMES, SEED_BITS
from execution.services.isolating import TRIALS
from execution.services.preferring import JUDGE
from execution.shadow.contrast import contrasts_of
from execution.shadow.observation import Arm, Observation, mean_observation
from execution.states import PairStatus

PATIENCE = timedelta(days=3)  # with a real run that does not end
MOST_ATTEMPTS = 3  # of one arm, when the infrastructure fails
# Kinds of an agent's failure that say nothing about the pattern that asked.
INFRASTRUCTURE = ("overloaded", "configuration", "in_doubt")


class Lost(Exception):
    """The infrastructure failed for good: the pair is missing."""


class Later(Exception):
    """Another worker was at this pair."""


Arms = dict[str, list[ArmRun]]  # by arm, and those of the judge


def tend(trial: Trial, pair: TrialPair, runs: Arms, now: datetime) -> bool:
    """
    Do the next step of a pair that was started; whether there was one.

    Args:
        runs: its arms, from ``arms_of``.
    """
    if not _has_step(trial, pair, runs, now):
        return False
    try:
        with transaction.atomic():
            _step(trial, pair, runs, now)
    except Later:
        return False
    faults.reach("pair-stepped")
    return True


def _has_step(trial: Trial, pair: TrialPair, runs: Arms, now: datetime) -> bool:
    """Whether an arm is to be started, or something has ended that asks for a next step."""
    if _is_forgotten(trial, pair, runs, now):
        return True
    if any(_needs_start(trial, pair, arm, runs) for arm in Arm):
        return True
    if all(one.run.has_ended for arm in Arm for one in runs[arm]):
        return all(one.run.has_ended for one in runs[JUDGE])
    return any(lost_by_infrastructure(trial, one.run) for arm in Arm for one in runs[arm] if one.run.has_ended)


def _step(trial: Trial, pair: TrialPair, runs: Arms, now: datetime) -> None:
    if _is_forgotten(trial, pair, runs, now):
        settle_missing(pair, f"the real run did not end within {PATIENCE.days} days", now)
        return
    try:
        for arm in (Arm(pair.first), Arm(pair.first).other):
            if _needs_start(trial, pair, arm, runs):
                _take(pair)
                start_arm(trial, pair, arm, now)
                return
            again = [one for one in runs[arm] if one.run.has_ended and lost_by_infrastructure(trial, one.run)]
            if again:
                _take(pair)
                for one in again:
                    start_again(trial, pair, one, now)
                return
        if trial.judge is not None and not _cancelled(runs) and _ask_judge(trial, pair, runs, now):
            return
        settle(trial, pair, runs, now)
    except Lost as reason:
        settle_missing(pair, str(reason), now)


def _is_forgotten(trial: Trial, pair: TrialPair, runs: Arms, now: datetime) -> bool:
    """
    Whether the real run of a pair hangs.

    Its caller may leave it paused, or a person's question open, for ever; the
    pairs behind it would wait as long.
    """
    if not trial.is_beside_runs or now - pair.enrolled_at < PATIENCE:
        return False
    return any(not one.run.has_ended for one in runs[Arm.CONTROL])


def _ask_judge(trial: Trial, pair: TrialPair, runs: Arms, now: datetime) -> bool:
    """Start what the judge is still to say about this pair; whether there was anything. Raises Lost, Later."""
    known = {one.number: one for one in runs[JUDGE]}
    wanted = []
    for control, candidate in zip(runs[Arm.CONTROL], runs[Arm.CANDIDATE], strict=True):
        mine, other = preferring.whole(control), preferring.whole(candidate)
        if trial.mode == TrialMode.EXAM and not (preferring.has_answer(mine) and preferring.has_answer(other)):
            raise Lost("a run of the control left no answer to lay before the judge")
        before = known.get(control.number)
        if before is None and preferring.needs_asking(trial, mine, other):
            wanted.append((control, candidate, 1))
        elif before is not None and not before.run.succeeded:
            if before.attempt >= MOST_ATTEMPTS:
                raise Lost(f"the judge could not be heard: {why(before.run)}")
            wanted.append((control, candidate, before.attempt + 1))
    if not wanted:
        return False
    _take(pair)
    for control, candidate, attempt in wanted:
        try:
            preferring.ask(trial, pair, control, candidate, attempt, now)
        except RunRefused as error:
            raise Lost(f"the judge could not be asked: {error}"[:500]) from error
    return True


def _needs_start(trial: Trial, pair: TrialPair, arm: Arm, runs: Arms) -> bool:
    if runs[arm]:
        return False
    if arm is Arm.CANDIDATE and trial.is_beside_runs and pair.first == Arm.CANDIDATE:
        return True
    if trial.in_batches:
        return True  # both arms in the same batch: its time says nothing, and it is out for hours
    other = runs[arm.other]
    return not other or arm == pair.first or all(one.run.has_ended for one in other)


def arms_of(pairs: Sequence[TrialPair]) -> dict[int, Arms]:
    """The latest attempt of every run of both arms, by pair; one query."""
    arms = (*map(str, Arm), JUDGE)
    latest: dict[int, dict[str, dict[int, ArmRun]]] = {pair.pk: {arm: {} for arm in arms} for pair in pairs}
    rows = ArmRun.objects.filter(pair__in=list(latest)).select_related("run").order_by("attempt")
    for row in rows.defer("run__inputs", "run__result") if latest else ():
        latest[row.pair_id][row.arm][row.number] = row
    return {
        pair: {arm: [found[number] for number in sorted(found)] for arm, found in by_arm.items()}
        for pair, by_arm in latest.items()
    }


def _take(pair: TrialPair, status: str = PairStatus.RUNNING, **fields: Any) -> None:
    """Make the pair's next epoch ours. Raises Later."""
    event = "settle" if status == PairStatus.SETTLED else "start"
    allowed = {str(PairStatus.RUNNING), *states.sources(states.PAIR, event)}
    rows = TrialPair.objects.filter(pk=pair.pk, epoch=pair.epoch, status__in=allowed)
    if not rows.update(epoch=pair.epoch + 1, status=status, **fields):
        raise Later
    pair.epoch, pair.status = pair.epoch + 1, status


# ---------------------------------------------------------------- starting


def start(trial: Trial, pair: TrialPair, now: datetime) -> bool:
    """Start the first arm of an enrolled pair; False where another worker did."""
    try:
        with transaction.atomic():
            _take(pair)
            start_arm(trial, pair, Arm(pair.first), now)
    except Later:
        return False
    faults.reach("pair-started")
    return True


def begin_live(pair: TrialPair) -> bool:
    """A pair beside a real run, which is its control; False where another worker took it."""
    try:
        _take(pair)
    except Later:
        return False
    return True


def start_arm(trial: Trial, pair: TrialPair, arm: Arm, now: datetime) -> None:
    """All runs of one arm, inside the caller's transaction. Raises Lost."""
    for number in range(trial.repeats):
        start_run(trial, pair, arm, number, 1, now)


def start_again(trial: Trial, pair: TrialPair, lost: ArmRun, now: datetime) -> None:
    """Another attempt of a run that the infrastructure lost. Raises Lost when there were enough, or it was real."""
    if lost.attempt >= MOST_ATTEMPTS or lost.run.queue != TRIALS:
        raise Lost(f"the {lost.arm} was lost to the infrastructure: {why(lost.run)}")
    start_run(trial, pair, Arm(lost.arm), lost.number, lost.attempt + 1, now)


def start_run(trial: Trial, pair: TrialPair, arm: Arm, number: int, attempt: int, now: datetime) -> None:
    """One run of an arm, kept apart from the world."""
    version = trial.control if arm is Arm.CONTROL else trial.candidate
    shadow: dict[str, Any] = {
        "trial": trial.pk,
        "arm": str(arm),
        "criterion": [trial.success_when, trial.score],
        "world": world_of(bytes(trial.seed), pair.position),
    }
    if trial.in_batches:
        shadow["in_batches"] = True
    options: dict[str, Any] = {"user": trial.started_by, "backend": trial.backend, "policy": {"limits": trial.caps}}
    if pair.input is not None:
        values = pair.input.value()
        if pair.input.source_run_id is not None:
            shadow |= {"answers_of": [pair.input.source_run_id], "recorded": trial.recorded}
    else:
        arms = ArmRun.objects.select_related("run__started_by", "run__version")
        real = arms.get(pair=pair, arm=Arm.CONTROL).run
        values = guiding.given_of(real)
        policy = {name: value for name, value in real.policy.items() if name in POLICY_NAMES}
        # Neither the caller's budget nor the pattern's own: a live trial has a daily one.
        shadow |= {"answers_of": [real.pk], "uncharged": True}
        options = {"user": real.started_by, "backend": real.backend, "policy": policy}
    try:
        run = starting.start(
            version=version,
            inputs=guiding.fitting(version, values),
            now=now,
            seed=seed_of(bytes(trial.seed), pair.position, arm, number, attempt),
            queue=TRIALS,
            shadow=shadow,
            **options,
        )
    except RunRefused as error:
        raise Lost(f"the {arm} could not be started: {error}"[:500]) from error
    ArmRun.objects.create(pair=pair, arm=arm, number=number, attempt=attempt, run=run)


def seed_of(seed: bytes, position: int, arm: Arm, number: int, attempt: int) -> int:
    """A run's seed, drawn from the trial's; the arms differ, so that equal versions show their noise."""
    told = f"{position}/{arm}/{number}/{attempt}".encode()
    return int.from_bytes(hashlib.sha256(b"opl-trial-run\0" + seed + told).digest()[:8], "big") >> (64 - SEED_BITS)


def world_of(seed: bytes, position: int) -> int:
    """The seed of the people whom simulated arms of a pair meet: the same for both, so that the versions are compared."""
    told = f"{position}".encode()
    return int.from_bytes(hashlib.sha256(b"opl-trial-world\0" + seed + told).digest()[:8], "big") >> (64 - SEED_BITS)


# ---------------------------------------------------------------- settling


def settle(trial: Trial, pair: TrialPair, runs: Arms, now: datetime) -> None:
    """Both arms have ended: observations, contrasts, and the pair is settled."""
    cancelled = _cancelled(runs)
    if cancelled is not None:
        settle_missing(pair, f"the {cancelled.arm} was cancelled by a person", now)
        return
    agents_time = _counts_agents_time([one.run for arm in Arm for one in runs[arm]])
    seen = {
        arm: mean_observation([observed(trial, one.run, agents_time=agents_time) for one in runs[arm]]) for arm in Arm
    }
    judged = _judged(runs) if trial.judge is not None else None
    if judged and trial.judge and trial.judge["quality"]:
        for arm, score in zip(Arm, preferring.qualities_of(judged), strict=True):
            # As with `score:`, an arm that failed has quality 0.
            seen[arm] = replace(seen[arm], quality=(score or 0.0) if seen[arm].success else 0.0)
    preference = preferring.preference_of(judged) if judged else None
    found = contrasts_of(seen[Arm.CONTROL], seen[Arm.CANDIDATE], preference=preference)
    measured = set(trial.plan["metrics"])
    told = {arm: asdict(observation) for arm, observation in seen.items()}
    if trial.recorded:
        told[Arm.CONTROL]["replayed"] = replayed([one.run_id for one in runs[Arm.CONTROL]])
    _take(
        pair,
        PairStatus.SETTLED,
        contrasts={name: value for name, value in found.items() if name in measured},
        control=told[Arm.CONTROL],
        candidate=told[Arm.CANDIDATE],
        judged=judged,
        settled_at=now,
    )


def _cancelled(runs: Arms) -> ArmRun | None:
    """A run of this pair that was cancelled, the judge's included."""
    return next((one for each in runs.values() for one in each if one.run.status == "cancelled"), None)


def _judged(runs: Arms) -> list[dict[str, Any]]:
    """What the judge said, repetition by repetition."""
    asked = {one.number: one.run for one in runs[JUDGE]}
    return [
        preferring.heard(
            preferring.whole_run(asked.get(control.number)), preferring.whole(control), preferring.whole(candidate)
        )
        for control, candidate in zip(runs[Arm.CONTROL], runs[Arm.CANDIDATE], strict=True)
    ]


def settle_missing(pair: TrialPair, reason: str, now: datetime) -> None:
    """The pair is lost; it is settled too, and releases those behind it."""
    _take(pair, PairStatus.SETTLED, missing=reason, settled_at=now)


def observed(trial: Trial, run: Run, *, agents_time: bool) -> Observation:
    """What one run gave. A run that failed, crashed or hit a cap has success 0, and quality 0 where there is one."""
    tokens, cost = run.tokens_used, run.cost_used
    if trial.recorded:
        # A recorded answer is not paid again, and took what it took.
        again = Effect.objects.filter(
            pk__in=Effect.objects.filter(run=run, reused_from__isnull=False).values("reused_from")
        ).aggregate(tokens=Sum("tokens"), cost=Sum("cost"))
        tokens, cost = tokens + (again["tokens"] or 0), cost + (again["cost"] or 0)
    good, points = bool(run.succeeded), run.score
    words = (trial.success_when, trial.score)
    if run.queue != TRIALS and run.status == "succeeded" and words != judging.own_criterion(run.version_id):
        # A real run was judged by its own words when it ended; here both arms are judged alike.
        verdict = judging.judge_again(run.pk, *words, run.result_value())
        good, points = verdict.succeeded, verdict.score
    quality = (points or 0.0) if trial.score else None
    return Observation(
        success=float(good),
        quality=quality if good or quality is None else 0.0,
        seconds=agent_seconds(run) if agents_time else (run.duration_seconds or 0.0),
        tokens=float(tokens),
        cost=cost / 1_000_000,
        error=_told(trial, run, good, points),
    )


def _told(trial: Trial, run: Run, good: bool, points: float | None) -> str:
    """Why an arm did not succeed, or has no quality; "" where there is nothing to tell."""
    if run.status == "succeeded" and (not good or (trial.score and points is None)):
        problem = judging.problem_of(run.pk, trial.success_when, trial.score, run.result_value())
        if problem:
            return problem[:300]
    return "" if good else why(run)


def cannot_be_judged(error: str) -> bool:
    """Whether this is what is told of an arm whose words say nothing about it."""
    return judging.CANNOT in error or judging.NO_NUMBER in error


def _counts_agents_time(runs: Sequence[Run]) -> bool:
    """
    Whether latency is the time of the agents, and not the clock on the wall.

    Simulated agents tell how long they would have taken; and where a person
    was asked, the control waited for an answer that the candidate found.
    """
    if any(roster.backend(run.backend).capabilities.immediate for run in runs):
        return True
    return Effect.objects.filter(run__in=[run.pk for run in runs], handler="person").exists()


def agent_seconds(run: Run) -> float:
    """The time that agents took, all questions added."""
    return float(Effect.objects.filter(run=run, handler="agent").aggregate(s=Sum("duration_seconds"))["s"] or 0.0)


def lost_by_infrastructure(trial: Trial, run: Run) -> bool:
    """Whether a run failed for a reason that lies in neither version."""
    if run.succeeded or run.status == "cancelled":
        return False
    if str((run.error or {}).get("code", "")).startswith("execution."):
        return True
    if run.simulated:
        return False  # a persona fails as its author says: that is the pattern's own doing
    return Effect.objects.filter(run=run, status="failed", error_kind__in=INFRASTRUCTURE).exists()


def why(run: Run) -> str:
    """Why a run did not succeed, in a few words."""
    error = run.error or {}
    told = f"{error.get('code', '')}: {error.get('message', '')}".strip(": ") if error else ""
    return (told or ("success_when is false" if run.status == "succeeded" else run.status))[:300]


def replayed(run_ids: Sequence[int]) -> list[int]:
    """Of the questions to agents: how many a recorded run answered, and how many there were."""
    asked = Effect.objects.filter(run_id__in=run_ids, handler="agent")
    return [asked.filter(reused_from__isnull=False).count(), asked.count()]
