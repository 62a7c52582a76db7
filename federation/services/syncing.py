"""
Reading one peer's feed, and finding a footing after a reset.

The sessions of ``protocol`` decide what to ask and judge what comes; here
their steps become transactions. Rows and cursor are stored together, and only
where the cursor is still the one that was asked with, so two pulls may overlap
and a crash loses nothing.

    report = sync(peer, now=now)           # pull, revocations, hint; health kept

Source: OPL-Fed/1, "Feed rules".
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from federation import transport
from federation.errors import FederationError, PeerMisbehaved, PeerRefused, SwitchedOff, TransportFailure, Unable
from federation.models import DayUse, Peer, Statement, ThisNode, day_of
from federation.protocol import limits, session
from federation.protocol.exchange import (
    AheadTransport,
    Answer,
    Ask,
    Session,
    Summary,
    Take,
    Transport,
    drive,
)
from federation.protocol.feed import Cursor, Line
from federation.protocol.problems import Refused
from federation.services import (
    accepting,
    backfilling,
    bulk,
    identities,
    offering,
    proving,
    quotas,
    remembering,
    showing,
    standing,
    trusting,
)
from federation.services.proving import Prover
from federation.services.standing import Progress, Report

log = logging.getLogger(__name__)

LOOKED_EVERY = timedelta(days=1)  # between two readings of a peer's well-known document


class CursorMoved(FederationError):
    """Another exchange with this peer moved on meanwhile; nothing is lost, it has the rows."""

    code = "opl.federation.cursor-moved"


def sync(
    peer: Peer, *, now: datetime, progress: Progress = standing.silent, carrier: Transport | None = None
) -> Report:
    """
    One round with a peer, its health kept; a failure is in the report, not raised.

    Args:
        carrier: what carries the requests; the signed transport by default.
    """
    report = Report(peer=peer)
    try:
        node = standing.judge_ready(peer)
        if carrier is None:
            _look_again(peer, now)
        try:
            _pull(peer, carrier, report, now=now, progress=progress, node=node)
        except TransportFailure as failure:
            if "unknown key" not in failure.reason or carrier is not None or not trusting.refresh_roots(peer, now=now):
                raise
            _pull(peer, None, report, now=now, progress=progress, node=node)
    except CursorMoved:
        pass
    except (TransportFailure, PeerRefused, PeerMisbehaved, SwitchedOff, Unable) as error:
        standing.failed(peer, report, error, now=now)
        return report
    standing.succeeded(peer, now=now)
    return report


def _pull(
    peer: Peer, carrier: Transport | None, report: Report, *, now: datetime, progress: Progress, node: ThisNode
) -> None:
    if carrier is not None:
        pull(peer, carrier, report, now=now, progress=progress, node=node)
        return
    with transport.ReadingAhead(trusting.connect(peer)) as through, proving.prover() as prover:
        pull(peer, through, report, now=now, progress=progress, ahead=through, prover=prover, node=node)


def _look_again(peer: Peer, now: datetime) -> None:
    """Once a day, and before the first exchange: what it can do. Where that is not to be had, the exchange goes on."""
    if peer.looked_at is not None and now - peer.looked_at < LOOKED_EVERY:
        return
    try:
        trusting.look_again(peer, now=now)
    except (Refused, TransportFailure) as error:
        log.info("the well-known document of %s was not read: %s", peer, error)


def pull(
    peer: Peer,
    through: Transport,
    report: Report,
    *,
    now: datetime,
    progress: Progress = standing.silent,
    ahead: AheadTransport | None = None,
    prover: Prover | None = None,
    node: ThisNode | None = None,
) -> Summary:
    """
    Read a peer's feed to its end, after a reset by comparing sets first.

    Args:
        ahead: ``through`` once more, where it may fetch while lines are stored.
        prover: checks signatures of large pages meanwhile.
        node: this node's row, where it is at hand.
    """
    node = node or identities.node()
    own = node.node_id
    expected: list[Cursor | None] = [peer.cursor]
    returned: list[str] = []  # ids that were not here

    def take(step: Take) -> None:
        outcomes = store(peer, step, expected=expected[0], now=now, own=own, prover=prover)
        report.add(outcomes)
        returned.extend(each.id for each in outcomes if each.id is not None and each.status == "accepted")
        if step.cursor is not None:
            expected[0] = step.cursor
        progress("received", report.lines)

    if prover is not None and (peer.must_recover or peer.cursor is None):
        prover.warm()
    if peer.must_recover:
        found = drive(session.recover(showing.held_ids(), sender=peer.node_id, own=own), through, take=take)
        _judge_returned(returned)
        offering.offer_lost(peer, found, through, report, node=node)
    elif peer.cursor is None and "segments" in peer.features:
        backfilling.backfill(peer, through, take, own=own, is_spent=lambda: quotas.is_spent(peer, now=now), ahead=ahead)
    reading = session.sync(expected[0], held=showing.held_ids, sender=peer.node_id, own=own, limit=limits.PAGE_ITEMS)
    summary = drive(_within_quota(reading, peer, now=now), through, take=take, ahead=ahead)
    report.cursor = str(summary.cursor or "")
    return summary


def _judge_returned(ids: Sequence[str]) -> None:
    """What a peer gave back may prove that this database is an older one."""
    rows = Statement.objects.filter(statement_id__in=bulk.among(ids)).order_by().values_list("signer", flat=True)
    remembering.judge_returned(list(rows.distinct()))


def _within_quota(reading: Session, peer: Peer, *, now: datetime) -> Session:
    """The session, until the peer's share of the day is used up; the cursor says where to go on."""
    given: Answer | None = None
    while True:
        try:
            step = reading.send(given)
        except StopIteration as end:
            summary: Summary = end.value
            return summary
        if isinstance(step, Ask) and quotas.is_spent(peer, now=now):
            return Summary(cursor=Peer.objects.get(pk=peer.pk).cursor)
        given = yield step


