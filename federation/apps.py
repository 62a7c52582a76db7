"""Peers: signed patterns, verdicts and statistics, exchanged and judged."""

from django.apps import AppConfig


class FederationConfig(AppConfig):
    name = "federation"
    default_auto_field = "django.db.models.BigAutoField"
