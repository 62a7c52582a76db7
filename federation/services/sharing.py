"""
What leaves this node: public versions become signed releases, withdrawn ones get their withdrawal.

Nothing in the registry knows of this: ``notice`` finds versions without a
``SharedVersion`` row. Before a version is signed it passes the egress scan; a
text with a secret in it stays here, with the reason where its author sees it.

    notice(now=now)              # sign what is new; called on every tick
    preview(version)             # exactly what would leave, nothing stored

Source: OPL-Fed/1, "Statistics and privacy"; docs/decisions/0085.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from federation.errors import NothingToSend
from federation.models import Audience, Author, SharedVersion, Statement
from federation.protocol import fields, kinds, limits
from federation.protocol import statement as statements
from federation.protocol.keys import SecretKey
from federation.protocol.kinds import Subject
from federation.protocol.problems import NotFederable, Refused
from federation.services import homecoming, identities, scanning, storing
from opl.scan import Category
from registry.models import LineageEdge, Owner, Pattern, PatternVersion, User, Via
from registry.services import audit

NOTICED_AT_ONCE = 500
NEW_AUTHOR = "opla1… (made when the first release of this owner is signed)"
WAITS = "its author signs it: `manage.py author prepare`, sign it where the key is, `manage.py author submit`"
_OPERATIONS = {
    LineageEdge.Op.TRANSLATE: "translate",
    LineageEdge.Op.MERGE: "merge",
    LineageEdge.Op.FORK: "fork",
    LineageEdge.Op.ADAPT: "adapt",
    LineageEdge.Op.LEARNED_FROM: "adapt",
    LineageEdge.Op.REVISION: "new",
}  # strongest first: what a release says about its descent
_PROPAGATE = {Audience.PUBLIC: "public", Audience.ORGANISATION: "peers"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Exactly what would leave for one version."""

    version: PatternVersion
    leaves: bool
    reason: str  # why not, "" where it leaves
    findings: tuple[dict[str, Any], ...]  # of the egress scan, redacted
    predicate: dict[str, Any]  # of the release; empty where none can be made


def candidates() -> Any:
    """Versions of this hub's own people that have not been looked at yet."""
    return (
        PatternVersion.objects.filter(shared__isnull=True)
        .exclude(published_via=Via.LIBRARY)
        .exclude(pattern__owner__kind=Owner.Kind.REMOTE)
        .exclude(pattern__visibility=Pattern.Visibility.PRIVATE)
        .exclude(pattern__owner__in=identities.self_signing().values("owner"))  # these wait for their signature
        .select_related("pattern__owner")
        .order_by("pk")
    )


def notice(*, now: datetime, limit: int = NOTICED_AT_ONCE) -> int:
    """Sign what is new and withdraw what was yanked; answers how many statements were made."""
    node = identities.node()
    if node.is_paused or not node.must_share:
        return 0
    made = sum(share(version, now=now).statement_id is not None for version in candidates()[:limit])
    yanked = SharedVersion.objects.filter(
        statement__isnull=False, withdrawal__isnull=True, pattern_version__yanked_at__isnull=False
    ).select_related("pattern_version__pattern__owner", "statement")
    for shared in yanked[:limit]:
        made += _tell_of_yank(shared, now=now)
    return made


def _tell_of_yank(shared: SharedVersion, *, now: datetime) -> bool:
    """Sign the withdrawal of a version that was yanked here; not a second time where the first one came home."""
    assert shared.statement is not None
    said = homecoming.withdrawal_of(shared.statement)
    if said is not None:
        shared.withdrawal = said
        shared.save(update_fields=["withdrawal"])
        return False
    _withdraw(shared, kind="yank", reason=shared.pattern_version.yank_reason, now=now)
    return True


