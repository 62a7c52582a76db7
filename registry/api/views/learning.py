"""Evidence and learning: analytics, decisions, proposals, export."""

from __future__ import annotations

import csv
from datetime import date
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import render, shapes
from registry.api.base import HubView, person
from registry.api.bodies import read_body
from registry.api.paging import page
from registry.api.views.social import version_of
from registry.errors import InvalidRequest, NotAllowed
from registry.models import Decision, Scope, Source
from registry.services import analytics, finding, learning


def range_of(request: Request, today: date) -> tuple[date, date]:
    """``?since=`` and ``?until=`` (ISO dates), the last 90 days by default."""
    since, until = analytics.default_range(today)
    try:
        since = date.fromisoformat(request.query_params.get("since", since.isoformat()))
        until = date.fromisoformat(request.query_params.get("until", until.isoformat()))
    except ValueError as error:
        raise InvalidRequest("since", "give dates as 2026-03-31") from error
    if since > until:
        raise InvalidRequest("since", "it lies after `until`")
    return since, until


class AnalyticsView(HubView):
    """How a pattern does, source by source."""

    @extend_schema(operation_id="pattern_analytics", responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, owner: str, name: str) -> Response:
        """Rates with intervals, by version, by context, day by day, and the failures."""
        pattern = finding.pattern(owner, name, request.user)
        since, until = range_of(request, self.now.date())
        source = request.query_params.get("source", Source.MEASURED)
        if source not in Source.values:
            raise InvalidRequest("source", f"choose from {', '.join(Source.values)}")
        names = dict(pattern.versions.values_list("pk", "version"))
        return Response(
            {
                "pattern": str(pattern),
                "source": source,
                "evidence": analytics.evidence_of(pattern).to_json(),
                "current": None if pattern.shown is None else analytics.current_of(pattern.shown).to_json(),
                "versions": [
                    {"version": names[pk], **{kind: rate.to_json() for kind, rate in rates.items()}}
                    for pk, rates in analytics.rates_by_version(pattern).items()
                    if pk in names
                ],
                "contexts": [
                    {"cell": cell, **rate.to_json()}
                    for cell, rate in analytics.rates_by_context(pattern, source=source)
                ],
                "days": [_day(day) for day in analytics.series(pattern, since=since, until=until, source=source)],
                "failures": [
                    {"type": kind, "count": count} for kind, count in analytics.failures_of(pattern, source=source)
                ],
            }
        )


def _day(day: analytics.Day) -> dict[str, Any]:
    return {
        "day": day.day,
        **day.rate.to_json(),
        "duration_seconds": day.duration_seconds,
        "duration_seconds_max": day.duration_seconds_max,
        "cost_usd": day.cost_usd,
        "tokens": day.tokens,
        "quality": day.quality,
    }


class _Echo:
    """Gives the line that a csv writer made back to it."""

    def write(self, line: str) -> str:
        """The line."""
        return line


class AnalyticsCsvView(HubView):
    """The same as a table."""

    @extend_schema(operation_id="pattern_analytics_csv", responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, owner: str, name: str) -> StreamingHttpResponse:
        """The daily sums, one row per day, version, context and source."""
        pattern = finding.pattern(owner, name, request.user)
        since, until = range_of(request, self.now.date())
        writer = csv.writer(_Echo())
        rows = analytics.csv_rows(pattern, since=since, until=until)
        response = StreamingHttpResponse(
            (writer.writerow([_safe(cell) for cell in row]) for row in rows), content_type="text/csv; charset=utf-8"
        )
        response.headers["Content-Disposition"] = f'attachment; filename="{pattern.name}.csv"'
        return response


def _safe(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" else cell


class DecisionsView(HubView):
    """What orchestrators decided."""

    write_scope = Scope.RUN

    @extend_schema(operation_id="decisions_list", responses={200: shapes.AnyPageShape})
    def get(self, request: Request, owner: str, name: str) -> Response:
        """Newest first."""
        pattern = finding.pattern(owner, name, request.user)
        return Response(page(request, Decision.objects.filter(pattern=pattern), render.decision))

    @extend_schema(operation_id="decision_record", request=shapes.DecisionBody, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request, owner: str, name: str) -> Response:
        """Record one, with its outcome where it is known."""
        pattern = finding.pattern(owner, name, request.user)
        if not pattern.owner.can_publish(request.user):
            raise NotAllowed(
                f"decisions of runs are recorded by the runs; others only by publishers of {pattern.owner}"
            )
        body = read_body(shapes.DecisionBody, request)
        row = learning.record_decision(
            version=version_of(pattern, body.pop("version", "")),
            made_by=request.user.get_username(),
            now=self.now,
            **body,
        )
        return Response(render.decision(row), status=201)


class ProposalsView(HubView):
    """What experience suggests."""

    @extend_schema(operation_id="proposals", responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, owner: str, name: str) -> Response:
        """Rules out of recurring decisions, forks and merges out of better versions, with the evidence."""
        pattern = finding.pattern(owner, name, request.user)
        version = version_of(pattern, request.query_params.get("version", "")[:64])
        return Response(
            {
                "rules": [rule.to_value() for rule in learning.proposed_rules(version)],
                "derivations": [
                    {
                        "op": item.op,
                        "version": str(item.version),
                        "rate": item.rate.to_json(),
                        "parent_rate": item.parent_rate.to_json(),
                    }
                    for item in learning.proposed_derivations(version)
                    if item.version.pattern.is_visible_to(request.user)
                ],
            }
        )


class ExportView(HubView):
    """A version out of experience."""

    @extend_schema(
        operation_id="pattern_export",
        request=shapes.ExportBody,
        responses={201: shapes.PublishedShape, 422: shapes.ProblemDetails},
    )
    def post(self, request: Request, owner: str, name: str) -> Response:
        """learned_from with real counts, insights, and proposed rules with their evidence."""
        pattern = finding.pattern(owner, name, request.user)
        body = read_body(shapes.ExportBody, request)
        made = learning.export_pattern(
            version=version_of(pattern, body.get("version", "")),
            user=person(request),
            owner=finding.owner(body["owner"]) if body.get("owner") else None,
            name=body.get("name", ""),
            learnings=body.get("learnings", ()),
            now=self.now,
        )
        return Response(render.published(made), status=201)
