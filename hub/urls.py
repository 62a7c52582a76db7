"""Every address of the hub; each app names its own below its prefix."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularJSONAPIView

from hub import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("api/v1/openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
    path("api/v1/", include("registry.api.urls")),
    path("api/v1/", include("execution.api.urls")),
    path("api/v1/", include("federation.api.staff.urls")),
    path("admin/", admin.site.urls),
    path("", include("federation.api.urls")),
    path("", include("federation.web.urls")),
    path("", include("execution.web.urls")),
    path("", include("registry.web.urls")),
]

handler400 = "registry.web.views.errors.bad_request"
handler403 = "registry.web.views.errors.forbidden"
handler404 = "registry.web.views.errors.not_found"
handler500 = "registry.web.views.errors.server_error"
