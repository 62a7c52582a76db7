"""
Statements become rows, and rows get their numbers.

Rows are inserted without a number, in whatever order transactions commit.
``number`` is the one sequencer: after commit, under a lock on this node's row,
it gives dense numbers to what may be announced, so that a reader that has
passed a number never misses one that commits late.

Source: OPL-Fed/1, "Feed rules".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from federation.models import Audience, Peer, ReleaseParent, Statement, ThisNode
from federation.protocol import feed
from federation.protocol import statement as statements
from federation.protocol.kinds import WITHDRAWALS

NUMBERED_AT_ONCE = 20_000


def row_of(
    read: statements.Statement,
    *,
    via: Sequence[str],
    now: datetime,
    peer: Peer | None = None,
    is_announced: bool = False,
    audience: str = Audience.PUBLIC,
) -> Statement:
    """The row of a believed statement, not saved yet."""
    columns = columns_of(read, via=via, now=now, peer=peer, is_announced=is_announced, audience=audience)
    return Statement(**columns)


def columns_of(
    read: statements.Statement,
    *,
    via: Sequence[str],
    now: datetime,
    peer: Peer | None = None,
    is_announced: bool = False,
    audience: str = Audience.PUBLIC,
) -> dict[str, Any]:
    """The same as the values of its columns: what ``bulk.insert`` takes."""
    is_release = read.kind == "release"
    predicate = read.predicate
    return {
        "statement_id": read.id,
        "kind": read.kind,
        "signer": read.signer,
        "subject_name": read.subject.name,
        "subject_digest": read.subject.sha256,
        "name": read.release_key[1] if is_release else "",
        "version": predicate["version"] if is_release else "",
        "target": predicate["target"] if read.kind in WITHDRAWALS else "",
        "topics": list(predicate["topics"]) if is_release else [],
        "reach": feed.reach(read),
        "payload": read.envelope.payload,
        "signatures": [each.to_json() for each in read.envelope.signatures],
        "via": list(via),
        "audience": str(audience),
        "peer_id": peer.pk if peer is not None else None,
        "is_announced": is_announced,
        "is_held_back": False,
        "is_advice": False,
        "seq": None,
        "received_at": now,
    }


def store_own(read: statements.Statement, *, now: datetime, audience: str = Audience.PUBLIC) -> Statement:
    """Keep a statement made here, to be announced."""
    own = ThisNode.objects.filter(pk=1).values_list("node_id", flat=True).first()
    row = row_of(read, via=[own or read.signer], now=now, is_announced=True, audience=audience)
    row.save(force_insert=True)
    if read.kind == "release":
        store_parents([read])
    number_soon()
    return row


def store_parents(releases: Sequence[statements.Statement]) -> None:
    """Remember whom releases descend from."""
    ReleaseParent.objects.bulk_create(
        [
            ReleaseParent(child_digest=each.subject.sha256, parent_digest=parent)
            for each in releases
            for parent in each.predicate["lineage"]["parents"]
        ],
        ignore_conflicts=True,
    )


def number_soon() -> None:
    """Give numbers once the transaction around this has committed."""
    transaction.on_commit(number)


def number() -> int:
    """
    Number what may be announced and has none yet; answers the head.

    Root documents come before the statements that need them.
    """
    if not unnumbered(most=1):
        return ThisNode.objects.filter(pk=1).values_list("head", flat=True).first() or 0
    with transaction.atomic():
        node = ThisNode.objects.select_for_update().filter(pk=1).first()
        if node is None:
            return 0
        ids = unnumbered(most=NUMBERED_AT_ONCE)
        pairs: list[tuple[Any, ...]] = [(node.head + place, pk) for place, pk in enumerate(ids, start=1)]
        with connection.cursor() as cursor:
            cursor.executemany("UPDATE federation_statement SET seq = %s WHERE id = %s", pairs)
        node.head += len(ids)
        node.save(update_fields=["head"])
        transaction.on_commit(_remember)
    return node.head


def unnumbered(*, most: int) -> list[int]:
    """
    Keys of what may be announced and has no number yet, root documents first.

    Everything in quarantine is without a number, too: SQLite would look
    through all of it by the index on ``seq``, and is told the small one.
    """
    with connection.cursor() as cursor:
        cursor.execute(_UNNUMBERED[connection.vendor], [most])
        return [pk for (pk,) in cursor.fetchall()]


_UNNUMBERED = {
    vendor: f"SELECT id FROM federation_statement {hint} WHERE is_announced AND seq IS NULL"  # noqa: S608  no values
    " ORDER BY CASE WHEN kind = 'root' THEN 0 ELSE 1 END, id LIMIT %s"
    for vendor, hint in {"sqlite": "INDEXED BY federation_unnumbered", "postgresql": ""}.items()
}


def _remember() -> None:
    """Outside of the database, so that an older one is noticed."""
    from federation.services import remembering

    remembering.remember()
