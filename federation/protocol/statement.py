"""
Signed statements: what they say, and whether that was really said.

``read`` takes foreign bytes and answers a ``Statement`` of the agreed form,
not yet believed; ``check`` holds it against the keys of the signer it names.
``write`` builds the payload of a new one.

    statement = read(envelope)
    check(statement, keyring.of(statement.signer), held=False)

A statement is parsed once and verified once: about 150 µs for 4 KB.

Source: OPL-Fed/1, "Statements"; in-toto Statement v1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, cast

from federation.protocol import fields, kinds, limits, strictjson
from federation.protocol.envelope import Envelope, Proof, seal
from federation.protocol.fields import StatementId
from federation.protocol.keys import KeyId, SecretKey
from federation.protocol.kinds import Subject
from federation.protocol.problems import NotFederable, Refused
from federation.protocol.root import PublishKeys

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_PREFIX = "https://opl.dev/predicate/"
PREDICATE_SUFFIX = "/v1"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of the agreed form; believed only after ``check``."""

    envelope: Envelope  # as it came, byte for byte
    kind: str  # one of kinds.KINDS
    subject: Subject  # what it is about
    predicate: Mapping[str, Any]  # what it says; unknown members included
    signer: str  # the author or node that must have signed it

    @property
    def id(self) -> StatementId:
        """The sha256 of its PAE."""
        return self.envelope.id

    @property
    def created(self) -> int | None:
        """When the signer says it was made, seconds since the epoch; None where it does not say."""
        value = self.predicate.get("created")
        return None if value is None else fields.seconds(value, "created")

    @property
    def release_key(self) -> tuple[str, str, str]:
        """(author, name without handle, version): has one digest forever. Releases only."""
        name = cast(str, self.predicate["name"])
        return self.signer, name.partition("/")[2], cast(str, self.predicate["version"])


def read(envelope: Envelope, *, kind: str | None = None) -> Statement:
    """
    The statement in an envelope, its form checked.

    Args:
        kind: what the feed line says it is (``k``); None where nothing says so.

    Raises:
        Refused: ``statement-too-large``, ``schema-invalid``, ``unknown-kind``,
            ``digest-mismatch``, ``lineage-cycle``, ``weak-key``.
    """
    _judge_size(envelope.payload, kind)
    body = fields.obj(strictjson.loads(envelope.payload, plain_escapes=True), "a statement")
    found = _kind(body)
    if kind is not None and kind != found:
        strictjson.refuse(f"k says {kind[:40]}, the statement says {found}")
    if found != "equivocation" and len(envelope.payload) > limits.STATEMENT_BYTES:
        _too_large(len(envelope.payload), limits.STATEMENT_BYTES)
    subject = _subject(body)
    predicate = fields.obj(fields.member(body, "predicate"), "predicate")
    return Statement(envelope, found, subject, predicate, kinds.KINDS[found](predicate, subject))


def check(
    statement: Statement,
    trusted: PublishKeys,
    *,
    held: bool = False,
    compromised_since: int | None = None,
    proven: AbstractSet[Proof] = frozenset(),
) -> KeyId:
    """
    Believe a statement, or refuse it.

    A statement under a retired key counts if it is held already or was made
    before the key retired; ``compromised_since`` (from a revocation) takes
    that back for everything made since. Root documents have their own judge,
    ``root.Chain``.

    Args:
        trusted: the publish keys of ``statement.signer``.
        held: this very statement was accepted before.
        compromised_since: seconds since the epoch.
        proven: signatures that were checked already, see ``Envelope.signed_by``.

    Returns:
        The keyid that signed.

    Raises:
        Refused: ``bad-signature``.
    """
    signed_by = statement.envelope.signed_by(trusted.current, proven=proven)
    if signed_by is not None:
        return signed_by
    signed_by = statement.envelope.signed_by(trusted.retired, proven=proven)
    if signed_by is None:
        raise Refused("bad-signature", f"no publish key of {statement.signer} signed this statement")
    made = statement.created
    if compromised_since is not None and (made is None or made >= compromised_since):
        raise Refused("bad-signature", "the key that signed this was compromised by then")
    if not held and (made is None or made > trusted.retired_at[signed_by]):
        raise Refused("bad-signature", "the key that signed this had retired by then")
    return signed_by


def write(kind: str, predicate: Mapping[str, Any], *, subject: Subject) -> bytes:
    """
    The payload of a new statement, ready to be signed.

    Raises:
        NotFederable: no node would take it, being larger than a statement may be.
        Refused: the predicate does not have the form its kind asks for.
    """
    kinds.KINDS[kind](predicate, subject)
    payload = strictjson.dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": subject.name, "digest": {"sha256": subject.sha256}}],
            "predicateType": f"{PREDICATE_PREFIX}{kind}{PREDICATE_SUFFIX}",
            "predicate": dict(predicate),
        }
    )
    most = limits.EQUIVOCATION_BYTES if kind == "equivocation" else limits.STATEMENT_BYTES
    if len(payload) > most:
        raise NotFederable(f"its statement would have {len(payload)} bytes; {most} are the most")
    return payload


def sign(kind: str, predicate: Mapping[str, Any], *, subject: Subject, signers: Iterable[SecretKey]) -> Statement:
    """A new statement, signed. See ``write`` for what it raises."""
    return read(seal(write(kind, predicate, subject=subject), signers), kind=kind)


def _judge_size(payload: bytes, kind: str | None) -> None:
    most = limits.EQUIVOCATION_BYTES if kind in (None, "equivocation") else limits.STATEMENT_BYTES
    if len(payload) > most:
        _too_large(len(payload), most)


def _too_large(size: int, most: int) -> None:
    raise Refused("statement-too-large", f"the statement has {size} bytes; {most} are the most")


def _kind(body: Mapping[str, Any]) -> str:
    if body.get("_type") != STATEMENT_TYPE:
        strictjson.refuse(f"_type must be {STATEMENT_TYPE}")
    predicate_type = body.get("predicateType")
    if not isinstance(predicate_type, str):
        strictjson.refuse("predicateType is missing")
    kind = predicate_type.removeprefix(PREDICATE_PREFIX).removesuffix(PREDICATE_SUFFIX)
    if kind not in kinds.KINDS or predicate_type != f"{PREDICATE_PREFIX}{kind}{PREDICATE_SUFFIX}":
        raise Refused(
            "unknown-kind", f"this node does not know {predicate_type[:100]}; it will look again once upgraded"
        )
    return kind


def _subject(body: Mapping[str, Any]) -> Subject:
    subjects = body.get("subject")
    if not isinstance(subjects, list) or len(subjects) != 1:
        strictjson.refuse("a statement has exactly one subject")
    entry = fields.obj(subjects[0], "the subject")
    digests = fields.obj(entry.get("digest"), "the subject's digest")
    return Subject(
        fields.text(entry.get("name"), "the subject's name", longest=300),
        fields.digest(digests.get("sha256"), "sha256"),
    )
