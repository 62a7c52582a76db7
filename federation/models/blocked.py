"""Authors this node takes nothing from, whoever brings it."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class BlockedAuthor(models.Model):
    """One author on the list."""

    author_id = models.CharField(max_length=37, unique=True)
    name = models.CharField(max_length=300, blank=True, help_text="How it was called when it was blocked.")
    reason = models.TextField(blank=True)
    blocked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    blocked_at = models.DateTimeField()

    class Meta:
        ordering = ["-blocked_at"]

    def __str__(self) -> str:
        return self.name or self.author_id
