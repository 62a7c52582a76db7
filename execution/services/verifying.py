"""
Trials as people start and steer them.

    trial = verifying.start_trial(control=a, candidate=b, inputs=inputs, user=user, now=now)

Nothing is run here: a batch gets all its pairs in their order, a live trial
none yet, and the workers of the queue ``trials`` do the rest (``observing``).
The seed is drawn before the first pair and only its commitment is shown.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest

from execution import states
from execution.agents import roster
from execution.errors import BackendLacksTools, RunFinished, TrialNotPossible, TrialRefused
from execution.models import Run, ShadowShare, Trial, TrialInput, TrialPair
from execution.models.stored import BlobWriter
from execution.models.trial import TrialMode
from execution.services import batching, checking, controlling, examining, hints, judging, preferring, trial_inputs
from execution.services.batching import LEAST_RUN_SECONDS, RUN_SECONDS
from execution.services.clock import to_ms
from execution.services.isolating import TRIALS
from execution.services.preferring import Judge
from execution.services.trial_inputs import GivenInput
from execution.services.trial_plans import plan_for, scheduled, usual_profile, wishes_of
from execution.shadow import enrolment
from execution.shadow.errors import PlanInvalid
from execution.shadow.plan import Mode, TrialPlan
from execution.shadow.report import plan_to_json
from registry.models import Pattern, PatternVersion
from registry.services import audit

DEFAULT_CAPS: dict[str, float] = {"tokens": 200_000, "cost_usd": 2.0, "seconds": 3600}
DEFAULT_SHARE = 0.10
RECORDED = "recorded"
MOST_REPEATS = 20
AT_ONCE = 8
MOST_AT_ONCE = 64
AT_ONCE_IN_BATCHES = 100  # a batch of a few questions takes as long as one of thousands
MOST_IN_BATCHES = 2_000


MOST_USD = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """
    What all runs of a trial may spend together; None for no limit.

    Raises:
        TrialRefused: an amount that nobody can mean.
    """

    tokens: int | None = None
    cost_usd: float | None = None
    daily_tokens: int | None = None
    daily_cost_usd: float | None = None

    def __post_init__(self) -> None:
        for dollars in (self.cost_usd, self.daily_cost_usd):
            if dollars is not None and not 0 <= dollars <= MOST_USD:
                raise TrialRefused("budget", f"give 0 to {MOST_USD:,} US dollars")
        for tokens in (self.tokens, self.daily_tokens):
            if tokens is not None and tokens < 0:
                raise TrialRefused("budget", "give 0 or more tokens")


# A live trial spends beside people's work, without anybody looking: it is never without a limit.
LIVE_BUDGET = Budget(daily_tokens=2_000_000, daily_cost_usd=10.0)


def start_trial(
    *,
    control: PatternVersion,
    candidate: PatternVersion,
    user: Any,
    now: datetime,
    mode: str = TrialMode.BATCH,
    inputs: Sequence[GivenInput] = (),
    profile: str = "",
    plan: TrialPlan | None = None,
    test: str = "",
    looks: Sequence[int] = (),
    backend: str = "",
    caps: Mapping[str, Any] | None = None,
    repeats: int = 1,
    at_once: int | None = None,
    in_batches: bool = False,
    share: float = DEFAULT_SHARE,
    budget: Budget | None = None,
    success_when: str = "",
    score: str = "",
    judge: Judge | None = None,
    is_public: bool | None = None,
    follows: Trial | None = None,
) -> Trial:
    """
    Start a trial; equal versions make an A/A trial.

    Args:
        mode: ``batch`` on ``inputs``, or ``live`` beside real runs of the control.
        inputs: of a batch; () for one input that is all defaults.
        profile: quick, standard or strict; "" for what the control's ``verification:`` says, else standard.
        plan: replaces the profile; its ``n_max`` is cut to the inputs there are.
        test: ``always`` (the e-process) or ``scheduled`` (planned looks only); "" for what the control says.
        looks: of a scheduled test, pairs at each; the last is its size. () for five equal ones.
        backend: agents of both arms, "" for the default, ``recorded`` for answers of the inputs' own runs.
        caps: limits of each run, the same for both arms.
        repeats: runs of each arm on one input.
        at_once: pairs under way at the same time; None for 8, in batches 100.
        in_batches: questions to agents go in message batches, at half the price and within a day; then latency is
            not measured.
        share: of real runs that a live trial shadows, above 0 and up to 1.
        success_when, score: what both arms are judged by; "" for the control's own words.
        judge: is asked which arm answered better, once it has been examined; None for what the control's
            ``verification:`` says, else none.
        is_public: None for what the versions are.

    Raises:
        TrialRefused: names the field at fault.
        NotExecutable, BackendUnknown, BackendLacksTools, InputsRefused: as starting a run.
    """
    at_once = at_once or (AT_ONCE_IN_BATCHES if in_batches else AT_ONCE)
    _check(mode=mode, in_batches=in_batches, user=user, control=control, repeats=repeats, at_once=at_once, share=share)
    own_success, own_score = judging.own_criterion(control.pk)
    success_when, score = success_when or own_success, score or own_score
    for name, expression in (("success_when", success_when), ("score", score)):
        if expression and not judging.can_be_read(expression):
            raise TrialRefused(name, f"{expression!r} is no expression of the language")
    judge = None if mode == TrialMode.WATCH else judge or examining.usual_judge(control)
    if judge is not None:
        judge = preferring.checked(judge, scored=bool(score))
    given = list(inputs) or [GivenInput()]
    base, recorded = _agents(backend, given)
    needs_tools = trial_inputs.check_fit((control, candidate), given if mode == TrialMode.BATCH else ())
    if needs_tools and not roster.backend(base).capabilities.tools:
        raise BackendLacksTools(base)
    profile = profile or usual_profile(control)
    strata = tuple(dict.fromkeys(one.stratum for one in given if one.stratum))
    scored = bool(score) or (judge is not None and judge.quality is True)
    if in_batches:
        _check_batches(base, judge, caps or {})
    wanted = plan or _planned(control, profile, scored, strata, judged=judge is not None, timed=not in_batches)
    if plan is None:
        wanted = _looked_at(wanted, control, test, tuple(looks))
    count = wanted.n_max
    if mode == TrialMode.BATCH and not roster.backend(base).capabilities.simulated:
        count = min(count, len(given))
    if plan is None and looks and count < looks[-1]:
        raise TrialRefused("looks", f"the last look is at {looks[-1]} pairs, and there are {count} inputs")
    wanted = _cut(wanted, count)
    limits = budget or (Budget() if mode == TrialMode.BATCH else LIVE_BUDGET)
    seed, salt = secrets.token_bytes(enrolment.SEED_BYTES), secrets.token_bytes(enrolment.SEED_BYTES)
    trial = Trial(
        mode=mode,
        status=states.move(states.TRIAL, states.TrialStatus.DRAFT, "start"),
        control=control,
        candidate=candidate,
        profile=profile,
        plan=plan_to_json(wanted),
        backend=base,
        recorded=recorded,
        success_when=success_when,
        score=score,
        judge=None if judge is None else preferring.kept(judge),
        caps=_caps(caps or {}, in_batches=in_batches),
        in_batches=in_batches,
        repeats=repeats,
        at_once=at_once,
        share=share if mode != TrialMode.BATCH else 0.0,
        seed=seed,
        seed_commitment=enrolment.commitment_of(seed),
        salt=salt,
        tokens_limit=limits.tokens,
        cost_limit=_micros(limits.cost_usd),
        daily_tokens_limit=limits.daily_tokens,
        daily_cost_limit=_micros(limits.daily_cost_usd),
        is_public=_is_public(control, candidate) if is_public is None else is_public,
        follows=follows,
        started_by=user if user is not None and user.is_authenticated else None,
        created_at=now,
        started_at=now,
        outcome="needs_more",
    )
    with transaction.atomic():
        if mode == TrialMode.BATCH:
            enrol_batch(trial, given, count, now)
        else:
            trial.last_run = Run.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
            trial.save(force_insert=True)
        audit.record(
            actor=trial.started_by,
            action="trial.started",
            subject=str(candidate)[:200],
            owner=candidate.pattern.owner.name,
            now=now,
            detail={"trial": trial.pk, "control": str(control), "mode": mode, "profile": profile},
        )
        if judge is not None:
            examining.begin(trial, given if mode == TrialMode.BATCH else (), now)
        transaction.on_commit(lambda: hints.trial_ready(trial.pk))
    return trial


def _check(
    *, mode: str, user: Any, control: PatternVersion, repeats: int, at_once: int, share: float, in_batches: bool
) -> None:
    if mode not in TrialMode.values:
        raise TrialRefused("mode", "use batch or live")
    if not 1 <= repeats <= MOST_REPEATS:
        raise TrialRefused("repeats", f"give 1 to {MOST_REPEATS} runs of each arm on one input")
    most = MOST_IN_BATCHES if in_batches else MOST_AT_ONCE
    if not 1 <= at_once <= most:
        raise TrialRefused("at_once", f"give 1 to {most} pairs at the same time")
    if in_batches and mode != TrialMode.BATCH:
        raise TrialRefused("in_batches", "a live trial answers as its callers' runs do; batches take up to a day")
    if mode == TrialMode.BATCH:
        return
    if not (math.isfinite(share) and 0.0 < share <= 1.0):
        raise TrialRefused("share", "a live trial shadows a share of runs above 0 and up to 1")
    if repeats != 1:
        raise TrialRefused("repeats", "a real run happens once; a live trial cannot repeat it")
    # A live trial reads what callers put in: whoever answers for the pattern decides about that.
    if user is not None and not control.pattern.owner.can_publish(user):
        raise TrialRefused("mode", f"only publishers of {control.pattern.owner} may shadow its real runs")


def _check_batches(base: str, judge: Judge | None, caps: Mapping[str, Any]) -> None:
    """Raise TrialRefused unless all that is asked can go in batches, and has the time."""
    for alias in dict.fromkeys([base, *([judge.backend] if judge is not None and judge.backend else [])]):
        if not batching.takes_batches(alias):
            raise TrialRefused("in_batches", f"the agents {alias} take no message batches")
    seconds = caps.get("seconds", RUN_SECONDS)
    if isinstance(seconds, int | float) and seconds < LEAST_RUN_SECONDS:
        raise TrialRefused("caps", f"a batch takes up to a day: give runs at least {LEAST_RUN_SECONDS} seconds")


def _agents(backend: str, given: Sequence[GivenInput]) -> tuple[str, bool]:
    """The alias of both arms' agents, and whether earlier runs answer first."""
    if backend != RECORDED:
        alias = backend or roster.default_backend()
        roster.backend(alias)
        return alias, False
    runs = [one.source_run for one in given if one.source_run is not None]
    if not runs:
        raise TrialRefused("backend", "recorded answers need inputs that were recorded in runs")
    aliases = list(Run.objects.filter(pk__in=runs[:900]).values_list("backend", flat=True).distinct().order_by())
    return (aliases[0] if len(aliases) == 1 else roster.default_backend()), True


