"""
Proof that an author said two different things about one version.

``(author, name, version)`` has one digest forever. Whoever holds two signed
releases that break this holds a proof that needs nobody's word: anyone checks
both signatures and sees the contradiction.

Source: OPL-Fed/1, "Statements".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from federation.protocol import envelope, statement
from federation.protocol.envelope import Envelope
from federation.protocol.kinds import Subject
from federation.protocol.problems import Refused
from federation.protocol.root import PublishKeys
from federation.protocol.statement import Statement


def contradicts(one: Statement, other: Statement) -> bool:
    """Whether two releases claim one version for different sources."""
    return (
        one.kind == other.kind == "release"
        and one.release_key == other.release_key
        and one.subject.sha256 != other.subject.sha256
    )


def predicate(node: str, one: Statement, other: Statement) -> tuple[dict[str, Any], Subject]:
    """What a node states when it holds two contradicting releases, and the statement's subject."""
    if not contradicts(one, other):
        raise ValueError("these two statements do not contradict each other")
    first, second = sorted((one, other), key=lambda release: release.id)
    body = {"node": node, "envelopes": [first.envelope.to_json(), second.envelope.to_json()]}
    return body, Subject(str(first.predicate["name"]), first.id)


def opened(proof: Statement) -> list[Envelope]:
    """The two envelopes inside a proof, not yet believed."""
    return [envelope.opened(value) for value in proof.predicate["envelopes"]]


def judge(proof: Statement, keys_of: Mapping[str, PublishKeys]) -> tuple[Statement, Statement]:
    """
    The two releases of a proof, both verified and truly contradicting.

    Args:
        keys_of: author id → that author's publish keys.

    Raises:
        Refused: ``unknown-key`` (author not known here yet), ``bad-signature``,
            or ``schema-invalid`` where nothing is contradicted.
    """
    one, other = (statement.read(each, kind="release") for each in opened(proof))
    if not contradicts(one, other):
        raise Refused("schema-invalid", "the two envelopes do not contradict each other")
    trusted = keys_of.get(one.signer)
    if trusted is None:
        raise Refused("unknown-key", f"no root document of {one.signer} is known here yet")
    statement.check(one, trusted, held=True)
    statement.check(other, trusted, held=True)
    return one, other
