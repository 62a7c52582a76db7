"""
Yanking: a version is advised against, with a reason and a successor; nothing is deleted.

What was fetched or forked stays fetchable by its number; channels move off it.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from registry.errors import InvalidRequest, NotAllowed
from registry.models import PatternVersion, User
from registry.services import audit, channels, webhooks


def yank(
    *,
    version: PatternVersion,
    user: User | None,
    reason: str,
    now: datetime,
    successor: str = "",
    via: str = "",
) -> PatternVersion:
    """
    Withdraw a version. Again: reason and successor are replaced, the first time stays.

    Args:
        user: who withdraws; None for the hub itself (a peer's yank).
        successor: a version of the same pattern, or ``owner/name@version`` of another.

    Raises:
        NotAllowed: ``user`` does not publish for the owner.
        InvalidRequest: no reason, or no such successor.
    """
    owner = version.pattern.owner
    if user is not None and not owner.can_publish(user):
        raise NotAllowed(f"only publishers of {owner} may yank {version}")
    if not reason.strip():
        raise InvalidRequest("reason", "say why, so that those who use it can decide what to do")
    version.successor = _successor(version, successor, user) if successor else None
    version.yank_reason = reason.strip()[:2000]
    version.yanked_by = user
    version.yanked_at = version.yanked_at or now
    with transaction.atomic():
        version.save(update_fields=["successor", "yank_reason", "yanked_by", "yanked_at"])
        channels.after_yank(version=version, user=user, now=now)
        audit.record(
            actor=user,
            action="version.yanked",
            subject=str(version),
            owner=owner.name,
            via=via,
            now=now,
            detail={"reason": version.yank_reason, "successor": successor},
        )
        webhooks.enqueue(
            owner=owner,
            event="version.yanked",
            data={
                "pattern": str(version.pattern),
                "version": version.version,
                "digest": version.digest,
                "reason": version.yank_reason,
                "successor": str(version.successor) if version.successor else None,
            },
            now=now,
        )
    return version


def _successor(version: PatternVersion, named: str, user: User | None) -> PatternVersion:
    versions = PatternVersion.objects.select_related("pattern__owner")
    if user is not None:
        versions = versions.visible_to(user)
    name, _, wanted = named.rpartition("@")
    if name:
        owner, _, pattern = name.partition("/")
        versions = versions.filter(pattern__owner__name=owner, pattern__name=pattern, version=wanted)
    else:
        versions = versions.filter(pattern=version.pattern, version=named)
    found = versions.exclude(pk=version.pk).filter(yanked_at__isnull=True).first()
    if found is None:
        raise InvalidRequest("successor", f"there is no usable version {named} to succeed it")
    return found
