"""
Segments: five thousand statements of the feed in one immutable file, for whoever reads it for the first time.

Only what every approved peer may see goes in. A statement that is withdrawn
later still stands in its segment; the withdrawal stands behind it in the feed,
and an erased text takes its segment with it.

Source: OPL-Fed/1, "Endpoints".
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from federation.models import Audience, Segment, Statement
from federation.protocol import limits
from federation.services import identities
from federation.transport import packed


def cut(*, now: datetime) -> int:
    """Write every segment that is complete and not there yet; answers how many were written."""
    node = identities.node()
    newest = Segment.objects.filter(epoch=node.epoch).order_by("-last").values_list("last", flat=True).first() or 0
    written = 0
    private = frozenset(node.private_topics)
    offered = frozenset(node.public_topics)
    while newest + limits.SEGMENT_ITEMS <= node.head:
        first, last = newest + 1, newest + limits.SEGMENT_ITEMS
        rows = Statement.objects.filter(seq__gte=first, seq__lte=last, is_held_back=False).order_by("seq")
        shown = [row for row in rows if _is_for_all(row, private, offered)]
        data = packed(b"".join(row.line_bytes() + b"\n" for row in shown), level=9)
        Segment.objects.create(
            epoch=node.epoch,
            first=first,
            last=last,
            count=len(shown),
            sha256=sha256(data).hexdigest(),
            data=data,
            created_at=now,
        )
        newest, written = last, written + 1
    return written


def forget(seq: int | None) -> None:
    """Drop the segment a number stands in and all after it; they are written anew without it."""
    if seq is not None:
        Segment.objects.filter(last__gte=seq).delete()


def _is_for_all(row: Statement, private: frozenset[str], offered: frozenset[str]) -> bool:
    if row.audience != Audience.PUBLIC or len(row.via) > row.reach:
        return False
    topics = frozenset(row.topics)
    return not topics & private and (row.kind != "release" or not offered or bool(topics & offered))
