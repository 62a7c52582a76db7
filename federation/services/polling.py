"""
Withdrawals are asked for apart from everything else, every minute.

A yank must not wait behind a large backfill, a spent quota, or the back-off
after failures. So this is a round of its own, with a lease of its own: every
trusted peer is asked once a minute, also one that failed at its last exchange.
One that has been dead for seven days is probed daily, here as there.

    poll(now)        # called by the embedded worker and by Celery beat

Source: OPL-Fed/1, "Feed rules".
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from django.db import close_old_connections, connection
from django.db.models import Q
from django.utils import timezone

from federation.errors import FederationError
from federation.models import Peer, ThisNode
from federation.protocol.backoff import LONGEST_SECONDS
from federation.services import identities, storing, syncing

log = logging.getLogger(__name__)

EVERY_SECONDS = 60
AT_ONCE = 8  # peers asked side by side
MOST_PEERS = 500  # in one round
LEASE = timedelta(seconds=120)


def poll(now: datetime | None = None) -> int:
    """Ask every peer that is due for withdrawals; answers how many were asked. Nothing without a node identity."""
    now = now or timezone.now()
    if not identities.has_node() or identities.node().is_paused or not _take_lease(now):
        return 0
    try:
        due = [
            peer for peer in Peer.objects.due_for_revocations(now, every_seconds=EVERY_SECONDS) if _is_due(peer, now)
        ]
        # Those that answered last time are asked before anybody waits for one that did not.
        for some in ([peer for peer in due if not peer.failures], [peer for peer in due if peer.failures]):
            _ask_all(some[:MOST_PEERS], now)
        storing.number()
        return len(due)
    finally:
        ThisNode.objects.filter(pk=1).update(polling_until=None)


def _is_due(peer: Peer, now: datetime) -> bool:
    """A dead peer is probed daily; everybody else every minute."""
    if peer.revocations_at is None or not peer.is_dead(now):
        return True
    return abs(now - peer.revocations_at) >= timedelta(seconds=LONGEST_SECONDS)


def _ask_all(peers: Sequence[Peer], now: datetime) -> None:
    if connection.in_atomic_block or len(peers) == 1:
        for peer in peers:
            ask(peer, now=now)
    elif peers:
        with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(peers)), thread_name_prefix="revocations") as pool:
            list(pool.map(lambda peer: _in_thread(peer, now), peers))


def _in_thread(peer: Peer, now: datetime) -> None:
    close_old_connections()
    try:
        ask(peer, now=now)
    except Exception:
        log.exception("the look for withdrawals at %s failed", peer)
    finally:
        connection.close()


def ask(peer: Peer, *, now: datetime) -> int:
    """Ask one peer; a failure is noted in the log and changes nothing of its health."""
    Peer.objects.filter(pk=peer.pk).update(revocations_at=now)
    try:
        found = syncing.revocations(peer, now=now)
    except FederationError as error:
        log.info("no look for withdrawals at %s: %s", peer, error)
        return 0
    if peer.failures:
        # It answers again; the next round exchanges everything else.
        Peer.objects.filter(pk=peer.pk).update(next_try_at=now)
    return found


def _take_lease(now: datetime) -> bool:
    free = Q(polling_until__isnull=True) | Q(polling_until__lt=now)
    free |= Q(polling_until__gt=now + LEASE)  # no lease is that long: it was taken under a wrong clock
    return bool(ThisNode.objects.filter(pk=1).filter(free).update(polling_until=now + LEASE))
