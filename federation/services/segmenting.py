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

import zstandard

from federation.models import Audience, Segment, Statement
from federation.protocol import limits
from federation.services import identities

LEVEL = 9  # of zstd: packed once, read by many


def cut(*, now: datetime) -> int:
    """
    Write every segment that is complete and not there yet; answers how many were written.

    One that would be too large to be read is not written, and so none after
    it: whoever reads the feed goes on with its pages there.
    """
    node = identities.node()
    newest = Segment.objects.filter(epoch=node.epoch).order_by("-last").values_list("last", flat=True).first() or 0
    private, offered = frozenset(node.private_topics), frozenset(node.public_topics)
    written = 0
    while newest + limits.SEGMENT_ITEMS <= node.head:
        first, last = newest + 1, newest + limits.SEGMENT_ITEMS
        made = _packed(first, last, private, offered)
        if made is None:
            break
        data, count = made
        Segment.objects.create(
            epoch=node.epoch,
            first=first,
            last=last,
            count=count,
            sha256=sha256(data).hexdigest(),
            data=data,
            created_at=now,
        )
        newest, written = last, written + 1
    return written


def _packed(first: int, last: int, private: frozenset[str], offered: frozenset[str]) -> tuple[bytes, int] | None:
    """A segment's bytes and how many lines stand in it; None where a reader would refuse its size."""
    packer, data, count, size = zstandard.ZstdCompressor(level=LEVEL).compressobj(), bytearray(), 0, 0
    rows = Statement.objects.filter(seq__gte=first, seq__lte=last, is_held_back=False).order_by("seq")
    for row in rows.iterator(chunk_size=500):
        if not _is_for_all(row, private, offered):
            continue
        line = row.line_bytes() + b"\n"
        count, size = count + 1, size + len(line)
        if size > limits.SEGMENT_BYTES:
            return None
        data += packer.compress(line)
    data += packer.flush()
    return bytes(data), count


def forget(seq: int | None) -> None:
    """Drop the segment a number stands in and all after it; they are written anew without it."""
    if seq is not None:
        Segment.objects.filter(last__gte=seq).delete()


def _is_for_all(row: Statement, private: frozenset[str], offered: frozenset[str]) -> bool:
    if row.audience != Audience.PUBLIC or len(row.via) > row.reach:
        return False
    topics = frozenset(row.topics)
    return not topics & private and (row.kind != "release" or not offered or bool(topics & offered))
