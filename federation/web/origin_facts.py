"""
Where a version comes from and where it goes: signatures, the way here, what peers attest about it.

A foreign version stands in the registry because a quarantine item was admitted
as it; an own one may have been announced. Both have exactly one release
statement, which is what this shows. Whoever may see the pattern may see that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest

from execution.shadow.figures import typeset
from federation.models import AttestedVerdict, Peer, QuarantineItem, SharedVersion, UsageClaim
from federation.protocol.kinds import PERIOD_SECONDS
from federation.protocol.tiers import RULES, Tier
from federation.web import peer_facts
from federation.web.pages import this_node
from registry import ranking
from registry.models import Owner, Pattern, PatternVersion, Via
from registry.web.marks import Evidence

MOST_CLAIMS = 2_000  # looked at for one page
MOST_VERDICTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One node on the way here."""

    node_id: str
    label: str  # what people here call it; "" for one that is not known
    href_id: str  # its id where its page may be shown, else ""
    is_here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What one node says about a text."""

    node_id: str
    label: str
    weight: float  # how much it counts here, 0 to 1
    evidence: Evidence
    is_noisy: bool  # told under the public profile
    newest: datetime  # when its newest period began


def may_preview(user: Any, pattern: Pattern) -> bool:
    """Whether this person may see what leaves of a pattern: who publishes it, and staff."""
    if not user.is_authenticated:
        return False
    return bool(user.is_staff or pattern.owner.can_publish(user))


def provenance(request: HttpRequest, version: PatternVersion) -> Mapping[str, Any] | None:
    """The section about signatures, way and attestations; None before this hub is a node."""
    node = this_node()
    if node is None:
        return None
    item = _item_of(version)
    shared = SharedVersion.objects.filter(pattern_version=version).select_related("statement", "withdrawal").first()
    statement = item.statement if item is not None else shared.statement if shared is not None else None
    peers = {peer.node_id: peer for peer in Peer.objects.defer("message", "features", "last_error")[:2_000]}
    attested = attestations(version.digest, peers, own=node.node_id, is_staff=request.user.is_staff)
    preview = may_preview(request.user, version.pattern) and version.pattern.owner.kind != Owner.Kind.REMOTE
    told = verdicts(version.digest, peers, own=node.node_id)
    if statement is None and not attested and not told and not preview:
        return None
    return {
        "version": version,
        "node": node,
        "item": item,
        "shared": shared,
        "statement": statement,
        "via": hops(statement.via, peers, own=node.node_id, user=request.user) if statement is not None else (),
        "author_words": peer_facts.words_of(statement.signer) if statement is not None else (),
        "keyids": [each.get("keyid", "") for each in statement.signatures] if statement is not None else (),
        "attested": attested,
        "verdicts": told,
        "may_preview": preview,
        "is_library": version.published_via == Via.LIBRARY,
        "is_staff": request.user.is_staff,
    }


def aside(request: HttpRequest, version: PatternVersion) -> Mapping[str, Any] | None:
    """The short form beside a foreign pattern: who signed it and through whom it came; None for own ones."""
    if version.pattern.owner.kind != Owner.Kind.REMOTE:
        return None
    item = _item_of(version)
    if item is None:
        return None
    return {"item": item, "statement": item.statement, "peer": item.peer, "version": version}


def _item_of(version: PatternVersion) -> QuarantineItem | None:
    items = QuarantineItem.objects.filter(admitted_as=version).select_related("statement", "peer")
    return items.defer("statement__payload").first()


def hops(via: Iterable[Any], peers: Mapping[str, Peer], *, own: str, user: Any) -> list[Hop]:
    """The nodes on the way, origin first."""
    return [_hop(str(each), peers.get(str(each)), own=own, user=user) for each in via]


def _hop(node_id: str, peer: Peer | None, *, own: str, user: Any) -> Hop:
    may_see = peer is not None and (user.is_staff or peer.tier >= Tier.APPROVED)
    return Hop(
        node_id=node_id,
        label=str(peer) if peer is not None and may_see else "",
        href_id=node_id if may_see else "",
        is_here=node_id == own,
    )


def attestations(digest: str, peers: Mapping[str, Peer], *, own: str, is_staff: bool) -> list[Attestation]:
    """
    What each node claims about a text, all its periods together, the weightiest first.

    Claims that count nothing here are shown to staff only.
    """
    by_node: dict[str, list[UsageClaim]] = {}
    for claim in (
        UsageClaim.objects.filter(digest=digest, is_contradicted=False).exclude(node=own).order_by("pk")[:MOST_CLAIMS]
    ):
        by_node.setdefault(claim.node, []).append(claim)
    found = [_attestation(node, claims, peers.get(node)) for node, claims in by_node.items()]
    shown = [each for each in found if each.weight > 0 or is_staff]
    return sorted(shown, key=lambda each: (-each.weight, -(each.evidence.runs or 0), each.node_id))


def _attestation(node: str, claims: list[UsageClaim], peer: Peer | None) -> Attestation:
    runs, success = sum(claim.runs for claim in claims), sum(claim.success for claim in claims)
    low, high = ranking.wilson_interval(success, runs)
    newest = max(claim.period for claim in claims)
    return Attestation(
        node_id=node,
        label=str(peer) if peer is not None else "",
        weight=RULES[peer.trust].statistics_weight if peer is not None else 0.0,
        evidence=Evidence(
            kind="attested",
            runs=runs,
            rate=success / runs if runs else None,
            low=low if runs else None,
            high=high if runs else None,
        ),
        is_noisy=any(claim.profile == "public" for claim in claims),
        newest=period_begin(newest),
    )


def period_begin(period: int) -> datetime:
    """When a period began; one beyond all calendars is cut to the last we can write."""
    return datetime.fromtimestamp(min(period * PERIOD_SECONDS, 253_000_000_000), tz=UTC)


def verdicts(digest: str, peers: Mapping[str, Peer], *, own: str) -> list[dict[str, Any]]:
    """What trials of trusted nodes came to when recomputed here, newest first; verdicts that do not follow are left out."""
    rows = AttestedVerdict.objects.filter(candidate=digest, is_confirmed=True, statement__is_held_back=False)
    found = []
    for row in rows.select_related("statement").defer("statement__payload").order_by("-pk")[:MOST_VERDICTS]:
        peer = peers.get(row.node)
        if row.node != own and (peer is None or peer.tier < Tier.APPROVED):
            continue
        found.append(
            {
                "label": str(peer) if peer is not None else "",
                "is_here": row.node == own,
                "outcome": row.outcome.replace("_", " "),
                "sentence": typeset(row.sentence),
                "pairs": row.pairs,
                "against": row.control_name,
                "is_simulated": row.backend.startswith("simulated"),
                "at": row.statement.received_at,
                "id": row.statement.statement_id,
            }
        )
    return found
