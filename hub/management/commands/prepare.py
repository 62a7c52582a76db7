"""Make a hub ready to serve: tables, library, first account, node identity. A second time finds it done."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Migrate, load the library, make the first account and this node's keys."
    requires_system_checks: tuple[str, ...] = ()

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        call_command("load_library", stdout=self.stdout)
        call_command("first_account", stdout=self.stdout)
