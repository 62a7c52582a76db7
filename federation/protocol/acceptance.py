"""
Whether a node takes a line in: every judgement that needs no document and no person.

``judge`` asks what this node knows through ``Knowledge`` and changes
nothing: it answers what to store, or refuses with a code. The service stores
the answer in one transaction; the simulator of the tests keeps it in
dictionaries. Both therefore decide alike.

In this order: held already, form, keys, then what only this kind can break:
a root chain, a version that had another source, a ring of descent, a usage
claim that goes back. Documents are read and scanned afterwards.

Source: OPL-Fed/1, "Objects: statements" and "Statements".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Protocol

import rfc8785

from federation.protocol import equivocation, lineage, statement
from federation.protocol.envelope import Proof
from federation.protocol.feed import Line
from federation.protocol.keys import KeyId
from federation.protocol.problems import Refused
from federation.protocol.root import Chain, PublishKeys
from federation.protocol.statement import Statement

# (node, digest, context cell, period): has one claim per revision
UsageKey = tuple[str, str, str, int]


class Knowledge(Protocol):
    """What a node knows already."""

    def holds(self, statement_id: str) -> bool:
        """Whether this very statement was accepted before."""

    def chain(self, identity: str) -> Chain | None:
        """The pinned root chain of an author or node."""

    def compromised_since(self, identity: str) -> int | None:
        """The time from which a revocation distrusts the identity's retired keys."""

    def releases(self, key: tuple[str, str, str]) -> Sequence[Statement]:
        """All accepted releases of one (author, name, version)."""

    def parents_of(self, digests: list[str]) -> Iterable[str]:
        """The parents that the known releases of these source digests name, further ancestors where that is cheaper."""

    def usage(self, key: UsageKey) -> Mapping[str, Any] | None:
        """The predicate of the newest usage claim under this key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A believed statement, and what follows from it."""

    statement: Statement
    keyid: KeyId | None = None  # whose signature counted; None for root documents, where many do
    chain: Chain | None = None  # of a root document: the chain to pin now
    contradicts: Statement | None = None  # an accepted release of this version with another source
    proven: tuple[Statement, Statement] | None = None  # of an equivocation: the two releases


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Nothing new: held before, or said before in other words."""

    statement_id: str


def judge(
    line: Line, known: Knowledge, *, read: Statement | None = None, proven: AbstractSet[Proof] = frozenset()
) -> Accepted | Duplicate:
    """
    What to do with one line.

    Args:
        read: the statement in it, where somebody has read it already.
        proven: signatures that somebody has checked already; a proof says
            which key signed, never that the key counts.

    Raises:
        Refused: every code that names a fault of a statement; ``unknown-key``
            asks to keep the line as a dead letter until its signer's root
            document is known.
    """
    if known.holds(line.envelope.id):
        return Duplicate(line.envelope.id)
    read = read or statement.read(line.envelope, kind=line.kind)
    if read.kind == "root":
        return _root(read, known)
    since = known.compromised_since(read.signer)
    keyid = statement.check(read, publish_keys(known, read.signer), compromised_since=since, proven=proven)
    if read.kind == "release":
        return _release(read, keyid, known)
    if read.kind == "usage":
        return _usage(read, keyid, known)
    if read.kind == "equivocation":
        accused = _accused(read)
        pair = equivocation.judge(read, {accused: publish_keys(known, accused)})
        return Accepted(statement=read, keyid=keyid, proven=pair)
    return Accepted(statement=read, keyid=keyid)


def publish_keys(known: Knowledge, identity: str) -> PublishKeys:
    """
    The keys that may sign statements for an identity.

    Raises:
        Refused: ``unknown-key``.
    """
    chain = known.chain(identity)
    if chain is None:
        raise Refused("unknown-key", f"no root document of {identity} is known here yet; send it first")
    return chain.latest.publish_keys


def is_advice(withdrawal: Statement, target: Statement) -> bool:
    """Whether a yank, revocation or erasure comes from somebody who is neither author nor origin of its target."""
    return withdrawal.signer not in (target.signer, target.predicate.get("origin"))


def usage_key(claim: Statement) -> UsageKey:
    """What a usage claim is about."""
    cell = claim.predicate["cell"]
    text = cell if isinstance(cell, str) else rfc8785.dumps(cell).decode("utf-8")
    return claim.signer, claim.subject.sha256, text, int(claim.predicate["period"])


def _root(read: Statement, known: Knowledge) -> Accepted | Duplicate:
    pinned = known.chain(read.signer)
    chain = Chain.begin(read) if pinned is None else pinned.extended(read)
    return Duplicate(read.id) if chain is pinned else Accepted(statement=read, chain=chain)


def _release(read: Statement, keyid: KeyId, known: Knowledge) -> Accepted:
    lineage.judge(read.subject.sha256, read.predicate["lineage"]["parents"], known.parents_of)
    others = (held for held in known.releases(read.release_key) if equivocation.contradicts(read, held))
    return Accepted(statement=read, keyid=keyid, contradicts=next(others, None))


def _usage(read: Statement, keyid: KeyId, known: Knowledge) -> Accepted | Duplicate:
    newest = known.usage(usage_key(read))
    if newest is not None:
        ours, theirs = int(newest["revision"]), int(read.predicate["revision"])
        if theirs < ours:
            raise Refused("replay", f"revision {ours} of this claim is known here; {theirs} is older")
        if theirs == ours:
            if any(newest[name] != read.predicate[name] for name in ("runs", "success", "profile", "epsilon")):
                raise Refused("equivocation", f"revision {ours} of this claim said something else before")
            return Duplicate(read.id)
    return Accepted(statement=read, keyid=keyid)


def _accused(proof: Statement) -> str:
    """The author whom a proof of equivocation names, before anything about it is believed."""
    first = statement.read(equivocation.opened(proof)[0], kind="release")
    return first.signer
