"""
Secret keys at rest: sealed with a key that only the environment holds.

The sealing key is derived from HUB_KEY_ENCRYPTION_KEY with BLAKE2b under a name
of its own, so the same secret may serve other purposes elsewhere. A seed is
opened, used and forgotten; it is never logged and never leaves the process.

Source: NaCl secretbox (XSalsa20-Poly1305).
"""

from __future__ import annotations

import secrets
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from nacl.encoding import RawEncoder
from nacl.exceptions import CryptoError
from nacl.hash import blake2b
from nacl.secret import SecretBox

from federation.errors import NoKeyring
from federation.models import SigningKey
from federation.protocol import keys
from federation.protocol.keys import SecretKey

_PURPOSE = b"opl-fed-seeds"


def create(*, identity: str, role: str, key: SecretKey, seed: bytes, now: datetime) -> SigningKey:
    """Keep a key pair for an identity."""
    return SigningKey.objects.create(
        identity=identity, role=role, public_key=key.public, sealed_seed=seal(seed), created_at=now
    )


def fresh() -> tuple[SecretKey, bytes]:
    """A new key pair with its seed, not stored yet."""
    seed = secrets.token_bytes(keys.SEED_BYTES)
    return SecretKey.from_seed(seed), seed


def active(identity: str | QuerySet[Any, Any], role: str) -> list[SecretKey]:
    """The keys that may sign for an identity, or for the one that a query answers, in a role now, newest first."""
    rows = SigningKey.objects.filter(identity=identity, role=role, retired_at=None).order_by("-created_at", "-pk")
    return [_opened(row.public_key, bytes(row.sealed_seed), settings.KEY_ENCRYPTION_KEY) for row in rows]


def seal(seed: bytes) -> bytes:
    """The seed, encrypted under a fresh nonce."""
    return bytes(_box(settings.KEY_ENCRYPTION_KEY).encrypt(seed))


@lru_cache(maxsize=1_024)
def _opened(public_key: str, sealed: bytes, secret: str) -> SecretKey:
    try:
        seed = _box(secret).decrypt(sealed)
    except CryptoError as error:
        raise NoKeyring(f"the key {public_key[:12]} was sealed with another encryption key") from error
    return SecretKey.from_seed(seed)


@lru_cache(maxsize=8)
def _box(secret: str) -> SecretBox:
    if not secret:
        raise NoKeyring("there is no encryption key")
    return SecretBox(blake2b(secret.encode(), digest_size=SecretBox.KEY_SIZE, person=_PURPOSE, encoder=RawEncoder))
