"""
The feed: numbered lines, cursors, pages, and how far an object may travel.

A node's feed is dense: one sequencer numbers its statements 1, 2, 3 … after
they are committed. A cursor is ``epoch:seq``; the epoch is random and changes
when a database is restored, because the same numbers then stand for other
statements. A page says how far it *looked*, filtered-out lines included, so
a reader never asks twice and never skips.

``via`` lists the nodes an object passed, origin first, sender last. It is
not signed: it guards against loops and bounds the distance, it proves nothing.

Source: OPL-Fed/1, "Feed rules", "Statements" and "Requests and answers".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from federation.protocol import fields, kinds, limits, strictjson
from federation.protocol.envelope import Envelope, read_signatures, sealed
from federation.protocol.problems import Refused
from federation.protocol.statement import Statement

CONTENT_TYPE = "application/x-ndjson"
_CURSOR = re.compile(r"([0-9a-f]{32}):(0|[1-9]\d{0,17})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in a feed: everything up to and including ``seq`` has been looked at."""

    epoch: str  # 32 hex digits
    seq: int  # 0: before the first line

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"

    @classmethod
    def read(cls, text: str) -> Cursor:
        """
        The cursor in ``epoch:seq``.

        Raises:
            Refused: ``schema-invalid``.
        """
        match = _CURSOR.fullmatch(text)
        if match is None:
            strictjson.refuse("a cursor is 32 hex digits, a colon and a decimal number")
        return cls(match[1], int(match[2]))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a feed or of a push, its envelope not yet read."""

    seq: int | None  # its number in the sender's feed; None in a push
    kind: str  # what the sender says it is
    envelope: Envelope
    via: tuple[str, ...]  # 1 to 4 node ids, origin first, sender last

    def to_bytes(self) -> bytes:
        """The line without its newline. The payload stands in it as a JSON string."""
        members: dict[str, Any] = {} if self.seq is None else {"seq": self.seq}
        members |= {
            "k": self.kind,
            "p": self.envelope.payload.decode("utf-8"),
            "sig": [signature.to_json() for signature in self.envelope.signatures],
            "via": list(self.via),
        }
        return strictjson.dumps(members)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that could not be read: it becomes a dead letter and stops nothing."""

    seq: int | None  # where it stood, if it says so
    raw: bytes
    code: str  # of problems.CODES
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer to ``changes``."""

    lines: tuple[bytes, ...]  # without newlines
    cursor: Cursor  # last number looked at
    more: bool  # there are lines beyond it

    @property
    def body(self) -> bytes:
        """The NDJSON bytes."""
        return b"".join(line + b"\n" for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What page building must know of one numbered statement."""

    seq: int
    kind: str
    topics: frozenset[str]  # of a release; empty otherwise
    line: Callable[[], bytes]  # makes the wire form, only for lines that are sent
    visible: bool  # to the peer that asks


def line(statement: Statement, *, via: Sequence[str], seq: int | None = None) -> Line:
    """The line that carries a statement."""
    return Line(seq, statement.kind, statement.envelope, tuple(via))


def read_line(raw: bytes, *, numbered: bool) -> Line:
    """
    One line as it came.

    Args:
        numbered: whether a ``seq`` must stand in it (feed) or must not (push).

    Raises:
        Refused: ``schema-invalid`` or ``statement-too-large``.
    """
    members = fields.obj(strictjson.loads(raw), "a line")
    seq = fields.integer(members.get("seq"), "seq", least=1) if numbered else None
    if not numbered and "seq" in members:
        strictjson.refuse("a pushed line has no seq")
    kind, payload = fields.text(members.get("k"), "k", longest=100), members.get("p")
    if not isinstance(payload, str):
        strictjson.refuse("p must be the payload as a string")
    encoded = payload.encode("utf-8")
    if len(encoded) > limits.EQUIVOCATION_BYTES:
        raise Refused("statement-too-large", f"the payload has {len(encoded)} bytes")
    return Line(seq, kind, sealed(encoded, read_signatures(members.get("sig"))), _via(members.get("via")))


def read_lines(body: bytes, *, numbered: bool, most: int) -> Iterator[Line | BadLine]:
    """
    The lines of an NDJSON body; a bad one yields a ``BadLine`` and the next goes on.

    Raises:
        Refused: ``page-too-large``, before anything is read.
    """
    if len(body) > limits.PAGE_BYTES:
        raise Refused("page-too-large", f"the page has {len(body)} bytes; {limits.PAGE_BYTES} are the most")
    raws = [raw for raw in body.split(b"\n") if raw.strip()]
    if len(raws) > most:
        raise Refused("page-too-large", f"the page has {len(raws)} lines; {most} are the most")
    for raw in raws:
        yield read_raw(raw, numbered=numbered)


def read_raw(raw: bytes, *, numbered: bool) -> Line | BadLine:
    """One line, good or bad; see ``read_lines``."""
    try:
        return read_line(raw, numbered=numbered)
    except Refused as refusal:
        return BadLine(_guessed_seq(raw) if numbered else None, raw, refusal.code, refusal.detail)


