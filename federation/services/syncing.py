"""
Talking to one peer: read its feed, offer it ours, find a footing after a reset.

The sessions of ``protocol`` decide what to ask and judge what comes; here
their steps become transactions. Rows and cursor are stored together, and only
where the cursor is still the one that was asked with, so two pulls may overlap
and a crash loses nothing.

    report = sync(peer, now=now)           # pull, revocations, hint; health kept
    push(peer, [statement, …], now=now)

Source: OPL-Fed/1, "Feed rules".
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Q

from federation import transport
from federation.errors import FederationError, PeerMisbehaved, PeerRefused, SwitchedOff, TransportFailure, Unable
from federation.models import Peer, RootDocument, Statement
from federation.protocol import limits, pushing, session, strictjson
from federation.protocol.exchange import (
    AheadTransport,
    Answer,
    Ask,
    Session,
    Settled,
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
    proving,
    quotas,
    receiving,
    remembering,
    showing,
    trusting,
)
from federation.services.proving import Prover
from federation.services.showing import Viewer

log = logging.getLogger(__name__)

EVERY_SECONDS = 60  # between two looks at a peer that said nothing
LEASE = timedelta(seconds=180)
LOOKED_EVERY = timedelta(days=1)  # between two readings of a peer's well-known document
Progress = Callable[[str, int], None]  # what, how many so far


@dataclass(slots=True, kw_only=True)
class Report:
    """What one exchange with a peer did."""

    peer: Peer
    lines: int = 0  # statements that came
    accepted: int = 0
    duplicate: int = 0
    rejected: dict[str, int] = field(default_factory=dict)  # code → lines
    pushed: int = 0  # statements that the peer took
    cursor: str = ""
    error: str = ""  # why it ended early, "" where it did not

    def add(self, outcomes: Iterable[accepting.Outcome]) -> None:
        """Count what became of lines."""
        for outcome in outcomes:
            self.lines += 1
            self.accepted += outcome.status == "accepted"
            self.duplicate += outcome.status == "duplicate"
            if outcome.status == "rejected":
                self.rejected[outcome.code] = self.rejected.get(outcome.code, 0) + 1

    def to_json(self) -> dict[str, object]:
        """As ``--json`` prints it."""
        return {
            "ok": not self.error,
            "peer": str(self.peer),
            "node_id": self.peer.node_id,
            "lines": self.lines,
            "accepted": self.accepted,
            "duplicate": self.duplicate,
            "rejected": self.rejected,
            "pushed": self.pushed,
            "cursor": self.cursor,
            "error": self.error,
        }


class CursorMoved(FederationError):
    """Another exchange with this peer moved on meanwhile; nothing is lost, it has the rows."""

    code = "opl.federation.cursor-moved"


def _silent(what: str, count: int) -> None:
    """No progress is shown."""


def sync(peer: Peer, *, now: datetime, progress: Progress = _silent, carrier: Transport | None = None) -> Report:
    """
    One round with a peer, its health kept; a failure is in the report, not raised.

    Args:
        carrier: what carries the requests; the signed transport by default.
    """
    report = Report(peer=peer)
    try:
        _judge_ready(peer)
        if carrier is None:
            _look_again(peer, now)
        try:
            _pull(peer, carrier, report, now=now, progress=progress)
        except TransportFailure as failure:
            if "unknown key" not in failure.reason or carrier is not None or not trusting.refresh_roots(peer, now=now):
                raise
            _pull(peer, None, report, now=now, progress=progress)
    except CursorMoved:
        pass
    except (TransportFailure, PeerRefused, PeerMisbehaved, SwitchedOff, Unable) as error:
        _failed(peer, report, error, now=now)
        return report
    _succeeded(peer, report, now=now)
    return report


def _pull(peer: Peer, carrier: Transport | None, report: Report, *, now: datetime, progress: Progress) -> None:
    if carrier is not None:
        pull(peer, carrier, report, now=now, progress=progress)
        return
    with transport.ReadingAhead(trusting.connect(peer)) as through, proving.prover() as prover:
        pull(peer, through, report, now=now, progress=progress, ahead=through, prover=prover)


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
    progress: Progress = _silent,
    ahead: AheadTransport | None = None,
    prover: Prover | None = None,
) -> Summary:
    """
    Read a peer's feed to its end, after a reset by comparing sets first.

    Args:
        ahead: ``through`` once more, where it may fetch while lines are stored.
        prover: checks signatures of large pages meanwhile.
    """
    own = identities.node().node_id
    expected: list[Cursor | None] = [peer.cursor]
    returned: list[str] = []  # ids that were not here

    def take(step: Take) -> None:
        outcomes = store(peer, step, expected=expected[0], now=now, prover=prover)
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
        _offer_lost(peer, found, through, report, now=now)
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
    peer: Peer, step: Take, *, expected: Cursor | None, now: datetime, prover: Prover | None = None
) -> list[accepting.Outcome]:
    """
    Lines and cursor in one transaction.

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
        outcomes = accepting.accept(step.lines, peer=peer, now=now, prover=prover)
        quotas.note(peer, outcomes, now=now)
        fresh = sum(outcome.status == "accepted" for outcome in outcomes)
        if fresh:
            size = sum(len(line.envelope.payload) for line in step.lines if isinstance(line, Line))
            _spend(peer, fresh, size, now=now)
    return outcomes


def _spend(peer: Peer, objects: int, size: int, *, now: datetime) -> None:
    """Count what was pulled; the page in hand is finished even where it goes beyond the share."""
    from django.db.models import F

    from federation.models import DayUse, day_of

    day = day_of(peer, now)
    DayUse.objects.filter(pk=day.pk).update(objects_in=F("objects_in") + objects, bytes_in=F("bytes_in") + size)


