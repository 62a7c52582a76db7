"""What is on the rise."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import render
from registry.api.base import HubView
from registry.api.paging import limit_of
from registry.discovery import trends


class EmergingView(HubView):
    """Patterns whose use grows more than by chance."""

    throttle_name = "search"

    @extend_schema(operation_id="emerging", responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        """The strongest first, with the score that orders them."""
        found = trends.emerging(user=request.user, limit=limit_of(request))
        return Response({"results": [{**render.pattern(row), "score": row.emerging_score} for row in found]})


class TrendingView(HubView):
    """Patterns that most people ran lately."""

    throttle_name = "search"

    @extend_schema(operation_id="trending", responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        """Of the last four weeks, with the number of people."""
        found = trends.trending(user=request.user, today=self.now.date(), limit=limit_of(request))
        return Response({"results": [{**render.pattern(row), "people": people} for row, people in found]})
