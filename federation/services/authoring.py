"""
Authors who keep their key: the node takes what they signed elsewhere, and never holds the key.

    register(owner, roots, …)      # the author's root documents, made on the author's own machine
    prepare(version, now=now)      # what a release of a published version says, to be signed there
    submit(envelope, …)            # the signed release or withdrawal comes back

What is submitted passes what a release of this node passes on its way out
(safe loader, digests, egress scan), and what a foreign one passes on its way
in (signature, one digest for a version, no ring of descent).

Source: OPL-Fed/1, "Identity"; docs/decisions/0130.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from federation.errors import NothingToSend, Refused, Unable
from federation.models import Audience, Author, SharedVersion, Statement
from federation.protocol import acceptance, envelope, feed
from federation.protocol import statement as statements
from federation.protocol.acceptance import Accepted
from federation.protocol.kinds import WITHDRAWALS
from federation.protocol.root import Chain
from federation.services import accepting, consequences, identities, scanning, sharing, storing
from opl.scan import Category
from registry.models import LineageEdge, Owner, Pattern, PatternVersion, User, Via
from registry.services import audit, publishing

_EDGES = {"fork": LineageEdge.Op.FORK, "merge": LineageEdge.Op.MERGE, "adapt": LineageEdge.Op.ADAPT,
          "translate": LineageEdge.Op.TRANSLATE}  # fmt: skip


def register(owner: Owner, roots: Sequence[Any], *, now: datetime, user: User | None = None) -> Author:
    """
    Know an owner by the root documents of an author who keeps the keys.

    Args:
        roots: complete DSSE envelopes of versions 1 to N.

    Raises:
        Refused: they prove nothing. Unable: the owner or the identity is taken.
    """
    _judge_may(owner, user)
    chain = Chain.follow([statements.read(envelope.opened(each), kind="root") for each in roots])
    return identities.register_author(owner, chain, now=now, user=user)


def prepare(version: PatternVersion, *, now: datetime) -> dict[str, Any]:
    """
    The predicate of a release of this version, to be signed by its author.

    Raises:
        NothingToSend: it may not leave, or its author's key is held here.
    """
    author = Author.objects.filter(owner=version.pattern.owner).first()
    if author is None:
        raise NothingToSend(str(version), "its owner has no registered key; `manage.py author register` first")
    if identities.holds_keys_of(author.author_id):
        raise NothingToSend(str(version), "this node signs for its owner by itself")
    looked = sharing.preview(version, now=now)
    if not looked.leaves:
        raise NothingToSend(str(version), looked.reason)
    return looked.predicate


@transaction.atomic
def submit(value: Any, *, now: datetime, user: User | None = None) -> Statement:
    """
    Take a statement that an author of this node signed elsewhere.

    Args:
        value: the complete DSSE envelope of a release, yank, revocation or erasure.

    Raises:
        Refused: signature, form or document are not right.
        Unable: it is nobody's here, or names another node as its origin.
    """
    read = statements.read(envelope.opened(value))
    author = Author.objects.select_related("owner").filter(author_id=read.signer).first()
    if author is None:
        raise Unable(f"no owner here is {read.signer}; `manage.py author register OWNER ROOT` comes first")
    _judge_may(author.owner, user)
    held = Statement.objects.filter(statement_id=read.id).first()
    if held is not None:
        return held
    own = identities.node().node_id
    line = feed.line(read, via=[own])
    known = accepting.PageKnowledge.of([read])
    if read.kind == "release" and read.release_key in known.erased:
        raise Unable("this version was erased; release another number")
    judged = acceptance.judge(line, known, read=read)
    assert isinstance(judged, Accepted), "it is not held"
    if read.kind == "release":
        return _release(read, judged, author, now=now, user=user)
    if read.kind in WITHDRAWALS:
        return _withdrawal(read, now=now, user=user)
    raise Unable(f"a {read.kind} is not submitted; releases and withdrawals are")


def _judge_may(owner: Owner, user: User | None) -> None:
    if user is not None and not (user.is_superuser or owner.can_publish(user)):
        raise Unable(f"you may not publish as {owner}")


def _release(
    read: statements.Statement, judged: Accepted, author: Author, *, now: datetime, user: User | None
) -> Statement:
    predicate = read.predicate
    if judged.contradicts is not None:
        raise Refused("equivocation", f"version {predicate['version']} was signed with another text before")
    _judge_place(predicate, author.owner)
    findings = _judge_leaving(predicate)
    version = _published(predicate, author.owner, statement_id=read.id, now=now, user=user)
    if version.pattern.visibility == Pattern.Visibility.PRIVATE:
        raise Unable(f"the pattern {version.pattern} is private here")
    is_public = predicate["propagate"] not in ("none", "peers")
    audience = sharing.audience_of(version.pattern) if is_public else Audience.ORGANISATION
    row = storing.store_own(read, now=now, audience=audience)
    SharedVersion.objects.update_or_create(
        pattern_version=version,
        defaults={
            "outcome": SharedVersion.Outcome.SIGNED, "reason": "", "findings": findings, "statement": row,
            "decided_at": now,
        },
    )  # fmt: skip
    audit.record(
        actor=user, action="federation.submitted", subject=str(version), owner=author.owner.name, now=now,
        detail={"statement": read.id},
    )  # fmt: skip
    return row


def _judge_place(predicate: Mapping[str, Any], owner: Owner) -> None:
    own = identities.node().node_id
    if predicate["origin"] != own:
        raise Unable(f"it names {predicate['origin']} as its origin; this node is {own}")
    handle = predicate["name"].partition("/")[0]
    if handle != owner.name:
        raise Unable(f"its name begins with {handle}; its author is {owner.name} here")


def _judge_leaving(predicate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the egress scan finds; raises for a secret or a private topic, as for a release signed here."""
    private = set(identities.node().private_topics) & set(predicate["topics"])
    if private:
        raise Unable(f"its topic {sorted(private)[0]} is private here")
    looked = scanning.look(scanning.open_release(predicate), display_name=predicate["name"])
    for each in looked.findings:
        if each["category"] == str(Category.SECRET):
            raise Unable(f"{each['message']} in line {each['line']}; remove it and sign again")
    return list(looked.findings)


