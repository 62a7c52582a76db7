"""
A first meeting by segments: the immutable files that hold a peer's feed up to some number.

They are packed once by the peer and read at the speed of the wire; what they
hold is judged line by line like everything else. The pages of the feed hold
the same statements, so whatever goes wrong here only costs time.

Source: OPL-Fed/1, "Endpoints"; docs/decisions/0125.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

from federation import transport
from federation.errors import PeerRefused, TransportFailure
from federation.models import Peer
from federation.protocol import feed, fields, limits, strictjson
from federation.protocol.exchange import AheadTransport, Ask, Take, Transport, fetched
from federation.protocol.feed import BadLine, Cursor, Line
from federation.protocol.problems import Refused

log = logging.getLogger(__name__)

PART_ITEMS = 1_000  # lines of a segment that are stored in one transaction
MOST_SEGMENTS = 2_000


def backfill(
    peer: Peer,
    through: Transport,
    take: Callable[[Take], None],
    *,
    own: str,
    is_spent: Callable[[], bool],
    ahead: AheadTransport | None = None,
) -> None:
    """
    A first meeting: read the peer's immutable segments, then go on from where they end.

    A segment that cannot be had, or is not what it should be, ends this: the
    pages of the feed hold the same statements.

    Args:
        is_spent: whether the peer's share of the day is used up; asked before each part.
    """
    try:
        asks = _segments(through)
        if not asks:
            return
        epoch = _epoch_of(through)
        for (ask, last), then in zip(asks, [*asks[1:], None], strict=True):
            body = fetched(through.fetch(ask)).body
            if then is not None and ahead is not None:
                ahead.begin(then[0])
            for part, end in _parts(_raws(transport.unpacking(body, largest=limits.SEGMENT_BYTES)), last):
                if is_spent():
                    return
                lines = tuple(_placed(line, sender=peer.node_id, own=own) for line in part)
                take(Take(lines=lines, cursor=Cursor(epoch, end)))
    except (TransportFailure, PeerRefused, Refused) as error:
        log.info("the segments of %s were not read to their end: %s", peer, error)


def _segments(through: Transport) -> list[tuple[Ask, int]]:
    """What to ask for, segment by segment, with the last number in each; as far as they follow one another."""
    answer = fetched(through.fetch(Ask(method="GET", path="/fed/v1/segments")))
    entries = fields.obj(strictjson.loads(answer.body), "the answer").get("segments")
    found: list[tuple[Ask, int]] = []
    last = 0
    for entry in entries[:MOST_SEGMENTS] if isinstance(entries, list) else ():
        told = fields.obj(entry, "a segment")
        if fields.integer(told.get("first"), "first", least=1) != last + 1:
            break
        last = fields.integer(told.get("last"), "last", least=last + 1)
        name = fields.digest(told.get("sha256"), "sha256")
        size = fields.integer(told.get("bytes"), "bytes", most=limits.SEGMENT_BYTES)
        found.append((Ask(method="GET", path=f"/fed/v1/segments/{name}", answer_bytes=size), last))
    return found


def _epoch_of(through: Transport) -> str:
    """The epoch a feed is in now, from a page of one line."""
    answer = fetched(through.fetch(Ask(method="GET", path="/fed/v1/changes?limit=1&kinds=root")))
    return Cursor.read(answer.headers.get("opl-cursor", "")).epoch


def _raws(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Its lines, while it is being unpacked."""
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        if len(rest) > limits.PAGE_BYTES:
            raise TransportFailure("a line of a segment is longer than a page")
        yield from (raw for raw in whole if raw.strip())
    if rest.strip():
        yield rest


def _parts(raws: Iterable[bytes], last: int) -> Iterator[tuple[list[Line | BadLine], int]]:
    """A segment in parts, each for one transaction; the last of them ends where the segment does."""
    found: list[Line | BadLine] = []
    for raw in raws:
        if len(found) == PART_ITEMS:
            yield found, max((line.seq for line in found if line.seq is not None), default=last)
            found = []
        found.append(feed.read_raw(raw, numbered=True))
    if found:
        yield found, last


def _placed(line: Line | BadLine, *, sender: str, own: str) -> Line | BadLine:
    if isinstance(line, Line) and own in line.via:
        return BadLine(line.seq, line.to_bytes(), "schema-invalid", "this statement has been here before")
    if isinstance(line, Line) and line.via[-1] != sender:
        return BadLine(line.seq, line.to_bytes(), "schema-invalid", "the sender must be the last in via")
    return line
