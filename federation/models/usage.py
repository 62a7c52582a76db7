"""Usage: what peers claim, newest revision only, and what this node has spent to tell its own."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from federation.models.statement import Statement


class UsageClaim(models.Model):
    """The newest claim of one node about one digest, context cell and 28-day period."""

    statement = models.OneToOneField(Statement, on_delete=models.CASCADE, related_name="claim")
    node = models.CharField(max_length=37)
    digest = models.CharField(max_length=64, db_index=True)
    cell = models.CharField(max_length=400, blank=True)
    period = models.PositiveIntegerField(help_text="floor(unix / 2419200)")
    revision = models.PositiveBigIntegerField()
    runs = models.PositiveBigIntegerField()
    success = models.PositiveBigIntegerField()
    profile = models.CharField(max_length=8)
    epsilon = models.FloatField(null=True)
    is_contradicted = models.BooleanField(
        default=False, db_default=False, help_text="Its node said two things under one revision: not believed."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["node", "digest", "cell", "period"], name="federation_claim_newest_only"),
            models.CheckConstraint(
                condition=Q(success__lte=F("runs")), name="federation_claim_more_successes_than_runs"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.success}/{self.runs} by {self.node[:13]}"


class PublishedPeriod(models.Model):
    """A period whose usage was published; the noise of ``public`` is drawn once and paid once."""

    period = models.PositiveIntegerField()
    profile = models.CharField(max_length=8)
    revision = models.PositiveIntegerField(default=0)
    cells = models.PositiveIntegerField(default=0)
    epsilon = models.FloatField(null=True, help_text="Spent on this period.")
    published_at = models.DateTimeField()

    class Meta:
        ordering = ["-period"]
        constraints = [models.UniqueConstraint(fields=["period", "profile"], name="federation_period_once")]

    def __str__(self) -> str:
        return f"period {self.period}, {self.profile}"