def page(
    rows: Iterable[Row],
    *,
    since: Cursor,
    limit: int,
    topics: frozenset[str] = frozenset(),
    wanted: frozenset[str] = frozenset(),
) -> Page:
    """
    The page a reader at ``since`` gets.

    Args:
        rows: statements after ``since`` in order; they may be lazy, no more
            are taken than the page needs.
        limit: lines in the page, at most.
        topics: only releases with one of these; empty for all.
        wanted: only these kinds; empty for all. Kinds in
            ``kinds.ALWAYS_SENT`` are never filtered out.
    """
    lines: list[bytes] = []
    size, looked = 0, since.seq
    for row in rows:
        if _passes(row, topics, wanted):
            if len(lines) == limit:
                return Page(lines=tuple(lines), cursor=Cursor(since.epoch, looked), more=True)
            made = row.line()
            size += len(made) + 1
            if size > limits.PAGE_BYTES and lines:
                return Page(lines=tuple(lines), cursor=Cursor(since.epoch, looked), more=True)
            lines.append(made)
        looked = row.seq
    return Page(lines=tuple(lines), cursor=Cursor(since.epoch, looked), more=False)


def judge_since(text: str | None, *, epoch: str, head: int) -> Cursor:
    """
    Where a reader stands in this feed; left out, at its beginning.

    Raises:
        Refused: ``schema-invalid``, or ``cursor-reset`` for another epoch or
            a number this feed has not reached.
    """
    if text is None:
        return Cursor(epoch, 0)
    cursor = Cursor.read(text)
    if cursor.epoch != epoch or cursor.seq > head:
        raise Refused("cursor-reset", "this feed begins anew; reconcile, then go on from the cursor that gives")
    return cursor


def hops(propagate: str) -> int:
    """How many nodes may list an object in their feeds, its origin included: 0 to 4."""
    if propagate == "none":
        return 0
    if propagate == "peers":
        return 1
    if propagate == "public":
        return limits.HOPS
    return min(int(propagate.removeprefix("hops:")), limits.HOPS)


def reach(statement: Statement) -> int:
    """``hops`` of a statement; kinds that do not say travel as far as any may."""
    return (
        hops(cast(str, statement.predicate.get("propagate", "public"))) if statement.kind == "release" else limits.HOPS
    )


def may_send(*, allowed_hops: int, via: Sequence[str], to: str) -> bool:
    """
    Whether a line may go out to a node.

    Args:
        via: as it would be sent, this node last.
    """
    return len(via) <= allowed_hops and to not in via


def may_return(*, via: Sequence[str], to: str, is_giver: bool, is_via_believed: bool) -> bool:
    """
    Whether a node may have back what it once passed on, also where it is not announced here.

    A node that lost its database gets its own back whatever became of it
    elsewhere: it may wait in quarantine, or have been withdrawn before it was
    admitted. It is asked for by id and never stands in a feed. ``via`` is
    not signed, so it alone opens nobody's quarantine to a third node.

    Args:
        via: as it would be sent, this node last.
        is_giver: it came from that very node, by a signed request or answer.
        is_via_believed: it came from a node of the own organisation.
    """
    return to in via and (is_giver or is_via_believed)


def was_sent_first_by(own: str, via: Sequence[str], *, believed: Collection[str]) -> bool:
    """
    Whether a line that comes back began its way at this node, as far as one may believe that.

    Each node checks that whoever sends to it stands last in ``via``, so a
    stranger cannot take itself out: where all the others are of the own
    organisation, the way is true.

    Args:
        via: as it was received, the sender last.
        believed: ids of the nodes of the own organisation.
    """
    return len(via) > 1 and via[0] == own and all(each in believed for each in via[1:])


def onward(via: Sequence[str], own: str) -> tuple[str, ...]:
    """The way of a received line once this node passes it on; one that led through here before is cut back to here."""
    return (*via[: via.index(own)], own) if own in via else (*via, own)


def judge_via(via: Sequence[str], *, sender: str, own: str | None) -> None:
    """
    That a received line came the way it says.

    Args:
        own: the id of this node; None where the line was asked for by id.

    Raises:
        Refused: ``schema-invalid``.
    """
    if via[-1] != sender:
        strictjson.refuse("the sender must be the last in via")
    if own is not None and own in via:
        strictjson.refuse("this statement has been here before: the id of this node is in via")


def _via(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= limits.HOPS:
        strictjson.refuse(f"via must list 1 to {limits.HOPS} node ids")
    nodes = tuple(fields.node(entry, "via[]") for entry in value)
    if len(set(nodes)) != len(nodes):
        strictjson.refuse("via names a node twice")
    return nodes


def _passes(row: Row, topics: frozenset[str], wanted: frozenset[str]) -> bool:
    if not row.visible:
        return False
    if row.kind in kinds.ALWAYS_SENT:
        return True
    if wanted and row.kind not in wanted:
        return False
    return not (topics and row.kind == "release" and topics.isdisjoint(row.topics))


def _guessed_seq(raw: bytes) -> int | None:
    """The number of an unreadable line, for the dead letter; None where it cannot be told."""
    match = re.search(rb'"seq"\s*:\s*([1-9]\d{0,17})\b', raw[:200])
    return int(match[1]) if match else None
