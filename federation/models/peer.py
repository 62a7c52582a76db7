"""
The nodes this one talks to: how far each is trusted, where each stands, how each is doing.

A peer's queue is its cursor, not a job per object; its health is two numbers,
so a dead peer costs a live one nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import F, Q

from federation.protocol.backoff import LONGEST_SECONDS, Health
from federation.protocol.feed import Cursor
from federation.protocol.tiers import RULES, Tier


class PeerQuerySet(models.QuerySet["Peer"]):
    """Sets of peers."""

    def trusted(self) -> PeerQuerySet:
        """Those we exchange statements with."""
        return self.filter(tier__gte=Tier.PROBATION, is_paused=False)

    def due(self, now: datetime) -> PeerQuerySet:
        """Trusted ones that may be asked now; those that answer come before those that fail."""
        ready = Q(next_try_at__lte=now) | Q(is_poked=True, failures=0)
        # No wait is that long: it was set while this node's clock was ahead.
        ready |= Q(next_try_at__gt=now + timedelta(seconds=LONGEST_SECONDS))
        return self.trusted().exclude(base_url="").filter(ready).order_by("failures", "next_try_at")

    def to_be_compared(self) -> int:
        """
        Reconcile with them before the next pull; answers how many that are.

        A comparison that is under way does not settle what begins to be in doubt meanwhile.
        """
        return self.update(must_recover=True, doubts=F("doubts") + 1)

    def due_for_revocations(self, now: datetime, *, every_seconds: int) -> PeerQuerySet:
        """Those to be asked for withdrawals, whatever their back-off says; those that answer come first."""
        every = timedelta(seconds=every_seconds)
        before = Q(revocations_at__isnull=True) | Q(revocations_at__lte=now - every)
        before |= Q(revocations_at__gt=now + every)  # this node's clock was ahead
        return self.trusted().exclude(base_url="").filter(before).order_by("failures", "revocations_at")


class Peer(models.Model):
    """Another node."""

    TIERS = [(int(tier), f"T{int(tier)} {rule.label}") for tier, rule in RULES.items()]

    node_id = models.CharField(max_length=37, unique=True)
    base_url = models.CharField(max_length=300, blank=True, help_text="Where it is asked; not fetched before approval.")
    label = models.CharField(max_length=100, blank=True, help_text="What people here call it.")
    tier = models.PositiveSmallIntegerField(choices=TIERS, default=int(Tier.UNKNOWN))
    is_paused = models.BooleanField(default=False)
    contact = models.CharField(max_length=500, blank=True)
    message = models.TextField(blank=True, help_text="What it wrote when it asked.")
    asked_us_at = models.DateTimeField(null=True, blank=True, help_text="When it sent a peer request.")
    asked_them_at = models.DateTimeField(null=True, blank=True, help_text="When we sent ours.")
    approved_there = models.BooleanField(default=False, help_text="Its last answer was that of an approved peer.")
    features = models.JSONField(default=list)
    looked_at = models.DateTimeField(null=True, blank=True, help_text="When its well-known document was read last.")
    created_at = models.DateTimeField()

    cursor_epoch = models.CharField(max_length=32, blank=True)
    cursor_seq = models.PositiveBigIntegerField(default=0)
    revocations_epoch = models.CharField(max_length=32, blank=True)
    revocations_seq = models.PositiveBigIntegerField(default=0)
    revocations_at = models.DateTimeField(null=True, blank=True, help_text="When withdrawals were asked for last.")
    acked_seq = models.PositiveBigIntegerField(default=0, help_text="Up to where it has read our feed.")
    must_recover = models.BooleanField(default=False, help_text="Reconcile before the next pull.")
    doubts = models.PositiveIntegerField(
        default=0,
        db_default=0,
        help_text="How often it had to be reconciled with; a comparison settles those before it.",
    )
    is_poked = models.BooleanField(default=False, help_text="It said that something is new.")
    poked_seq = models.PositiveBigIntegerField(default=0, help_text="Head that we last told it of.")
    waiting_until = models.DateTimeField(null=True, blank=True, help_text="It holds a long poll until then.")
    busy_until = models.DateTimeField(null=True, blank=True, help_text="Lease of whoever talks to it now.")

    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField()
    last_error = models.TextField(blank=True)
    last_sync_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True, help_text="Its last valid request.")

    objects = PeerQuerySet.as_manager()

    class Meta:
        ordering = ["-tier", "label", "node_id"]
        indexes = [models.Index(fields=["next_try_at"], name="federation_peer_due")]

    def __str__(self) -> str:
        return self.label or f"{self.node_id[:13]}…"

    @property
    def trust(self) -> Tier:
        """Its tier as the protocol knows it."""
        return Tier(self.tier)

    @property
    def cursor(self) -> Cursor | None:
        """Where we stand in its feed."""
        return Cursor(self.cursor_epoch, self.cursor_seq) if self.cursor_epoch else None

    @property
    def revocations_cursor(self) -> Cursor | None:
        """Where the separate look for revocations stands."""
        return Cursor(self.revocations_epoch, self.revocations_seq) if self.revocations_epoch else None

    @property
    def health(self) -> Health:
        """How it has answered lately."""
        since = int(self.failing_since.timestamp()) if self.failing_since else None
        return Health(failures=self.failures, failing_since=since, next_try_at=int(self.next_try_at.timestamp()))

    def set_health(self, health: Health) -> None:
        """Take over what the protocol says about its next try."""
        since = health.failing_since
        self.failures = health.failures
        self.failing_since = None if since is None else datetime.fromtimestamp(since, tz=UTC)
        self.next_try_at = datetime.fromtimestamp(health.next_try_at, tz=UTC)

    def is_dead(self, now: datetime) -> bool:
        """Whether it has failed for seven days."""
        return self.health.is_dead(int(now.timestamp()))


class PeerKey(models.Model):
    """A transport key of a peer's newest root document."""

    keyid = models.CharField(max_length=32, unique=True)
    public_key = models.CharField(max_length=64)
    peer = models.ForeignKey(Peer, on_delete=models.CASCADE, related_name="keys")

    def __str__(self) -> str:
        return f"{self.keyid} of {self.peer_id}"


class DayUse(models.Model):
    """What one peer took of its share on one day."""

    peer = models.ForeignKey(Peer, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()
    objects_in = models.PositiveIntegerField(default=0)
    bytes_in = models.PositiveBigIntegerField(default=0)
    trials = models.PositiveIntegerField(default=0)
    trial_tokens = models.PositiveBigIntegerField(default=0)
    rejected = models.JSONField(default=dict, help_text="{code: count}")

    class Meta:
        ordering = ["-day"]
        constraints = [models.UniqueConstraint(fields=["peer", "day"], name="federation_day_not_twice")]

    def __str__(self) -> str:
        return f"{self.day} of {self.peer_id}"


class Handshake(models.Model):
    """A peer request from an address; five an hour are answered."""

    address = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["address", "at"], name="federation_handshake_recent")]

    def __str__(self) -> str:
        return f"{self.address} at {self.at}"


def day_of(peer: Peer, now: datetime, **defaults: Any) -> DayUse:
    """The row of today, made where it is missing."""
    row, _ = DayUse.objects.get_or_create(peer=peer, day=now.date(), defaults=defaults)
    return row
