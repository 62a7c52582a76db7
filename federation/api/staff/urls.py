"""Addresses of the federation below ``/api/v1/``; what nodes ask of one another is in ``federation.api.urls``."""

from __future__ import annotations

from django.urls import path

from federation.api.staff import views

app_name = "federation-api"

urlpatterns = [
    path("peers", views.Peers.as_view(), name="peers"),
    path("peers/<str:node_id>", views.OnePeer.as_view(), name="peer"),
    path("quarantine", views.Quarantine.as_view(), name="quarantine"),
    path("quarantine/<number:item_id>", views.OneItem.as_view(), name="item"),
    path("quarantine/<number:item_id>/decide", views.Decide.as_view(), name="decide"),
    path("blocked-authors", views.BlockedAuthors.as_view(), name="blocked-authors"),
    path("blocked-authors/<str:author_id>", views.OneBlockedAuthor.as_view(), name="blocked-author"),
]
