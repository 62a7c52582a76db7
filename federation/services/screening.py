"""
What waits in quarantine is read and scanned, many objects at a time, and sent on its way.

    scan_waiting(now=now, most=10_000)     # parsed, scanned, then held, queued for a trial, or admitted

Each step of each object is a row with its reason, as everywhere; only what
still waits when its turn to be saved comes is moved.

Source: OPL-Fed/1, "Trust and quarantine"; docs/decisions/0126.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from federation.errors import Unable
from federation.models import Peer, QuarantineItem, QuarantineStep
from federation.protocol import quarantine, strictjson
from federation.protocol.lens import Fit, Judgement
from federation.protocol.quarantine import Event, State
from federation.protocol.tiers import RULES, Tier
from federation.services import bulk, examining, homecoming, identities, quarantining, scanning, translating, trying
from federation.services.examining import Examined, UnderWay
from opl.scan import skeleton
from registry.models import Pattern

log = logging.getLogger(__name__)

SCANNED_AT_ONCE = 500
LEFT_AFTER = timedelta(minutes=2)  # a scan that is not followed up by then was cut short
SCANNED_BYTES = 16 * 1024 * 1024  # of payloads in memory at once, twice


def scan_waiting(*, now: datetime, most: int) -> int:
    """
    Read and scan up to ``most`` of what arrived; how many were looked at.

    While some are read, in children where many wait, those before them are saved.
    """
    waiting = QuarantineItem.objects.filter(state=str(State.SIGNED_OK))
    count = min(most, waiting.count())
    if not count:
        return 0
    names, done, before = _known_names(), 0, None
    with examining.examiner(waiting=count) as begin:
        for rows in _batches(waiting.order_by("pk"), most=count):
            under_way = begin([row.payload for row in rows])
            if before is not None:
                done += _settle(*before, names, now=now)
            before = rows, under_way
        if before is not None:
            done += _settle(*before, names, now=now)
    return done


@dataclass(frozen=True, slots=True)
class _Waiting:
    """One object that waits for its scan."""

    pk: int
    peer_id: int | None
    signer: str
    is_held_back: bool
    payload: bytes


def _batches(waiting: QuerySet[QuarantineItem], *, most: int) -> Iterator[list[_Waiting]]:
    """What waits, in batches that are bounded in number and in bytes."""
    last = 0
    while most > 0:
        found = waiting.filter(pk__gt=last).values_list(
            "pk", "peer_id", "statement__signer", "statement__is_held_back", "statement__payload"
        )[: min(most, SCANNED_AT_ONCE)]
        rows: list[_Waiting] = []
        size = 0
        for pk, peer_id, signer, is_held_back, payload in found.iterator(chunk_size=50):
            rows.append(_Waiting(pk, peer_id, signer, is_held_back, bytes(payload)))
            size += len(payload)
            if size >= SCANNED_BYTES:
                break
        if not rows:
            return
        yield rows
        last, most = rows[-1].pk, most - len(rows)


def _settle(rows: Sequence[_Waiting], under_way: UnderWay, names: Mapping[str, str], *, now: datetime) -> int:
    """Save what was found, then go on with what needs no person."""
    found = list(under_way())
    with transaction.atomic():
        # Somebody may have decided meanwhile: only what still waits is moved.
        states = QuarantineItem.objects.select_for_update().filter(pk__in=[row.pk for row in rows])
        still = set(states.filter(state=str(State.SIGNED_OK)).values_list("pk", flat=True))
        batch = _Batch(now=now, names=names)
        judged = [
            (row.pk, batch.take(row, examined)) for row, examined in zip(rows, found, strict=True) if row.pk in still
        ]
        batch.save()
    further = {pk: event for pk, event in judged if event is not None}
    items = QuarantineItem.objects.select_related("statement", "peer").filter(pk__in=list(further))
    for item in items.order_by("pk"):
        _go_on(item, further[item.pk], now=now)
    return len(rows)


def resume(*, now: datetime) -> int:
    """
    Send on what was scanned by a process that died before it did so; how many objects that were.

    What a person must look at was moved together with the scan, so these have
    no such findings; the peer may have another tier by now.
    """
    # What was changed in the future was changed under a wrong clock.
    when = Q(changed_at__lt=now - LEFT_AFTER) | Q(changed_at__gt=now + LEFT_AFTER)
    left = QuarantineItem.objects.filter(when, state=str(State.SCANNED))
    items = list(left.select_related("statement", "peer").order_by("pk")[:SCANNED_AT_ONCE])
    batch = _Batch(now=now, names={})
    for item in items:
        tier, has_expired = batch.trust(item.peer_id, item.statement.signer)
        event = quarantine.after_scan(tier, findings=False, runnable=True, root_expired=has_expired)
        _go_on(item, event, now=now)
    return len(items)


def _go_on(item: QuarantineItem, event: Event, *, now: datetime) -> None:
    """What follows from a scan; an object that the registry does not take is refused, and stops no other."""
    if event is Event.ADMITTED_AUTOMATICALLY:
        try:
            quarantining.admit(item, event, reason="a clean scan of a peer of the own organisation", now=now)
        except Unable as error:
            log.info("%s was not admitted: %s", item, error)
    elif event is Event.TRIAL_REQUESTED:
        trying.request(item, now=now, reason="its peer is approved; a trial decides")
    else:
        quarantining.step(item, event, reason="its peer is not trusted as it was", now=now)


class _Batch:
    """What was found in many objects, saved in a few statements."""

    def __init__(self, *, now: datetime, names: Mapping[str, str]) -> None:
        self.now, self.names = now, names
        self.changes: list[dict[str, Any]] = []
        self.steps: list[dict[str, Any]] = []
        self.fits: dict[bytes, Judgement] = {}
        self.peers: dict[int | None, tuple[Tier, bool]] = {}
        self.ours: dict[str, bool] = {}  # signer → whether it is an author of this hub

    def take(self, row: _Waiting, examined: Examined) -> Event | None:
        """Note the steps of one; what should happen to it now, None where it is decided."""
        way = _Way(row.pk, self)
        columns: dict[str, Any] = {"findings": [], "capabilities": [], "fit": "", "missing": {}, "lenses": []}
        further: Event | None = None
        if examined.looked is None:
            way.go(Event.REFUSED, examined.refused)
        else:
            looked = scanning.compared(examined.looked, examined.name, self.names)
            fit = self._fit(examined.requires)
            columns = {
                "findings": list(looked.findings),
                "capabilities": list(looked.capabilities),
                "fit": str(fit.fit),
                "missing": {sort: list(found) for sort, found in fit.missing.items()},
                "lenses": list(fit.lenses),
            }
            way.go(Event.DOCUMENT_PARSED, examined.read_as)
            way.go(Event.SCAN_FINISHED, looked.summary)
            further = self._next(way, row, holds=looked.holds, fit=fit)
        told = {"pk": row.pk, "state": str(way.state), "reason": way.reason, "changed_at": self.now}
        self.changes.append(told | columns)
        return further

    def _next(self, way: _Way, row: _Waiting, *, holds: bool, fit: Judgement) -> Event | None:
        tier, has_expired = self.trust(row.peer_id, row.signer)
        runnable = fit.fit is Fit.RUNNABLE
        event = quarantine.after_scan(tier, findings=holds, runnable=runnable, root_expired=has_expired)
        if row.is_held_back:
            way.go(Event.CONTRADICTED, "its author signed two texts of this version")
            return None
        if event is Event.HELD_BACK:
            why = "a person must look at the findings" if holds else str(fit) if not runnable else _why_held(tier)
            way.go(event, why)
            return None
        return event

    def _fit(self, requires: Mapping[str, Any]) -> Judgement:
        key = strictjson.dumps(requires)
        if key not in self.fits:
            self.fits[key] = translating.judgement(requires)
        return self.fits[key]

    def trust(self, peer_id: int | None, signer: str) -> tuple[Tier, bool]:
        """The tier that decides, and whether keys have run out; who brings a release of our own matters not."""
        if signer not in self.ours:
            self.ours[signer] = homecoming.owner_at_home(signer) is not None
        return (Tier.OWN, False) if self.ours[signer] else self._peer(peer_id)

    def _peer(self, peer_id: int | None) -> tuple[Tier, bool]:
        """Its tier, and whether its root document has run out."""
        if peer_id not in self.peers:
            peer = Peer.objects.filter(pk=peer_id).first() if peer_id is not None else None
            chain = identities.chain_of(peer.node_id) if peer is not None else None
            until = chain.latest.not_after if chain is not None else None
            has_expired = until is not None and until < self.now.timestamp()
            self.peers[peer_id] = peer.trust if peer is not None else Tier.PROBATION, has_expired
        return self.peers[peer_id]

    def save(self) -> None:
        """All rows of the batch."""
        bulk.update(QuarantineItem, self.changes)
        bulk.insert(QuarantineStep, self.steps)


class _Way:
    """The steps of one object through a scan."""

    __slots__ = ("batch", "pk", "reason", "state")

    def __init__(self, pk: int, batch: _Batch) -> None:
        self.pk, self.batch = pk, batch
        self.state, self.reason = State.SIGNED_OK, ""

    def go(self, event: Event, reason: str) -> None:
        """One step along the table."""
        after, self.reason = quarantine.after(self.state, event), reason[:2_000]
        self.batch.steps.append(
            {
                "item_id": self.pk,
                "event": str(event),
                "before": str(self.state),
                "after": str(after),
                "reason": self.reason,
                "actor_id": None,
                "at": self.batch.now,
            }
        )
        self.state = after


def _why_held(tier: Tier) -> str:
    return f"objects of a peer on T{int(tier)} ({RULES[tier].label}) are tried and admitted by hand"


def _known_names() -> dict[str, str]:
    return {skeleton(name): name for name in Pattern.objects.order_by("-pk").values_list("name", flat=True)[:5_000]}
