"""
Making a pattern out of others: fork, adapt, merge, translate.

A fork copies a version byte for byte under another name, so its digest is the
same: the fork itself is remembered by ``Pattern.forked_from``, and the first
version of the fork with a text of its own gets the ``fork`` edge. Statistics
of whatever is derived start at zero.

Source: docs/decisions/0040-a-fork-keeps-its-bytes.md
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F

from registry.errors import NameTaken, NotThere
from registry.models import Owner, Pattern, PatternVersion, User
from registry.services import audit, publishing, webhooks


def fork(
    *,
    version: PatternVersion,
    owner: Owner,
    user: User,
    now: datetime,
    via: str,
    name: str = "",
    source: bytes | None = None,
    visibility: str = Pattern.Visibility.PUBLIC,
    reason: str = "",
) -> PatternVersion:
    """
    Copy a version under another name, with a text of its own where ``source`` is given.

    Raises:
        NotThere: ``user`` may not see the version.
        NameTaken: ``owner`` has a pattern of that name already.
        NotAllowed, InvalidDocument: as publishing.
    """
    origin = version.pattern
    if not origin.is_visible_to(user):
        raise NotThere(f"pattern {origin}")
    name = name or origin.name
    if Pattern.objects.filter(owner=owner, name=name).exists():
        raise NameTaken(f"{owner}/{name} exists already; fork it under another name")
    with transaction.atomic():
        published = publishing.publish(
            owner=owner,
            user=user,
            source=version.source_bytes if source is None else source,
            via=via,
            name=name,
            visibility=visibility,
            now=now,
            forked_from=version,
            provenance={"forked_from": str(version), "digest": version.digest, "reason": reason},
        )
        Pattern.objects.filter(pk=origin.pk).update(forks_count=F("forks_count") + 1)
        made = published.versions[0].version
        audit.record(
            actor=user,
            action="pattern.forked",
            subject=str(made),
            owner=owner.name,
            via=via,
            now=now,
            detail={"from": str(version), "digest": version.digest, "reason": reason},
        )
        webhooks.enqueue(
            owner=origin.owner,
            event="pattern.forked",
            data={"pattern": str(origin), "version": version.version, "fork": str(made.pattern)},
            now=now,
        )
    return made
