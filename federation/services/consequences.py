"""
What follows from a statement once it is believed: withdrawals, contradictions, claims, rotated keys.

A withdrawal by author or origin acts; by anybody else it is kept as advice.
It acts whenever its target arrives, before or after it. What is withdrawn
stays as a tombstone: name, version, digest, reason; nothing comes back.

Source: OPL-Fed/1, "Objects: statements".
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from federation.models import Audience, Peer, PeerKey, QuarantineItem, Statement, UsageClaim
from federation.protocol import acceptance, equivocation, fields
from federation.protocol import statement as statements
from federation.protocol.acceptance import Accepted
from federation.protocol.kinds import WITHDRAWALS
from federation.protocol.quarantine import TRANSITIONS, Event
from federation.protocol.root import Chain
from federation.services import bulk, homecoming
from registry.models import LineageEdge, PatternVersion
from registry.services import audit, yanking


def follow(judged: Accepted, row: Statement, *, now: datetime) -> None:
    """Everything that follows from one accepted statement; inside the transaction that stored it."""
    kind = row.kind
    if kind == "root" and judged.chain is not None:
        refresh_keys(judged.chain)
    elif kind == "release":
        _release(judged, row, now=now)
    elif kind in WITHDRAWALS:
        target = Statement.objects.filter(statement_id=row.target).first()
        if target is not None:
            withdraw(row, target, now=now)
    elif kind == "equivocation" and judged.proven is not None:
        for each in judged.proven:
            hold_back(
                Statement.objects.filter(statement_id=each.id), "its author signed two texts of this version", now
            )
    elif kind == "usage":
        _claim(judged.statement, row)


def refresh_keys(chain: Chain) -> None:
    """A peer's requests are signed by the transport keys of its newest root document, and by no others."""
    peer = Peer.objects.filter(node_id=chain.id).first()
    if peer is not None:
        set_keys(peer, chain)


def set_keys(peer: Peer, chain: Chain) -> None:
    """Make these the keys that speak for a peer."""
    current = chain.latest.transport_keys
    peer.keys.exclude(keyid__in=current).delete()
    for keyid, raw in current.items():
        PeerKey.objects.update_or_create(keyid=keyid, defaults={"public_key": raw.hex(), "peer": peer})


def compromised_since(identities: Iterable[str]) -> dict[str, int]:
    """The earliest time from which identities have called their own keys stolen; nothing for those that have not."""
    since: dict[str, int] = {}
    for row in Statement.objects.filter(kind="revoke", signer__in=bulk.among(identities)):
        told = row.predicate.get("compromised_since")
        if told:
            at = fields.seconds(told, "compromised_since")
            since[row.signer] = min(at, since.get(row.signer, at))
    return since


def withdraw(withdrawal: Statement, target: Statement, *, now: datetime) -> None:
    """Let a yank, revocation or erasure act on its target, or mark it as advice."""
    from federation.services import erasing

    read = withdrawal.read()
    if target.kind in WITHDRAWALS or read.signer not in (target.signer, target.predicate.get("origin")):
        Statement.objects.filter(pk=withdrawal.pk).update(is_advice=True)
        return
    reason = str(read.predicate.get("reason", "")).strip() or "its author gave no reason"
    same = homecoming.twins(target) if target.kind == "release" else Statement.objects.filter(pk=target.pk)
    is_ours = homecoming.is_ours(target.signer)
    if is_ours or len(target.via) == 1:  # it began its way here
        Statement.objects.filter(pk=withdrawal.pk).update(audience=target.audience)
    if is_ours or same.filter(is_announced=True).exists():
        # Who got the text from us hears from us that it is withdrawn, and of every release that this is said about;
        # what is at home here was announced once, though this database may have lost it and its withdrawal is back first.
        Statement.objects.filter(pk=withdrawal.pk).update(is_announced=True)
        same.update(is_announced=True)
    versions = []
    for twin in same:
        _settle(twin, withdrawal.kind, reason, now)
        versions += _versions_of(twin)
    for version in versions:
        _yank(version, f"{withdrawal.kind}: {reason}" if withdrawal.kind != "yank" else reason, now)
    if withdrawal.kind == "erase":
        erasing.erase(target, versions, now=now)


