"""
Making a pattern out of others: fork, adapt, merge, translate.

A fork copies a version byte for byte under another name, so its digest is the
same: the fork itself is remembered by ``Pattern.forked_from``, and the first
version of the fork with a text of its own gets the ``fork`` edge. Statistics
of whatever is derived start at zero.

Source: docs/decisions/0040-a-fork-keeps-its-bytes.md
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from opl.document.merge import Conflict
from opl.document.merge import merge as merge_documents
from registry.errors import InvalidRequest, MergeConflicts, NameTaken, NotThere
from registry.models import LineageEdge, Owner, Pattern, PatternVersion, User
from registry.services import audit, comparing, lineage, publishing, webhooks, writing
from registry.services.reading import read
from registry.services.versioning import next_version_of


def fork(
    *,
    version: PatternVersion,
    owner: Owner,
    user: User,
    now: datetime,
    via: str,
    name: str = "",
    source: bytes | None = None,
    visibility: str = "",
    reason: str = "",
) -> PatternVersion:
    """
    Copy a version under another name, with a text of its own where ``source`` is given.

    Args:
        visibility: "" for public where the origin is public, else private.

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
            visibility=visibility or publishing.visibility_of_derived(version),
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


def take_over(
    *,
    version: PatternVersion,
    pattern: Pattern,
    user: User | None,
    now: datetime,
    via: str,
    provenance: Mapping[str, Any],
) -> PatternVersion:
    """
    Publish the text of another pattern's version as the next version of ``pattern``.

    Nothing but the name and the number of the version changes; what it executes is the same.

    Raises:
        NotThere: ``user`` may not see the version.
        InvalidRequest: the text is not the same program under this name.
        NotAllowed, InvalidDocument: as publishing.
    """
    if user is not None and not version.pattern.is_visible_to(user):
        raise NotThere(f"pattern {version.pattern}")
    own = version.source_bytes
    source = writing.with_next_version(own, pattern)
    with transaction.atomic():
        published = publishing.publish(
            owner=pattern.owner,
            user=user,
            source=source,
            via=via,
            now=now,
            name=pattern.name,
            # The same bytes are the same digest, and nothing descends from itself.
            parents=() if source == own else ((version.digest, LineageEdge.Op.MERGE),),
            provenance={"taken_over": str(version), "digest": version.digest, **provenance},
        )
        made = published.versions[0].version
        if (made.program_hash, made.mode) != (version.program_hash, version.mode):
            raise InvalidRequest("version", f"the text of {version} is another program under the name {pattern}")
    return made


def next_number(version: PatternVersion, pattern: Pattern) -> str:
    """The number that ``take_over`` would give the text; "" where it cannot be read any more."""
    reading = read(version.source_bytes)
    if not reading.patterns:
        return ""
    same = pattern.versions.filter(digest=reading.patterns[0].digest).values_list("version", flat=True).first()
    return same or next_version_of(pattern, reading.patterns[0])[0]


def common_ancestor(ours: PatternVersion, theirs: PatternVersion, user: User) -> PatternVersion | None:
    """The nearest text that both were made from and that ``user`` may see, or None."""
    up_ours = {ours.digest: 0, **lineage.ancestors([ours.digest])}
    up_theirs = {theirs.digest: 0, **lineage.ancestors([theirs.digest])}
    shared = sorted(up_ours.keys() & up_theirs.keys(), key=lambda digest: up_ours[digest] + up_theirs[digest])
    for digest in shared[:50]:
        found = PatternVersion.objects.visible_to(user).filter(digest=digest).order_by("pk").first()
        if found is not None:
            return found
    return None


def merge(
    *,
    ours: PatternVersion,
    theirs: PatternVersion,
    user: User,
    now: datetime,
    via: str,
    choices: Mapping[str, str] | None = None,
    base: PatternVersion | None = None,
) -> publishing.Published:
    """
    Take what ``theirs`` changed since the common ancestor into a new version of ``ours``' pattern.

    Args:
        choices: decisions of conflicts, by pointer: ``ours``, ``theirs`` or ``both``.

    Raises:
        InvalidRequest: no common ancestor is held here, or a text cannot be read any more.
        MergeConflicts: both sides changed the same places, and nobody decided which stands.
    """
    text = merged_text(ours=ours, theirs=theirs, user=user, choices=choices or {}, base=base)
    text = writing.with_next_version(text, ours.pattern)
    return publishing.publish(
        owner=ours.pattern.owner,
        user=user,
        source=text,
        via=via,
        now=now,
        name=ours.pattern.name,
        parents=((ours.digest, LineageEdge.Op.MERGE), (theirs.digest, LineageEdge.Op.MERGE)),
        provenance={"merged": [str(ours), str(theirs)]},
    )


def merged_text(
    *,
    ours: PatternVersion,
    theirs: PatternVersion,
    user: User,
    choices: Mapping[str, str],
    base: PatternVersion | None = None,
) -> bytes:
    """The merged source; raises as ``merge`` does, stores nothing."""
    base = base or common_ancestor(ours, theirs, user)
    if base is None:
        raise InvalidRequest("theirs", f"{ours} and {theirs} have no common ancestor here; name one as `base`")
    documents = [comparing.document_of(version) for version in (base, ours, theirs)]
    if any(document is None for document in documents):
        raise InvalidRequest("theirs", "one of the three texts cannot be read any more")
    old, mine, other = (document for document in documents if document is not None)
    # Both sides always changed the version; the merge gets one of its own.
    result = merge_documents(old, mine, other, choices={"/version": "ours", **choices})
    if result.open_conflicts:
        raise MergeConflicts([conflict_json(conflict) for conflict in result.open_conflicts])
    return result.text.encode()


def conflict_json(conflict: Conflict) -> dict[str, Any]:
    """One conflict as the API and the page show it."""
    return {
        "pointer": conflict.pointer,
        "base": conflict.base,
        "ours": conflict.ours,
        "theirs": conflict.theirs,
        "line": conflict.line,
    }
