"""Atom feeds: what is new, per pattern, per tag, and what is emerging. Only what everybody may see."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.utils.feedgenerator import Atom1Feed
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from registry.api.base import HubView
from registry.discovery import trends
from registry.models import PatternVersion
from registry.services import finding

ENTRIES = 50
_ATOM = {(200, "application/atom+xml"): OpenApiTypes.STR}


def atom(*, title: str, path: str, versions: Iterable[PatternVersion]) -> HttpResponse:
    """A feed of versions; ids are digests, so an entry is new exactly when its text is."""
    base = str(getattr(settings, "PUBLIC_URL", "")).rstrip("/")
    feed = Atom1Feed(title=title, link=f"{base}/", description=title, feed_url=f"{base}{path}", language="en")
    newest: datetime | None = None
    for row in versions:
        newest = max(newest, row.published_at) if newest else row.published_at
        feed.add_item(
            title=str(row),
            link=f"{base}{row.get_absolute_url()}",
            description=_clean(row.description or row.title or str(row)),
            unique_id=f"urn:sha256:{row.digest}:{row.pattern.owner.name}:{row.pattern.name}",
            pubdate=row.published_at,
            updateddate=row.published_at,
            author_name=_clean(row.author_name or row.pattern.owner.name),
        )
    return HttpResponse(
        feed.writeString("utf-8"),
        content_type="application/atom+xml; charset=utf-8",
        headers={"Cache-Control": "public, max-age=300"},
    )


def _clean(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(char for char in text if char.isprintable() or char in "\n\t")


def _public() -> Any:
    rows = PatternVersion.objects.light().usable().visible_to(AnonymousUser())
    return rows.select_related("pattern__owner").order_by("-pk")


class NewFeed(HubView):
    """New versions."""

    @extend_schema(operation_id="feed_new", responses=_ATOM)
    def get(self, request: Request) -> HttpResponse:
        """The last fifty."""
        return atom(title="New pattern versions", path=request.path, versions=_public()[:ENTRIES])


class TagFeed(HubView):
    """New versions with a tag."""

    @extend_schema(operation_id="feed_tag", responses=_ATOM)
    def get(self, request: Request, tag: str) -> HttpResponse:
        """The last fifty."""
        rows = _public().filter(pattern__tag_rows__tag=tag.lower().replace("\0", "")[:64])
        return atom(title=f"New pattern versions tagged {_clean(tag)[:64]}", path=request.path, versions=rows[:ENTRIES])


class EmergingFeed(HubView):
    """Patterns on the rise."""

    @extend_schema(operation_id="feed_emerging", responses=_ATOM)
    def get(self, request: Request) -> HttpResponse:
        """Their versions shown, the strongest first."""
        found = trends.emerging(user=AnonymousUser(), limit=ENTRIES)
        rows = _public().filter(pk__in=[row.shown_id for row in found])
        return atom(title="Emerging patterns", path=request.path, versions=rows)


class PatternFeed(HubView):
    """New versions of one pattern."""

    @extend_schema(operation_id="feed_pattern", responses=_ATOM)
    def get(self, request: Request, owner: str, name: str) -> HttpResponse:
        """The last fifty; of a public pattern."""
        pattern = finding.pattern(owner, name, AnonymousUser())
        return atom(
            title=f"Versions of {pattern}", path=request.path, versions=_public().filter(pattern=pattern)[:ENTRIES]
        )
