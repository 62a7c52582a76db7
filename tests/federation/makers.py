"""Keys, identities and statements for the tests of the federation: everything follows from small numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any, Literal

from federation.protocol import fields, keys, root, statement
from federation.protocol.keys import HexKey, SecretKey
from federation.protocol.kinds import Subject
from federation.protocol.root import Chain, RootDocument
from federation.protocol.statement import Statement

NOON = 1_800_000_000  # 2027-01-15T08:00:00Z: "now" of most tests
SOURCE = "type: orchestration_pattern\nname: echo\ndsl: |\n  RETURN 1\n"


@lru_cache(maxsize=4_096)
def secret(name: str) -> SecretKey:
    """The key pair that always belongs to this name."""
    return SecretKey.from_seed(sha256(name.encode()).digest())


@dataclass
class Identity:
    """A node or an author with its keys and root documents; a test may rotate it."""

    name: str
    owner: Literal["node", "author"]
    root_keys: list[SecretKey]
    publish: list[SecretKey]
    transport: list[SecretKey]
    threshold: int = 1
    retired: dict[HexKey, int] = field(default_factory=dict)
    not_after: int | None = None
    statements: list[Statement] = field(default_factory=list)

    def __post_init__(self) -> None:
        make = keys.node_id if self.owner == "node" else keys.author_id
        self.id = make([key.public for key in self.root_keys], self.threshold)
        self.statements.append(self.signed(self.document(), self.root_keys))

    @property
    def chain(self) -> Chain:
        return Chain.follow(self.statements)

    def document(self, **changes: Any) -> dict[str, Any]:
        """The next root document as JSON."""
        previous = self.statements[-1] if self.statements else None
        return (
            root.predicate(
                owner=self.owner,
                identity=self.id,
                version=len(self.statements) + 1,
                threshold=self.threshold,
                root_keys=[key.public for key in self.root_keys],
                publish=[key.public for key in self.publish],
                transport=[key.public for key in self.transport],
                not_after=self.not_after,
                previous=previous and sha256(previous.envelope.payload).hexdigest(),
                retired=self.retired,
            )
            | changes
        )

    def signed(self, document: Mapping[str, Any], signers: Sequence[SecretKey]) -> Statement:
        subject = Subject(self.id, sha256(repr(document).encode()).hexdigest())
        return statement.sign("root", document, subject=subject, signers=signers)

    def rotate(self, *, at: int = NOON) -> Statement:
        """New keys for every role; the old publish keys retire at ``at``."""
        old_roots = list(self.root_keys)
        self.retired |= {key.public: at for key in self.publish}
        generation = len(self.statements) + 1
        self.root_keys = [secret(f"{self.name} root {n} v{generation}") for n in range(len(old_roots))]
        self.publish = [secret(f"{self.name} publish v{generation}")]
        self.transport = [secret(f"{self.name} transport v{generation}")] if self.owner == "node" else []
        self.statements.append(self.signed(self.document(), [*old_roots, *self.root_keys]))
        return self.statements[-1]


def node(name: str = "north", *, roots: int = 1, threshold: int = 1) -> Identity:
    return Identity(
        name,
        "node",
        [secret(f"{name} root {n}") for n in range(roots)],
        [secret(f"{name} publish")],
        [secret(f"{name} transport")],
        threshold,
    )


def author(name: str = "ada") -> Identity:
    return Identity(name, "author", [secret(f"{name} root 0")], [secret(f"{name} publish")], [])


def latest(identity: Identity) -> RootDocument:
    return identity.chain.latest


def release_predicate(
    by: Identity,
    origin: Identity,
    *,
    name: str = "ada/echo",
    version: str = "1.0.0",
    source: str = SOURCE,
    **changes: Any,
) -> dict[str, Any]:
    digest = sha256(source.encode()).hexdigest()
    return {
        "author": by.id,
        "origin": origin.id,
        "name": name,
        "version": version,
        "source": source,
        "source_digest": digest,
        "semantic_digest": digest,
        "requires": {"events": [], "roles": [], "functions": []},
        "lineage": {"parents": [], "op": "new"},
        "learned_from": None,
        "license": "MIT",
        "topics": ["voting"],
        "propagate": "public",
        "created": fields.written(NOON),
    } | changes


def release(by: Identity, origin: Identity, *, signers: Sequence[SecretKey] | None = None, **changes: Any) -> Statement:
    predicate = release_predicate(by, origin, **changes)
    subject = Subject(predicate["name"], predicate["source_digest"])
    return statement.sign("release", predicate, subject=subject, signers=signers or by.publish)


def withdrawal(kind: str, by: Identity, of: str, /, **changes: Any) -> Statement:
    predicate = {
        by.owner: by.id,
        "target": of,
        "reason": "it loops",
        "successor": None,
        "created": fields.written(NOON),
    } | changes
    return statement.sign(kind, predicate, subject=Subject("withdrawn", of), signers=by.publish)


def usage(by: Identity, digest: str, **changes: Any) -> Statement:
    predicate = {
        "node": by.id,
        "digest": digest,
        "cell": "review|claude|",
        "period": 744,
        "revision": 1,
        "runs": 40,
        "success": 30,
        "profile": "org",
        "epsilon": None,
    } | changes
    return statement.sign("usage", predicate, subject=Subject("usage", digest), signers=by.publish)
