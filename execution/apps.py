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
        self._upkeep()
        if not settings.WORKERS_EMBEDDED:
            from execution import tasks
            from execution.services import hints

            hints.listen(tasks.hint)

    def _upkeep(self) -> None:
        """What the registry wants done from time to time is done by our workers: it has none."""
        from execution import rounds
        from registry.services import maintenance

        rounds.register("webhooks", every_seconds=5, call=lambda now: maintenance.deliver_webhooks(now=now))
        rounds.register("upkeep", every_seconds=3600, call=lambda now: maintenance.run(now=now))
