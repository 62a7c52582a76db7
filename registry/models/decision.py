"""What orchestrators decided while running, kept so that patterns can learn from it."""

from __future__ import annotations

from django.db import models

from registry.models.evidence import Source
from registry.models.fields import JsonText
from registry.models.pattern import Pattern
from registry.models.version import PatternVersion


class Decision(models.Model):
    """One ``orchestrator:decision``; ``succeeded`` is null until its run has ended."""

    pattern = models.ForeignKey(Pattern, null=True, on_delete=models.CASCADE, related_name="decisions")
    version = models.ForeignKey(PatternVersion, null=True, on_delete=models.CASCADE, related_name="decisions")
    run_key = models.CharField(max_length=64, blank=True, db_index=True)
    effect_key = models.CharField(max_length=200, blank=True, help_text="Makes recording it twice harmless.")
    decision_type = models.CharField(max_length=200)
    context = JsonText(default=dict)
    context_key = models.CharField(
        max_length=200, blank=True, help_text="The context in one normal form; groups by it."
    )
    rationale = models.TextField(blank=True)
    outcome = models.TextField(blank=True)
    succeeded = models.BooleanField(null=True)
    confidence = models.FloatField(null=True)
    made_by = models.CharField(max_length=200, blank=True, help_text="Agent id or username.")
    source = models.CharField(max_length=16, choices=Source, default=Source.MEASURED)
    made_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["run_key", "effect_key"],
                condition=~models.Q(effect_key=""),
                name="registry_decision_not_twice",
            )
        ]
        indexes = [models.Index(fields=["pattern", "decision_type", "context_key"], name="registry_decision_group")]

    def __str__(self) -> str:
        return f"decision {self.pk}: {self.decision_type}"
