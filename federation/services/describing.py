"""
Peers, objects in quarantine and blocked authors as JSON: one form for ``--json`` of the commands and for the API.

Names and numbers only; the text of an object, which is foreign, is not part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from federation.models import BlockedAuthor, Peer, QuarantineItem, ThisNode
from federation.protocol.tiers import RULES
from federation.services import blocking, trusting, trying


def peer(row: Peer, *, node: ThisNode, now: datetime) -> dict[str, Any]:
    """One peer: who it is, how far it is trusted, how it does; ``node`` is this node's row."""
    return {
        "label": row.label,
        "node_id": row.node_id,
        "address": row.base_url,
        "tier": row.tier,
        "tier_name": RULES[row.trust].label,
        "fingerprint": trusting.fingerprint(row),
        "asked_us": row.asked_us_at,
        "approved_there": row.approved_there,
        "paused": row.is_paused,
        "cursor": str(row.cursor or ""),
        "lag": max(0, node.head - row.acked_seq),
        "failures": row.failures,
        "dead": row.is_dead(now),
        "next_try_at": row.next_try_at,
        "last_sync_at": row.last_sync_at,
        "last_error": row.last_error,
    }


def item(row: QuarantineItem) -> dict[str, Any]:
    """One object of the quarantine: where it stands, why, and what was found."""
    return {
        "id": row.pk,
        "name": row.statement.subject_name,
        "version": row.statement.version,
        "author": row.statement.signer,
        "digest": row.statement.subject_digest,
        "statement": row.statement.statement_id,
        "state": row.state,
        "reason": row.reason,
        "fit": row.fit,
        "missing": row.missing,
        "lenses": row.lenses,
        "findings": row.findings,
        "capabilities": row.capabilities,
        "trial": row.trial,
        "pairs": dict(zip(("settled", "planned"), trying.progress(row), strict=True)),
        "admitted_as": str(row.admitted_as) if row.admitted_as else "",
        "yanked": row.admitted_as.yank_reason if row.admitted_as else "",
    }


def blocked_authors(rows: Iterable[BlockedAuthor]) -> list[dict[str, Any]]:
    """Blocked authors, each with how much of it was refused since."""
    listed = list(rows)
    refused = blocking.refused_since([row.author_id for row in listed])
    return [
        {
            "author_id": row.author_id,
            "name": row.name,
            "reason": row.reason,
            "by": row.blocked_by.username if row.blocked_by else "",
            "at": row.blocked_at,
            "refused": refused.get(row.author_id, 0),
        }
        for row in listed
    ]
