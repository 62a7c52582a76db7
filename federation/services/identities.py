"""
Who signs here: this node and the authors whose keys it keeps, with their root documents.

    node = identities.node()                    # NoIdentity before `manage.py node create`
    identities.create_node(now=now)
    identities.author_of(owner, now=now)        # made at the first release
    identities.rotate(identity, now=now)        # new keys for every role; old ones retire
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from federation.errors import NoIdentity, Unable
from federation.models import Author, RootDocument, SigningKey, Statement, ThisNode
from federation.protocol import envelope, keys, root, statement
from federation.protocol.envelope import Signature
from federation.protocol.keys import HexKey, KeyId, SecretKey
from federation.protocol.kinds import Subject
from federation.protocol.root import Chain
from federation.services import bulk, keyring, storing
from registry.models import Owner, User
from registry.services import audit

Role = SigningKey.Role
_Document = tuple[bytes, tuple[tuple[str, str], ...]]  # payload, (keyid, signature) of a pinned root document


def node() -> ThisNode:
    """This node's row; raises NoIdentity before there is one."""
    row = ThisNode.objects.filter(pk=1).first()
    if row is None:
        raise NoIdentity
    return row


def has_node() -> bool:
    """Whether this hub has a node identity."""
    return ThisNode.objects.filter(pk=1).exists()


@transaction.atomic
def create_node(*, now: datetime, contact: str = "", user: User | None = None) -> ThisNode:
    """This node's identity; the one that is there, where there is one."""
    row = ThisNode.objects.filter(pk=1).first()
    if row is not None:
        return row
    identity = _create_identity("node", now=now, domains=_domains())
    row = ThisNode.objects.create(pk=1, node_id=identity, epoch=new_epoch(), contact=contact[:500], created_at=now)
    Statement.objects.filter(signer=identity).update(via=[identity])
    audit.record(actor=user, action="federation.node-created", subject=identity, now=now)
    return row


def new_epoch() -> str:
    """A fresh epoch."""
    return secrets.token_hex(16)


@transaction.atomic
def restored(*, now: datetime, user: User | None = None, how: str = "") -> ThisNode:
    """
    The database was restored: a new epoch, and every peer is reconciled with.

    Args:
        how: what told of it; empty where a person did.
    """
    from federation.models import Peer, Segment
    from federation.services import remembering

    row = ThisNode.objects.select_for_update().get(pk=1)
    row.epoch, row.doubted_epoch = new_epoch(), ""
    row.save(update_fields=["epoch", "doubted_epoch"])
    Peer.objects.to_be_compared()
    Peer.objects.update(acked_seq=0, poked_seq=0)
    Segment.objects.all().delete()
    audit.record(actor=user, action="federation.restored", subject=row.node_id, now=now, detail={"how": how})
    transaction.on_commit(remembering.remember)
    return row


@transaction.atomic
def author_of(owner: Owner, *, now: datetime) -> Author:
    """The author identity of an owner, made where there is none yet."""
    row = Author.objects.filter(owner=owner).first()
    if row is not None:
        return row
    identity = _create_identity("author", now=now)
    row = Author.objects.create(owner=owner, author_id=identity, created_at=now)
    audit.record(actor=None, action="federation.author-created", subject=identity, owner=owner.name, now=now)
    return row


def holds_keys_of(identity: str) -> bool:
    """Whether statements of this identity can be signed here; an author may hold the key instead."""
    return SigningKey.objects.filter(identity=identity, role=Role.PUBLISH, retired_at=None).exists()


def self_signing() -> QuerySet[Author]:
    """Authors of this node who sign with a key of their own."""
    held = SigningKey.objects.filter(role=Role.PUBLISH, retired_at=None)
    return Author.objects.exclude(author_id__in=held.values("identity"))


@transaction.atomic
def register_author(owner: Owner, chain: Chain, *, now: datetime, user: User | None = None) -> Author:
    """
    Know an owner of this hub by a chain whose keys stay with its author; the same chain, longer, is a rotation.

    Raises:
        Unable: the owner is known by another identity, or the identity is somebody else's.
        Refused: the chain does not continue the pinned one.
    """
    if chain.latest.owner != "author":
        raise Unable("these are the root documents of a node, not of an author")
    row = Author.objects.filter(owner=owner).first()
    if row is not None and row.author_id != chain.id:
        raise Unable(f"{owner} is known to other nodes as {row.author_id}; an identity cannot be exchanged")
    other = Author.objects.filter(author_id=chain.id).exclude(owner=owner).first()
    if other is not None or owner.kind == Owner.Kind.REMOTE:
        raise Unable(f"{chain.id} is {other.owner} here" if other else f"{owner} is at home on another node")
    pinned = chain_of(chain.id)
    merged = pinned.merged(chain) if pinned is not None else chain
    pin(merged, now=now)
    for document in merged.documents:
        if not Statement.objects.filter(statement_id=document.statement.id).exists():
            storing.store_own(document.statement, now=now)
    row = row or Author.objects.create(owner=owner, author_id=chain.id, created_at=now)
    audit.record(
        actor=user, action="federation.author-registered", subject=chain.id, owner=owner.name, now=now,
        detail={"version": merged.latest.version},
    )  # fmt: skip
    return row


def transport_key() -> SecretKey:
    """The key that signs requests and answers; raises NoIdentity before there is one."""
    found = keyring.active(ThisNode.objects.filter(pk=1).values("node_id")[:1], Role.TRANSPORT)
    return found[0] if found else keyring.active(node().node_id, Role.TRANSPORT)[0]


