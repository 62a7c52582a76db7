"""
Who did what: an append-only log in which every entry holds the hash of the one before it.

Changing or removing an entry breaks the chain from there on;
``registry.services.audit.verify_chain`` finds the place.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models


class AuditEntry(models.Model):
    """One act, with the hash that chains it to the one before."""

    sequence = models.PositiveBigIntegerField(unique=True, help_text="Dense, from 1.")
    at = models.DateTimeField()
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150, blank=True, help_text="As it was then; part of the hash.")
    via = models.CharField(max_length=16, blank=True)
    action = models.CharField(max_length=64, help_text="pattern.published, version.yanked, token.created …")
    subject = models.CharField(max_length=300)
    owner_name = models.CharField(max_length=64, blank=True, db_index=True, help_text="Whose people may read it.")
    detail = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["-sequence"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.sequence} {self.action} {self.subject}"
