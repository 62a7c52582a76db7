"""Webhooks: whom to tell, and every attempt at telling them. The rows are the queue."""

from __future__ import annotations

from django.db import models

from registry.models.people import Owner


class Webhook(models.Model):
    """An address that is told about an owner's events, signed with its own secret."""

    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="webhooks")
    url = models.URLField(max_length=500)
    secret = models.CharField(max_length=64, help_text="HMAC-SHA256 key; shown once.")
    events = models.JSONField(default=list, help_text="Event names; empty for all.")
    is_active = models.BooleanField(default=True)
    is_approved = models.BooleanField(
        default=False, help_text="An administrator of this hub approved the host; nothing is sent before."
    )
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"webhook {self.pk} of {self.owner_id}"

    def wants(self, event: str) -> bool:
        """Whether this address asked for ``event``."""
        return self.is_active and self.is_approved and (not self.events or event in self.events)


class WebhookDelivery(models.Model):
    """One message to one webhook; retried with the same id until it arrives or is given up."""

    class Status(models.TextChoices):
        QUEUED = "queued", "queued"
        DELIVERED = "delivered", "delivered"
        DEAD = "dead", "given up"

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=64)
    body = models.TextField(help_text="The exact JSON that is signed and sent.")
    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    response_status = models.PositiveSmallIntegerField(null=True)
    last_error = models.CharField(max_length=500, blank=True)
    replay_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="replays")
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "webhook deliveries"
        indexes = [models.Index(fields=["status", "due_at"], name="registry_delivery_due")]

    def __str__(self) -> str:
        return f"delivery {self.pk}: {self.event} {self.status}"
