"""The API of runs by itself."""

from django.urls import include, path

urlpatterns = [path("api/v1/", include("execution.api.urls"))]
