"""Verification: reports of this node that were signed, and what the reports of others come to when recomputed here."""

from __future__ import annotations

from django.db import models

from execution.models import VerificationReport
from federation.models.statement import Statement


class SharedReport(models.Model):
    """What became of a report of this node when it was to leave: signed, or kept back with the reason."""

    report = models.OneToOneField(VerificationReport, on_delete=models.CASCADE, related_name="shared")
    statement = models.OneToOneField(Statement, null=True, on_delete=models.PROTECT, related_name="shared_report")
    reason = models.TextField(blank=True, help_text="Why it stays here; empty where it was signed.")
    decided_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"report of trial {self.report_id}: {self.reason or 'signed'}"


class AttestedVerdict(models.Model):
    """One verification statement, its verdict recomputed from its own pairs."""

    statement = models.OneToOneField(Statement, on_delete=models.CASCADE, related_name="verdict")
    node = models.CharField(max_length=37, help_text="Who signed it.")
    candidate = models.CharField(max_length=64, db_index=True, help_text="Digest, hex.")
    control = models.CharField(max_length=64, db_index=True, help_text="Digest, hex.")
    control_name = models.CharField(max_length=300, blank=True, help_text="As its node calls it.")
    backend = models.CharField(max_length=100, blank=True)
    outcome = models.CharField(max_length=16, help_text="Recomputed; empty where it does not follow.", blank=True)
    sentence = models.TextField(blank=True)
    pairs = models.PositiveIntegerField(default=0)
    missing = models.PositiveIntegerField(default=0)
    is_confirmed = models.BooleanField(help_text="The verdict follows from the pairs.")
    problem = models.TextField(blank=True, help_text="Why it does not.")
    ended_at = models.CharField(max_length=32, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.outcome or 'unconfirmed'} by {self.node[:13]}"
