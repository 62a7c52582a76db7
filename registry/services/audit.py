"""
The audit log: one hash-chained entry per act, written in the act's own transaction.

    record(actor=user, action="version.yanked", subject="ada/vote@1.0.0", now=now)

``hash`` is the sha256 of the RFC 8785 form of the entry with the hash of the
one before it, so a changed or missing entry is found by ``verify_chain``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import rfc8785
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from registry.models import AuditEntry, Membership, User

GENESIS = "0" * 64
_ATTEMPTS = 8


def record(
    *,
    actor: User | None,
    action: str,
    subject: str,
    now: datetime,
    owner: str = "",
    via: str = "",
    detail: dict[str, Any] | None = None,
) -> AuditEntry:
    """
    Append one entry to the chain.

    Two writers may take the same place at once (PostgreSQL only; SQLite has
    one writer): the unique sequence refuses the second, which tries again.

    Args:
        owner: the owner whose people may read the entry; "" for hub-wide acts.
        detail: JSON; never secrets.
    """
    for _ in range(_ATTEMPTS):
        last = AuditEntry.objects.order_by("-sequence").values("sequence", "hash").first()
        entry = AuditEntry(
            sequence=last["sequence"] + 1 if last else 1,
            at=now.astimezone(UTC),
            actor=actor,
            actor_name=actor.get_username() if actor else "",
            via=via,
            action=action,
            subject=subject[:300],
            owner_name=owner,
            detail=detail or {},
            previous_hash=last["hash"] if last else GENESIS,
        )
        entry.hash = entry_hash(entry)
        try:
            with transaction.atomic():
                entry.save(force_insert=True)
        except IntegrityError:
            continue
        return entry
    raise RuntimeError("the audit log is being written by too many at once")


def entry_hash(entry: AuditEntry) -> str:
    """The hash an entry must have; hex."""
    content = {
        "sequence": entry.sequence,
        "at": entry.at.astimezone(UTC).isoformat(),
        "actor": entry.actor_name,
        "via": entry.via,
        "action": entry.action,
        "subject": entry.subject,
        "owner": entry.owner_name,
        "detail": entry.detail,
        "previous": entry.previous_hash,
    }
    return hashlib.sha256(rfc8785.dumps(content)).hexdigest()


def verify_chain(entries: Iterable[AuditEntry] | None = None) -> int | None:
    """The sequence of the first entry that does not fit the one before it; None when all fit."""
    if entries is None:
        entries = AuditEntry.objects.order_by("sequence").iterator(chunk_size=1000)
    expected_hash, expected_sequence = GENESIS, 1
    for entry in entries:
        fits = entry.sequence == expected_sequence and entry.previous_hash == expected_hash
        if not fits or entry.hash != entry_hash(entry):
            return expected_sequence
        expected_hash, expected_sequence = entry.hash, expected_sequence + 1
    return None


def readable_by(user: Any) -> QuerySet[AuditEntry]:
    """What ``user`` may read: everything for staff, else own acts and those of owners they administer."""
    entries = AuditEntry.objects.all()
    if not user.is_authenticated:
        return entries.none()
    if user.is_superuser or user.is_staff:
        return entries
    administered = Membership.objects.filter(user=user, role=Membership.Role.ADMIN).values("owner__name")
    return entries.filter(Q(actor=user) | Q(owner_name__in=administered))
