"""
DSSE v1 envelopes: bytes, and who signed them.

Signatures cover the pre-authentication encoding (PAE) of payload type and
payload, so the payload is never re-serialised and stays byte for byte what
the author signed, however often it is relayed. The id of a statement is the
sha256 of that PAE.

An envelope stands on the wire in two forms: complete, as DSSE JSON with a
base64 payload, and short, as a feed line (see ``feed``).

Source: DSSE v1.0.2 protocol; OPL-Fed/1, "Statements".
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from federation.protocol import fields, keys, limits, strictjson
from federation.protocol.fields import StatementId
from federation.protocol.keys import KeyId, SecretKey
from federation.protocol.problems import Refused

PAYLOAD_TYPE = "application/vnd.in-toto+json"
CONTENT_TYPE = "application/vnd.dsse.envelope.v1+json"
# raw public key, signature, statement id: that this key made this signature of this very statement
Proof = tuple[bytes, bytes, str]
_PAE_HEAD = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} ".encode("ascii")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature as it came: which key it says it is of, and its bytes."""

    keyid: KeyId
    sig: bytes  # 64 bytes

    def to_json(self) -> dict[str, str]:
        """The wire form, canonical base64."""
        return {"keyid": self.keyid, "sig": base64.b64encode(self.sig).decode("ascii")}


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload with its signatures. Build it with ``seal``, ``sealed`` or ``opened``."""

    id: StatementId  # sha256 of the PAE
    payload: bytes  # exactly as signed
    signatures: tuple[Signature, ...]  # 1 to 16, in their order

    def to_json(self) -> dict[str, Any]:
        """The complete form."""
        return {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(self.payload).decode("ascii"),
            "signatures": [signature.to_json() for signature in self.signatures],
        }

    def signed_by(self, trusted: Mapping[str, bytes], *, proven: AbstractSet[Proof] = frozenset()) -> KeyId | None:
        """
        The first of ``trusted`` (keyid → raw public key) that truly signed this.

        Signatures under unknown keyids are passed over, so that a key may be
        added before everybody knows it.

        Args:
            proven: signatures that somebody checked already; all others are checked here.
        """
        for signature in self.signatures:
            raw = trusted.get(signature.keyid)
            if raw is None:
                continue
            if (raw, signature.sig, self.id) in proven or keys.verify(raw, pae(self.payload), signature.sig):
                return signature.keyid
        return None

    def signers(self, trusted: Mapping[str, bytes]) -> frozenset[KeyId]:
        """All of ``trusted`` that truly signed this: what a threshold counts."""
        message = pae(self.payload)
        return frozenset(
            signature.keyid
            for signature in self.signatures
            if (raw := trusted.get(signature.keyid)) is not None and keys.verify(raw, message, signature.sig)
        )


def pae(payload: bytes) -> bytes:
    """What is signed: DSSE's pre-authentication encoding of one of our payloads."""
    return b"%s%d %s" % (_PAE_HEAD, len(payload), payload)


def seal(payload: bytes, signers: Iterable[SecretKey]) -> Envelope:
    """A new envelope around ``payload``, signed by every one of ``signers``."""
    message = pae(payload)
    return sealed(payload, tuple(Signature(key.keyid, key.sign(message)) for key in signers))


def sealed(payload: bytes, signatures: tuple[Signature, ...]) -> Envelope:
    """An envelope of parts that are at hand, for example from a database row."""
    return Envelope(StatementId(sha256(pae(payload)).hexdigest()), payload, signatures)


def opened(value: Any) -> Envelope:
    """
    The envelope in a complete DSSE JSON object.

    Raises:
        Refused: ``schema-invalid`` or ``statement-too-large``.
    """
    members = fields.obj(value, "an envelope")
    if fields.member(members, "payloadType") != PAYLOAD_TYPE:
        strictjson.refuse(f"payloadType must be {PAYLOAD_TYPE}")
    encoded = fields.member(members, "payload")
    if isinstance(encoded, str) and len(encoded) > limits.EQUIVOCATION_BYTES * 4 // 3 + 4:
        raise Refused("statement-too-large", "the payload is larger than any statement may be")
    payload = fields.canonical_base64(encoded, "payload")
    return sealed(payload, read_signatures(fields.member(members, "signatures")))


def read_signatures(value: Any) -> tuple[Signature, ...]:
    """The signatures in a list ``[{keyid, sig}]`` as it stands on the wire."""
    if not isinstance(value, list) or not 1 <= len(value) <= limits.SIGNATURES:
        strictjson.refuse(f"a statement has 1 to {limits.SIGNATURES} signatures")
    return tuple(_signature(entry) for entry in value)


def _signature(value: Any) -> Signature:
    entry = fields.obj(value, "a signature")
    raw = fields.canonical_base64(fields.member(entry, "sig"), "sig")
    if len(raw) != keys.SIGNATURE_BYTES:
        strictjson.refuse(f"an Ed25519 signature has {keys.SIGNATURE_BYTES} bytes")
    return Signature(KeyId(fields.hex16(fields.member(entry, "keyid"), "keyid")), raw)
