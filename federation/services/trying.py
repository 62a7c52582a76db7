"""
Automatic trials of foreign objects, under a budget per peer and day.

The trial itself is execution's (``verifying``); here it is asked for, paid
from the peer's daily share, and its verdict becomes a step. Offline backends
are free of tokens and still counted, so that nobody keeps the workers busy.

While it is tried, the object stands as a private pattern under the owner
``quarantine``, whom nobody belongs to: no search finds it, no recommendation
names it, no channel of a real pattern points to it.

Source: OPL-Fed/1, "Trust and quarantine"; docs/decisions/0086.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module, util
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from federation.errors import Unable
from federation.models import DayUse, QuarantineItem, day_of
from federation.protocol.quarantine import TRANSITIONS, Event, State
from federation.protocol.tiers import RULES, Tier, Trial
from federation.services import quarantining
from opl.errors import OplError
from registry.errors import RegistryError
from registry.models import Owner, Pattern, PatternVersion, User, Via
from registry.services import publishing

TRIALS_A_DAY = 50  # of one peer
TOKENS_A_DAY = 200_000  # of one peer
TOKENS_A_TRIAL = 20_000
RUN_TOKENS = 5_000  # of each run within a trial
PROFILE = "quick"
LEFT_AFTER = timedelta(minutes=2)  # a trial that was paid and not begun by then was cut short
BUDGET_REASON = "the peer's trials of today are used up; it is tried tomorrow"
HIDDEN_OWNER = "quarantine"
# A pattern that nothing here can be compared with is tried against itself: it must run, and mostly succeed.
LEAST_SUCCESS = 0.5
SELF_PAIRS = 20  # of a trial against itself: more would compare nothing, and keep the workers busy
_VERIFYING = "execution.services.verifying"


def is_possible() -> bool:
    """Whether this hub can run trials."""
    return util.find_spec(_VERIFYING) is not None


def request(item: QuarantineItem, *, now: datetime, reason: str, actor: User | None = None) -> QuarantineItem:
    """
    Ask for a trial; within the budget it starts at once, else the object is held until tomorrow.

    Raises:
        ImpossibleStep: an object in that state is not tried.
        Unable: there is no way to try it; it is held with the reason where it was not decided before.
    """
    if not is_possible():
        return _hold(item, "this hub cannot run trials", now=now)
    with transaction.atomic():
        quarantining.step(item, Event.TRIAL_REQUESTED, reason=reason, now=now, actor=actor)
        if not _pay(item, now=now):
            return quarantining.step(item, Event.BUDGET_EXHAUSTED, reason=BUDGET_REASON, now=now)
    return _begin(item, now=now, actor=actor)


def resume(*, now: datetime) -> int:
    """Trials that were paid by a process that died before it began them; how many there were."""
    # What was changed in the future was changed under a wrong clock.
    when = Q(changed_at__lt=now - LEFT_AFTER) | Q(changed_at__gt=now + LEFT_AFTER)
    left = QuarantineItem.objects.filter(when, state=str(State.TRIAL_QUEUED), trial="")
    items = list(left.select_related("statement", "peer")[:TRIALS_A_DAY])
    for item in items:
        _begin(item, now=now, actor=None)
    return len(items)


def _begin(item: QuarantineItem, *, now: datetime, actor: User | None) -> QuarantineItem:
    """Make the hidden copy and start the trial; held with the reason where it cannot be tried."""
    try:
        with transaction.atomic():
            candidate = _hidden_version(item, now=now)
            started = _start(candidate, _control(item) or candidate, user=actor, now=now)
            QuarantineItem.objects.filter(pk=item.pk).update(trial=str(started.pk))
            item.trial = str(started.pk)
    except Exception as error:
        if not _is_told(error):
            raise
        return quarantining.step(item, Event.HELD_BACK, reason=f"it cannot be tried: {error}", now=now)
    return item


def settle(*, now: datetime) -> int:
    """Turn verdicts into steps; how many trials had ended."""
    waiting = QuarantineItem.objects.filter(state=str(State.TRIAL_QUEUED)).exclude(trial="")
    ended = 0
    for item in waiting.select_related("statement", "peer")[:200]:
        trial = _trial(item.trial)
        if trial is None or not trial.has_ended:
            continue
        ended += 1
        _conclude(item, trial, now=now)
    return ended


def retry_tomorrow(*, now: datetime) -> int:
    """Objects that were held for want of budget, once a new day has begun."""
    waiting = QuarantineItem.objects.filter(
        state=str(State.HELD), reason=BUDGET_REASON, changed_at__date__lt=now.date()
    )
    items = list(waiting.select_related("statement", "peer")[:TRIALS_A_DAY])
    for item in items:
        request(item, now=now, reason="a new day's budget")
    return len(items)


def progress(item: QuarantineItem) -> tuple[int, int]:
    """Pairs that are settled, and pairs that are planned, of the item's trial; zeros where it has none."""
    trial = _trial(item.trial) if item.trial else None
    return (trial.pairs.counted().count(), int(trial.plan["n_max"])) if trial is not None else (0, 0)


def budget_of(item: QuarantineItem, *, now: datetime) -> tuple[int, int]:
    """Trials and tokens that the item's peer has left today."""
    if item.peer is None:
        return TRIALS_A_DAY, TOKENS_A_DAY
    used = day_of(item.peer, now)
    return max(0, TRIALS_A_DAY - used.trials), max(0, TOKENS_A_DAY - used.trial_tokens)


def _hold(item: QuarantineItem, reason: str, *, now: datetime) -> QuarantineItem:
    if Event.HELD_BACK in TRANSITIONS[item.current]:
        return quarantining.step(item, Event.HELD_BACK, reason=reason, now=now)
    raise Unable(reason)


