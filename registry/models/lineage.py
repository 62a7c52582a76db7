"""
Where a text comes from: a graph of digests, never of names.

Either end may be unknown to this node (a dangling node is shown by its
digest); an edge that would close a cycle is refused by
``registry.services.lineage.add_edge``.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from registry.models.fields import JsonText


class LineageEdge(models.Model):
    """``child`` was made from ``parent`` by ``op``."""

    class Op(models.TextChoices):
        FORK = "fork", "fork"
        MERGE = "merge", "merge"
        ADAPT = "adapt", "adaptation"
        TRANSLATE = "translate", "translation"
        EXTENDS = "extends", "extension"
        LEARNED_FROM = "learned_from", "learned from"
        EXTRACTED_FROM = "extracted_from", "extracted from"
        REVISION = "revision", "new version"

    child_digest = models.CharField(max_length=64)
    parent_digest = models.CharField(max_length=64)
    op = models.CharField(max_length=16, choices=Op)
    label = models.CharField(max_length=200, blank=True, help_text="How the document names a parent we do not hold.")
    detail = JsonText(default=dict, help_text="{n} for extracted_from, {reason}, {context} …")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["child_digest", "parent_digest", "op"], name="registry_edge_not_twice"),
            models.CheckConstraint(condition=~Q(child_digest=F("parent_digest")), name="registry_edge_to_itself"),
        ]
        indexes = [
            models.Index(fields=["child_digest"], name="registry_edge_child"),
            models.Index(fields=["parent_digest"], name="registry_edge_parent"),
        ]

    def __str__(self) -> str:
        return f"{self.child_digest[:12]} {self.op} {self.parent_digest[:12]}"
