"""
Trials: a candidate against a control on the same inputs, pair by pair.

Always true: the positions of a trial's pairs count from 1 without gaps, in the
order in which they were enrolled; ``settled`` is the position up to which
pairs count, and moves by one pair at a time under the trial's ``revision``; a
pair's ``epoch`` grows with everything that is started or settled for it, and
whoever does so names the epoch that it read. The rows are the queue: whatever
a trial needs next follows from them, whoever looks.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from execution import states
from execution.models.fields import JsonText
from execution.models.run import Run
from execution.models.stored import load
from execution.shadow.figures import typeset
from execution.shadow.plan import TrialPlan
from execution.shadow.recheck import plan_from_json
from execution.shadow.shape import Reader
from registry.models import Pattern, PatternVersion


class TrialMode(models.TextChoices):
    """Where a trial's inputs come from."""

    BATCH = "batch", "on given inputs"
    LIVE = "live", "beside real runs"
    WATCH = "watch", "after a promotion"
    EXAM = "exam", "examining a judge"


class TrialQuerySet(models.QuerySet["Trial"]):
    """Sets of trials."""

    def visible_to(self, user: Any) -> TrialQuerySet:
        """Those that ``user`` started, public ones of versions that they may see, and all for a superuser."""
        if user is not None and user.is_authenticated and user.is_superuser:
            return self
        seen = Pattern.objects.visible_to(user).values("pk")
        shown = Q(is_public=True, control__pattern__in=seen, candidate__pattern__in=seen)
        if user is None or not user.is_authenticated:
            return self.filter(shown)
        return self.filter(shown | Q(started_by=user))

    def alive(self) -> TrialQuerySet:
        """Neither decided nor cancelled."""
        return self.exclude(status__in=states.terminal(states.TRIAL))

    def of_pattern(self, pattern: Pattern) -> TrialQuerySet:
        """Those in which one of its versions is an arm."""
        return self.filter(Q(control__pattern=pattern) | Q(candidate__pattern=pattern))

    def shown(self) -> TrialQuerySet:
        """What lists show: watches and examinations stand beside the trial that they follow."""
        return self.exclude(mode__in=(TrialMode.WATCH, TrialMode.EXAM))

    def for_list(self) -> TrialQuerySet:
        """With all that a row of a list shows, in the same query."""
        heavy = ("source", "program", "value", "claims", "inputs")
        return self.select_related("control__pattern__owner", "candidate__pattern__owner", "started_by").defer(
            *(f"{arm}__{name}" for arm in ("control", "candidate") for name in heavy)
        )


