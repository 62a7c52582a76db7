"""The entity store of a run: ``state:entity:*`` and PERSIST."""

from __future__ import annotations

from typing import Any

from django.db import models

from execution.models.run import Run
from execution.models.stored import load


class Entity(models.Model):
    """One entity with its properties."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="entities", db_index=False)
    type = models.CharField(max_length=200, blank=True)
    entity_id = models.CharField(max_length=200)
    properties = models.TextField(help_text="A stored value: an object.")
    updated_at = models.BigIntegerField(help_text="Milliseconds.")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["run", "type", "entity_id"], name="execution_entity_twice")]

    def __str__(self) -> str:
        return f"{self.type or 'entity'} {self.entity_id} of run {self.run_id}"

    def value(self) -> dict[str, Any]:
        """Its properties."""
        return load(self.properties) or {}
