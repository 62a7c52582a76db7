"""``manage.py maintain``: what has to be done from time to time, once."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from registry.management.output import RegistryCommand
from registry.services import maintenance


class Command(RegistryCommand):
    """Delivers webhooks, refreshes trends, forgets old answers."""

    help = "Deliver due webhooks, refresh what is emerging, and remove answers kept for repeated requests."

    def act(self, **options: Any) -> dict[str, Any]:
        """One call; `manage.py serve` and Celery beat make the same."""
        return {"ok": True, **maintenance.run(now=timezone.now())}

    def say(self, answer: dict[str, Any]) -> list[str]:
        """The three numbers."""
        return [
            f"{answer['delivered']} webhook messages delivered, {answer['emerging']} patterns emerging, "
            f"{answer['forgotten']} old answers removed"
        ]
