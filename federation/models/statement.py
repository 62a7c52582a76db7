"""
Signed statements as they came, byte for byte, and what this node did with them.

A statement is stored without a number. One sequencer gives dense numbers to
what may be announced, after it was committed; ``seq`` never changes within an
epoch. ``payload`` and ``signatures`` are never rewritten.
"""

from __future__ import annotations

import base64
from typing import Any

from django.db import models
from django.db.models import Q

from federation.models.peer import Peer
from federation.protocol import envelope, statement, strictjson
from federation.protocol.envelope import Envelope, Signature
from federation.protocol.feed import Line
from federation.protocol.keys import KeyId
from registry.models import PatternVersion


class Audience(models.TextChoices):
    """To whom a statement may be shown."""

    PUBLIC = "public", "every peer"
    ORGANISATION = "org", "peers of the own organisation"


class Statement(models.Model):
    """One believed statement."""

    statement_id = models.CharField(max_length=64, unique=True, help_text="sha256 of its PAE, hex.")
    kind = models.CharField(max_length=16)
    signer = models.CharField(max_length=37, help_text="Author or node that signed.")
    subject_name = models.CharField(max_length=300)
    subject_digest = models.CharField(max_length=64, db_index=True)
    name = models.CharField(max_length=64, blank=True, help_text="Of a release, without its handle.")
    version = models.CharField(max_length=100, blank=True)
    target = models.CharField(max_length=64, blank=True, help_text="Of a withdrawal: the statement it is about.")
    topics = models.JSONField(default=list)
    reach = models.PositiveSmallIntegerField(default=4, help_text="How many nodes may list it.")
    payload = models.BinaryField()
    signatures = models.JSONField(help_text="[{keyid, sig}] in canonical base64.")
    via = models.JSONField(help_text="The way here, this node last.")
    audience = models.CharField(max_length=8, choices=Audience, default=Audience.PUBLIC)
    peer = models.ForeignKey(Peer, null=True, on_delete=models.SET_NULL, related_name="statements")
    is_announced = models.BooleanField(default=False, help_text="May stand in our feed.")
    is_held_back = models.BooleanField(default=False, help_text="Contradicted, erased or disowned: shown to nobody.")
    is_advice = models.BooleanField(default=False, help_text="A withdrawal by neither author nor origin.")
    seq = models.PositiveBigIntegerField(null=True, unique=True, help_text="Its number in our feed.")
    received_at = models.DateTimeField()
    erased_at = models.DateTimeField(null=True, help_text="Its text was taken; the payload is a tombstone.")

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["signer", "name", "version"], name="federation_release_key"),
            models.Index(fields=["kind", "id"], name="federation_statement_kind"),
            models.Index(fields=["target"], name="federation_statement_target", condition=~Q(target="")),
            models.Index(fields=["id"], name="federation_unnumbered", condition=Q(is_announced=True, seq__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_name} {self.statement_id[:12]}"

    @property
    def envelope(self) -> Envelope:
        """Payload and signatures as the protocol holds them."""
        signatures = tuple(Signature(KeyId(each["keyid"]), base64.b64decode(each["sig"])) for each in self.signatures)
        return envelope.sealed(bytes(self.payload), signatures)

    def read(self) -> statement.Statement:
        """The statement; it was judged when it came."""
        return statement.read(self.envelope, kind=self.kind)

    @property
    def predicate(self) -> dict[str, Any]:
        """What it says."""
        return strictjson.loads(bytes(self.payload))["predicate"]  # type: ignore[no-any-return]

    def line(self, *, numbered: bool) -> Line:
        """As a line of a feed or a push."""
        return Line(self.seq if numbered else None, self.kind, self.envelope, tuple(self.via))

    def line_bytes(self) -> bytes:
        """Its numbered line on the wire, without a newline."""
        return line_of(self)

    def to_json(self) -> dict[str, Any]:
        """The complete DSSE form."""
        encoded = base64.b64encode(bytes(self.payload)).decode("ascii")
        return {"payloadType": envelope.PAYLOAD_TYPE, "payload": encoded, "signatures": self.signatures}


def line_of(row: Any) -> bytes:
    """The numbered line of a statement, or of its columns alone."""
    members = {
        "seq": row.seq,
        "k": row.kind,
        "p": bytes(row.payload).decode("utf-8"),
        "sig": row.signatures,
        "via": row.via,
    }
    return strictjson.dumps_plain(members)


class ReleaseParent(models.Model):
    """A parent that a held release names; walked when a ring of descent is looked for."""

    child_digest = models.CharField(max_length=64)
    parent_digest = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["child_digest", "parent_digest"], name="federation_parent_not_twice")
        ]

    def __str__(self) -> str:
        return f"{self.child_digest[:12]} from {self.parent_digest[:12]}"


class DeadLetter(models.Model):
    """A line that was refused: kept, tried again where that can help, and shown with its reason."""

    key = models.CharField(max_length=64, unique=True, help_text="Statement id, or sha256 of the unreadable line.")
    peer = models.ForeignKey(Peer, null=True, on_delete=models.CASCADE, related_name="dead_letters")
    seq = models.PositiveBigIntegerField(null=True)
    raw = models.BinaryField()
    code = models.CharField(max_length=32)
    detail = models.TextField(blank=True)
    waits_for = models.CharField(max_length=37, blank=True, help_text="Identity whose root document is missing.")
    attempts = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["code", "waits_for"], name="federation_dead_retry")]

    def __str__(self) -> str:
        return f"{self.code} {self.key[:12]}"


class SharedVersion(models.Model):
    """What became of a version of this hub when it was to leave: signed, or kept back with the reason."""

    class Outcome(models.TextChoices):
        SIGNED = "signed", "announced"
        KEPT_BACK = "kept-back", "kept back"

    pattern_version = models.OneToOneField(PatternVersion, on_delete=models.CASCADE, related_name="shared")
    outcome = models.CharField(max_length=10, choices=Outcome)
    reason = models.TextField(blank=True)
    findings = models.JSONField(default=list, help_text="Of the egress scan, redacted.")
    statement = models.OneToOneField(Statement, null=True, on_delete=models.PROTECT, related_name="shared")
    withdrawal = models.OneToOneField(Statement, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.pattern_version_id} {self.outcome}"


class EgressEntry(models.Model):
    """What left this node, to whom: one row per answer or push."""

    peer = models.ForeignKey(Peer, on_delete=models.CASCADE, related_name="egress")
    at = models.DateTimeField()
    how = models.CharField(max_length=16, help_text="feed, push, by-id, segment or bundle.")
    count = models.PositiveIntegerField()
    size_bytes = models.PositiveBigIntegerField()
    statement_ids = models.JSONField(default=list, help_text="The first hundred.")

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.count} to {self.peer_id} at {self.at}"


class Segment(models.Model):
    """Five thousand public statements of the feed in one immutable zstd file."""

    epoch = models.CharField(max_length=32)
    first = models.PositiveBigIntegerField()
    last = models.PositiveBigIntegerField()
    count = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64, unique=True)
    data = models.BinaryField()
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["first"]
        constraints = [models.UniqueConstraint(fields=["epoch", "first"], name="federation_segment_not_twice")]

    def __str__(self) -> str:
        return f"segment {self.first} to {self.last}"
