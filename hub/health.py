"""What a load balancer, a person and a Prometheus server ask."""

from __future__ import annotations

import ipaddress
import secrets

from django.conf import settings
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


FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")


def may_read_metrics(request: HttpRequest) -> bool:
    """Whether this caller runs the hub, as far as an answer of ours can know."""
    if settings.METRICS_TOKEN:
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        is_right = secrets.compare_digest(shown.strip().encode(), settings.METRICS_TOKEN.encode())
        return (scheme.lower() == "bearer" and is_right) or bool(request.user.is_superuser)
    # What a proxy on this machine passes on comes from elsewhere.
    is_direct = not any(name in request.META for name in FORWARDED)
    return (is_direct and _is_loopback(request.META.get("REMOTE_ADDR", ""))) or bool(request.user.is_superuser)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def metrics(request: HttpRequest) -> HttpResponse:
    """
    Prometheus text format: counters of this process, gauges read from the database.

    They tell how much a hub works and spends, so they are for who runs it: with
    HUB_METRICS_TOKEN for those who show it, otherwise for this machine alone;
    and for a signed-in administrator.
    """
    if not may_read_metrics(request):
        text = "These figures are for who runs this hub: send `Authorization: Bearer` and its HUB_METRICS_TOKEN"
        text += ".\n" if settings.METRICS_TOKEN else ", which is not set yet; until then only this machine may read.\n"
        refused = HttpResponse(text, status=401, content_type="text/plain; charset=utf-8")
        refused["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return refused
    return HttpResponse(generate_latest() + generate_latest(RUNS), content_type=CONTENT_TYPE_LATEST)
