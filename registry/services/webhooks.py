"""
Webhooks: an event becomes one row per address in the act's own transaction, and is delivered afterwards.

A message is signed with the webhook's secret: ``Hub-Signature: t=<unix>,v1=<hex>``,
the HMAC-SHA256 of ``<unix>.<body>``. It is repeated with the same
``Hub-Delivery`` id after 1 min, 2 min, 4 min … until it arrives, and given up
after ``MAX_ATTEMPTS``; a person may replay it then.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from registry.errors import InvalidRequest, NotAllowed, NotThere, OutgoingRefused
from registry.models import Owner, User, Webhook, WebhookDelivery
from registry.outgoing import Door, check_address, parse_address
from registry.services import audit

EVENTS = (
    "version.published",
    "version.yanked",
    "channel.moved",
    "pattern.forked",
    "pattern.rated",
    "pattern.commented",
    "run.finished",
    "trial.finished",
)
MAX_ATTEMPTS = 10
FIRST_DELAY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(hours=12)


def create(
    *, owner: Owner, user: User, url: str, events: Sequence[str], now: datetime, allow_loopback: bool = False
) -> Webhook:
    """
    Register an address; its ``secret`` is in the row returned and shown once.

    Nothing is sent before an administrator of the hub approved the host; one
    who registers an address approves it thereby.

    Raises:
        NotAllowed: ``user`` does not administer ``owner``.
        InvalidRequest: an unknown event, or an address this hub never calls.
    """
    if not owner.can_administer(user):
        raise NotAllowed(f"only administrators of {owner} may set its webhooks")
    unknown = sorted(set(events) - set(EVENTS))
    if unknown:
        raise InvalidRequest("events", f"unknown: {', '.join(unknown)}; choose from {', '.join(EVENTS)}")
    try:
        check_address(url, allow_loopback=allow_loopback)
    except OutgoingRefused as refusal:
        raise InvalidRequest("url", refusal.reason) from refusal
    with transaction.atomic():
        webhook = Webhook.objects.create(
            owner=owner,
            url=url,
            events=sorted(set(events)),
            secret=secrets.token_hex(32),
            is_approved=user.is_superuser,
            created_at=now,
        )
        audit.record(
            actor=user,
            action="webhook.created",
            subject=url,
            owner=owner.name,
            now=now,
            detail={"events": webhook.events},
        )
    return webhook


def approved_hosts() -> frozenset[str]:
    """Hosts of webhooks that an administrator approved, as the outgoing door asks for them."""
    urls = Webhook.objects.filter(is_approved=True, is_active=True).values_list("url", flat=True)
    return frozenset(parse_address(url).host for url in urls)


def approve(*, webhook_id: int, user: User, now: datetime) -> Webhook:
    """Allow requests to a webhook's host; for administrators of the hub."""
    if not user.is_superuser:
        raise NotAllowed("only an administrator of this hub may approve where it sends requests")
    webhook = Webhook.objects.select_related("owner").filter(pk=webhook_id).first()
    if webhook is None:
        raise NotThere(f"webhook {webhook_id}")
    with transaction.atomic():
        Webhook.objects.filter(pk=webhook_id).update(is_approved=True)
        audit.record(actor=user, action="webhook.approved", subject=webhook.url, owner=webhook.owner.name, now=now)
    webhook.is_approved = True
    return webhook


def enqueue(*, owner: Owner, event: str, data: dict[str, Any], now: datetime) -> list[WebhookDelivery]:
    """Queue ``event`` for every address of ``owner`` that wants it; call it inside the act's transaction."""
    wanting = [hook for hook in Webhook.objects.filter(owner=owner, is_active=True) if hook.wants(event)]
    body = json.dumps({"event": event, "at": now.isoformat(), "data": data}, ensure_ascii=False, sort_keys=True)
    return [
        WebhookDelivery.objects.create(webhook=hook, event=event, body=body, due_at=now, created_at=now)
        for hook in wanting
    ]