class Trial(models.Model):
    """One question: may the candidate take the control's place?"""

    STATUSES = [(str(status), str(status)) for status in states.TrialStatus]

    mode = models.CharField(max_length=8, choices=TrialMode)
    status = models.CharField(max_length=16, choices=STATUSES, default=states.TrialStatus.DRAFT)
    control = models.ForeignKey(PatternVersion, on_delete=models.PROTECT, related_name="trials_as_control")
    candidate = models.ForeignKey(PatternVersion, on_delete=models.PROTECT, related_name="trials_as_candidate")
    profile = models.CharField(max_length=16, help_text="quick, standard or strict; its numbers stand in the plan.")
    plan = JsonText(help_text="As the report spells it.")
    backend = models.CharField(max_length=64, help_text="Agents of both arms; live trials use each run's own.")
    recorded = models.BooleanField(default=False, help_text="Earlier runs answer what they were asked already.")
    judge = JsonText(
        null=True, blank=True, help_text="{criteria, quality, backend, model, examination}; null where none is asked."
    )
    success_when = models.TextField(blank=True, help_text="What both arms are judged by.")
    score = models.TextField(blank=True, help_text="Quality of both arms, 0 to 1.")
    caps = JsonText(default=dict, help_text="Limits of each run: {tokens, cost_usd, seconds, …}; both arms the same.")
    repeats = models.PositiveSmallIntegerField(default=1, help_text="Runs of each arm on one input; their mean counts.")
    in_batches = models.BooleanField(
        default=False, help_text="Its questions to agents go in message batches: half the price, within a day."
    )
    at_once = models.PositiveSmallIntegerField(default=8, help_text="Pairs under way at the same time.")
    share = models.FloatField(default=0.0, help_text="Of real runs that are shadowed, 0 to 1; live trials.")

    seed = models.BinaryField(help_text="32 bytes; revealed by the report.")
    seed_commitment = models.CharField(max_length=80)
    salt = models.BinaryField(help_text="32 bytes that name the inputs; they stay here.")
    inputs_commitment = models.CharField(max_length=80, blank=True, help_text="Over all inputs of a batch, in order.")

    tokens_limit = models.BigIntegerField(null=True, blank=True, help_text="Of all its runs together.")
    cost_limit = models.BigIntegerField(null=True, blank=True, help_text="Millionths of a dollar, all runs together.")
    daily_tokens_limit = models.BigIntegerField(null=True, blank=True, help_text="Of the runs started on one day.")
    daily_cost_limit = models.BigIntegerField(null=True, blank=True, help_text="Millionths of a dollar a day.")

    enrolled = models.PositiveIntegerField(default=0, help_text="Pairs with a place in the order.")
    settled = models.PositiveIntegerField(default=0, help_text="Pairs that count, missing ones included.")
    missing = models.PositiveIntegerField(default=0, help_text="Of those, lost to the infrastructure.")
    last_run = models.BigIntegerField(default=0, help_text="Live: real runs up to this one were looked at.")
    revision = models.PositiveIntegerField(default=0)
    outcome = models.CharField(max_length=16, blank=True, help_text="Row of the verdict table, as it stands.")
    sentence = models.TextField(blank=True, help_text="The same in words.")
    note = models.TextField(blank=True, help_text="Why it waits or was ended, in words.")
    killed_at = models.DateTimeField(null=True, blank=True, help_text="Somebody pulled the kill switch.")
    is_public = models.BooleanField(default=False, help_text="Whoever sees both versions sees the trial.")
    follows = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="followed_by", help_text="Why it exists."
    )

    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="trials"
    )
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    adopted_at = models.DateTimeField(null=True, blank=True)
    adopted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    adopted_version = models.ForeignKey(
        PatternVersion,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="What became stable: the candidate, or its text as a version of the control's pattern.",
    )

    objects = TrialQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(settled__lte=models.F("enrolled")), name="execution_trial_counts_unborn"
            ),
            models.CheckConstraint(
                condition=Q(missing__lte=models.F("settled")), name="execution_trial_misses_more_than_settled"
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(status="running"), name="execution_trial_running"),
        ]

    def __str__(self) -> str:
        return f"trial {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("execution:trial", args=[self.pk])

    @property
    def is_same_version(self) -> bool:
        """Whether this is an A/A trial."""
        return self.control.digest == self.candidate.digest

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in states.terminal(states.TRIAL)

    @property
    def is_beside_runs(self) -> bool:
        """Whether its controls are real runs, so that its pairs come one by one."""
        return self.mode in (TrialMode.LIVE, TrialMode.WATCH)

    @property
    def trial_plan(self) -> TrialPlan:
        """The plan as the statistics use it."""
        return plan_from_json(Reader(self.plan, "/plan"))

    @property
    def said(self) -> str:
        """The verdict in words, as people read it."""
        return typeset(self.sentence)

    def is_visible_to(self, user: Any) -> bool:
        """Whether ``user`` may know that this trial exists."""
        return Trial.objects.filter(pk=self.pk).visible_to(user).exists()

    def may_control(self, user: Any) -> bool:
        """Whether ``user`` may pause, resume or cancel it."""
        if user is None or not user.is_authenticated:
            return False
        return bool(
            user.is_superuser
            or self.started_by_id == user.pk
            or (self.is_beside_runs and self.control.pattern.owner.can_publish(user))
        )


class TrialInput(models.Model):
    """One input of a batch."""

    trial = models.ForeignKey(Trial, on_delete=models.CASCADE, related_name="inputs")
    number = models.PositiveIntegerField(help_text="Place in what was supplied, from 1.")
    values = models.TextField(help_text="A stored value: object of input names and values.")
    stratum = models.CharField(max_length=64, blank=True)
    source_run = models.ForeignKey(
        Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", help_text="It was recorded there."
    )

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["trial", "number"], name="execution_trialinput_twice")]

    def __str__(self) -> str:
        return f"input {self.number} of trial {self.trial_id}"

    def value(self) -> dict[str, Any]:
        """The inputs of a run."""
        return load(self.values) or {}


class PairQuerySet(models.QuerySet["TrialPair"]):
    """Sets of pairs."""

    def under_way(self) -> PairQuerySet:
        """Started and not settled."""
        return self.filter(status=states.PairStatus.RUNNING)

    def counted(self) -> PairQuerySet:
        """Those that are evidence."""
        return self.filter(position__lte=models.F("trial__settled"))


