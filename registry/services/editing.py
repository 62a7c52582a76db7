"""What may be changed of a pattern after it was published: words, tags and visibility, never a version."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from registry.discovery import index
from registry.errors import InvalidRequest, NotAllowed
from registry.models import Pattern, PatternTag, User
from registry.services import audit


def check_visibility(wanted: str) -> str:
    """``wanted`` if it is a visibility or ""; raises InvalidRequest otherwise."""
    if wanted and wanted not in Pattern.Visibility.values:
        raise InvalidRequest("visibility", f"choose from {', '.join(Pattern.Visibility.values)}")
    return wanted


def set_tags(pattern: Pattern, tags: list[str]) -> None:
    """Make the pattern's tag rows these."""
    current = set(pattern.tag_rows.values_list("tag", flat=True))
    wanted = set(tags)
    if current - wanted:
        pattern.tag_rows.filter(tag__in=current - wanted).delete()
    PatternTag.objects.bulk_create([PatternTag(pattern=pattern, tag=tag) for tag in sorted(wanted - current)])


def edit_pattern(
    *,
    pattern: Pattern,
    user: User,
    now: datetime,
    title: str | None = None,
    description: str | None = None,
    tags: list[str] | None = None,
    visibility: str | None = None,
) -> Pattern:
    """Change what may be changed of a pattern; None leaves a field as it is. A version never changes."""
    if not pattern.owner.can_publish(user):
        raise NotAllowed(f"only publishers of {pattern.owner} may edit {pattern}")
    changes: dict[str, Any] = {}
    if title is not None:
        changes |= {"title": title.strip()[:200], "description_edited": True}
    if description is not None:
        changes |= {"description": description, "description_edited": True}
    if visibility is not None:
        changes["visibility"] = check_visibility(visibility) or pattern.visibility
    with transaction.atomic():
        if tags is not None:
            set_tags(pattern, clean_tags(tags))
            changes["description_edited"] = True
        for field, value in changes.items():
            setattr(pattern, field, value)
        pattern.save(update_fields=list(changes) or None)
        index.update(pattern)
        audit.record(
            actor=user,
            action="pattern.edited",
            subject=str(pattern),
            owner=pattern.owner.name,
            now=now,
            detail={"fields": sorted(changes) + (["tags"] if tags is not None else [])},
        )
    return pattern


def clean_tags(tags: list[str]) -> list[str]:
    """Tags as they are stored; InvalidRequest for one that is too long or one too many."""
    cleaned = list(dict.fromkeys(tag.strip().lower() for tag in tags if tag.strip()))
    if len(cleaned) > 32 or any(len(tag) > 64 for tag in cleaned):
        raise InvalidRequest("tags", "at most 32 tags of at most 64 characters")
    return cleaned
