"""Runs: patterns carried out durably, by agents, on workers."""

from django.apps import AppConfig


class ExecutionConfig(AppConfig):
    """Running patterns: journal, effects, agents, workers."""

    name = "execution"
    verbose_name = "Execution"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.conf import settings

        if not settings.WORKERS_EMBEDDED:
            from execution import tasks
            from execution.services import hints

            hints.listen(tasks.hint)
