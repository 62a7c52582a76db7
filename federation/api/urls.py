"""Where the resources of OPL-Fed/1 are; include it at the root: ``path("", include("federation.api.urls"))``."""

from __future__ import annotations

from django.urls import URLPattern, path

from federation.api import views
from federation.api.gate import gated, public, verify_handshake

app_name = "fed"

urlpatterns: list[URLPattern] = [
    path(".well-known/opl-federation", public(views.well_known), name="well-known"),
    path("fed/v1/root/<str:version>", public(views.root), name="root"),
    path("fed/v1/changes", gated(views.changes, "GET"), name="changes"),
    path("fed/v1/statements", gated(views.statements, "POST"), name="statements"),
    path("fed/v1/statements/<str:statement_id>", gated(views.statement, "GET"), name="statement"),
    path("fed/v1/have", gated(views.have, "POST"), name="have"),
    path("fed/v1/push/<str:txn>", gated(views.push, "PUT"), name="push"),
    path("fed/v1/reconcile", gated(views.compare, "POST"), name="reconcile"),
    path("fed/v1/segments", gated(views.segments, "GET"), name="segments"),
    path("fed/v1/segments/<str:sha256>", gated(views.segment, "GET"), name="segment"),
    path(
        "fed/v1/peer-requests",
        gated(views.peer_request, "POST", verify=verify_handshake),
        name="peer-requests",
    ),
    path("fed/v1/poke", gated(views.poke, "POST"), name="poke"),
    path("fed/v1/status", gated(views.status, "GET"), name="status"),
    path("fed/v1", gated(views.nothing, "GET"), name="bare"),
    path("fed/v1/", gated(views.nothing, "GET"), name="top"),
    path("fed/v1/<path:rest>", gated(views.nothing, "GET"), name="nothing"),
]
