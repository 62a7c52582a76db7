"""
Who this node is: its keys, its root documents, and the authors whose keys it keeps.

Secret seeds are stored sealed (see ``services.keyring``); nothing else in the
database can sign. Root documents of everybody, own and foreign, stand in one
table: what is pinned there is only ever continued, never replaced.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from registry.models import Owner


class ThisNode(models.Model):
    """The one row about this node."""

    node_id = models.CharField(max_length=37, unique=True)
    epoch = models.CharField(max_length=32, help_text="Of the feed; drawn anew when a database is restored.")
    head = models.PositiveBigIntegerField(default=0, help_text="Last number given out in this epoch.")
    contact = models.CharField(max_length=500, blank=True)
    public_topics = models.JSONField(default=list, help_text="Topics offered to peers; empty offers all but private.")
    private_topics = models.JSONField(default=list, help_text="Releases with one of these never leave.")
    is_paused = models.BooleanField(default=False, help_text="The kill switch: nothing goes out, nothing comes in.")
    paused_reason = models.CharField(max_length=500, blank=True)
    profile = models.CharField(max_length=8, default="org", help_text="How usage leaves: org, public or none.")
    must_share = models.BooleanField(default=True, help_text="Whether public patterns are announced at all.")
    ticking_until = models.DateTimeField(null=True, help_text="Lease of the process that ticks.")
    polling_until = models.DateTimeField(null=True, help_text="Lease of the process that looks for withdrawals.")
    last_tidied_at = models.DateTimeField(null=True, help_text="When the hourly round ran last.")
    doubted_epoch = models.CharField(
        max_length=32, blank=True, db_default="", help_text="A peer stood past the head of this epoch."
    )
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = "this node"
        verbose_name_plural = "this node"
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="federation_only_one_node")]

    def __str__(self) -> str:
        return self.node_id


class SigningKey(models.Model):
    """A key pair of this node or of an author it signs for."""

    class Role(models.TextChoices):
        ROOT = "root", "signs root documents"
        TRANSPORT = "transport", "signs requests and answers"
        PUBLISH = "publish", "signs statements"

    identity = models.CharField(max_length=37, db_index=True, help_text="Node or author id.")
    role = models.CharField(max_length=10, choices=Role)
    public_key = models.CharField(max_length=64, unique=True)
    sealed_seed = models.BinaryField(help_text="Encrypted; see services.keyring.")
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["identity", "role", "-created_at"]

    def __str__(self) -> str:
        return f"{self.role} key {self.public_key[:12]} of {self.identity[:13]}"


class Author(models.Model):
    """An owner of this hub as others know them: their author id."""

    owner = models.OneToOneField(Owner, on_delete=models.CASCADE, related_name="author_identity")
    author_id = models.CharField(max_length=37, unique=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.owner} is {self.author_id[:13]}"


class RootDocument(models.Model):
    """One pinned root document of any identity: the statement that carries it."""

    identity = models.CharField(max_length=37)
    version = models.PositiveIntegerField()
    statement_id = models.CharField(max_length=64)
    payload = models.BinaryField()
    signatures = models.JSONField()
    pinned_at = models.DateTimeField()

    class Meta:
        ordering = ["identity", "version"]
        constraints = [models.UniqueConstraint(fields=["identity", "version"], name="federation_root_pinned_once")]

    def __str__(self) -> str:
        return f"root {self.version} of {self.identity[:13]}"

    def to_json(self) -> dict[str, Any]:
        """The complete DSSE form."""
        import base64

        from federation.protocol.envelope import PAYLOAD_TYPE

        encoded = base64.b64encode(bytes(self.payload)).decode("ascii")
        return {"payloadType": PAYLOAD_TYPE, "payload": encoded, "signatures": self.signatures}
