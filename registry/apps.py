"""The registry as a Django application."""

from __future__ import annotations

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """Patterns, their versions and what is known about them."""

    name = "registry"
    verbose_name = "Pattern registry"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Put the registry's own tabs, actions and links where higher apps put theirs."""
        from registry.web import own_panels

        own_panels.add()
