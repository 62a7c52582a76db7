"""
Message batches: questions of trials that go to the provider together, at half the price.

Always true: a question is in at most one batch that has not ended; ``name`` is
the provider's and known from the moment the batch counts as ``sent``. Whoever
takes the next step of a batch moves ``check_at`` from the value that was read.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from execution import states
from execution.models.effect import Effect

CHOICES = [(str(status), str(status)) for status in states.BatchStatus]


class MessageBatch(models.Model):
    """One batch of questions."""

    backend = models.CharField(max_length=64, help_text="Alias of the agents that are asked.")
    status = models.CharField(max_length=16, choices=CHOICES, default=states.BatchStatus.QUEUED)
    name = models.CharField(max_length=200, blank=True, help_text="As the provider calls it; empty until it was taken.")
    questions = models.PositiveIntegerField(help_text="How many there were at first.")
    tries = models.PositiveSmallIntegerField(default=0, help_text="How often it was sent.")
    cancel_asked = models.BooleanField(default=False, help_text="Nobody waits for it; the provider was told.")
    created_at = models.BigIntegerField(help_text="Milliseconds.")
    sent_at = models.BigIntegerField(null=True, help_text="Milliseconds: when it was last sent.")
    check_at = models.BigIntegerField(help_text="Milliseconds: when somebody looks after it next.")
    ended_at = models.BigIntegerField(null=True, help_text="Milliseconds.")
    note = models.TextField(blank=True, help_text="What went wrong last, in words.")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["check_at"], condition=~Q(status="ended"), name="execution_batch_open")]

    def __str__(self) -> str:
        return f"batch {self.pk}"


class BatchedQuestion(models.Model):
    """One request of a batch."""

    batch = models.ForeignKey(MessageBatch, on_delete=models.CASCADE, related_name="entries", db_index=False)
    effect = models.ForeignKey(Effect, on_delete=models.CASCADE, related_name="+")
    epoch = models.PositiveIntegerField(help_text="Of the effect, when it was put in.")
    custom_id = models.CharField(max_length=64, help_text="sha256 hex of run and effect key.")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["batch", "custom_id"], name="execution_question_batched_twice")]

    def __str__(self) -> str:
        return f"question {self.custom_id[:12]} of batch {self.batch_id}"
