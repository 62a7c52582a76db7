"""
Effects: one row for each thing asked of the world; the rows are the queue.

Always true: a row that may be claimed has ``due_at``; one that a worker has
sent has ``worker``; one whose answer the machine has not had is ``unread``.
Each of these is a small partial index, so that the queue costs what is in it,
not what ever was. Every write names the ``epoch`` it read: whoever claims or
fences raises it.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from execution import states
from execution.models.fields import JsonText
from execution.models.run import Run
from execution.models.stored import load

CHOICES = [(str(status), str(status)) for status in states.EffectStatus]


class WorkerLease(models.Model):
    """A process that carries effects out; its heartbeat is the lease of all it has sent."""

    name = models.CharField(max_length=200, help_text="Host, process and a random part.")
    started_at = models.BigIntegerField(help_text="Milliseconds.")
    beat_at = models.BigIntegerField(help_text="Milliseconds; too old, and others take over what it had.")
    gone = models.BooleanField(default=False, help_text="Fenced: nothing it still says is taken as an answer.")

    class Meta:
        indexes = [models.Index(fields=["beat_at"], condition=Q(gone=False), name="execution_worker_beat")]

    def __str__(self) -> str:
        return self.name


class Handler(models.TextChoices):
    """Who carries an effect out."""

    AGENT = "agent", "an agent"
    PERSON = "person", "a person"
    CHILD = "child", "a child run"
    HUB = "hub", "this hub"


class Effect(models.Model):
    """One question to an agent, a person or another run, and its answer."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="effects", db_index=False)
    seq = models.PositiveIntegerField(help_text="The machine's number of the event, from 1.")
    key = models.TextField(help_text="Structural: statement, loop indices, branch path, occurrence.")
    request_hash = models.CharField(max_length=64, help_text="sha256 of name, data and shape.")
    replies = models.BooleanField(default=True, help_text="The script is given the answer.")
    name = models.CharField(max_length=200)
    handler = models.CharField(max_length=16, choices=Handler)
    agent_id = models.CharField(max_length=200, blank=True)
    request = models.TextField(help_text="A stored value: the event's data.")
    shape = models.TextField(blank=True, help_text="A stored value: JSON Schema of the answer that is read.")
    line = models.PositiveIntegerField(default=0)
    timeout_seconds = models.FloatField(null=True)

    status = models.CharField(max_length=16, choices=CHOICES, default=states.EffectStatus.QUEUED)
    epoch = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    doubts = models.PositiveIntegerField(default=0, help_text="How often it was asked again after a crash.")
    worker = models.ForeignKey(
        WorkerLease, null=True, on_delete=models.SET_NULL, related_name="effects", db_index=False
    )
    due_at = models.BigIntegerField(null=True, help_text="Milliseconds: when it may be claimed.")
    expires_at = models.BigIntegerField(null=True, help_text="Milliseconds: when it counts as timed out.")
    emitted_at = models.BigIntegerField()
    sent_at = models.BigIntegerField(null=True)
    answered_at = models.BigIntegerField(null=True)
    emitted_tick = models.PositiveIntegerField()
    unread = models.BooleanField(default=False, help_text="Answered, and the machine has not had the answer.")
    tick = models.PositiveIntegerField(null=True, help_text="The tick that gave the answer to the machine.")
    closed_tick = models.PositiveIntegerField(null=True, help_text="The tick that lost interest in it.")

    answer = models.TextField(null=True, help_text="A stored value: the reply.")
    error_kind = models.CharField(max_length=64, blank=True)
    duration_seconds = models.FloatField(null=True)
    tokens = models.BigIntegerField(default=0)
    cost = models.BigIntegerField(default=0, help_text="Millionths of a dollar, at the price of the day.")
    usage = JsonText(null=True)
    reserved_tokens = models.BigIntegerField(default=0)
    reserved_cost = models.BigIntegerField(default=0)
    reused_from = models.BigIntegerField(null=True, help_text="The effect whose answer was taken over.")

    class Meta:
        ordering = ["seq"]
        constraints = [models.UniqueConstraint(fields=["run", "seq"], name="execution_effect_twice")]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="execution_effect_due"),
            models.Index(fields=["expires_at"], condition=Q(expires_at__isnull=False), name="execution_effect_expiry"),
            models.Index(fields=["worker"], condition=Q(worker__isnull=False), name="execution_effect_sent"),
            models.Index(fields=["run"], condition=Q(unread=True), name="execution_effect_unread"),
            models.Index(fields=["run"], condition=Q(handler="person", tick__isnull=True), name="execution_question"),
        ]

    def __str__(self) -> str:
        return f"effect {self.seq} of run {self.run_id}"

    def data(self) -> dict[str, Any]:
        """What was asked."""
        value: dict[str, Any] = load(self.request)
        return value

    def answer_value(self) -> Any:
        """The reply, or None while there is none."""
        return load(self.answer)

    def shape_value(self) -> dict[str, Any] | None:
        """The JSON Schema of the answer, or None."""
        value: dict[str, Any] | None = load(self.shape)
        return value


class Attempt(models.Model):
    """An attempt that did not give the answer: it failed, was in doubt, or came too late."""

    effect = models.ForeignKey(Effect, on_delete=models.CASCADE, related_name="failed_attempts")
    number = models.PositiveIntegerField()
    epoch = models.PositiveIntegerField()
    at = models.BigIntegerField(help_text="Milliseconds: when it ended.")
    outcome = models.CharField(max_length=16, help_text="failed, in_doubt, late or expired.")
    kind = models.CharField(max_length=64, blank=True)
    message = models.TextField(blank=True)
    tokens = models.BigIntegerField(default=0)
    cost = models.BigIntegerField(default=0)
    request_id = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"attempt {self.number} at effect {self.effect_id}"