def signature(*, secret: str, body: str, now: datetime) -> str:
    """The value of ``Hub-Signature`` for a message sent at ``now``."""
    moment = int(now.timestamp())
    mac = hmac.new(secret.encode(), f"{moment}.{body}".encode(), hashlib.sha256)
    return f"t={moment},v1={mac.hexdigest()}"


def deliver_due(*, door: Door, now: datetime, limit: int = 50) -> int:
    """Send what is due, oldest first; returns how many arrived. Several callers may sweep at once."""
    due = WebhookDelivery.objects.filter(status=WebhookDelivery.Status.QUEUED, due_at__lte=now)
    ids = list(due.order_by("due_at").values_list("pk", flat=True)[:limit])
    return sum(deliver(delivery_id=pk, door=door, now=now) for pk in ids)


def deliver(*, delivery_id: int, door: Door, now: datetime) -> bool:
    """
    Try once to send one delivery; whether it arrived (any 2xx answer).

    The attempt is counted before anything is sent, by compare-and-swap, so
    two sweeps never send the same attempt, and a crash costs one attempt.
    """
    delivery = WebhookDelivery.objects.select_related("webhook").get(pk=delivery_id)
    attempt = delivery.attempts + 1
    claimed = WebhookDelivery.objects.filter(
        pk=delivery_id, attempts=delivery.attempts, status=WebhookDelivery.Status.QUEUED
    ).update(attempts=attempt, due_at=now + _delay(attempt))
    if not claimed:
        return False
    status, error = _send(delivery, door=door, now=now)
    arrived = status is not None and 200 <= status < 300
    changes: dict[str, Any] = {"response_status": status, "last_error": error[:500]}
    if arrived:
        changes |= {"status": WebhookDelivery.Status.DELIVERED, "delivered_at": now, "last_error": ""}
    elif attempt >= MAX_ATTEMPTS:
        changes |= {"status": WebhookDelivery.Status.DEAD}
    WebhookDelivery.objects.filter(pk=delivery_id).update(**changes)
    return arrived


def _send(delivery: WebhookDelivery, *, door: Door, now: datetime) -> tuple[int | None, str]:
    body = delivery.body
    headers = {
        "Content-Type": "application/json",
        "Hub-Event": delivery.event,
        "Hub-Delivery": str(delivery.pk),
        "Hub-Signature": signature(secret=delivery.webhook.secret, body=body, now=now),
    }
    try:
        answer = door.request("POST", delivery.webhook.url, content=body.encode(), headers=headers)
    except OutgoingRefused as refusal:
        return None, refusal.reason
    return answer.status, "" if 200 <= answer.status < 300 else f"answered {answer.status}"


def _delay(attempt: int) -> timedelta:
    delay: timedelta = FIRST_DELAY * 2 ** (attempt - 1)
    return min(delay, LONGEST_DELAY)


def replay(*, delivery_id: int, user: User, now: datetime) -> WebhookDelivery:
    """Queue the same message again as a new delivery; the old one stays as it ended."""
    delivery = WebhookDelivery.objects.select_related("webhook__owner").filter(pk=delivery_id).first()
    if delivery is None or not delivery.webhook.owner.can_administer(user):
        raise NotThere(f"delivery {delivery_id}")
    return WebhookDelivery.objects.create(
        webhook=delivery.webhook,
        event=delivery.event,
        body=delivery.body,
        due_at=now,
        created_at=now,
        replay_of=delivery,
    )


def remove(*, webhook_id: int, user: User, now: datetime) -> None:
    """Forget a webhook and its deliveries; raises NotThere for one the user does not administer."""
    webhook = Webhook.objects.select_related("owner").filter(pk=webhook_id).first()
    if webhook is None or not webhook.owner.can_administer(user):
        raise NotThere(f"webhook {webhook_id}")
    with transaction.atomic():
        audit.record(actor=user, action="webhook.removed", subject=webhook.url, owner=webhook.owner.name, now=now)
        webhook.delete()
