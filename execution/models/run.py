"""
Runs: one row for each time a pattern is carried out.

Always true: ``revision`` grows with every change of what the run has become,
and whoever changes it names the revision that it read; ``tick`` is the number
of the last journal entry; ``events_count`` is the sequence of the last event.
Columns that the hot path writes are whole numbers (times in milliseconds since
the epoch, money in millionths of a dollar).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from execution import states
from execution.models.fields import JsonText
from registry.models import Owner, PatternVersion

CHOICES = [(str(status), str(status)) for status in states.RunStatus]


class RunQuerySet(models.QuerySet["Run"]):
    """Sets of runs."""

    def visible_to(self, user: Any) -> RunQuerySet:
        """Runs that ``user`` started, those that were made public, and all for a superuser."""
        if user is None or not user.is_authenticated:
            return self.filter(is_public=True)
        if user.is_superuser:
            return self
        return self.filter(Q(started_by=user) | Q(is_public=True))

    def alive(self) -> RunQuerySet:
        """Not ended."""
        return self.filter(status__in=states.RUN_ALIVE)

    def ended(self) -> RunQuerySet:
        """Ended, however."""
        return self.filter(status__in=states.RUN_ENDED)

    def real(self) -> RunQuerySet:
        """Those whose agents were real: the only ones that count in a rate."""
        return self.filter(simulated=False)

    def of_callers(self) -> RunQuerySet:
        """Those that somebody waits for: the runs of trials left out."""
        return self.filter(queue="")

    def for_list(self) -> RunQuerySet:
        """With all that a row of a list shows, in the same query."""
        return (
            self.select_related("version__pattern__owner", "started_by")
            .defer("inputs", "result", "policy", "error")
            .defer(*(f"version__{name}" for name in ("source", "program", "value", "claims", "inputs")))
        )


class Run(models.Model):
    """A pattern version, inputs, a seed, agents, and how far it has come."""

    version = models.ForeignKey(PatternVersion, on_delete=models.PROTECT, related_name="runs", db_index=False)
    program_hash = models.CharField(max_length=64, help_text="The blob of the compiled program it keeps to its end.")
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs", db_index=False
    )
    owner = models.ForeignKey(
        Owner,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
        help_text="Whose budget it uses.",
    )
    is_public = models.BooleanField(default=False, help_text="Everyone may watch it.")
    backend = models.CharField(max_length=64)
    simulated = models.BooleanField(default=False, help_text="Its agents were no real ones; it counts in no rate.")
    seed = models.BigIntegerField()
    inputs = models.TextField(default="{}", help_text="A stored value: object of input names and values.")
    policy = JsonText(default=dict, help_text="{limits, attempts, in_doubt, agents, …}")
    status = models.CharField(max_length=16, choices=CHOICES, default=states.RunStatus.QUEUED)
    queue = models.CharField(
        max_length=16, blank=True, help_text="Which workers carry it out: `trials`, or empty for the ordinary ones."
    )
    revision = models.PositiveIntegerField(default=0)
    tick = models.PositiveIntegerField(default=0)
    clock = models.BigIntegerField(default=0, help_text="Milliseconds: the time of its last tick.")
    events_count = models.PositiveIntegerField(default=0)
    open_calls = models.PositiveIntegerField(default=0, help_text="Questions to agents without an answer so far.")

    result = models.TextField(null=True, blank=True, help_text="A stored value, once it has ended.")
    error = JsonText(null=True, blank=True, help_text="{code, message, line, column} of a run that failed.")
    succeeded = models.BooleanField(null=True, help_text="Ended well, and `success_when` (if any) is true.")
    score = models.FloatField(null=True, help_text="The pattern's own `score`, 0 to 1, where it gives one.")

    tokens_limit = models.BigIntegerField(null=True, blank=True)
    tokens_used = models.BigIntegerField(default=0)
    tokens_reserved = models.BigIntegerField(default=0)
    cost_limit = models.BigIntegerField(null=True, blank=True, help_text="Millionths of a dollar.")
    cost_used = models.BigIntegerField(default=0)
    cost_reserved = models.BigIntegerField(default=0)
    repaid = models.PositiveIntegerField(default=0, help_text="Questions that were possibly paid twice.")
    deadline_at = models.BigIntegerField(null=True, blank=True, help_text="Milliseconds; null once it has ended.")

    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="children", db_index=False
    )
    parent_effect = models.BigIntegerField(null=True, blank=True, help_text="The parent's effect that waits for it.")
    depth = models.PositiveSmallIntegerField(default=0, help_text="0 for a run that nobody's script started.")
    forked_from = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="branches", db_index=False
    )
    forked_at_tick = models.PositiveIntegerField(null=True, blank=True, help_text="Its journal begins after this one.")

    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(status__in=sorted(states.RUN_ENDED)),
                name="execution_run_ended_but_alive",
            ),
            models.CheckConstraint(
                condition=Q(forked_from__isnull=True) | Q(forked_at_tick__isnull=False),
                name="execution_run_branch_without_tick",
            ),
        ]
        indexes = [
            # Ascending, and read backwards: what is inserted at the front of its group leaves every page half full.
            models.Index(fields=["started_by", "id"], name="execution_run_by_user"),
            models.Index(fields=["version", "id"], name="execution_run_by_version"),
            models.Index(fields=["id"], condition=Q(status="queued"), name="execution_run_queued"),
            models.Index(fields=["status"], condition=Q(queue="trials"), name="execution_run_of_trials"),
            models.Index(fields=["deadline_at"], condition=Q(deadline_at__isnull=False), name="execution_run_deadline"),
            models.Index(fields=["parent"], condition=Q(parent__isnull=False), name="execution_run_children"),
        ]

    def __str__(self) -> str:
        return f"run {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("execution:run", args=[self.pk])

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in states.RUN_ENDED

    @property
    def cost_usd(self) -> float:
        """What it has cost so far."""
        return self.cost_used / 1_000_000

    @property
    def duration_seconds(self) -> float | None:
        """From its start to its end, or to its last tick while it is alive; None before it started."""
        if self.started_at is None:
            return None
        end = self.ended_at or datetime.fromtimestamp(self.clock / 1000, UTC)
        return max((end - self.started_at).total_seconds(), 0.0)

    def input_values(self) -> dict[str, Any]:
        """The inputs it was started with."""
        from execution.models.stored import load

        return load(self.inputs) or {}

    def result_value(self) -> Any:
        """Its result; None while there is none."""
        from execution.models.stored import load

        return load(self.result)

    def is_visible_to(self, user: Any) -> bool:
        """Whether ``user`` may know that this run exists."""
        return Run.objects.filter(pk=self.pk).visible_to(user).exists()

    def may_control(self, user: Any) -> bool:
        """Whether ``user`` may cancel, pause, answer or branch off from it."""
        return bool(user.is_authenticated and (user.is_superuser or self.started_by_id == user.pk))
