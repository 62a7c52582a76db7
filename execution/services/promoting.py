"""
From a verdict to the channel that people run, and back again.

Adoption moves ``stable`` to the candidate, by a person's word or by the
control's own ``verification: {automatic: true}``. It opens a watch: a share of
real runs goes on running what was there before, and an alarm of the e-detector
moves ``stable`` back and opens a new trial (``watching_share``).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction

from execution.errors import AdoptionRefused, ExecutionError
from execution.models import ShadowShare, Trial
from execution.models.trial import TrialMode
from execution.services import verifying
from execution.services.trial_plans import wishes_of
from execution.services.verifying import LIVE_BUDGET, Budget
from execution.shadow.plan import MOST_PAIRS, Mode
from execution.shadow.verdict import Outcome
from execution.states import TrialStatus
from registry.errors import RegistryError
from registry.models import Channel, PatternVersion
from registry.services import channels


def adopt(*, trial: Trial, user: Any, now: datetime, share: float | None = None) -> ShadowShare:
    """
    Move ``stable`` of the control's pattern to the candidate, and watch it from now on.

    Args:
        user: a publisher of the pattern; None for the verdict itself.
        share: of real runs that stay shadowed; None for the pattern's own wish, usually a tenth.

    Raises:
        AdoptionRefused: the verdict, the versions or the person do not allow it.
        RowMoved: somebody moved the channel at this moment; look again.
    """
    check(trial, user)
    control, candidate = trial.control, trial.candidate
    with transaction.atomic():
        rows = Trial.objects.filter(pk=trial.pk, adopted_at__isnull=True)
        if not rows.update(adopted_at=now, adopted_by=user):
            raise AdoptionRefused("the candidate was adopted already")
        channels.move(
            pattern=control.pattern,
            name=Channel.STABLE,
            version=candidate,
            user=user,
            via="verdict",
            now=now,
            reason=f"trial {trial.pk}: {trial.sentence}"[:500],
            by_verdict=True,
        )
        watch = begin_watch(trial, now, wishes_of(control).share if share is None else share)
    trial.refresh_from_db()
    return watch


def check(trial: Trial, user: Any) -> None:
    """Raise AdoptionRefused unless the candidate may take the control's place."""
    reason = obstacle(trial)
    if reason:
        raise AdoptionRefused(reason)
    if user is not None and not trial.control.pattern.owner.can_publish(user):
        raise AdoptionRefused(f"only publishers of {trial.control.pattern.owner} may adopt a version of its patterns")


def obstacle(trial: Trial) -> str:
    """Why the candidate cannot be adopted, "" when it can."""
    has_verdict = trial.mode in (TrialMode.BATCH, TrialMode.LIVE) and trial.status == TrialStatus.DECIDED
    if not has_verdict or not Outcome(trial.outcome).adopts:
        return "only a trial whose verdict is `promote` or `promote_scoped` adopts its candidate"
    if trial.adopted_at is not None:
        return "the candidate was adopted already"
    if trial.is_same_version:
        return "both arms are the same version; there is nothing to adopt"
    control, candidate = trial.control, trial.candidate
    if control.pattern_id != candidate.pattern_id:
        return (
            f"{candidate} is no version of {control.pattern}, so its channel cannot point there;"
            f" publish the candidate's text as a version of {control.pattern} and try that"
        )
    if candidate.is_yanked:
        return f"{candidate} was yanked: {candidate.yank_reason}"
    stable = control.pattern.channel(Channel.STABLE)
    if stable is not None and stable.version_id not in (control.pk, candidate.pk):
        return f"`stable` is {stable.version.version} by now, which this trial did not look at; try the candidate on it"
    return ""


def adopt_automatically(trial: Trial, now: datetime) -> None:
    """Adopt where the control's document says so; inside the transaction of the verdict."""
    if not wishes_of(trial.control).automatic:
        return
    # Simulated agents are a wind tunnel: what they show never moves a channel by itself.
    reason = "simulated agents adopt nothing by themselves" if is_simulated(trial) else obstacle(trial)
    try:
        if not reason:
            with transaction.atomic():
                adopt(trial=trial, user=None, now=now)
    except (ExecutionError, RegistryError) as error:
        reason = str(error)
    if reason:
        trial.note = f"not adopted automatically: {reason}"
        Trial.objects.filter(pk=trial.pk).update(note=trial.note)


def is_simulated(trial: Trial) -> bool:
    """Whether a run of the candidate had simulated agents."""
    from execution.models import Run

    return Run.objects.filter(arms__pair__trial=trial, simulated=True).exists()


def begin_watch(trial: Trial, now: datetime, share: float) -> ShadowShare:
    """Shadow a share of the promoted version's real runs with what it replaced."""
    pattern = trial.control.pattern
    end_watches(pattern.pk, now, f"trial {trial.pk} promoted {trial.candidate.version}")
    watching = verifying.start_trial(
        control=trial.candidate,
        candidate=trial.control,
        user=None,
        now=now,
        mode=TrialMode.WATCH,
        profile=trial.profile,
        # A watch has no verdict and no end of its own.
        plan=replace(trial.trial_plan, profile="custom", n_max=MOST_PAIRS, mode=Mode.ALWAYS, looks=()),
        backend=trial.backend,
        caps=trial.caps,
        share=share,
        budget=budget_of(trial),
        success_when=trial.success_when,
        score=trial.score,
        is_public=trial.is_public,
        follows=trial,
    )
    return ShadowShare.objects.create(
        trial=watching,
        verdict_of=trial,
        pattern=pattern,
        promoted=trial.candidate,
        incumbent=trial.control,
        started_at=now,
    )


def budget_of(trial: Trial) -> Budget:
    """The daily budget of a trial beside real runs; never none."""
    cost = LIVE_BUDGET.daily_cost_usd if trial.daily_cost_limit is None else trial.daily_cost_limit / 1_000_000
    return Budget(daily_tokens=trial.daily_tokens_limit or LIVE_BUDGET.daily_tokens, daily_cost_usd=cost)


def end_watches(pattern_id: int, now: datetime, reason: str) -> None:
    """Watches of a pattern end: another version was promoted, or a person says so."""
    for watch in ShadowShare.objects.filter(pattern_id=pattern_id, state=ShadowShare.State.WATCHING):
        ShadowShare.objects.filter(pk=watch.pk).update(state=ShadowShare.State.ENDED, ended_at=now, reason=reason)
        if not watch.trial.has_ended:
            verifying.cancel(trial=watch.trial, now=now, reason=reason)


def stand_of(pattern_id: int) -> PatternVersion | None:
    """The version that the pattern's ``stable`` points to."""
    channel = Channel.objects.select_related("version").filter(pattern_id=pattern_id, name=Channel.STABLE).first()
    return channel.version if channel else None
