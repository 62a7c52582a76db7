"""Addresses of the run pages."""

from __future__ import annotations

from django.urls import URLPattern

app_name = "execution"
urlpatterns: list[URLPattern] = []
