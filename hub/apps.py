"""The hub's own app: system checks and the commands that start everything."""

from django.apps import AppConfig


class HubConfig(AppConfig):
    name = "hub"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.conf import settings

        from execution import telemetry
        from hub import checks  # noqa: F401  registers itself

        telemetry.export_to(settings.OTLP_ENDPOINT)

        if not settings.WORKERS_EMBEDDED:
            # Tasks are bound to the configured application before anything sends a hint.
            from hub import celery  # noqa: F401
