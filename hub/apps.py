"""The hub's own app: system checks and the commands that start everything."""

from django.apps import AppConfig


class HubConfig(AppConfig):
    name = "hub"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from hub import checks  # noqa: F401  registers itself