class TrialPair(models.Model):
    """One input, both arms, and what came of it."""

    STATUSES = [(str(status), str(status)) for status in states.PairStatus]

    trial = models.ForeignKey(Trial, on_delete=models.CASCADE, related_name="pairs", db_index=False)
    position = models.PositiveIntegerField(help_text="Place in the order of enrolment, from 1.")
    status = models.CharField(max_length=16, choices=STATUSES, default=states.PairStatus.ENROLLED)
    epoch = models.PositiveIntegerField(default=0)
    first = models.CharField(max_length=16, help_text="The arm that goes first, drawn from the seed.")
    input = models.ForeignKey(
        TrialInput, null=True, blank=True, on_delete=models.CASCADE, related_name="pairs", db_index=False
    )
    draw = models.PositiveIntegerField(default=0, help_text="How often the input was drawn before; simulated agents.")
    input_name = models.CharField(max_length=64, help_text="Salted name of the input.")
    stratum = models.CharField(max_length=64, blank=True)
    contrasts = JsonText(default=dict, help_text="Metric and contrast; above 0 the candidate did better.")
    control = JsonText(null=True, help_text="The control's observation.")
    candidate = JsonText(null=True, help_text="The candidate's observation.")
    judged = JsonText(
        null=True, help_text="What the judge said: [{control_first, candidate_first, …}], per repetition."
    )
    missing = models.TextField(blank=True, help_text="The infrastructure failure that lost it.")
    enrolled_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    objects = PairQuerySet.as_manager()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["trial", "position"], name="execution_pair_twice")]
        indexes = [
            models.Index(fields=["trial", "position"], condition=Q(status="running"), name="execution_pair_running"),
            models.Index(fields=["trial", "position"], condition=Q(status="enrolled"), name="execution_pair_enrolled"),
        ]

    def __str__(self) -> str:
        return f"pair {self.position} of trial {self.trial_id}"


class ArmRun(models.Model):
    """A run that is an arm of a pair, or its judge; a real run may be the control of several live trials."""

    pair = models.ForeignKey(TrialPair, on_delete=models.CASCADE, related_name="arm_runs", db_index=False)
    arm = models.CharField(
        max_length=16, choices=[("control", "control"), ("candidate", "candidate"), ("judge", "judge")]
    )
    number = models.PositiveSmallIntegerField(default=0, help_text="Which repetition, from 0.")
    attempt = models.PositiveSmallIntegerField(default=1, help_text="Above 1 after failures of the infrastructure.")
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="arms")

    class Meta:
        ordering = ["pair", "arm", "number", "attempt"]
        constraints = [
            models.UniqueConstraint(fields=["pair", "arm", "number", "attempt"], name="execution_armrun_twice")
        ]

    def __str__(self) -> str:
        return f"{self.arm} {self.number}/{self.attempt} of pair {self.pair_id}"


class TrialLook(models.Model):
    """The evidence after one pair, as natural logarithms: a point of the curve."""

    trial = models.ForeignKey(Trial, on_delete=models.CASCADE, related_name="looks", db_index=False)
    position = models.PositiveIntegerField()
    superiority = models.FloatField()
    noninferior = models.FloatField()
    harm = models.FloatField()
    kept = models.FloatField()
    effect = models.FloatField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["trial", "position"], name="execution_look_twice")]

    def __str__(self) -> str:
        return f"look {self.position} of trial {self.trial_id}"


class VerificationReport(models.Model):
    """The report of a decided trial, byte for byte."""

    trial = models.OneToOneField(Trial, on_delete=models.PROTECT, related_name="report")
    digest = models.CharField(max_length=80, unique=True, help_text="sha256: of the body's canonical form.")
    outcome = models.CharField(max_length=16)
    data = models.BinaryField(help_text="The one spelling of the report, signatures included.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"report {self.digest[:19]} of trial {self.trial_id}"


class ShadowShare(models.Model):
    """The watch after a promotion: a share of real runs also runs what was there before."""

    class State(models.TextChoices):
        WATCHING = "watching", "watching"
        ROLLED_BACK = "rolled_back", "rolled back"
        ENDED = "ended", "ended"

    trial = models.OneToOneField(Trial, on_delete=models.PROTECT, related_name="watch", help_text="Its pairs.")
    verdict_of = models.ForeignKey(Trial, on_delete=models.PROTECT, related_name="watches", help_text="What promoted.")
    pattern = models.ForeignKey(Pattern, on_delete=models.CASCADE, related_name="watches")
    promoted = models.ForeignKey(PatternVersion, on_delete=models.PROTECT, related_name="+")
    incumbent = models.ForeignKey(PatternVersion, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=16, choices=State, default=State.WATCHING)
    log_sums = JsonText(default=list, help_text="ln R of each bet; null for nothing yet.")
    log_statistic = models.FloatField(null=True, help_text="ln R; an alarm at ln 1000.")
    highest = models.FloatField(null=True, help_text="The highest ln R so far.")
    pairs = models.PositiveIntegerField(default=0, help_text="Pairs that the detector has seen.")
    position = models.PositiveIntegerField(default=0, help_text="Position of the last of them.")
    reason = models.TextField(blank=True, help_text="Why it ended, in words.")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    next_trial = models.ForeignKey(
        Trial, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", help_text="Opened by the alarm."
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["pattern"], condition=Q(state="watching"), name="execution_pattern_watched_twice"
            )
        ]

    def __str__(self) -> str:
        return f"watch {self.pk} of {self.promoted_id}"
