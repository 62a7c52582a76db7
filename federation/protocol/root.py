"""
Root documents: which keys speak for a node or an author, and since when.

A root document is the predicate of a ``root`` statement. Version 1 proves
itself: the id is the hash of its own root keys. Every later version carries
enough signatures of the version before **and** of its own keys, and names the
sha256 of the payload before it; so a chain can be followed but neither forked
nor rewound. ``Chain`` holds the newest version seen (pinned) and accepts only
what continues it.

    chain = Chain.begin(statement)          # pins version 1
    chain = chain.extended(next_statement)  # a rotation, or Refused

Source: OPL-Fed/1, "Identity"; The Update Framework 1.0, section 5.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, cast

from federation.protocol import fields, keys
from federation.protocol.keys import HexKey, KeyId
from federation.protocol.problems import Refused
from federation.protocol.strictjson import refuse

if TYPE_CHECKING:
    from federation.protocol.statement import Statement

MOST_KEYS = 32  # per list in a root document
MOST_VERSIONS = 1_000  # of one chain in one message


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishKeys:
    """The keys whose signature makes a statement count for its signer."""

    current: Mapping[str, bytes]  # keyid → raw public key
    retired: Mapping[str, bytes] = field(default_factory=dict)  # keyid → raw public key
    retired_at: Mapping[str, int] = field(default_factory=dict)  # keyid → seconds since the epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class RootDocument:
    """One version of who may speak for an identity."""

    owner: Literal["node", "author"]
    id: str  # opln1… or opla1…
    version: int  # counts from 1
    threshold: int  # how many root keys must sign
    root_keys: tuple[HexKey, ...]
    transport: tuple[HexKey, ...]  # keys that sign requests and answers; none for an author
    publish: tuple[HexKey, ...]  # keys that sign statements
    domains: tuple[str, ...]  # where the node says it lives
    not_after: int | None  # nothing is admitted automatically afterwards; seconds since the epoch
    previous: str | None  # sha256 of the payload of the version before
    retired: Mapping[HexKey, int]  # former publish keys, with the time they retired
    payload_sha256: str  # of the statement that carries this document
    statement: Statement = field(repr=False)  # that statement

    @property
    def transport_keys(self) -> dict[str, bytes]:
        """keyid → raw key of whoever may sign requests and answers."""
        return _by_keyid(self.transport)

    @property
    def publish_keys(self) -> PublishKeys:
        """The keys that may sign statements, with those that once might."""
        return _publish_keys(self.publish, tuple(self.retired.items()))

    @property
    def fingerprint(self) -> str:
        """Eight words. Of version 1 only: later versions keep the identity of the first."""
        return keys.fingerprint(self.root_keys, self.threshold)


@dataclass(frozen=True, slots=True)
class Chain:
    """Root documents 1..N of one identity, each proven by the one before. Never empty."""

    documents: tuple[RootDocument, ...]

    @classmethod
    def begin(cls, statement: Statement) -> Chain:
        """
        Pin an identity by its first root document.

        Raises:
            Refused: ``schema-invalid``, ``weak-key``, ``bad-signature``,
                ``digest-mismatch`` (the id is not the hash of the keys),
                ``root-rollback`` (it is not version 1).
        """
        document = read(statement)
        if document.version != 1 or document.previous is not None:
            raise Refused("root-rollback", "a chain begins with version 1, which has no version before it")
        make = keys.node_id if document.owner == "node" else keys.author_id
        if document.id != make(document.root_keys, document.threshold):
            raise Refused("digest-mismatch", f"{document.id} is not the hash of these root keys")
        _judge_threshold(statement, document)
        return cls((document,))

    @classmethod
    def follow(cls, statements: Sequence[Statement]) -> Chain:
        """A whole chain 1..N, each step checked."""
        if not 1 <= len(statements) <= MOST_VERSIONS:
            refuse(f"a root chain has 1 to {MOST_VERSIONS} versions")
        chain = cls.begin(statements[0])
        for statement in statements[1:]:
            chain = chain.extended(statement)
        return chain

    @property
    def id(self) -> str:
        """Whose chain this is."""
        return self.documents[0].id

    @property
    def latest(self) -> RootDocument:
        """The version that counts."""
        return self.documents[-1]

    @property
    def fingerprint(self) -> str:
        """Eight words for comparing the identity by voice."""
        return self.documents[0].fingerprint

    def extended(self, statement: Statement) -> Chain:
        """
        The chain with the next version, or itself if that is pinned already.

        Raises:
            Refused: ``root-rollback`` for anything that does not continue the
                newest version; ``bad-signature`` where signatures are missing.
        """
        document, latest = read(statement), self.latest
        if document.id != self.id:
            raise Refused("root-rollback", f"this is a root document of {document.id}, not of {self.id}")
        if document.version <= latest.version:
            return self._again(document)
        if document.version != latest.version + 1:
            raise Refused("root-rollback", f"version {latest.version + 1} comes next, not {document.version}")
        if document.previous != latest.payload_sha256:
            raise Refused("root-rollback", f"it does not continue the version {latest.version} seen here")
        _judge_threshold(statement, latest)
        _judge_threshold(statement, document)
        return Chain((*self.documents, document))

    def merged(self, other: Chain) -> Chain:
        """
        This pinned chain, continued by a chain that a peer presents whole.

        Raises:
            Refused: ``root-rollback`` if the other chain is shorter or differs.
        """
        if len(other.documents) < len(self.documents):
            raise Refused("root-rollback", f"version {self.latest.version} was seen before; send the whole chain")
        chain = self
        for document in other.documents:
            chain = chain.extended(document.statement)
        return chain

    def _again(self, document: RootDocument) -> Chain:
        pinned = self.documents[document.version - 1]
        if pinned.payload_sha256 != document.payload_sha256:
            raise Refused("root-rollback", f"another version {document.version} was seen here before")
        return self


def read(statement: Statement) -> RootDocument:
    """
    The root document in a statement, its form and its keys checked.

    Raises:
        Refused: ``schema-invalid`` or ``weak-key``.
    """
    if statement.kind != "root":
        refuse("this is not a root document")
    get, owner = statement.predicate.get, cast(Literal["node", "author"], _owner(statement.signer))
    root_keys = _keys(get("root_keys"), "root_keys", least=1)
    roles = fields.obj(get("roles"), "roles")
    publish = _keys(roles.get("publish"), "roles.publish", least=0)
    return RootDocument(
        owner=owner,
        id=statement.signer,
        version=fields.integer(get("version"), "version", least=1),
        threshold=fields.integer(get("threshold"), "threshold", least=1, most=len(root_keys)),
        root_keys=root_keys,
        transport=_keys(
            roles.get("transport", []), "roles.transport", least=0, most=0 if owner == "author" else MOST_KEYS
        ),
        publish=publish,
        domains=fields.texts(get("domains", []), "domains", most=MOST_KEYS, longest=253),
        not_after=None if get("not_after") is None else fields.seconds(get("not_after"), "not_after"),
        previous=None
        if get("prev_root_sha256") is None
        else fields.digest(get("prev_root_sha256"), "prev_root_sha256"),
        retired=_retired(get("retired"), publish),
        payload_sha256=sha256(statement.envelope.payload).hexdigest(),
        statement=statement,
    )


def predicate(
    *,
    owner: Literal["node", "author"],
    identity: str,
    version: int,
    threshold: int,
    root_keys: Sequence[HexKey],
    publish: Sequence[HexKey],
    transport: Sequence[HexKey] = (),
    domains: Sequence[str] = (),
    not_after: int | None = None,
    previous: str | None = None,
    retired: Mapping[HexKey, int] | None = None,
) -> dict[str, Any]:
    """A root document as JSON; times in seconds since the epoch."""
    roles = {"publish": list(publish)} | ({"transport": list(transport)} if owner == "node" else {})
    return {
        f"{owner}_id": identity,
        "version": version,
        "threshold": threshold,
        "root_keys": list(root_keys),
        "roles": roles,
        "domains": list(domains),
        "not_after": None if not_after is None else fields.written(not_after),
        "prev_root_sha256": previous,
        "retired": {key: fields.written(at) for key, at in (retired or {}).items()},
    }


def _owner(identity: str) -> str:
    return "node" if identity.startswith(keys.id_prefix("node")) else "author"


def _keys(value: Any, name: str, *, least: int, most: int = MOST_KEYS) -> tuple[HexKey, ...]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        refuse(f"{name} must be a list of {least} to {most} keys")
    for key in value:
        keys.public_key(key if isinstance(key, str) else "")
    if len(set(value)) != len(value):
        refuse(f"{name} names a key twice")
    return tuple(value)


def _retired(value: Any, publish: Sequence[HexKey]) -> dict[HexKey, int]:
    if value is None:
        return {}
    members = fields.obj(value, "retired")
    _keys(list(members), "retired", least=0)
    if not members.keys().isdisjoint(publish):
        refuse("a retired key cannot publish any more")
    return {HexKey(key): fields.seconds(at, f"retired.{key[:16]}…") for key, at in members.items()}


def _judge_threshold(statement: Statement, document: RootDocument) -> None:
    signed = statement.envelope.signers(_by_keyid(document.root_keys))
    if len(signed) < document.threshold:
        raise Refused(
            "bad-signature",
            f"{len(signed)} of {document.threshold} needed root keys of version {document.version} signed this",
        )


@lru_cache(maxsize=4_096)
def _publish_keys(publish: tuple[HexKey, ...], retired: tuple[tuple[HexKey, int], ...]) -> PublishKeys:
    """Kept: every statement of an author asks for the same ones."""
    return PublishKeys(
        current=_by_keyid(publish),
        retired=_by_keyid(key for key, _ in retired),
        retired_at={keys.keyid(keys.public_key(key)): at for key, at in retired},
    )


def _by_keyid(hex_keys: Iterable[HexKey]) -> dict[str, bytes]:
    raw_keys = (keys.public_key(key) for key in hex_keys)
    return {str(KeyId(keys.keyid(raw))): raw for raw in raw_keys}
