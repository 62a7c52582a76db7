"""Two versions side by side: their texts, what changed in meaning, and how they did."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from registry.errors import NotThere
from registry.models import Pattern, PatternVersion
from registry.services import comparing, finding
from registry.web.differences import meaning, text_difference
from registry.web.pages import find_pattern, find_version
from registry.web.proof import lines_of


def compare(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """``from`` and ``to`` name versions of this pattern, or ``owner/name@version`` of another."""
    pattern = find_pattern(request, owner, name)
    new = _named(request, pattern, request.GET.get("to", "")) or find_version(request, pattern, "latest")
    old = _named(request, pattern, request.GET.get("from", "")) or _before(new)
    versions = pattern.versions.light().in_order().values_list("version", flat=True)[:200]
    context: dict[str, Any] = {
        "pattern": pattern,
        "old": old,
        "new": new,
        "versions": list(versions),
        "title": _("Compare versions of %(pattern)s") % {"pattern": pattern},
    }
    if old is not None and old.pk != new.pk:
        found = comparing.compare(old, new)
        context |= {
            "lines": text_difference(found.lines),
            "changes": meaning(found.changes),
            "is_same_meaning": found.same_meaning,
            "sides": [(old, lines_of(found.evidence_before)), (new, lines_of(found.evidence_after))],
        }
    return render(request, "registry/compare.html", context)


def _named(request: HttpRequest, pattern: Pattern, wanted: str) -> PatternVersion | None:
    """The version named in the address; None where none is named."""
    if not wanted:
        return None
    try:
        return finding.version(wanted if "/" in wanted else f"{pattern}@{wanted}", request.user)
    except NotThere:
        raise NotThere(f"version {wanted[:100]}") from None


def _before(version: PatternVersion) -> PatternVersion | None:
    """The version before in the order of semver, or None for the first."""
    earlier = version.pattern.versions.filter(sort_key__lt=version.sort_key).in_order()
    return earlier.select_related("pattern__owner").first()
