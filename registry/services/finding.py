"""
From names in a URL or on a command line to rows, with 404 for what the caller may not see.

    pattern("ada", "vote", user)            version("ada/vote@stable", user)
"""

from __future__ import annotations

from typing import Any

from registry.errors import NotThere
from registry.models import Owner, Pattern, PatternVersion


def owner(name: str) -> Owner:
    """The owner of that name; raises NotThere."""
    found = Owner.objects.filter(name=name).first()
    if found is None:
        raise NotThere(f"owner {name}")
    return found


def pattern(owner_name: str, name: str, user: Any) -> Pattern:
    """The pattern ``owner_name/name`` with owner and shown versions loaded; raises NotThere."""
    found = Pattern.objects.visible_to(user).for_list().named(owner_name, name).first()
    if found is None:
        raise NotThere(f"pattern {owner_name}/{name}")
    return found


def version(reference: str, user: Any) -> PatternVersion:
    """
    What ``owner/name``, ``owner/name@1.2.0``, ``owner/name@stable`` or a full digest stands for.

    Without a version: stable, else the newest. Raises NotThere.
    """
    reference = reference.strip()
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
