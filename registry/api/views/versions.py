"""
Versions: pinned reads that hold for ever, sources byte for byte, yank, diff, bulk.

The ETag of a version and of its source is its digest. A pinned address (a
version number or digest) is immutable; one that goes through a channel must be
asked again.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import pinned, render, shapes
from registry.api.base import HubView, cached, not_modified, person, unchanged
from registry.api.bodies import read_body
from registry.api.paging import cursor_for, limit_of, position_of
from registry.errors import NotThere
from registry.models import PatternVersion, StoredDocument
from registry.services import comparing, finding, yanking


def find_version(request: Request, owner: str, name: str, version: str) -> PatternVersion:
    """The version that a URL names, with what its answer needs, in one query where it is pinned."""
    return finding.pinned(owner, name, version, request.user)


def is_public(row: PatternVersion) -> bool:
    """Whether shared caches may keep it."""
    return row.pattern.visibility == "public"


class VersionsView(HubView):
    """The versions of a pattern."""

    @extend_schema(operation_id="versions_list", responses={200: shapes.VersionPageShape})
    def get(self, request: Request, owner: str, name: str) -> Response:
        """Highest version first, withdrawn ones marked."""
        pattern = finding.pattern(owner, name, request.user)
        limit, start = limit_of(request), position_of(request)
        rows = pattern.versions.light().select_related("published_by", "pattern", "successor__pattern__owner")
        found = list(rows.prefetch_related("channels").in_order()[start : start + limit + 1])
        following = start + limit if len(found) > limit else None
        return Response({"results": [render.version_line(row) for row in found[:limit]], "next": cursor_for(following)})


class VersionView(HubView):
    """One version."""

    @extend_schema(
        operation_id="version_read", responses={200: shapes.VersionShape, 304: None, 404: shapes.ProblemDetails}
    )
    def get(self, request: Request, owner: str, name: str, version: str) -> HttpResponse:
        """By number, digest or channel; the ETag is the digest."""
        pin = pinned.find(owner, name, version, request.user)
        if pin is not None:
            if not_modified(request, pin.etag):
                return unchanged(etag=pin.etag, pinned=True, public=pin.is_public)
            body = pinned.KEPT.get(("json", *pin.key), lambda: _json(find_version(request, owner, name, version)))
            answer = HttpResponse(body, content_type="application/json")
            return cached(answer, etag=pin.etag, pinned=not pin.is_yanked, public=pin.is_public)
        row = find_version(request, owner, name, version)
        etag, is_digest, public = f'"{row.digest}"', version == row.digest, is_public(row)
        if not_modified(request, etag):
            return unchanged(etag=etag, pinned=is_digest, public=public)
        return cached(Response(render.version(row)), etag=etag, pinned=is_digest and not row.is_yanked, public=public)


def _json(row: PatternVersion) -> bytes:
    return bytes(JSONRenderer().render(render.version(row)))


class SourceView(HubView):
    """The text of a version."""

    @extend_schema(
        operation_id="version_source",
        responses={(200, "text/plain"): OpenApiTypes.BINARY, 304: None, 404: shapes.ProblemDetails},
    )
    def get(self, request: Request, owner: str, name: str, version: str) -> HttpResponse:
        """Byte for byte as it was published."""
        pin = pinned.find(owner, name, version, request.user)
        if pin is not None:
            if not_modified(request, pin.etag):
                return unchanged(etag=pin.etag, pinned=True, public=pin.is_public)
            source = pinned.KEPT.get(("source", *pin.key), lambda: _source(pin.version_id))
            return cached(plain(source), etag=pin.etag, pinned=True, public=pin.is_public)
        row = find_version(request, owner, name, version)
        etag, is_digest, public = f'"{row.digest}"', version == row.digest, is_public(row)
        if not_modified(request, etag):
            return unchanged(etag=etag, pinned=is_digest, public=public)
        return cached(plain(row.source_bytes), etag=etag, pinned=is_digest, public=public)


def _source(version_id: int) -> bytes:
    return bytes(PatternVersion.objects.values_list("source", flat=True).get(pk=version_id))


def plain(source: bytes) -> HttpResponse:
    """A source as text that no browser will execute."""
    return HttpResponse(source, content_type="text/plain; charset=utf-8", headers={"X-Content-Type-Options": "nosniff"})


class DigestView(HubView):
    """A version by the digest of its text."""

    @extend_schema(operation_id="version_by_digest", responses={200: shapes.VersionShape, 404: shapes.ProblemDetails})
    def get(self, request: Request, digest: str) -> HttpResponse:
        """The first version published with this text that the caller may see."""
        row = finding.version(digest, request.user) if len(digest) == 64 else None
        if row is None:
            raise NotThere(f"version {digest[:80]}")
        etag = f'"{row.digest}"'
        if not_modified(request, etag):
            return unchanged(etag=etag, pinned=True, public=is_public(row))
        return cached(Response(render.version(row)), etag=etag, pinned=True, public=is_public(row))


class DocumentView(HubView):
    """A whole document, of which patterns and profiles were made."""

    @extend_schema(
        operation_id="document_source",
        responses={(200, "text/plain"): OpenApiTypes.BINARY, 304: None, 404: shapes.ProblemDetails},
    )
    def get(self, request: Request, digest: str) -> HttpResponse:
        """The exact bytes, for whoever may see a pattern of it."""
        if len(digest) != 64 or not digest.isalnum():
            raise NotThere("document of that digest")
        visible = PatternVersion.objects.visible_to(request.user).values("document")
        row = (
            StoredDocument.objects.filter(digest=digest)
            .filter(Q(pk__in=visible) | Q(profiles__visibility="public"))
            .first()
        )
        if row is None:
            raise NotThere(f"document {digest[:80]}")
        etag = f'"{row.digest}"'
        if not_modified(request, etag):
            return unchanged(etag=etag, pinned=True, public=False)
        return cached(plain(bytes(row.source)), etag=etag, pinned=True, public=False)


class YankView(HubView):
    """Withdrawing a version."""

    @extend_schema(operation_id="version_yank", request=shapes.YankBody, responses={200: shapes.VersionShape})
    def post(self, request: Request, owner: str, name: str, version: str) -> Response:
        """With a reason, and a successor where there is one; it stays fetchable."""
        row = find_version(request, owner, name, version)
        body = read_body(shapes.YankBody, request)
        yanking.yank(
            version=row,
            user=person(request),
            reason=body["reason"],
            successor=body.get("successor", ""),
            now=self.now,
            via="api",
        )
        return Response(render.version(row))


class DiffView(HubView):
    """Two versions side by side."""

    @extend_schema(operation_id="version_diff", responses={200: OpenApiTypes.OBJECT, 404: shapes.ProblemDetails})
    def get(self, request: Request, owner: str, name: str, version: str, other: str) -> Response:
        """Text, meaning, and what both achieved; ``other`` is a version here, or owner:name@version elsewhere."""
        before = find_version(request, owner, name, version)
        if "@" in other:
            after = finding.version(other.replace(":", "/", 1), request.user)
        else:
            after = find_version(request, owner, name, other)
        return Response(comparing.to_json(comparing.compare(before, after)))


class BulkView(HubView):
    """Many versions at once."""

    write_scope = "read"
    throttle_name = "search"

    def scope_for(self, request: Request) -> str:
        """Reading, though it is a POST."""
        return "read"

    @extend_schema(operation_id="bulk_read", request=shapes.BulkBody, responses={200: OpenApiTypes.OBJECT})
    def post(self, request: Request) -> Response:
        """Up to 200 references; those that are not there are listed, not an error."""
        body = read_body(shapes.BulkBody, request)
        found: list[dict[str, Any]] = []
        missing: list[str] = []
        rows = finding.versions(body["references"], request.user)
        for reference in body["references"]:
            row = rows.get(reference)
            if row is None:
                missing.append(reference)
                continue
            item = {"reference": reference, **render.version(row)}
            found.append({**item, "source": row.text} if body["source"] else item)
        return Response({"results": found, "missing": missing})