@transaction.atomic
def share(version: PatternVersion, *, now: datetime) -> SharedVersion:
    """Sign one version, or keep it back with the reason; the same row again where that was decided."""
    row = SharedVersion.objects.filter(pattern_version=version).first()
    if row is not None:
        return row
    looked = preview(version, now=now)
    if not looked.leaves:
        return _keep_back(version, looked.reason, looked.findings, now=now)
    author = identities.author_of(version.pattern.owner, now=now)
    if not identities.holds_keys_of(author.author_id):
        raise NothingToSend(str(version), WAITS)
    returned = homecoming.release_of(version, author.author_id)
    if returned is not None:
        return _come_home(version, returned, now=now)
    if homecoming.is_contradicted(version, author.author_id):
        reason = "this number was released with another text before, and that came back from a peer; publish under a new number"
        return _keep_back(version, reason, (), now=now)
    predicate = looked.predicate | {"author": author.author_id}
    subject = Subject(predicate["name"], version.digest)
    keys = identities.publish_keys(author.author_id)[:1]
    try:
        signed = statements.sign("release", predicate, subject=subject, signers=keys)
    except (NotFederable, Refused) as error:
        return _keep_back(version, f"not-federable: {getattr(error, 'reason', '') or error}", (), now=now)
    statement = storing.store_own(signed, now=now, audience=audience_of(version.pattern))
    return SharedVersion.objects.create(
        pattern_version=version,
        outcome=SharedVersion.Outcome.SIGNED,
        findings=list(looked.findings),
        statement=statement,
        decided_at=now,
    )


def _come_home(version: PatternVersion, returned: Statement, *, now: datetime) -> SharedVersion:
    """This version was announced before; where that release was withdrawn meanwhile, so is the version."""
    from federation.services import consequences

    row = homecoming.settle_in(version, returned, now=now)
    consequences.catch_up(returned, now=now)
    return row


def preview(version: PatternVersion, *, now: datetime) -> Preview:
    """What sharing a version would send, or why it would not; stores nothing, not even a first author's keys."""
    private = set(identities.node().private_topics) & set(version.pattern.tags)
    if private:
        return _kept(version, f"its topic {sorted(private)[0]} is private here")
    if version.pattern.visibility == Pattern.Visibility.PRIVATE:
        return _kept(version, "the pattern is private")
    if not version.source_bytes:
        return _kept(version, "its text was erased")
    try:
        document = scanning.open_safely(version.source_bytes)
    except Refused as refusal:
        return _kept(version, f"not-federable: {refusal.detail}")
    looked = scanning.look(document, display_name=str(version.pattern))
    secrets = [each for each in looked.findings if each["category"] == str(Category.SECRET)]
    if secrets:
        return _kept(
            version,
            f"{secrets[0]['message']} in line {secrets[0]['line']}; remove it and publish again",
            looked.findings,
        )
    author = Author.objects.filter(owner=version.pattern.owner).values_list("author_id", flat=True).first()
    predicate = release_predicate(
        version, author=author or NEW_AUTHOR, semantic_digest=document.semantic_digest, now=now
    )
    return Preview(version=version, leaves=True, reason="", findings=looked.findings, predicate=predicate)


def release_predicate(version: PatternVersion, *, author: str, semantic_digest: str, now: datetime) -> dict[str, Any]:
    """What a release of this version says."""
    program = version.program or {}
    parents, operation = _descent(version)
    return {
        "author": author,
        "origin": identities.node().node_id,
        "name": str(version.pattern),
        "version": version.version,
        "source": version.source_bytes.decode("utf-8"),
        "source_digest": version.digest,
        "semantic_digest": semantic_digest,
        "requires": {
            "events": sorted(version.events)[:1_000],
            "roles": sorted(version.requires_profiles)[:1_000],
            "functions": sorted(program.get("builtins") or ())[:1_000],
        },
        "lineage": {"parents": parents, "op": operation},
        "learned_from": version.claims.get("learned_from"),
        "license": version.license or None,
        "topics": version.pattern.tags[: limits.TOPICS],
        "propagate": _PROPAGATE[audience_of(version.pattern)],
        "created": fields.written(int(version.published_at.timestamp())),
    }


def audience_of(pattern: Pattern) -> Audience:
    """To whom a pattern's releases may go."""
    return Audience.PUBLIC if pattern.visibility == Pattern.Visibility.PUBLIC else Audience.ORGANISATION