def _planned(
    control: PatternVersion, profile: str, scored: bool, strata: tuple[str, ...], *, judged: bool, timed: bool
) -> TrialPlan:
    try:
        return plan_for(control=control, profile=profile, scored=scored, strata=strata, judged=judged, timed=timed)
    except PlanInvalid as error:
        raise TrialRefused("profile", str(error)) from None


def _looked_at(plan: TrialPlan, control: PatternVersion, test: str, looks: tuple[int, ...]) -> TrialPlan:
    """The plan, looked at always or at planned moments only."""
    wishes = wishes_of(control)
    if test not in ("", *Mode):
        raise TrialRefused("test", f"use {' or '.join(Mode)}")
    if looks and test == Mode.ALWAYS:
        raise TrialRefused("looks", "a test that may be looked at always has no planned looks")
    if not (looks or test == Mode.SCHEDULED or (not test and wishes.scheduled)):
        return plan
    try:
        return scheduled(plan, looks or (() if test else wishes.looks))
    except PlanInvalid as error:
        raise TrialRefused("looks", error.message) from None


def _cut(plan: TrialPlan, pairs: int) -> TrialPlan:
    """The plan for so many pairs; another number than the profile's makes it a custom one."""
    if pairs == plan.n_max:
        return plan
    return replace(plan, profile="custom", n_max=pairs, n_min=min(plan.n_min, pairs), looks=())


