"""
What a peer may see of this node's statements, and the pages, sets and lines made of it.

One rule for all: announced, not held back, for this audience, and not beyond
the hops its author allowed. A feed also leaves out what came through the peer;
what is asked for by id, or compared as a set, includes it, announced or not,
so that a node that lost its database gets its own statements back.

Source: OPL-Fed/1, "Requests and answers"; docs/decisions/0081 and 0136.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from django.db.models import Count, Max, Q

from federation.models import Audience, Peer, Statement, ThisNode
from federation.models.statement import line_of
from federation.protocol import feed, limits, reconcile
from federation.protocol.feed import Cursor, Page, Row
from federation.protocol.tiers import Tier

Shown = Any  # a ``Statement``, or these columns of one
_COLUMNS = (
    "seq", "statement_id", "kind", "payload", "signatures", "via", "reach", "topics", "audience", "is_announced",
    "is_held_back", "peer_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks: what the rule must know of a peer."""

    node_id: str
    is_own: bool  # of the own organisation
    topics: frozenset[str]  # offered; empty offers all
    private: frozenset[str]  # topics that never leave
    peer_pk: int | None = None
    believed: frozenset[int] = frozenset()  # peers of the own organisation: what they say of the way is true

    @classmethod
    def of(cls, peer: Peer, node: ThisNode) -> Viewer:
        return cls(
            node_id=peer.node_id,
            is_own=peer.trust is Tier.OWN,
            topics=frozenset(node.public_topics),
            private=frozenset(node.private_topics),
            peer_pk=peer.pk,
            believed=frozenset(Peer.objects.filter(tier=Tier.OWN).values_list("pk", flat=True)),
        )

    def may_have(self, row: Shown) -> bool:
        """Whether the peer may hold this statement at all."""
        if row.is_held_back:
            return False
        if self._gets_back(row):
            return True
        if not row.is_announced:
            return False
        if row.audience == Audience.ORGANISATION and not self.is_own:
            return False
        if row.kind == "release" and not self._may_know(frozenset(row.topics)):
            return False
        return len(row.via) <= row.reach or self.node_id in row.via

    def _gets_back(self, row: Shown) -> bool:
        is_giver = row.peer_id is not None and row.peer_id == self.peer_pk
        return feed.may_return(
            via=row.via, to=self.node_id, is_giver=is_giver, is_via_believed=row.peer_id in self.believed
        )

    def may_be_sent(self, row: Shown) -> bool:
        """Whether it goes into the peer's feed: as ``may_have``, and it did not come from there."""
        return self.may_have(row) and feed.may_send(allowed_hops=row.reach, via=row.via, to=self.node_id)

    def _may_know(self, topics: frozenset[str]) -> bool:
        if topics & self.private:
            return False
        return self.is_own or not self.topics or bool(topics & self.topics)


def page(
    viewer: Viewer, *, since: Cursor, limit: int, topics: frozenset[str], wanted: frozenset[str]
) -> tuple[Page, list[str]]:
    """The page after a cursor, and the ids that stand in it."""
    sent: list[str] = []

    def rows() -> Iterable[Row]:
        # Columns, no model instances: half the time of a page.
        found = Statement.objects.filter(seq__gt=since.seq).order_by("seq").values_list(*_COLUMNS, named=True)
        for row in found.iterator(chunk_size=min(limit + 1, 501)):
            yield Row(
                seq=row.seq or 0,
                kind=row.kind,
                topics=frozenset(row.topics),
                line=partial(_sent, row, sent),
                visible=viewer.may_be_sent(row),
            )

    made = feed.page(rows(), since=since, limit=limit, topics=topics, wanted=wanted)
    return made, sent[: len(made.lines)]


def _sent(row: Shown, ids: list[str]) -> bytes:
    ids.append(row.statement_id)
    return line_of(row)


def by_ids(viewer: Viewer, ids: Sequence[str]) -> tuple[bytes, list[str]]:
    """
    Lines of the statements asked for that the peer may have, as many as a page holds.

    What is only given back has no number; its line bears that of the head, since a line has one.
    """
    found = {row.statement_id: row for row in Statement.objects.filter(statement_id__in=ids)}
    head = max(1, ThisNode.objects.filter(pk=1).values_list("head", flat=True).first() or 0)
    lines: list[bytes] = []
    sent: list[str] = []
    size = 0
    for each in ids:
        row = found.get(each)
        if row is None or not viewer.may_have(row):
            continue
        row.seq = row.seq or head
        line = row.line_bytes() + b"\n"
        size += len(line)
        if size > limits.PAGE_BYTES and lines:
            break
        lines.append(line)
        sent.append(each)
    return b"".join(lines), sent


def missing(viewer: Viewer, ids: Sequence[str]) -> list[str]:
    """Those of the ids that this peer should send: not held, or held where it may not see it."""
    held = {
        row.statement_id
        for start in range(0, len(ids), 400)
        for row in Statement.objects.filter(statement_id__in=ids[start : start + 400]).defer("payload", "signatures")
        if viewer.may_have(row) or row.peer_id == viewer.peer_pk
    }
    return [each for each in ids if each not in held]


def shown_set(viewer: Viewer) -> reconcile.IdSet:
    """The ids that the peer may have, ready to be compared; kept until something changes."""
    node = ThisNode.objects.get(pk=1)
    hidden = Statement.objects.filter(is_held_back=True).count()
    unnumbered = Statement.objects.filter(seq__isnull=True).aggregate(rows=Count("pk"), newest=Max("pk"))
    return _shown_set(viewer, node.epoch, node.head, hidden, (unnumbered["rows"], unnumbered["newest"]))


@lru_cache(maxsize=4)
def _shown_set(
    viewer: Viewer, epoch: str, head: int, hidden: int, unnumbered: tuple[int, int | None]
) -> reconcile.IdSet:
    numbered = Q(seq__lte=head)
    rows = Statement.objects.filter(numbered | Q(seq__isnull=True)).defer("payload", "signatures")
    return reconcile.IdSet(
        bytes.fromhex(row.statement_id) for row in rows.iterator(chunk_size=5_000) if viewer.may_have(row)
    )


def held_ids() -> list[bytes]:
    """The raw ids of everything held here, for comparing with a peer."""
    return [bytes.fromhex(each) for each in Statement.objects.values_list("statement_id", flat=True).iterator()]
