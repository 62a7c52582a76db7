"""What a load balancer, a person and a Prometheus server ask."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from hub.metrics import RunMetrics

RUNS = CollectorRegistry(auto_describe=False)
RUNS.register(RunMetrics())


def alive(request: HttpRequest) -> JsonResponse:
    """200 while this process answers."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """200 when the database answers and is migrated; 503 with the reason otherwise."""
    try:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        return JsonResponse({"status": "unavailable", "reason": f"the database does not answer: {error}"}, status=503)
    if waiting:
        return JsonResponse({"status": "unavailable", "reason": f"{len(waiting)} migrations are waiting"}, status=503)
    return JsonResponse({"status": "ok"})


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text format: counters of this process, gauges read from the database."""
    return HttpResponse(generate_latest() + generate_latest(RUNS), content_type=CONTENT_TYPE_LATEST)
