"""Runs: patterns carried out durably, by agents, on workers."""

from django.apps import AppConfig


class ExecutionConfig(AppConfig):
    """Running patterns: journal, effects, agents, workers."""

    name = "execution"
    verbose_name = "Execution"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Add what the pages of runs add to others; with a broker, tell it of work."""
        from django.conf import settings

        from execution.web import own_panels

        own_panels.add()
        if not settings.WORKERS_EMBEDDED:
            from execution import tasks
            from execution.services import hints

            hints.listen(tasks.hint)
