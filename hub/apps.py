"""The hub's own app: system checks and the commands that start everything."""

import gc

from django.apps import AppConfig

YOUNG_OBJECTS = 10_000  # made before Python looks for rings among them; it would at 700 (decision 0140)


class HubConfig(AppConfig):
    name = "hub"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.conf import settings

        from execution import telemetry
        from hub import checks  # noqa: F401  registers itself

        telemetry.export_to(settings.OTLP_ENDPOINT)
        gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])

        if not settings.WORKERS_EMBEDDED:
            # Tasks are bound to the configured application before anything sends a hint.
            from hub import celery  # noqa: F401
