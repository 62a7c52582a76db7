"""
The federation's Celery tasks (queue ``federation``): beat calls the rounds every few seconds in scaled mode.

Tasks take ids and make one call; what they would lose is found again by the
next round.
"""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils import timezone

from federation.models import Peer
from federation.services import polling, syncing, ticking

TICK_SECONDS = 5.0
# What ``beat_schedule`` in hub.settings must hold; a test compares them.
SCHEDULE: dict[str, dict[str, Any]] = {
    "federation": {"task": "federation.tasks.tick", "schedule": TICK_SECONDS, "options": {"expires": 60}},
    "federation-revocations": {
        "task": "federation.tasks.poll_revocations", "schedule": TICK_SECONDS, "options": {"expires": 60},
    },
}  # fmt: skip


@shared_task(name="federation.tasks.tick")
def tick(**_: Any) -> None:
    """One round of everything that is due."""
    ticking.tick(timezone.now())


@shared_task(name="federation.tasks.poll_revocations")
def poll_revocations(**_: Any) -> None:
    """Withdrawals, apart from everything else: each peer is due once a minute."""
    polling.poll(timezone.now())


@shared_task(name="federation.tasks.sync_peer")
def sync_peer(peer_id: int, **_: Any) -> None:
    """One exchange with one peer, asked for by a person."""
    syncing.sync(Peer.objects.get(pk=peer_id), now=timezone.now())


@shared_task(name="federation.tasks.scan")
def scan(**_: Any) -> None:
    """Look at what arrived."""
    ticking.scan_all(now=timezone.now())