def shared_of(version: PatternVersion, *, now: datetime) -> Statement:
    """The release of a version, signed now where it was not yet; raises NothingToSend with the reason."""
    admitted = Statement.objects.filter(item__admitted_as=version).first()
    if admitted is not None:
        return admitted
    if version.published_via == Via.LIBRARY:
        raise NothingToSend(str(version), "the library ships with every node; fork it to share a version of your own")
    if version.pattern.visibility == Pattern.Visibility.PRIVATE:
        raise NothingToSend(str(version), "the pattern is private")
    row = share(version, now=now)
    if row.statement is None:
        raise NothingToSend(str(version), row.reason)
    return row.statement


@transaction.atomic
def withdraw(version: PatternVersion, *, kind: str, reason: str, now: datetime, user: User | None = None) -> Statement:
    """
    Sign a yank, revocation or erasure of a version of this hub; an erasure also forgets the text here.

    Raises:
        NothingToSend: the version never left, or is withdrawn already.
    """
    from federation.services import consequences

    shared = SharedVersion.objects.select_related("statement").filter(pattern_version=version).first()
    if shared is None or shared.statement is None:
        raise NothingToSend(str(version), "it was never announced; yank it in the registry")
    if kind not in kinds.WITHDRAWALS:
        raise NothingToSend(str(version), f"{kind} is none of {', '.join(sorted(kinds.WITHDRAWALS))}")
    statement = _withdraw(shared, kind=kind, reason=reason, now=now)
    consequences.withdraw(statement, shared.statement, now=now)
    audit.record(
        actor=user, action=f"federation.{kind}", subject=str(version), owner=version.pattern.owner.name, now=now
    )
    return statement


def _withdraw(shared: SharedVersion, *, kind: str, reason: str, now: datetime) -> Statement:
    target = shared.statement
    assert target is not None
    by, keys = _withdrawing(target.signer)
    predicate = {
        **by,
        "target": target.statement_id,
        "reason": reason[:2_000],
        "successor": _successor(shared.pattern_version),
        "created": fields.written(int(now.timestamp())),
    }
    signed = statements.sign(
        kind,
        predicate,
        subject=Subject(target.subject_name, target.statement_id),
        signers=keys,
    )
    statement = storing.store_own(signed, now=now, audience=target.audience)
    if shared.withdrawal is None:
        shared.withdrawal = statement
        shared.save(update_fields=["withdrawal"])
    return statement


def _withdrawing(author: str) -> tuple[dict[str, str], list[SecretKey]]:
    """Who signs a withdrawal here: the author, or this node as the origin where the author keeps the key."""
    keys = identities.publish_keys(author)[:1]
    if keys:
        return {"author": author}, keys
    own = identities.node().node_id
    return {"node": own}, identities.publish_keys(own)[:1]


def _successor(version: PatternVersion) -> str | None:
    if version.successor_id is None:
        return None
    shared = SharedVersion.objects.filter(pattern_version_id=version.successor_id).select_related("statement").first()
    return shared.statement.statement_id if shared is not None and shared.statement is not None else None


def _descent(version: PatternVersion) -> tuple[list[str], str]:
    """Source digests a version was made from, and how; a byte-identical fork has no other text as its parent."""
    edges = LineageEdge.objects.filter(child_digest=version.digest, op__in=list(_OPERATIONS))
    found = {edge.parent_digest: edge.op for edge in edges if not edge.detail.get("claimed")}
    for operation, told in _OPERATIONS.items():
        parents = sorted(parent for parent, op in found.items() if op == operation and parent != version.digest)
        if parents:
            return parents[: limits.PARENTS], told
    return [], "fork" if version.pattern.forked_from_id else "new"


def _kept(version: PatternVersion, reason: str, findings: tuple[dict[str, Any], ...] = ()) -> Preview:
    return Preview(version=version, leaves=False, reason=reason, findings=findings, predicate={})


def _keep_back(
    version: PatternVersion, reason: str, findings: tuple[dict[str, Any], ...], *, now: datetime
) -> SharedVersion:
    audit.record(
        actor=None,
        action="federation.kept-back",
        subject=str(version),
        owner=version.pattern.owner.name,
        now=now,
        detail={"reason": reason[:500]},
    )
    return SharedVersion.objects.create(
        pattern_version=version,
        outcome=SharedVersion.Outcome.KEPT_BACK,
        reason=reason[:2_000],
        findings=list(findings),
        decided_at=now,
    )