def _pay(item: QuarantineItem, *, now: datetime) -> bool:
    """Take one trial and its tokens from the peer's day; False when the day has too little left."""
    if item.peer is None:
        return True
    tokens = 0 if _is_free() else TOKENS_A_TRIAL
    day = day_of(item.peer, now)
    paid = DayUse.objects.filter(pk=day.pk, trials__lt=TRIALS_A_DAY, trial_tokens__lte=TOKENS_A_DAY - tokens).update(
        trials=F("trials") + 1, trial_tokens=F("trial_tokens") + tokens
    )
    if paid:
        QuarantineItem.objects.filter(pk=item.pk).update(tokens_budget=tokens)
        item.tokens_budget = tokens
    return bool(paid)


def _is_free() -> bool:
    return settings.DEFAULT_BACKEND == "simulated"


def _start(candidate: PatternVersion, control: PatternVersion, *, user: User | None, now: datetime) -> Any:
    """The one call into execution; its budget bounds what a costly object can spend."""
    verifying = import_module(_VERIFYING)
    plan = verifying.TrialPlan.of_profile(PROFILE)
    is_alone = control.pk == candidate.pk
    return verifying.start_trial(
        control=control,
        candidate=candidate,
        user=user,
        now=now,
        profile=PROFILE,
        plan=replace(plan, profile="custom", n_min=SELF_PAIRS, n_max=SELF_PAIRS) if is_alone else None,
        caps={"tokens": RUN_TOKENS, "cost_usd": 0.25, "seconds": 600},
        budget=verifying.Budget(tokens=TOKENS_A_TRIAL, daily_tokens=TOKENS_A_TRIAL),
        is_public=False,
    )


def _hidden_version(item: QuarantineItem, *, now: datetime) -> PatternVersion:
    """The object as a private pattern of nobody, so that it can be run."""
    owner, _ = Owner.objects.get_or_create(
        name=HIDDEN_OWNER, defaults={"kind": Owner.Kind.ORGANISATION, "title": "Objects on trial"}
    )
    predicate = item.statement.predicate
    published = publishing.publish(
        owner=owner,
        user=None,
        source=predicate["source"].encode("utf-8"),
        via=Via.PEER,
        now=now,
        version=predicate["version"],
        name=f"q-{item.statement.statement_id[:24]}",
        visibility=Pattern.Visibility.PRIVATE,
        provenance={"statement": item.statement.statement_id, "quarantine": item.pk},
    )
    return published.versions[0].version


def _control(item: QuarantineItem) -> PatternVersion | None:
    """What the object is compared with: a parent that stands here, else an earlier admitted version of it."""
    runnable = PatternVersion.objects.usable().filter(mode="executable").exclude(pattern__owner__name=HIDDEN_OWNER)
    parents = item.statement.predicate["lineage"]["parents"]
    parent = runnable.filter(digest__in=parents).order_by("-pk").first() if parents else None
    if parent is not None:
        return parent
    earlier = runnable.filter(pattern__owner__authority=item.statement.signer, pattern__name=item.statement.name)
    return earlier.in_order().first()


def _trial(key: str) -> Any:
    models = import_module("execution.models")
    return models.Trial.objects.filter(pk=int(key)).select_related("control", "candidate").first()


def _conclude(item: QuarantineItem, trial: Any, *, now: datetime) -> None:
    """The verdict as a step; a pass admits where the peer's tier says so."""
    event, reason = _judged(trial)
    has_passed = item.has_passed_here or event is Event.TRIAL_PROMOTED
    quarantining.step(item, event, reason=reason, now=now, has_passed_here=has_passed)
    tier = item.peer.trust if item.peer is not None else Tier.PROBATION
    if event is Event.TRIAL_PROMOTED and RULES[tier].trial in (Trial.AUTOMATIC, Trial.ADVISED):
        try:
            quarantining.admit(item, Event.ADMITTED_AUTOMATICALLY, reason=f"passed trial {item.trial} here", now=now)
        except Unable:
            return


def _judged(trial: Any) -> tuple[Event, str]:
    outcome, sentence = str(trial.outcome), trial.said or str(trial.note)
    if trial.status == "cancelled":
        return Event.TRIAL_ENDED_OPEN, f"the trial was cancelled: {trial.note}"
    if outcome in ("promote", "promote_scoped"):
        return Event.TRIAL_PROMOTED, f"{outcome}: {sentence}"
    if outcome in ("reject_harm", "reject_guard"):
        return Event.TRIAL_REFUTED, f"{outcome}: {sentence}"
    succeeded, pairs = _successes(trial)
    if outcome in ("reject_futile", "inconclusive") and trial.control_id == trial.candidate_id and pairs:
        told = f"nothing here to compare it with; it succeeded in {succeeded} of {pairs} runs"
        return (Event.TRIAL_PROMOTED if succeeded >= LEAST_SUCCESS * pairs else Event.TRIAL_REFUTED), told
    if outcome == "reject_futile" and pairs and succeeded >= LEAST_SUCCESS * pairs:
        return Event.TRIAL_PROMOTED, f"no worse than what stands here, and no better: {sentence}"
    return Event.TRIAL_ENDED_OPEN, f"{outcome}: {sentence}"


def _successes(trial: Any) -> tuple[int, int]:
    seen = [pair.candidate for pair in trial.pairs.counted() if isinstance(pair.candidate, dict)]
    return sum(bool(each.get("success")) for each in seen), len(seen)


def _is_told(error: Exception) -> bool:
    """Whether the house raised it on purpose; the rest is a fault of ours."""
    return isinstance(error, RegistryError | OplError) or hasattr(error, "status")
