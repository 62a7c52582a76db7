"""
What the federation does by itself: one round every few seconds, called by the embedded worker or by Celery beat.

    tick(now)      # sign what is new, talk to peers that are due, scan, settle trials, tidy up

A lease on this node's row keeps two processes from doing it at once. Peers are
talked to side by side, those that answer before those that fail, so a dead one
never slows a live one. Withdrawals have a round of their own: ``polling``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TypedDict

from django.db import close_old_connections, connection
from django.db.models import Q
from django.utils import timezone

from federation.errors import FederationError
from federation.models import DeadLetter, EgressEntry, Nonce, Peer, PushReceipt, ThisNode
from federation.protocol import limits
from federation.services import (
    attesting,
    identities,
    offering,
    quarantining,
    remembering,
    screening,
    segmenting,
    sharing,
    standing,
    statistics,
    storing,
    syncing,
    trusting,
    trying,
)

log = logging.getLogger(__name__)

AT_ONCE = 8  # peers talked to side by side
LEASE = timedelta(seconds=300)
SCANNED_IN_ONE_ROUND = 10_000  # objects
TIDY_EVERY = timedelta(hours=1)
EGRESS_KEPT = timedelta(days=365)
DEAD_KEPT = timedelta(days=90)


class Ticked(TypedDict):
    """What one round did."""

    signed: int  # statements made of own versions
    peers: int  # talked to
    scanned: int  # objects read and scanned
    settled: int  # trials that had ended


NOTHING = Ticked(signed=0, peers=0, scanned=0, settled=0)


def tick(now: datetime | None = None) -> Ticked:
    """One round; cheap when nothing is due, and nothing at all without a node identity."""
    now = now or timezone.now()
    if not identities.has_node() or not _take_lease(now):
        return NOTHING
    try:
        return _round(now)
    finally:
        ThisNode.objects.filter(pk=1).update(ticking_until=None)


def _round(now: datetime) -> Ticked:
    node = remembering.checked(identities.node())
    signed = sharing.notice(now=now) + attesting.share(now=now)
    storing.number()
    done = Ticked(signed=signed, peers=0, scanned=0, settled=0)
    if not node.is_paused:
        due = list(Peer.objects.due(now)[:200])
        done["peers"] = len(due)
        talk(due, now=now)
        _poke_all(now=now)
    done["scanned"] = scan_all(now=now)
    trying.resume(now=now)
    done["settled"] = trying.settle(now=now)
    attesting.recheck(now=now)
    trying.retry_tomorrow(now=now)
    storing.number()
    segmenting.cut(now=now)
    if _must_tidy(node, now):
        tidy(now=now)
    return done


def _must_tidy(node: ThisNode, now: datetime) -> bool:
    """Whether the hourly round is due; one that failed is due again at once, since its time is only kept at its end."""
    return node.last_tidied_at is None or now - node.last_tidied_at >= TIDY_EVERY


def scan_all(*, now: datetime) -> int:
    """Scan until nothing waits, or this round has done its part."""
    resumed = screening.resume(now=now)
    return resumed + screening.scan_waiting(now=now, most=SCANNED_IN_ONE_ROUND)


def talk(peers: Sequence[Peer], *, now: datetime) -> None:
    """One exchange with each, side by side; SQLite has one writer, so it only overlaps the waiting."""
    if not peers:
        return
    if connection.in_atomic_block or len(peers) == 1:
        for peer in peers:
            _exchange(peer, now)
        return
    # Those that answered last time are done before anybody waits for one that did not.
    for some in ([peer for peer in peers if not peer.failures], [peer for peer in peers if peer.failures]):
        if some:
            with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(some)), thread_name_prefix="federation") as pool:
                list(pool.map(lambda peer: _in_thread(peer, now), some))


def _in_thread(peer: Peer, now: datetime) -> None:
    close_old_connections()
    try:
        _exchange(peer, now)
    except Exception:
        log.exception("the exchange with %s failed", peer)
    finally:
        connection.close()


def _exchange(peer: Peer, now: datetime) -> None:
    if not standing.claim(peer, now=now):
        return
    try:
        if not peer.approved_there:
            _introduce_again(peer, now)
        report = syncing.sync(peer, now=now)
        if report.error:
            log.info("no exchange with %s: %s", peer, report.error)
    finally:
        standing.release(peer)


def _introduce_again(peer: Peer, now: datetime) -> None:
    """A peer that has not approved us yet is asked again once an hour."""
    if peer.asked_them_at is None or now - peer.asked_them_at < timedelta(hours=1):
        return
    try:
        trusting.introduce(peer, now=now)
    except FederationError as error:
        log.info("%s did not take our request: %s", peer, error)


def _poke_all(*, now: datetime) -> None:
    """Tell peers that have not read up to our head that there is something new."""
    head = identities.node().head
    behind = Peer.objects.trusted().filter(failures=0, approved_there=True, poked_seq__lt=head, acked_seq__lt=head)
    for peer in behind.exclude(base_url="")[:50]:
        try:
            offering.poke(peer)
        except FederationError as error:
            log.info("%s was not told: %s", peer, error)
            Peer.objects.filter(pk=peer.pk).update(poked_seq=head)


def tidy(*, now: datetime) -> None:
    """Forget what has served its time; publish usage."""
    Nonce.objects.filter(keep_until__lt=int(now.timestamp())).delete()
    PushReceipt.objects.filter(created_at__lt=now - timedelta(seconds=2 * limits.TXN_KEPT_SECONDS)).delete()
    EgressEntry.objects.filter(at__lt=now - EGRESS_KEPT).delete()
    DeadLetter.objects.filter(created_at__lt=now - DEAD_KEPT).exclude(code="unknown-kind").delete()
    quarantining.expire(now=now)
    statistics.publish(now=now)
    ThisNode.objects.filter(pk=1).update(last_tidied_at=now)


def _take_lease(now: datetime) -> bool:
    free = Q(ticking_until__isnull=True) | Q(ticking_until__lt=now)
    free |= Q(ticking_until__gt=now + LEASE)  # no lease is that long: it was taken under a wrong clock
    return bool(ThisNode.objects.filter(pk=1).filter(free).update(ticking_until=now + LEASE))
