"""
From a verdict to the channel that people run, and back again.

Adoption moves ``stable`` of the control's pattern to the candidate, by a
person's word or by the control's own ``verification: {automatic: true}``. A
candidate of another pattern is taken over first: its text becomes the next
version of the control's pattern, which only a person may decide. Adoption opens a watch: a share of
real runs goes on running what was there before, and an alarm of the e-detector
moves ``stable`` back and opens a new trial (``watching_share``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from execution.errors import AdoptionRefused, ExecutionError
from execution.models import ShadowShare, Trial, VerificationReport
from execution.models.trial import TrialMode
from execution.services import verifying
from execution.services.trial_plans import wishes_of
from execution.services.verifying import LIVE_BUDGET, Budget
from execution.shadow.plan import MOST_PAIRS, Mode
from execution.shadow.verdict import Outcome
from execution.states import TrialStatus
from registry.errors import RegistryError
from registry.models import Channel, PatternVersion, Via
from registry.services import channels, deriving


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What adopting a trial's candidate would do."""

    kind: str  # "move": stable points to the candidate; "publish": its text becomes a version first
    pattern: str  # whose stable moves
    number: str  # of the version that becomes stable


def adoption_of(trial: Trial) -> Adoption:
    """What ``adopt`` does, before it is done; for the dialog that asks."""
    control, candidate = trial.control, trial.candidate
    if control.pattern_id == candidate.pattern_id:
        return Adoption(kind="move", pattern=str(control.pattern), number=candidate.version)
    number = (
        trial.adopted_version.version if trial.adopted_version else deriving.next_number(candidate, control.pattern)
    )
    return Adoption(kind="publish", pattern=str(control.pattern), number=number)


def adopt(*, trial: Trial, user: Any, now: datetime, share: float | None = None, via: str = Via.API) -> ShadowShare:
    """
    Move ``stable`` of the control's pattern to the candidate, and watch it from now on.

    A candidate of another pattern becomes a version of the control's pattern first (``adoption_of`` tells its
    number): the same text and program, with the trial in its provenance and the candidate in its lineage.

    Args:
        user: a publisher of the pattern; None for the verdict itself.
        share: of real runs that stay shadowed; None for the pattern's own wish, usually a tenth.
        via: the door through which a text that is taken over is published.

    Raises:
        AdoptionRefused: the verdict, the versions or the person do not allow it.
        RowMoved: somebody moved the channel at this moment; look again.
        InvalidDocument: the candidate's text is none any more under today's rules.
    """
    check(trial, user)
    control = trial.control
    with transaction.atomic():
        version = _version_to_adopt(trial, user, via, now)
        rows = Trial.objects.filter(pk=trial.pk, adopted_at__isnull=True)
        if not rows.update(adopted_at=now, adopted_by=user, adopted_version=version):
            raise AdoptionRefused("the candidate was adopted already")
        channels.move(
            pattern=control.pattern,
            name=Channel.STABLE,
            version=version,
            user=user,
            via="verdict",
            now=now,
            reason=f"trial {trial.pk}: {trial.said}"[:500],
            by_verdict=True,
        )
        watch = begin_watch(trial, version, now, wishes_of(control).share if share is None else share)
    trial.refresh_from_db()
    return watch


def _version_to_adopt(trial: Trial, user: Any, via: str, now: datetime) -> PatternVersion:
    """The candidate; one of another pattern as a version of the control's."""
    control, candidate = trial.control, trial.candidate
    if control.pattern_id == candidate.pattern_id:
        return candidate
    report = VerificationReport.objects.filter(trial=trial).values_list("digest", flat=True).first()
    told = {"trial": trial.pk, "report": report or "", "replaces": control.version}
    return deriving.take_over(version=candidate, pattern=control.pattern, user=user, now=now, via=via, provenance=told)


def check(trial: Trial, user: Any) -> None:
    """Raise AdoptionRefused unless the candidate may take the control's place."""
    reason = obstacle(trial) or (not_theirs(trial, user) if user is not None else "")
    if reason:
        raise AdoptionRefused(reason)


def not_theirs(trial: Trial, user: Any) -> str:
    """Why this person may not adopt the candidate, "" where they may."""
    owner = trial.control.pattern.owner
    return "" if owner.can_publish(user) else f"only publishers of {owner} may adopt a version of its patterns"


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
    if trial.control.pattern_id != trial.candidate.pattern_id:
        reason = f"{trial.candidate} is of another pattern; a person decides whether its text becomes a version"
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


def begin_watch(trial: Trial, promoted: PatternVersion, now: datetime, share: float) -> ShadowShare:
    """Shadow a share of the promoted version's real runs with what it replaced."""
    pattern = trial.control.pattern
    end_watches(pattern.pk, now, f"trial {trial.pk} promoted {promoted.version}")
    watching = verifying.start_trial(
        control=promoted,
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
        promoted=promoted,
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
