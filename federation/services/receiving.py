"""
What peers ask of this node, answered from its tables: one function per resource.

Everything here is called with a verified peer; forms, limits and what may be
seen are judged here and below.

Source: OPL-Fed/1, "Endpoints", "Requests and answers".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from federation.models import EgressEntry, Peer, PushReceipt, RootDocument, Segment, Statement, ThisNode
from federation.protocol import feed, fields, limits, reconcile, strictjson
from federation.protocol.feed import BadLine, Cursor, Line, Page
from federation.protocol.problems import Refused
from federation.services import accepting, quotas, remembering, scanning, showing
from federation.services.showing import Viewer

FEATURES = ("zstd", "segments", "reconcile", "wait")
_TXN = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
_SOFTWARE = "opl-hub/0.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesAsked:
    """The query of ``changes``, judged."""

    since: Cursor
    limit: int  # 1 to 500
    topics: frozenset[str]
    kinds: frozenset[str]
    wait_seconds: int  # 0 to 30

    @property
    def acknowledges(self) -> bool:
        """Whether the reader says that it has everything up to ``since``."""
        return not self.topics and not self.kinds


def well_known(node: ThisNode) -> dict[str, Any]:
    """What this node says of itself to anybody."""
    newest = RootDocument.objects.filter(identity=node.node_id).order_by("-version").values_list("version", flat=True)
    return {
        "protocol": ["1.0"],
        "node_id": node.node_id,
        "root_version": newest.first() or 1,
        "api": "/fed/v1",
        "base_url": settings.PUBLIC_URL,
        "epoch": node.epoch,
        "limits": dict(limits.ADVERTISED),
        "features": list(FEATURES),
        "public_topics": list(node.public_topics),
        "contact": node.contact,
        "software": _SOFTWARE,
    }


def root_document(node: ThisNode, wanted: str) -> RootDocument:
    """Version ``n`` or ``latest`` of this node's root; raises not-found."""
    rows = RootDocument.objects.filter(identity=node.node_id)
    if wanted == "latest":
        found = rows.order_by("-version").first()
    else:
        found = rows.filter(version=int(wanted)).first() if re.fullmatch(r"[1-9]\d{0,5}", wanted) else None
    if found is None:
        raise Refused("not-found", f"there is no root document {wanted[:20]}")
    return found


def judge_changes(query: Mapping[str, str], peer: Peer, node: ThisNode) -> ChangesAsked:
    """
    What a reader asks for.

    Raises:
        Refused: ``schema-invalid``, ``page-too-large``, ``cursor-reset``.
    """
    limit = _number(query.get("limit"), "limit", default=limits.PAGE_DEFAULT, least=1, most=10**9)
    if limit > limits.PAGE_ITEMS:
        raise Refused("page-too-large", f"a page has at most {limits.PAGE_ITEMS} items")
    wait = _number(query.get("wait"), "wait", default=0, least=0, most=limits.WAIT_SECONDS)
    try:
        since = feed.judge_since(query.get("since"), epoch=node.epoch, head=node.head)
    except Refused as refusal:
        if refusal.code == "cursor-reset" and str(query.get("since")).startswith(f"{node.epoch}:"):
            # It stands where this feed has not been yet: it has seen what a restored database has forgotten, or it lies.
            remembering.doubt(node)
            Peer.objects.filter(pk=peer.pk).to_be_compared()
        elif refusal.code == "cursor-reset":
            # It read on in a feed that a restored database has forgotten: it may hold what was lost here.
            Peer.objects.filter(pk=peer.pk).to_be_compared()
        raise
    return ChangesAsked(
        since=since,
        limit=limit,
        topics=_names(query.get("topics")),
        kinds=_names(query.get("kinds")),
        wait_seconds=wait,
    )


def changes(asked: ChangesAsked, peer: Peer, node: ThisNode, *, now: datetime) -> Page:
    """The page after the reader's cursor; an unfiltered cursor acknowledges all up to it."""
    page, sent = showing.page(
        Viewer.of(peer, node), since=asked.since, limit=asked.limit, topics=asked.topics, wanted=asked.kinds
    )
    moved = asked.acknowledges and asked.since.seq != peer.acked_seq
    if moved or sent:
        with transaction.atomic():  # one commit: each waits for the disk
            if moved:
                Peer.objects.filter(pk=peer.pk).update(acked_seq=asked.since.seq)
            note_egress(peer, "feed", sent, len(page.body), now=now)
    return page


def one(peer: Peer, node: ThisNode, wanted: str) -> Statement:
    """One statement by its id; raises not-found also for what the peer may not see."""
    row = Statement.objects.filter(statement_id=wanted).first()
    if row is None or not Viewer.of(peer, node).may_have(row):
        raise Refused("not-found", "there is no such statement that you may see")
    return row


def by_ids(peer: Peer, node: ThisNode, body: bytes, *, now: datetime) -> bytes:
    """Lines of up to 500 statements by their ids."""
    found, sent = showing.by_ids(Viewer.of(peer, node), _ids(body, most=limits.FETCH_IDS))
    note_egress(peer, "by-id", sent, len(found), now=now)
    return found


def have(peer: Peer, node: ThisNode, body: bytes) -> dict[str, Any]:
    """Which of up to 1,000 ids this node lacks."""
    return {"missing": showing.missing(Viewer.of(peer, node), _ids(body, most=limits.HAVE_IDS))}


