"""One pattern: what is known of it, editing, badge, and the list that search shares."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import badge, render, shapes
from registry.api.base import HubView, not_modified, person
from registry.api.bodies import read_body, read_query
from registry.api.paging import cursor_for, limit_of, position_of
from registry.discovery import filters, recommend, search
from registry.errors import InvalidRequest
from registry.services import analytics, editing, finding


def query_of(request: Request) -> filters.Query:
    """The query that the parameters ask for; ``tag`` may be repeated."""
    given = request.query_params
    query = filters.parse(given.get("q", ""))
    facets = [("tag", tag) for tag in given.getlist("tag") if tag]
    facets += [(key, given[key]) for key in ("owner", "mode", "category") if given.get(key)]
    clean = tuple((key, value.replace("\0", "")[:100]) for key, value in facets)
    return filters.Query(
        words=query.words,
        facets=tuple(dict.fromkeys((*query.facets, *clean))),
        without=query.without,
        comparisons=query.comparisons,
    )


def sort_of(request: Request) -> str:
    """What to sort by; raises InvalidRequest for anything that nobody can sort by."""
    sort = request.query_params.get("sort", "best")
    if sort not in search.SORTS:
        raise InvalidRequest("sort", f"use one of {', '.join(search.SORTS)}")
    return sort


def list_patterns(request: Request) -> dict[str, Any]:
    """One page of the list of patterns."""
    with_facets = request.query_params.get("facets", "true").lower() not in ("0", "false", "no")
    found = search.search(
        query=query_of(request),
        user=request.user,
        sort=sort_of(request),
        offset=min(position_of(request), 1_000_000),
        limit=limit_of(request),
        with_facets=with_facets,
    )
    answer: dict[str, Any] = {
        "results": [render.pattern(row) for row in found.patterns],
        "next": cursor_for(found.next_offset),
        "total": found.total,
        "capped": found.is_capped,
        "sort": found.sort,
        "sorted_by": search.SORTS[found.sort][0],
    }
    if with_facets:
        answer["facets"] = {
            name: [{"value": value, "count": count} for value, count in pairs] for name, pairs in found.facets.items()
        }
    return answer


class SearchView(HubView):
    """The same list under the name that people look for."""

    throttle_name = "search"

    @extend_schema(operation_id="search", parameters=[shapes.SearchQuery], responses={200: shapes.PatternPageShape})
    def get(self, request: Request) -> Response:
        """Search and browse; facets with counts."""
        return Response(list_patterns(request))


class FacetsView(HubView):
    """The counts alone."""

    throttle_name = "search"

    @extend_schema(operation_id="facets", parameters=[shapes.SearchQuery], responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        """Facets of what matches, largest first."""
        found = search.search(query=query_of(request), user=request.user, limit=1)
        facets = {
            name: [{"value": value, "count": count} for value, count in pairs] for name, pairs in found.facets.items()
        }
        return Response({"total": found.total, "capped": found.is_capped, "facets": facets})


class PatternView(HubView):
    """One pattern."""

    @extend_schema(operation_id="pattern_read", responses={200: OpenApiTypes.OBJECT, 404: shapes.ProblemDetails})
    def get(self, request: Request, owner: str, name: str) -> Response:
        """The pattern, its channels, and all that is known of how it does."""
        row = finding.pattern(owner, name, request.user)
        channels = row.channels.select_related("version").order_by("name")
        origin = row.forked_from
        return Response(
            {
                **render.pattern(row),
                "channels": [render.channel(channel) for channel in channels],
                "evidence": analytics.evidence_of(row).to_json(),
                "forked_from": (
                    {"pattern": str(origin.pattern), "version": origin.version, "digest": origin.digest}
                    if origin is not None and origin.pattern.is_visible_to(request.user)
                    else {"digest": origin.digest}
                    if origin is not None
                    else None
                ),
            }
        )

    @extend_schema(operation_id="pattern_edit", request=shapes.EditBody, responses={200: shapes.PatternShape})
    def patch(self, request: Request, owner: str, name: str) -> Response:
        """Edit title, description, tags or visibility; versions never change."""
        row = finding.pattern(owner, name, request.user)
        changes = read_body(shapes.EditBody, request)
        editing.edit_pattern(pattern=row, user=person(request), now=self.now, **changes)
        return Response(render.pattern(finding.pattern(owner, name, request.user)))


class SimilarView(HubView):
    """Patterns alike."""

    @extend_schema(operation_id="pattern_similar", responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, owner: str, name: str) -> Response:
        """Patterns that share tags or category, the better ones first."""
        row = finding.pattern(owner, name, request.user)
        return Response({"results": [render.pattern(one) for one in recommend.similar(pattern=row, user=request.user)]})


class BadgeView(HubView):
    """A picture for a README."""

    @extend_schema(operation_id="pattern_badge", responses={(200, "image/svg+xml"): OpenApiTypes.STR})
    def get(self, request: Request, owner: str, name: str) -> HttpResponse:
        """The pattern's measured success as an SVG badge."""
        row = finding.pattern(owner, name, request.user)
        rate = analytics.rate_of(row.measured_successes, row.measured_runs)
        svg = badge.draw(str(row.name), badge.words_for(rate, row.shown.version if row.shown else ""))
        etag = badge.etag(svg)
        if not_modified(request, etag):
            response = HttpResponse(status=304)
        else:
            response = HttpResponse(svg, content_type="image/svg+xml")
        response.headers["ETag"] = etag
        response.headers["Cache-Control"] = f"{'public' if row.visibility == 'public' else 'private'}, max-age=300"
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
        return response


class RecommendView(HubView):
    """What to use in a situation."""

    throttle_name = "search"

    @extend_schema(operation_id="recommend", parameters=[shapes.RecommendQuery], responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        """Patterns for a task, model and tags, with the reasons in words."""
        asked = read_query(shapes.RecommendQuery, request)
        context = {
            "task": asked.get("task", ""),
            "model": asked.get("model", ""),
            "tags": [tag for tag in asked.get("tags", "").split(",") if tag.strip()],
        }
        found = recommend.recommend(
            context=context,
            user=request.user,
            limit=asked["limit"],
            explore=asked["explore"],
            incumbent=asked.get("incumbent", ""),
        )
        return Response(
            {
                "results": [
                    {
                        "pattern": render.pattern(item.pattern),
                        "score": item.score,
                        "expected": item.expected,
                        "reasons": list(item.reasons),
                    }
                    for item in found
                ]
            }
        )
