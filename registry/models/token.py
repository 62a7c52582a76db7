"""API tokens (only their SHA-256 is kept), and the answers kept for repeated requests."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q


class Scope(models.TextChoices):
    """What a token may do; ``admin`` includes all others."""

    READ = "read", "read"
    PUBLISH = "publish", "publish"
    RUN = "run", "run"
    VERIFY = "verify", "verify"
    FEDERATE = "federate", "federate"
    ADMIN = "admin", "admin"


class TokenQuerySet(models.QuerySet["Token"]):
    """Sets of tokens."""

    def live(self, now: datetime) -> TokenQuerySet:
        """Neither revoked nor expired."""
        return self.filter(revoked_at__isnull=True).filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now))


class Token(models.Model):
    """A secret that stands for a person; shown once, kept as its hash."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, help_text="First characters, to recognise it by.")
    digest = models.CharField(max_length=64, unique=True, help_text="sha256 of the secret, hex.")
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute; not every call is written.")
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"

    def allows(self, scope: str) -> bool:
        """Whether its scopes include ``scope``; every scope includes reading."""
        return scope == Scope.READ or scope in self.scopes or Scope.ADMIN in self.scopes


class IdempotencyRecord(models.Model):
    """The answer to a request that carried an Idempotency-Key, for its repetitions."""

    caller = models.CharField(max_length=80, help_text="`user:7`")
    key = models.CharField(max_length=200)
    request_digest = models.CharField(max_length=64, help_text="sha256 of method, path and body.")
    status = models.PositiveSmallIntegerField(default=0, help_text="0 while the first request is still running.")
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=b"")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="registry_idempotency_key_twice")]
        indexes = [models.Index(fields=["created_at"], name="registry_idempotency_age")]

    def __str__(self) -> str:
        return f"{self.caller} {self.key}"