def catch_up(release: Statement, *, now: datetime) -> None:
    """Let everything act on a release that was said before about it or about a twin of it."""
    for withdrawal in Statement.objects.filter(target__in=homecoming.twins(release).values("statement_id")):
        withdraw(withdrawal, release, now=now)


def hold_back(rows: Any, reason: str, now: datetime) -> None:
    """Contradicted releases are shown to nobody, and what was admitted of them is advised against."""
    from federation.services import quarantining

    for row in rows.filter(is_held_back=False):
        Statement.objects.filter(pk=row.pk).update(is_held_back=True)
        item = QuarantineItem.objects.filter(statement=row).first()
        if item is not None and Event.CONTRADICTED in TRANSITIONS[item.current]:
            quarantining.step(item, Event.CONTRADICTED, reason=reason, now=now)
        for version in _versions_of(row):
            _yank(version, reason, now)


def _release(judged: Accepted, row: Statement, *, now: datetime) -> None:
    if judged.contradicts is not None:
        _prove(judged.statement, judged.contradicts, now=now)
        both = Statement.objects.filter(statement_id__in=[row.statement_id, judged.contradicts.id])
        hold_back(both, "its author signed two texts of this version", now)
    catch_up(row, now=now)


def _prove(one: statements.Statement, other: statements.Statement, *, now: datetime) -> None:
    """Publish the proof that an author contradicted itself."""
    from federation.services import identities, storing

    own = identities.node().node_id
    predicate, subject = equivocation.predicate(own, one, other)
    proof = statements.sign("equivocation", predicate, subject=subject, signers=identities.publish_keys(own)[:1])
    if not Statement.objects.filter(statement_id=proof.id).exists():
        storing.store_own(proof, now=now, audience=Audience.PUBLIC)
        audit.record(
            actor=None, action="federation.equivocation", subject=subject.name, now=now, detail={"proof": proof.id}
        )


def _settle(target: Statement, kind: str, reason: str, now: datetime) -> None:
    """An object still in quarantine is refused when it is withdrawn."""
    from federation.services import quarantining

    item = QuarantineItem.objects.filter(statement=target).first()
    if item is not None and Event.REFUSED in TRANSITIONS[item.current]:
        quarantining.step(item, Event.REFUSED, reason=f"its author withdrew it ({kind}): {reason}", now=now)


def _versions_of(target: Statement) -> list[PatternVersion]:
    """What stands in the registry for a release: admitted from it, signed as it, or translated from it."""
    versions = PatternVersion.objects.select_related("pattern__owner", "document")
    direct = list(versions.filter(admitted_from__statement=target) | versions.filter(shared__statement=target))
    translated = LineageEdge.objects.filter(parent_digest=target.subject_digest, op=LineageEdge.Op.TRANSLATE)
    made_here = versions.filter(digest__in=translated.values("child_digest"), provenance__has_key="lens")
    return [*direct, *made_here]


def _yank(version: PatternVersion, reason: str, now: datetime) -> None:
    if not version.is_yanked:
        yanking.yank(version=version, user=None, reason=reason, now=now, via="peer")


def _claim(claim: statements.Statement, row: Statement) -> None:
    from federation.services import statistics

    node, digest, cell, period = acceptance.usage_key(claim)
    told = claim.predicate
    kept, _ = UsageClaim.objects.update_or_create(
        node=node,
        digest=digest,
        cell=cell[:400],
        period=period,
        defaults={
            "statement": row,
            "revision": told["revision"],
            "runs": told["runs"],
            "success": told["success"],
            "profile": told["profile"],
            "epsilon": told["epsilon"],
            "is_contradicted": False,
        },
    )
    statistics.count(kept)


def distrust(claim: statements.Statement) -> None:
    """A node that said two things under one revision of a usage claim is not believed in either."""
    from federation.services import statistics

    node, digest, cell, period = acceptance.usage_key(claim)
    statistics.distrust(node=node, digest=digest, cell=cell, period=period)
