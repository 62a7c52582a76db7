"""
From names in a URL or on a command line to rows, with 404 for what the caller may not see.

    pattern("ada", "vote", user)            version("ada/vote@stable", user)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Q

from registry.errors import NotThere
from registry.models import Channel, Owner, Pattern, PatternVersion
from registry.models.version import VersionQuerySet


def owner(name: str) -> Owner:
    """The owner of that name; raises NotThere."""
    found = Owner.objects.filter(name=name).first() if is_plausible(name) else None
    if found is None:
        raise NotThere(f"owner {name}")
    return found


_DETAILS = ("pattern__owner", "document", "published_by", "successor__pattern__owner")


def _detailed(user: Any) -> VersionQuerySet:
    """Versions that ``user`` may see, with what their own answer shows; the whole document's text is left out."""
    versions = PatternVersion.objects.visible_to(user).select_related(*_DETAILS)
    return versions.defer("program", "document__source", "document__value", "successor__source", "successor__program")


def pinned(owner_name: str, name: str, wanted: str, user: Any) -> PatternVersion:
    """
    The version of a URL: one query for a number, a second for a channel or a digest.

    Raises:
        NotThere: no such version that ``user`` may see.
    """
    versions = _detailed(user).filter(pattern__owner__name=owner_name, pattern__name=name)
    if not is_plausible(owner_name, name, wanted):
        raise NotThere(f"version {owner_name}/{name}@{wanted}"[:200])
    found = versions.filter(version=wanted).first()
    if found is None:
        column = "digest" if len(wanted) == 64 else "channels__name"
        found = versions.filter(**{column: wanted}).first()
    if found is None:
        raise NotThere(f"version {owner_name}/{name}@{wanted}"[:200])
    return found


def is_plausible(*names: str) -> bool:
    """Whether these could be in the database at all: short, printable."""
    return all(0 < len(name) <= 100 and name.isprintable() for name in names)


def versions(references: Iterable[str], user: Any) -> dict[str, PatternVersion]:
    """The versions that references stand for, as far as ``user`` may see them; a few queries for all."""
    asked: dict[tuple[str, str, str], list[str]] = {}
    digests: dict[str, list[str]] = {}
    for reference in references:
        if not is_plausible(reference):
            continue
        name, _, wanted = reference.strip().partition("@")
        owner_name, slash, pattern_name = name.partition("/")
        if slash:
            asked.setdefault((owner_name, pattern_name, wanted), []).append(reference)
        elif len(reference) == 64:
            digests.setdefault(reference, []).append(reference)
    found: dict[str, PatternVersion] = {}
    for row in _detailed(user).filter(digest__in=list(digests)).order_by("-pk"):
        found |= dict.fromkeys(digests[row.digest], row)
    names = {(owner_name, pattern_name) for owner_name, pattern_name, _ in asked}
    patterns = Pattern.objects.visible_to(user).filter(
        owner__name__in={owner_name for owner_name, _ in names}, name__in={name for _, name in names}
    )
    wanted_versions = {wanted for _, _, wanted in asked}
    by_name: dict[tuple[str, str, str], PatternVersion] = {}
    rows = _detailed(user).filter(pattern__in=patterns.values("pk"))
    listed = rows.filter(Q(version__in=wanted_versions) | Q(pk__in=patterns.values("shown")))
    for row in listed.select_related(*_DETAILS, "pattern"):
        key = (row.pattern.owner.name, row.pattern.name)
        by_name[*key, row.version] = row
        if row.pattern.shown_id == row.pk:
            by_name[*key, ""] = row
    channels = Channel.objects.filter(pattern__in=patterns.values("pk"), name__in=wanted_versions)
    for channel in channels.select_related("pattern__owner"):
        key = (channel.pattern.owner.name, channel.pattern.name)
        pointed = by_name.get((*key, channel.name)) or rows.filter(pk=channel.version_id).first()
        if pointed is not None:
            by_name[*key, channel.name] = pointed
    for wanted_key, written in asked.items():
        if wanted_key in by_name:
            found |= dict.fromkeys(written, by_name[wanted_key])
    return found


def pattern(owner_name: str, name: str, user: Any) -> Pattern:
    """The pattern ``owner_name/name`` with owner and shown versions loaded; raises NotThere."""
    found = None
    if is_plausible(owner_name, name):
        found = Pattern.objects.visible_to(user).for_list().named(owner_name, name).first()
    if found is None:
        raise NotThere(f"pattern {owner_name}/{name}"[:200])
    return found


def version(reference: str, user: Any) -> PatternVersion:
    """
    What ``owner/name``, ``owner/name@1.2.0``, ``owner/name@stable`` or a full digest stands for.

    Without a version: stable, else the newest. Raises NotThere.
    """
    reference = reference.strip()
    if not reference.isprintable() or not 0 < len(reference) <= 300:
        raise NotThere("version of that name")
    if len(reference) == 64 and "/" not in reference:
        versions = PatternVersion.objects.visible_to(user).select_related("pattern__owner")
        found = versions.filter(digest=reference).order_by("pk").first()
    else:
        name, _, wanted = reference.partition("@")
        owner_name, _, pattern_name = name.partition("/")
        row = Pattern.objects.visible_to(user).named(owner_name, pattern_name).first()
        found = row.version_named(wanted) if row else None
    if found is None:
        raise NotThere(f"version {reference}")
    return found
