"""
Ed25519 keys, and the names that hang on them.

A key travels as 64 lowercase hex digits; its keyid is computed, never taken
from the wire. A public key is read only through ``public_key``, which refuses
points that are not on the curve, not in the prime-order group or not written
canonically: with such a key one signature fits many messages. Signatures are
verified by libsodium, whose rules are strict in the same way.

The id of a node or author is the hash of its first set of root keys, so it
survives every rotation and nobody can claim another's.

    >>> node_id(["3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"], 1)
    'opln1yrmbe2l5lgh56f3irx4co7v56xn2rqvs'

Source: OPL-Fed/1, "Identity"; RFC 8032; BIP-39 (the word list only).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Literal, NewType

import rfc8785
from mnemonic import Mnemonic
from nacl.bindings import (
    crypto_core_ed25519_is_valid_point,
    crypto_sign,
    crypto_sign_BYTES,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError

from federation.protocol.fields import AuthorId, NodeId, digest
from federation.protocol.problems import Refused

HexKey = NewType("HexKey", str)  # a raw public key as 64 lowercase hex digits
KeyId = NewType("KeyId", str)  # the first 16 bytes of its sha256, as 32 hex digits

SEED_BYTES = 32
SIGNATURE_BYTES = crypto_sign_BYTES
FINGERPRINT_WORDS = 8
BITS_PER_WORD = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKey:
    """A key pair that can sign. Its text never shows the secret half."""

    public: HexKey  # the public half
    keyid: KeyId  # of the public half
    _expanded: bytes = field(repr=False)  # libsodium's 64-byte secret key

    @classmethod
    def from_seed(cls, seed: bytes) -> SecretKey:
        """The key pair that grows from 32 secret bytes."""
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
        public, expanded = crypto_sign_seed_keypair(seed)
        return cls(public=HexKey(public.hex()), keyid=keyid(public), _expanded=expanded)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of ``message``."""
        return crypto_sign(message, self._expanded)[:SIGNATURE_BYTES]


def keyid(raw_public_key: bytes) -> KeyId:
    """How a signature names its key: a hint for looking it up, not a proof."""
    return KeyId(sha256(raw_public_key).hexdigest()[:32])


@lru_cache(maxsize=8_192)
def public_key(hex_key: str) -> bytes:
    """
    The 32 bytes of a key, checked.

    Raises:
        Refused: ``schema-invalid`` if it is not 64 lowercase hex digits,
            ``weak-key`` if no honest key pair has this public half.
    """
    raw = bytes.fromhex(digest(hex_key, "a key"))
    if not crypto_core_ed25519_is_valid_point(raw):
        raise Refused("weak-key", f"{hex_key[:16]}… is not a valid Ed25519 key; create another one")
    return raw


def verify(raw_public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is this key's for ``message``, by libsodium's rules (about 60 µs)."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, raw_public_key)
    except BadSignatureError:
        return False
    return True


def identity_hash(root_keys: Sequence[str], threshold: int) -> bytes:
    """The 32 bytes that name whoever holds these first root keys."""
    return sha256(rfc8785.dumps({"root_keys": sorted(root_keys), "threshold": threshold})).digest()


def node_id(root_keys: Sequence[str], threshold: int) -> NodeId:
    """The id of the node whose first root document names these keys."""
    return NodeId(_spelled("opln1", identity_hash(root_keys, threshold)))


def author_id(root_keys: Sequence[str], threshold: int) -> AuthorId:
    """The id of the author whose first root document names these keys."""
    return AuthorId(_spelled("opla1", identity_hash(root_keys, threshold)))


def fingerprint(root_keys: Sequence[str], threshold: int) -> str:
    """
    Eight English words for comparing an identity over the telephone.

    They carry the first 88 bits of the hash under the id.
    """
    bits = FINGERPRINT_WORDS * BITS_PER_WORD
    number = int.from_bytes(identity_hash(root_keys, threshold)[: bits // 8], "big")
    shifts = range(bits - BITS_PER_WORD, -1, -BITS_PER_WORD)
    return " ".join(_words()[(number >> shift) & 0x7FF] for shift in shifts)


def id_prefix(kind: Literal["node", "author"]) -> str:
    """How ids of that kind begin."""
    return "opln1" if kind == "node" else "opla1"


def _spelled(prefix: str, identity: bytes) -> str:
    return prefix + base64.b32encode(identity).decode("ascii").lower()[:32]


@lru_cache(maxsize=1)
def _words() -> tuple[str, ...]:
    return tuple(Mnemonic("english").wordlist)
