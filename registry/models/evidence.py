"""
What is known about how a version does: outcomes one by one, and daily sums.

Three sources are never added together: ``measured`` (runs of this node with
real agents), ``simulated`` (runs with the simulated backend; they count in no
rate) and ``attested`` (signed by peers). Claims of the author stand in the
version itself. Raw counts stay; weighting and decay happen when they are read.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from registry.models.pattern import Pattern
from registry.models.version import PatternVersion


class Source(models.TextChoices):
    """Where a number comes from."""

    MEASURED = "measured", "measured here"
    SIMULATED = "simulated", "simulated"
    ATTESTED = "attested", "attested by peers"


class Outcome(models.Model):
    """How one run ended; ``run_key`` makes recording it twice harmless."""

    run_key = models.CharField(max_length=64, unique=True)
    version = models.ForeignKey(PatternVersion, on_delete=models.PROTECT, related_name="outcomes")
    source = models.CharField(max_length=16, choices=Source)
    cell = models.CharField(max_length=200, blank=True, help_text="Context cell, e.g. `task=review;model=opus`.")
    succeeded = models.BooleanField()
    failure_type = models.CharField(max_length=64, blank=True)
    quality = models.FloatField(null=True, help_text="The pattern's own score, 0 to 1, where it gives one.")
    duration_seconds = models.FloatField(default=0.0)
    cost_usd = models.FloatField(default=0.0)
    tokens = models.PositiveBigIntegerField(default=0)
    reporter = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    ended_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["version", "source", "id"], name="registry_outcome_series"),
            models.Index(fields=["reporter", "version"], name="registry_outcome_reporter"),
        ]

    def __str__(self) -> str:
        return f"run {self.run_key}: {'succeeded' if self.succeeded else self.failure_type or 'failed'}"


class DailyRollup(models.Model):
    """Sums of one version, day, context cell, source and reporter."""

    version = models.ForeignKey(PatternVersion, on_delete=models.PROTECT, related_name="rollups")
    pattern = models.ForeignKey(Pattern, on_delete=models.PROTECT, related_name="rollups")
    day = models.DateField()
    cell = models.CharField(max_length=200, blank=True)
    source = models.CharField(max_length=16, choices=Source)
    reporter_key = models.CharField(
        max_length=80,
        blank=True,
        help_text="`user:7` here, the operator's key id for a peer; counts are capped per key.",
    )
    ranks = models.BooleanField(default=True, help_text="False for runs of the owner's own people.")
    runs = models.PositiveIntegerField(default=0)
    successes = models.PositiveIntegerField(default=0)
    quality_sum = models.FloatField(default=0.0)
    quality_count = models.PositiveIntegerField(default=0)
    duration_seconds_sum = models.FloatField(default=0.0)
    duration_seconds_max = models.FloatField(default=0.0)
    cost_usd_sum = models.FloatField(default=0.0)
    tokens_sum = models.PositiveBigIntegerField(default=0)
    failures = models.JSONField(default=dict, help_text="{failure type: count}")

    class Meta:
        ordering = ["day", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "day", "cell", "source", "reporter_key"], name="registry_rollup_not_twice"
            ),
            models.CheckConstraint(
                condition=Q(successes__lte=F("runs")), name="registry_rollup_more_successes_than_runs"
            ),
        ]
        indexes = [models.Index(fields=["pattern", "source", "day"], name="registry_rollup_pattern")]

    def __str__(self) -> str:
        return f"{self.day} {self.source} of {self.version_id}: {self.successes}/{self.runs}"