def _caps(given: Mapping[str, Any], *, in_batches: bool) -> dict[str, Any]:
    caps = {**DEFAULT_CAPS, **({"seconds": RUN_SECONDS} if in_batches else {}), **given}
    checking.checked_policy({"limits": caps})
    return caps


def _micros(dollars: float | None) -> int | None:
    return None if dollars is None else int(dollars * 1_000_000)


def _is_public(control: PatternVersion, candidate: PatternVersion) -> bool:
    public = Pattern.Visibility.PUBLIC
    return control.pattern.visibility == public and candidate.pattern.visibility == public


def enrol_batch(trial: Trial, given: Sequence[GivenInput], count: int, now: datetime) -> None:
    """Every pair in its place; the order of the inputs is drawn from the seed, too."""
    names = []
    order = [drawn_order(bytes(trial.seed), len(given), draw) for draw in range(-(-count // len(given)))]
    for position in range(1, count + 1):
        draw, place = divmod(position - 1, len(given))
        one = given[order[draw][place]]
        names.append((order[draw][place], draw, name_of_input(trial, one.values, draw)))
    trial.enrolled = count
    trial.inputs_commitment = enrolment.inputs_commitment(name for _, _, name in names)
    trial.save(force_insert=True)
    blobs = BlobWriter()
    rows = [
        TrialInput(
            trial=trial,
            number=number,
            values=blobs.put(dict(one.values)),
            stratum=one.stratum,
            source_run_id=one.source_run,
        )
        for number, one in enumerate(given, 1)
    ]
    with transaction.get_connection().cursor() as cursor:
        blobs.flush(cursor)
    rows = TrialInput.objects.bulk_create(rows, batch_size=500)
    TrialPair.objects.bulk_create(
        [
            TrialPair(
                trial=trial,
                position=position,
                first=enrolment.first_arm(bytes(trial.seed), position).value,
                input=rows[index],
                draw=draw,
                input_name=name,
                stratum=rows[index].stratum,
                enrolled_at=now,
            )
            for position, (index, draw, name) in enumerate(names, 1)
        ],
        batch_size=500,
    )
    transaction.on_commit(blobs.committed)


def drawn_order(seed: bytes, count: int, draw: int) -> list[int]:
    """The places 0 to count − 1 in an order drawn from the seed."""
    prefix = b"opl-trial-inputs-order\0" + seed + draw.to_bytes(4, "big")
    return sorted(range(count), key=lambda place: hashlib.sha256(prefix + place.to_bytes(4, "big")).digest())


def name_of_input(trial: Trial, values: Mapping[str, Any], draw: int = 0, run_id: int | None = None) -> str:
    """The salted name of an input; drawn again (or met in another run) it is another one."""
    told = trial_inputs.canonical(values) + (f"\0{draw}" if draw else "") + (f"\0run {run_id}" if run_id else "")
    return enrolment.input_id(bytes(trial.salt), told.encode())


# ---------------------------------------------------------------- steering


def pause(*, trial: Trial, now: datetime, note: str = "") -> Trial:
    """Start no further runs and count no further pairs; what is under way ends. Raises TrialNotPossible."""
    # The examination of its judge waits as long as the trial does.
    return _move(trial, "pause", now, note=note or "paused by a person")


def resume(*, trial: Trial, now: datetime) -> Trial:
    """Go on. Raises TrialNotPossible."""
    moved = _move(trial, "resume", now, note="")
    if moved.mode == TrialMode.LIVE:
        # What callers ran meanwhile passes unshadowed: a pause is no backlog.
        newest = Run.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        Trial.objects.filter(pk=moved.pk).update(last_run=Greatest(F("last_run"), newest))
        moved.refresh_from_db()
    for exam in Trial.objects.filter(follows=trial, mode=TrialMode.EXAM, status=states.TrialStatus.PAUSED):
        resume(trial=exam, now=now)
    hints.trial_ready(trial.pk)
    return moved


def cancel(*, trial: Trial, now: datetime, reason: str = "", kill: bool = False) -> Trial:
    """
    End a trial without a verdict: its runs are cancelled, its pairs stay to be looked at.

    Args:
        kill: it was the kill switch; said on the trial.

    Raises:
        TrialNotPossible: it has ended.
    """
    told = reason or ("stopped by the kill switch" if kill else "cancelled by a person")
    with transaction.atomic():
        moved = _move(trial, "cancel", now, note=told, **({"killed_at": now} if kill else {}))
        drop_pairs(trial.pk)
        # A watch and its trial end together, whoever ended the trial.
        watches = ShadowShare.objects.filter(trial=trial, state=ShadowShare.State.WATCHING)
        watches.update(state=ShadowShare.State.ENDED, ended_at=now, reason=told)
        for exam in Trial.objects.alive().filter(follows=trial, mode=TrialMode.EXAM):
            cancel(trial=exam, now=now, reason=told, kill=kill)
    end_runs(trial.pk, to_ms(now))
    return moved


def kill_all(*, now: datetime, reason: str) -> int:
    """The kill switch of the hub: every trial that is alive ends, watches included; how many."""
    count, seen = 0, set[int]()
    # Looked at again until there is none left: an alarm may roll back, and open a trial, between two of them.
    while trials := list(Trial.objects.alive().exclude(pk__in=seen)):
        for trial in trials:
            seen.add(trial.pk)
            # An examination ends with the trial that it is for.
            with contextlib.suppress(TrialNotPossible):
                cancel(trial=trial, now=now, reason=reason, kill=True)
                count += 1
    return count


def _move(trial: Trial, event: str, now: datetime, **fields: Any) -> Trial:
    """Compare and swap the status."""
    for status in states.sources(states.TRIAL, event):
        target = states.move(states.TRIAL, status, event)
        rows = Trial.objects.filter(pk=trial.pk, status=status)
        if rows.update(status=target, revision=F("revision") + 1, **fields):
            trial.refresh_from_db()
            return trial
    trial.refresh_from_db()
    raise TrialNotPossible(event, trial.status)


def drop_pairs(trial_id: int) -> None:
    """Pairs that are not settled will not count any more."""
    open_pairs = TrialPair.objects.filter(trial_id=trial_id, status__in=states.sources(states.PAIR, "drop"))
    open_pairs.update(status=states.PairStatus.DROPPED)


def end_runs(trial_id: int, now: int) -> int:
    """Cancel what still runs for pairs that will not count, or are missing; real runs are nobody's here."""
    lost = Q(arms__pair__status="dropped") | (Q(arms__pair__status="settled") & ~Q(arms__pair__missing=""))
    alive = Run.objects.alive().filter(lost, queue=TRIALS, arms__pair__trial_id=trial_id)
    count = 0
    for run_id in list(alive.values_list("pk", flat=True)[:200]):
        with contextlib.suppress(RunFinished):
            controlling.cancel(run_id=run_id, now=now, reason="its trial has ended")
            count += 1
    return count