def _published(
    predicate: Mapping[str, Any], owner: Owner, *, statement_id: str, now: datetime, user: User | None
) -> PatternVersion:
    """The version of the registry that this release is: the one that stands there, or a new one."""
    name, number = predicate["name"].partition("/")[2], predicate["version"]
    found = PatternVersion.objects.filter(pattern__owner=owner, pattern__name=name, version=number).first()
    if found is not None:
        if found.digest != predicate["source_digest"]:
            raise Refused("equivocation", f"{found} is published here with another text")
        return found
    operation = predicate["lineage"]["op"]
    visibility = Pattern.Visibility.PUBLIC if predicate["propagate"] not in ("none", "peers") else ""
    known = Pattern.objects.filter(owner=owner, name=name).exists()
    published = publishing.publish(
        owner=owner,
        user=user if user is not None and owner.can_publish(user) else None,
        source=predicate["source"].encode("utf-8"),
        via=Via.CLI,
        now=now,
        version=number,
        name=name,
        visibility="" if known else visibility or Pattern.Visibility.ORGANISATION,
        provenance={"statement": statement_id, "author": predicate["author"]},
        parents=tuple((each, _EDGES[operation]) for each in predicate["lineage"]["parents"] if operation in _EDGES),
    )
    return published.versions[0].version


def _withdrawal(read: statements.Statement, *, now: datetime, user: User | None) -> Statement:
    target = Statement.objects.filter(statement_id=read.predicate["target"], signer=read.signer).first()
    if target is None:
        raise Unable("it withdraws nothing that this author released here")
    row = storing.store_own(read, now=now, audience=target.audience)
    SharedVersion.objects.filter(statement=target, withdrawal=None).update(withdrawal=row)
    consequences.withdraw(row, target, now=now)
    audit.record(actor=user, action=f"federation.{read.kind}", subject=target.subject_name, now=now)
    return row
