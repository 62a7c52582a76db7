"""What a peer may bring on one day, and what it was refused for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import F

from federation.models import DayUse, Peer, day_of
from federation.protocol import tiers
from federation.protocol.tiers import RULES
from federation.services.accepting import Outcome

_DAY = 86_400


def spend(peer: Peer, *, objects: int, size: int, now: datetime) -> None:
    """
    Take statements and bytes from the day's share.

    Raises:
        Refused: ``quota-exceeded``; nothing was taken.
    """
    day = day_of(peer, now)
    left = _DAY - int(now.timestamp()) % _DAY
    tiers.judge_quota(peer.trust, objects=day.objects_in + objects, size=day.bytes_in + size, retry_after=left)
    DayUse.objects.filter(pk=day.pk).update(objects_in=F("objects_in") + objects, bytes_in=F("bytes_in") + size)


def is_spent(peer: Peer, *, now: datetime) -> bool:
    """Whether the day's share of statements or bytes is used up."""
    rule, day = RULES[peer.trust], day_of(peer, now)
    return (rule.objects_per_day is not None and day.objects_in >= rule.objects_per_day) or (
        rule.bytes_per_day is not None and day.bytes_in >= rule.bytes_per_day
    )


def note(peer: Peer | None, outcomes: Iterable[Outcome], *, now: datetime) -> None:
    """Remember what was refused, by code: the peer can ask for it."""
    codes = [outcome.code for outcome in outcomes if outcome.status == "rejected"]
    if peer is None or not codes:
        return
    day = day_of(peer, now)
    counted = dict(day.rejected)
    for code in codes:
        counted[code] = counted.get(code, 0) + 1
    DayUse.objects.filter(pk=day.pk).update(rejected=counted)


def status(peer: Peer, *, now: datetime) -> dict[str, Any]:
    """The peer's day as the status resource tells it: quota and rejections."""
    rule, day = RULES[peer.trust], day_of(peer, now)
    return {
        "quota": {
            "objects": {"used": day.objects_in, "limit": rule.objects_per_day},
            "bytes": {"used": day.bytes_in, "limit": rule.bytes_per_day},
        },
        "rejected": dict(day.rejected),
    }
