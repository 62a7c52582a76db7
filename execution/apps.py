"""Runs: patterns carried out durably, by agents, on workers."""

from django.apps import AppConfig


class ExecutionConfig(AppConfig):
    """Running patterns: journal, effects, agents, workers."""

    name = "execution"
    verbose_name = "Execution"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Add the tabs, actions and links of runs to the registry's pages."""
        from execution.web import own_panels

        own_panels.add()
