"""``manage.py yank OWNER/NAME@VERSION --reason TEXT [--successor VERSION] [--as USER]``"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from registry.management.output import RegistryCommand, acting_user
from registry.services import finding, yanking


class Command(RegistryCommand):
    """Withdraws a version."""

    help = "Advise against a version, with a reason; it stays fetchable, channels move off it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which, and why."""
        super().add_arguments(parser)
        parser.add_argument("reference", metavar="OWNER/NAME@VERSION")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--successor", default="")

    def act(self, **options: Any) -> dict[str, Any]:
        """One call."""
        user = acting_user(options["user"])
        row = yanking.yank(
            version=finding.version(options["reference"], user),
            user=user,
            reason=options["reason"],
            successor=options["successor"],
            now=timezone.now(),
            via="cli",
        )
        channels = {channel.name: channel.version.version for channel in row.pattern.channels.select_related("version")}
        return {"ok": True, "yanked": str(row), "reason": row.yank_reason, "channels": channels}

    def say(self, answer: dict[str, Any]) -> list[str]:
        """Where the channels stand now."""
        return [f"yanked {answer['yanked']}: {answer['reason']}"] + [
            f"  {name} is {version}" for name, version in answer["channels"].items()
        ]
