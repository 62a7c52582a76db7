"""Peers: signed patterns, verdicts and statistics, exchanged and judged."""

from django.apps import AppConfig


class FederationConfig(AppConfig):
    """Peers, quarantine, and what leaves this node."""

    name = "federation"
    verbose_name = "Federation"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Add what the pages of the federation add to others."""
        from federation.web import own_panels

        own_panels.add()
