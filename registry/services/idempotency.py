"""
Idempotency-Key: the answer to a write is kept, so that repeating the request does nothing twice.

The key belongs to its caller and to one request (method, path and body). The
row is made before the work begins: two equal requests at once do the work
once, and the second is told to retry. What failed is not kept.

Source: draft-ietf-httpapi-idempotency-key-header
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from registry.errors import InvalidRequest, KeyReused
from registry.models import IdempotencyRecord

MAX_KEY = 200
KEPT_FOR = timedelta(hours=24)
GIVEN_UP_AFTER = timedelta(minutes=2)  # a first request that never ended, for example in a crash


def request_digest(*parts: bytes) -> str:
    """What tells requests apart: sha256 over length-prefixed parts, hex."""
    sums = hashlib.sha256()
    for part in parts:
        sums.update(len(part).to_bytes(8, "big") + part)
    return sums.hexdigest()


def begin(*, caller: str, key: str, digest: str, now: datetime) -> IdempotencyRecord:
    """
    Claim a key. A record with ``status`` 0 is this request's own; any other holds the kept answer.

    Raises:
        InvalidRequest: the key is empty, too long, or not printable ASCII.
        KeyReused: the key came with another request, or its first one still runs.
    """
    if not 1 <= len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
        raise InvalidRequest("Idempotency-Key", f"use 1 to {MAX_KEY} printable ASCII characters")
    IdempotencyRecord.objects.filter(caller=caller, key=key, status=0, created_at__lt=now - GIVEN_UP_AFTER).delete()
    try:
        with transaction.atomic():
            return IdempotencyRecord.objects.create(caller=caller, key=key, request_digest=digest, created_at=now)
    except IntegrityError:
        kept = IdempotencyRecord.objects.filter(caller=caller, key=key).first()
    if kept is None or kept.status == 0:
        raise KeyReused(running=True)
    if kept.request_digest != digest:
        raise KeyReused
    return kept


def keep(*, record: IdempotencyRecord, status: int, headers: dict[str, Any], body: bytes) -> None:
    """Keep the answer for repetitions."""
    IdempotencyRecord.objects.filter(pk=record.pk).update(status=status, headers=headers, body=body)


def forget(*, record: IdempotencyRecord) -> None:
    """Nothing was done; the key may be used again."""
    IdempotencyRecord.objects.filter(pk=record.pk).delete()


def sweep(*, now: datetime) -> int:
    """Remove answers older than a day; returns how many."""
    deleted, _ = IdempotencyRecord.objects.filter(created_at__lt=now - KEPT_FOR).delete()
    return deleted
