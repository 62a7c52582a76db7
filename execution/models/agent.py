"""The agents of a run, by the names that its script gives them."""

from __future__ import annotations

from django.db import models

from execution.models.fields import JsonText
from execution.models.run import Run


class RunAgent(models.Model):
    """One agent: spawned by the script, or by the first question to it."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="agents", db_index=False)
    agent_id = models.CharField(max_length=200)
    profile = models.CharField(max_length=200, blank=True, help_text="The profile's name; empty for the default one.")
    details = JsonText(default=dict, help_text="What agent:spawn said besides: prompt, metadata, …")
    active = models.BooleanField(default=True)
    spawned_at = models.BigIntegerField(help_text="Milliseconds.")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["run", "agent_id"], name="execution_agent_twice")]

    def __str__(self) -> str:
        return f"{self.agent_id} of run {self.run_id}"