def publish_keys(identity: str) -> list[SecretKey]:
    """The keys that sign statements of an identity held here."""
    return keyring.active(identity, Role.PUBLISH)


def chain_of(identity: str) -> Chain | None:
    """The pinned chain of any identity, own or foreign."""
    return chains_of([identity]).get(identity)


def chains_of(identities: Iterable[str]) -> dict[str, Chain]:
    """The pinned chains of those among the identities that have one."""
    found: dict[str, list[_Document]] = defaultdict(list)
    for row in RootDocument.objects.filter(identity__in=bulk.among(identities)).order_by("identity", "version"):
        found[row.identity].append((bytes(row.payload), _packed(row.signatures)))
    return {identity: _chain(tuple(documents)) for identity, documents in found.items()}


def pin(chain: Chain, *, now: datetime) -> None:
    """Keep a chain's documents; those pinned before stay as they are."""
    RootDocument.objects.bulk_create(
        [
            RootDocument(
                identity=chain.id,
                version=document.version,
                statement_id=document.statement.id,
                payload=document.statement.envelope.payload,
                signatures=[each.to_json() for each in document.statement.envelope.signatures],
                pinned_at=now,
            )
            for document in chain.documents
        ],
        ignore_conflicts=True,
    )


@transaction.atomic
def rotate(identity: str, *, now: datetime, user: User | None = None) -> Chain:
    """
    New keys for every role of an identity held here; the old publish keys retire at ``now``.

    The new document is signed by the old root keys and by the new ones.
    """
    chain = chain_of(identity)
    assert chain is not None, "an identity held here has a root document"
    latest, old_roots = chain.latest, keyring.active(identity, Role.ROOT)
    SigningKey.objects.filter(identity=identity, retired_at=None).update(retired_at=now)
    made = _Keys.fresh(identity, latest.owner, roots=len(latest.root_keys), now=now)
    retired = dict(latest.retired) | {key: int(now.timestamp()) for key in latest.publish}
    document = root.predicate(
        owner=latest.owner,
        identity=identity,
        version=latest.version + 1,
        threshold=latest.threshold,
        root_keys=made.public(Role.ROOT),
        publish=made.public(Role.PUBLISH),
        transport=made.public(Role.TRANSPORT),
        domains=latest.domains,
        not_after=latest.not_after,
        previous=latest.payload_sha256,
        retired=retired,
    )
    extended = chain.extended(_signed_root(identity, document, [*old_roots, *made.of[Role.ROOT]]))
    _announce(extended, now=now)
    audit.record(
        actor=user, action="federation.rotated", subject=identity, now=now, detail={"version": latest.version + 1}
    )
    return extended


@dataclass(frozen=True, slots=True)
class _Keys:
    """The key pairs of one root document."""

    of: dict[str, list[SecretKey]]  # role → keys

    @classmethod
    def fresh(cls, identity: str, owner: str, *, roots: int, now: datetime) -> _Keys:
        """New pairs for every role, stored sealed."""
        wanted = [Role.ROOT] * roots + [Role.PUBLISH] + ([Role.TRANSPORT] if owner == "node" else [])
        made: dict[str, list[SecretKey]] = {role: [] for role in Role}
        for role in wanted:
            key, seed = keyring.fresh()
            keyring.create(identity=identity, role=role, key=key, seed=seed, now=now)
            made[role].append(key)
        return cls(made)

    def public(self, role: str) -> list[HexKey]:
        """Their public halves."""
        return [key.public for key in self.of[role]]


def _create_identity(owner: str, *, now: datetime, domains: Sequence[str] = ()) -> str:
    root_key, seed = keyring.fresh()
    make = keys.node_id if owner == "node" else keys.author_id
    identity = str(make([root_key.public], 1))
    keyring.create(identity=identity, role=Role.ROOT, key=root_key, seed=seed, now=now)
    made = _Keys.fresh(identity, owner, roots=0, now=now)
    document = root.predicate(
        owner="node" if owner == "node" else "author",
        identity=identity,
        version=1,
        threshold=1,
        root_keys=[root_key.public],
        publish=made.public(Role.PUBLISH),
        transport=made.public(Role.TRANSPORT),
        domains=domains,
    )
    _announce(Chain.begin(_signed_root(identity, document, [root_key])), now=now)
    return identity


def _signed_root(identity: str, document: dict[str, object], signers: Sequence[SecretKey]) -> statement.Statement:
    subject = Subject(identity, sha256(repr(sorted(document.items())).encode()).hexdigest())
    return statement.sign("root", document, subject=subject, signers=signers)


def _announce(chain: Chain, *, now: datetime) -> None:
    """Pin an own chain and put its newest document into the feed."""
    pin(chain, now=now)
    storing.store_own(chain.latest.statement, now=now)


def _domains() -> list[str]:
    host = urlsplit(settings.PUBLIC_URL).hostname
    return [host] if host else []


def _packed(signatures: list[dict[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((each["keyid"], each["sig"]) for each in signatures)


@lru_cache(maxsize=4_096)
def _chain(found: tuple[_Document, ...]) -> Chain:
    """A pinned chain, checked again: a database is no proof. The same bytes are checked once."""
    import base64

    statements = [
        statement.read(
            envelope.sealed(payload, tuple(Signature(KeyId(k), base64.b64decode(s)) for k, s in signatures)),
            kind="root",
        )
        for payload, signatures in found
    ]
    return Chain.follow(statements)