def push(peer: Peer, node: ThisNode, txn: str, body: bytes, *, now: datetime) -> bytes:
    """
    Take up to 100 statements; the same transaction again gets the stored answer.

    Raises:
        Refused: ``txn-conflict``, ``schema-invalid``, ``page-too-large``.
    """
    if not _TXN.fullmatch(txn):
        raise Refused("schema-invalid", "a transaction has 16 to 64 characters A-Z a-z 0-9 _ -")
    digest = sha256(body).hexdigest()
    lines = list(feed.read_lines(body, numbered=False, most=limits.PUSH_ITEMS))
    try:
        with transaction.atomic():
            known = PushReceipt.objects.filter(peer=peer, txn=txn).first()
            return _again(known, digest) if known is not None else _push(peer, node, txn, digest, lines, now=now)
    except IntegrityError:
        known = PushReceipt.objects.filter(peer=peer, txn=txn).first()
        if known is None:
            raise
        return _again(known, digest)


def is_repeated(peer: Peer, url: str, body: bytes) -> bool:
    """Whether a push is one that was answered before: it is answered again and costs nothing."""
    txn = url.rpartition("/")[2]
    known = PushReceipt.objects.filter(peer=peer, txn=txn[:64]).values_list("body_sha256", flat=True).first()
    return known is not None and known == sha256(body).hexdigest()


def _again(known: PushReceipt, digest: str) -> bytes:
    if known.body_sha256 != digest:
        raise Refused("txn-conflict", "this transaction number came with other content before; use a new one")
    return bytes(known.answer)


def _push(
    peer: Peer, node: ThisNode, txn: str, digest: str, lines: Sequence[Line | BadLine], *, now: datetime
) -> bytes:
    placed = [_placed(line, sender=peer.node_id, own=node.node_id) for line in lines]
    outcomes = accepting.accept(placed, peer=peer, now=now, examine=scanning.examine)
    quotas.note(peer, outcomes, now=now)
    answer = strictjson.dumps({"txn": txn, "results": [outcome.to_json() for outcome in outcomes]})
    PushReceipt.objects.create(peer=peer, txn=txn, body_sha256=digest, answer=answer, created_at=now)
    return answer


def _placed(line: Line | BadLine, *, sender: str, own: str) -> Line | BadLine:
    if isinstance(line, BadLine):
        return line
    try:
        feed.judge_via(line.via, sender=sender, own=own)
    except Refused as refusal:
        return BadLine(None, line.to_bytes(), refusal.code, refusal.detail)
    return line


def compared(peer: Peer, node: ThisNode, frame: bytes) -> bytes:
    """The answer to a reconciliation frame, from the set the peer may have."""
    return reconcile.respond(showing.shown_set(Viewer.of(peer, node)), frame)


def poked(peer: Peer, body: bytes) -> None:
    """A hint that something is new over there; the next round looks."""
    members = fields.obj(strictjson.loads(body), "a poke")
    fields.hex16(members.get("epoch"), "epoch")
    fields.integer(members.get("seq"), "seq")
    Peer.objects.filter(pk=peer.pk).update(is_poked=True)


def status(peer: Peer, node: ThisNode, *, now: datetime) -> dict[str, Any]:
    """What this node knows of the peer that asks."""
    newest = RootDocument.objects.filter(identity=peer.node_id).order_by("-version").values_list("version", flat=True)
    return {
        "node_id": node.node_id,
        "tier": peer.tier,
        "root_version": newest.first() or 1,
        "acked": peer.acked_seq,
        "head": node.head,
        "lag": max(0, node.head - peer.acked_seq),
        **quotas.status(peer, now=now),
    }


def segments(node: ThisNode) -> dict[str, Any]:
    """The immutable files of this epoch."""
    rows = Segment.objects.filter(epoch=node.epoch).defer("data")
    return {
        "segments": [
            {"first": row.first, "last": row.last, "count": row.count, "sha256": row.sha256, "bytes": _size(row)}
            for row in rows
        ]
    }


def _size(row: Segment) -> int:
    return len(Segment.objects.only("data").get(pk=row.pk).data)


def segment(node: ThisNode, wanted: str) -> bytes:
    """One of them; raises not-found."""
    row = Segment.objects.filter(epoch=node.epoch, sha256=wanted).first()
    if row is None:
        raise Refused("not-found", "there is no such segment in this epoch")
    return bytes(row.data)


def note_egress(peer: Peer, how: str, sent: Sequence[str], size: int, *, now: datetime) -> None:
    """Keep what left, to whom."""
    if sent:
        EgressEntry.objects.create(
            peer=peer, at=now, how=how, count=len(sent), size_bytes=size, statement_ids=list(sent[:100])
        )


def _ids(body: bytes, *, most: int) -> list[str]:
    members = fields.obj(strictjson.loads(body), "the request")
    ids = members.get("ids")
    if not isinstance(ids, list):
        strictjson.refuse("ids must be a list")
    if len(ids) > most:
        raise Refused("page-too-large", f"at most {most} ids at once")
    return list(dict.fromkeys(fields.statement_id(each, "ids[]") for each in ids))


def _number(text: str | None, name: str, *, default: int, least: int, most: int) -> int:
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not least <= int(text) <= most:
        strictjson.refuse(f"{name} must be a whole number from {least} to {most}")
    return int(text)


def _names(text: str | None) -> frozenset[str]:
    return frozenset(each.strip() for each in (text or "").split(",")[:64] if each.strip())