def revocations(peer: Peer, *, now: datetime, carrier: Transport | None = None) -> int:
    """
    Look for withdrawals apart from everything else; answers how many lines came.

    They pass every filter of a feed, so this reads on even where a peer's
    share is used up or a large backfill is under way. What the feed itself
    brought up to its cursor is not asked for again.
    """
    _judge_ready(peer)
    own = identities.node().node_id
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


# ---------------------------------------------------------------- pushing


def push(
    peer: Peer,
    rows: Sequence[Statement],
    *,
    now: datetime,
    progress: Progress = _silent,
    carrier: Transport | None = None,
) -> Summary:
    """
    Offer statements, the root documents they need before them; only what the peer lacks is sent.

    Raises:
        TransportFailure, PeerRefused, PeerMisbehaved: the transaction can be repeated.
        Unable: something in them may not go to this peer.
    """
    _judge_ready(peer)
    node = identities.node()
    viewer = Viewer.of(peer, node)
    wanted = [*roots_for(rows), *rows]
    for row in rows:
        if not viewer.may_be_sent(row):
            raise Unable(
                f"{row} may not go to {peer}: by its author's wish, its audience, or because it came from there"
            )
    lines = [row.line(numbered=False) for row in wanted if viewer.may_be_sent(row)]
    done = [0]

    def settle(step: Settled) -> None:
        done[0] += len(step.results)
        sent = [result.id for result in step.results if result.id is not None]
        size = sum(len(row.payload) for row in wanted if row.statement_id in set(sent))
        receiving.note_egress(peer, "push", sent, size, now=now)
        progress("pushed", done[0])

    return drive(pushing.push(lines), carrier or trusting.connect(peer), settle=settle)


def roots_for(rows: Sequence[Statement]) -> list[Statement]:
    """The root statements of everybody who signed these, oldest first."""
    signers = {row.signer for row in rows} | {row.predicate["origin"] for row in rows if row.kind == "release"}
    versions = dict(RootDocument.objects.filter(identity__in=signers).values_list("statement_id", "version"))
    found = Statement.objects.filter(kind="root", statement_id__in=list(versions))
    return sorted(found, key=lambda row: (row.signer, versions[row.statement_id]))


def poke(peer: Peer, *, carrier: Transport | None = None) -> None:
    """Tell a peer that there is something new."""
    node = identities.node()
    body = strictjson.dumps({"epoch": node.epoch, "seq": node.head})
    (carrier or trusting.connect(peer)).fetch(Ask(method="POST", path="/fed/v1/poke", body=body))
    Peer.objects.filter(pk=peer.pk).update(poked_seq=node.head)


def _offer_lost(peer: Peer, found: Summary, through: Transport, report: Report, *, now: datetime) -> None:
    """What comparing showed the peer to lack: offered at once, where it may have it."""
    viewer = Viewer.of(peer, identities.node())
    ids = sorted(found.have)[: 10 * limits.PUSH_ITEMS]
    rows = [
        row
        for start in range(0, len(ids), 400)
        for row in Statement.objects.filter(statement_id__in=ids[start : start + 400])
        if viewer.may_be_sent(row)
    ]
    if rows:
        lines = [row.line(numbered=False) for row in [*roots_for(rows), *(row for row in rows if row.kind != "root")]]
        report.pushed += drive(pushing.push(lines), through).accepted


# ---------------------------------------------------------------- health


def claim(peer: Peer, *, now: datetime) -> bool:
    """Take the peer for one exchange; False where somebody else has it."""
    free = Q(busy_until__isnull=True) | Q(busy_until__lt=now)
    free |= Q(busy_until__gt=now + LEASE)  # no lease is that long: it was taken under a wrong clock
    return bool(Peer.objects.filter(pk=peer.pk).filter(free).update(busy_until=now + LEASE))


def release(peer: Peer) -> None:
    """Give it back."""
    Peer.objects.filter(pk=peer.pk).update(busy_until=None)


def _judge_ready(peer: Peer) -> None:
    node = identities.node()
    transport.refuse_when_off(node)
    if peer.is_paused:
        raise SwitchedOff(f"{peer} is paused")
    if peer.tier < 2:
        raise Unable(f"{peer} is not approved here; compare its fingerprint, then `manage.py peer approve`")


def _failed(peer: Peer, report: Report, error: FederationError, *, now: datetime) -> None:
    report.error = str(error)
    wait = error.retry_after if isinstance(error, PeerRefused) else None
    chance = secrets.randbelow(1_000_000) / 1_000_000
    peer.set_health(peer.health.after_failure(now=int(now.timestamp()), chance=chance, retry_after=wait))
    Peer.objects.filter(pk=peer.pk).update(
        failures=peer.failures,
        failing_since=peer.failing_since,
        next_try_at=peer.next_try_at,
        last_error=str(error)[:2_000],
        is_poked=False,
    )


def _succeeded(peer: Peer, report: Report, *, now: datetime) -> None:
    soon = datetime.fromtimestamp(int(now.timestamp()) + EVERY_SECONDS, tz=UTC)
    Peer.objects.filter(pk=peer.pk).update(
        failures=0,
        failing_since=None,
        next_try_at=soon,
        last_sync_at=now,
        last_error="",
        is_poked=False,
        approved_there=True,
    )
    peer.failures, peer.last_error, peer.last_sync_at = 0, "", now