def store(
    peer: Peer, step: Take, *, expected: Cursor | None, now: datetime, own: str = "", prover: Prover | None = None
) -> list[accepting.Outcome]:
    """
    Lines and cursor in one transaction.

    Args:
        own: the id of this node, where it is at hand.

    Raises:
        CursorMoved: somebody else stored a later cursor; nothing was stored.
    """
    with transaction.atomic():
        if step.cursor is not None:
            moved = Peer.objects.filter(pk=peer.pk, cursor_epoch=expected.epoch if expected else "")
            moved = moved.filter(cursor_seq=expected.seq if expected else 0)
            if not moved.update(cursor_epoch=step.cursor.epoch, cursor_seq=step.cursor.seq):
                raise CursorMoved
            peer.cursor_epoch, peer.cursor_seq = step.cursor.epoch, step.cursor.seq
        if step.is_compared:
            # What came into doubt since this exchange began is not settled by it.
            settled = Peer.objects.filter(pk=peer.pk, doubts=peer.doubts).update(must_recover=False)
            peer.must_recover = not settled
        outcomes = accepting.accept(step.lines, peer=peer, now=now, own=own, prover=prover)
        quotas.note(peer, outcomes, now=now)
        fresh = sum(outcome.status == "accepted" for outcome in outcomes)
        if fresh:
            size = sum(len(line.envelope.payload) for line in step.lines if isinstance(line, Line))
            _spend(peer, fresh, size, now=now)
    return outcomes


def _spend(peer: Peer, objects: int, size: int, *, now: datetime) -> None:
    """Count what was pulled; the page in hand is finished even where it goes beyond the share."""
    day = day_of(peer, now)
    DayUse.objects.filter(pk=day.pk).update(objects_in=F("objects_in") + objects, bytes_in=F("bytes_in") + size)


def revocations(peer: Peer, *, now: datetime, carrier: Transport | None = None) -> int:
    """
    Look for withdrawals apart from everything else; answers how many lines came.

    They pass every filter of a feed, so this reads on even where a peer's
    share is used up or a large backfill is under way. What the feed itself
    brought up to its cursor is not asked for again.
    """
    own = standing.judge_ready(peer).node_id
    report = Report(peer=peer)

    def take(step: Take) -> None:
        with transaction.atomic():
            report.add(accepting.accept(step.lines, peer=peer, now=now))
            if step.cursor is not None:
                Peer.objects.filter(pk=peer.pk).update(
                    revocations_epoch=step.cursor.epoch, revocations_seq=step.cursor.seq
                )

    def read_on(start: Cursor | None) -> None:
        kinds = ("yank", "revoke", "erase")
        reading = session.pull(start, sender=peer.node_id, own=own, limit=limits.PAGE_ITEMS, kinds=kinds)
        drive(reading, through, take=take)

    through = carrier or trusting.connect(peer)
    start = _farther(peer.revocations_cursor, peer.cursor)
    try:
        read_on(start)
    except PeerRefused as refused:
        if refused.problem != "cursor-reset" or start is None:
            raise
        # Its feed begins anew: all its withdrawals are looked at, without waiting for the sets to be compared.
        read_on(None)
    return report.lines


def _farther(one: Cursor | None, other: Cursor | None) -> Cursor | None:
    """The farther of two places in one feed; the first where they are places in different ones."""
    if one is None or other is None or one.epoch != other.epoch:
        return one or other
    return max(one, other)
