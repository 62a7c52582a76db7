"""
Reading a peer's feed: page by page, and after a reset by comparing what both hold.

Source: OPL-Fed/1, "Feed rules", "Requests and answers".
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from federation.protocol import feed, limits, reconcile, strictjson
from federation.protocol.exchange import (
    Answer,
    Ask,
    PeerMisbehaved,
    PeerRefused,
    Session,
    Step,
    Summary,
    Take,
    fetched,
    judged,
)
from federation.protocol.feed import BadLine, Cursor, Line
from federation.protocol.problems import Refused


def pull(
    since: Cursor | None,
    *,
    sender: str,
    own: str,
    limit: int = limits.PAGE_ITEMS,
    most_pages: int = 1_000,
    wait_seconds: int = 0,
    topics: Sequence[str] = (),
    kinds: Sequence[str] = (),
) -> Session:
    """
    Read a peer's feed from ``since`` to its end.

    Args:
        since: the stored cursor; None at the first meeting.
        sender, own: node ids of the peer and of this node.
        wait_seconds: let the peer hold the first page until something is new.

    Raises:
        PeerRefused: ``cursor-reset`` among others; then use ``recover``.
        PeerMisbehaved: a page that rewinds, repeats, exceeds or loops.
    """
    cursor, taken, bad, pages = since, 0, 0, 0
    asked = _changes(cursor, limit, wait_seconds, topics, kinds)
    while pages < most_pages:
        lines, after, more = _page(fetched((yield asked)), cursor, limit, sender=sender, own=own)
        taken, pages = taken + len(lines), pages + 1
        asked = _changes(after, limit, 0, topics, kinds)
        yield Take(lines=lines, cursor=after, then=asked if more and pages < most_pages else None)
        bad += sum(isinstance(line, BadLine) for line in lines)
        if more and cursor is not None and after.seq <= cursor.seq:
            raise PeerMisbehaved("it says there is more but does not move on")
        cursor = after
        if not more:
            break
    return Summary(lines=taken, bad=bad, pages=pages, cursor=cursor)


def sync(
    since: Cursor | None, *, held: Callable[[], Iterable[bytes]], sender: str, own: str, **reading: Any
) -> Session:
    """
    ``pull``, and where the peer has reset its feed, ``recover`` and pull on from there.

    Args:
        held: answers the raw ids that ``recover`` compares; asked only then.
        reading: further arguments of ``pull``.
    """
    try:
        return (yield from pull(since, sender=sender, own=own, **reading))
    except PeerRefused as refused:
        if refused.problem != "cursor-reset":
            raise
    found = yield from recover(held(), sender=sender, own=own)
    pulled = yield from pull(found.cursor, sender=sender, own=own, **reading)
    return replace(pulled, lines=found.lines + pulled.lines, have=found.have)


def recover(ids: Iterable[bytes], *, sender: str, own: str, most_trips: int = 1_000) -> Session:
    """
    Find a footing after ``cursor-reset``: reconcile the sets, fetch what is missing, then keep the new cursor.

    Args:
        ids: raw ids of all statements held that this peer may have.

    Returns:
        A summary whose ``have`` the peer lacks, and whose ``cursor`` is
        where to pull from. It is stored by the last ``Take``, once
        everything below it is here.
    """
    client = reconcile.Initiator(reconcile.IdSet(ids))
    frame: bytes | None = client.first()
    cursor: Cursor | None = None
    for _ in range(most_trips):
        if frame is None:
            break
        asked = Ask(method="POST", path="/fed/v1/reconcile", body=frame, content_type=reconcile.CONTENT_TYPE)
        answer = fetched((yield asked))
        cursor = cursor or _cursor(answer)
        frame = judged(client.next, answer.body)
    else:
        raise PeerMisbehaved("reconciliation does not come to an end")
    taken = yield from _fetch_ids(sorted(each.hex() for each in client.need), sender=sender)
    yield Take(lines=(), cursor=cursor, is_compared=True)
    return Summary(lines=taken, cursor=cursor, have=frozenset(each.hex() for each in client.have))


def _changes(cursor: Cursor | None, limit: int, wait: int, topics: Sequence[str], kinds: Sequence[str]) -> Ask:
    query = {"limit": str(limit)}
    query |= {"since": str(cursor)} if cursor is not None else {}
    query |= {"wait": str(wait)} if wait else {}
    query |= {"topics": ",".join(topics)} if topics else {}
    query |= {"kinds": ",".join(kinds)} if kinds else {}
    return Ask(method="GET", path=f"/fed/v1/changes?{urlencode(query, safe=':,')}", wait_seconds=wait)


def _page(
    answer: Answer, since: Cursor | None, limit: int, *, sender: str, own: str
) -> tuple[tuple[Line | BadLine, ...], Cursor, bool]:
    """The lines of a page, all of it judged before any of it is taken."""
    cursor, more = _cursor(answer), judged(_more, answer)
    if since is not None and cursor.epoch != since.epoch:
        raise PeerMisbehaved("its feed changed its epoch without a cursor-reset")
    start = since.seq if since is not None else 0
    if cursor.seq < start:
        raise PeerMisbehaved(f"its feed rewinds from {start} to {cursor.seq}")
    lines = tuple(_read(answer.body, most=limit))
    _judge_numbers(lines, start, cursor.seq)
    return tuple(_placed(line, sender=sender, own=own) for line in lines), cursor, more


def _read(body: bytes, *, most: int) -> Iterable[Line | BadLine]:
    def lines() -> list[Line | BadLine]:
        return list(feed.read_lines(body, numbered=True, most=most))

    return judged(lines)


def _judge_numbers(lines: Iterable[Line | BadLine], start: int, end: int) -> None:
    last = start
    for line in lines:
        if line.seq is None:
            continue
        if not last < line.seq <= end:
            raise PeerMisbehaved(f"line {line.seq} does not follow {last} within a page that ends at {end}")
        last = line.seq


def _placed(line: Line | BadLine, *, sender: str, own: str | None) -> Line | BadLine:
    """A line whose way here is impossible becomes a bad line."""
    if isinstance(line, BadLine):
        return line
    try:
        feed.judge_via(line.via, sender=sender, own=own)
    except Refused as error:
        return BadLine(line.seq, line.to_bytes(), error.code, error.detail)
    return line


def _cursor(answer: Answer) -> Cursor:
    return judged(Cursor.read, answer.headers.get("opl-cursor", ""))


def _more(answer: Answer) -> bool:
    value = answer.headers.get("opl-more")
    if value not in ("?0", "?1"):
        strictjson.refuse("Opl-More must be ?0 or ?1")
    return value == "?1"


def _fetch_ids(ids: Sequence[str], *, sender: str) -> Generator[Step, Answer | None, int]:
    """Take statements by id, until none is left or the peer gives no more of them."""
    taken, wanted = 0, list(ids)
    while wanted:
        batch = wanted[: limits.FETCH_IDS]
        asked = Ask(method="POST", path="/fed/v1/statements", body=strictjson.dumps({"ids": batch}))
        answer = fetched((yield asked))
        lines = tuple(_read(answer.body, most=limits.FETCH_IDS))
        # Asked for on purpose: what a restored node lost of its own comes back with its own id in via.
        given = {line.envelope.id for line in lines if isinstance(line, Line)}
        if not given <= set(batch):
            raise PeerMisbehaved("it sent statements that were not asked for")
        yield Take(lines=tuple(_placed(line, sender=sender, own=None) for line in lines), cursor=None)
        taken += len(lines)
        # A page is bounded in bytes too: what is left over is asked for again, unless nothing came at all.
        wanted = [each for each in batch if given and each not in given] + wanted[len(batch) :]
    return taken
