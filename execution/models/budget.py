"""What an owner's runs may spend together."""

from __future__ import annotations

from django.db import models

from registry.models import Owner


class OwnerBudget(models.Model):
    """The budget of one owner; the end of the chain child run, parent, owner."""

    owner = models.OneToOneField(Owner, on_delete=models.CASCADE, related_name="budget")
    tokens_limit = models.BigIntegerField(null=True, blank=True)
    tokens_used = models.BigIntegerField(default=0)
    tokens_reserved = models.BigIntegerField(default=0)
    cost_limit = models.BigIntegerField(null=True, blank=True, help_text="Millionths of a dollar.")
    cost_used = models.BigIntegerField(default=0)
    cost_reserved = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"budget of {self.owner_id}"
