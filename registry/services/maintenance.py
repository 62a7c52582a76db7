"""What has to be done from time to time; the embedded worker, Celery beat and a command call the same function."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from django.conf import settings

from registry.discovery import trends
from registry.outgoing import Door
from registry.services import idempotency, webhooks


class Maintained(TypedDict):
    """How much was done."""

    delivered: int  # webhook messages that arrived
    emerging: int  # patterns flagged as emerging
    forgotten: int  # kept answers removed


def webhook_door() -> Door:
    """The outgoing door for webhooks: only hosts that an administrator approved."""
    approved = webhooks.approved_hosts()
    return Door(approves=approved.__contains__, allow_loopback=getattr(settings, "FEDERATION_ALLOW_LOOPBACK", False))


def deliver_webhooks(*, now: datetime) -> int:
    """Send what is due; cheap when nothing is. To be called every few seconds."""
    return webhooks.deliver_due(door=webhook_door(), now=now)


def run(*, now: datetime) -> Maintained:
    """Everything, once. To be called every hour or so."""
    return Maintained(
        delivered=deliver_webhooks(now=now),
        emerging=trends.refresh(today=now.date()),
        forgotten=idempotency.sweep(now=now),
    )
