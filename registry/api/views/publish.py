"""Publishing and checking a source."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import render, shapes
from registry.api.base import HubView, person
from registry.api.parsers import SOURCE_PARSERS, Arrived, source_of
from registry.api.views.patterns import list_patterns
from registry.models import Owner, Scope
from registry.services import finding, previewing, publishing

PUBLISH_BODY = {
    "application/json": shapes.PublishBody,
    "application/yaml": {"type": "string", "format": "binary"},
    "text/markdown": {"type": "string", "format": "binary"},
}


def owner_for(request: Request, name: str) -> Owner:
    """The owner that was named, else the caller's own."""
    return finding.owner(name) if name else person(request).own_owner


class PatternsView(HubView):
    """The patterns: list, search, publish."""

    parser_classes = SOURCE_PARSERS
    write_scope = Scope.PUBLISH

    def throttle_name_for(self, request: Request) -> str:
        """Lists count as searches."""
        return "publish" if request.method == "POST" else "search"

    @extend_schema(
        operation_id="patterns_list", parameters=[shapes.SearchQuery], responses={200: shapes.PatternPageShape}
    )
    def get(self, request: Request) -> Response:
        """Search and browse; facets with counts."""
        return Response(list_patterns(request))

    @extend_schema(
        operation_id="patterns_publish",
        request=PUBLISH_BODY,
        responses={
            201: shapes.PublishedShape,
            200: shapes.PublishedShape,
            409: shapes.ProblemDetails,
            422: shapes.ProblemDetails,
        },
    )
    def post(self, request: Request) -> Response:
        """Publish a source; the same bytes again give the same version with 200."""
        arrived = source_of(request)
        options: dict[str, Any] = dict(arrived.options)
        owner = owner_for(request, options.pop("owner", ""))
        answer = publishing.publish(
            owner=owner,
            user=person(request),
            source=arrived.source,
            via="api",
            now=self.now,
            file_name=options.pop("file", ""),
            **options,
        )
        return Response(
            render.published(answer),
            status=201 if answer.created else 200,
            headers={"Location": _location(answer)},
        )


def _location(answer: publishing.Published) -> str:
    if not answer.versions:
        return f"/api/v1/documents/{answer.document.digest}"
    first = answer.versions[0].version
    return f"{render.row_path(first.pattern)}/versions/{first.version}"


class CheckView(HubView):
    """Everything that publishing would say, without storing anything."""

    parser_classes = SOURCE_PARSERS
    write_scope = Scope.READ
    throttle_name = "publish"

    @extend_schema(operation_id="check", request=PUBLISH_BODY, responses={200: shapes.PreviewShape})
    def post(self, request: Request) -> Response:
        """All problems at once, the bump it would get, near-duplicates."""
        return Response(render.preview(preview_of(request, source_of(request))))


def preview_of(request: Request, arrived: Arrived) -> previewing.Preview:
    """The preview for a request; who is not signed in has no owner to compare with."""
    options: dict[str, Any] = dict(arrived.options)
    name = options.pop("owner", "")
    signed_in = request.user.is_authenticated
    owner = finding.owner(name) if name else person(request).own_owner if signed_in else None
    if owner is not None and not (signed_in and owner.can_publish(request.user)):
        owner = None
    return previewing.preview(
        owner=owner,
        user=request.user,
        source=arrived.source,
        version=options.get("version", ""),
        name=options.get("name", ""),
        file_name=options.get("file", ""),
    )
