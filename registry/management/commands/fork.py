"""``manage.py fork OWNER/NAME[@VERSION] [--owner NAME] [--name NAME] [--as USER]``"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from registry.management.output import RegistryCommand, acting_owner, acting_user
from registry.models import Pattern
from registry.services import deriving, finding


class Command(RegistryCommand):
    """Copies a version under another name."""

    help = "Fork a pattern; its statistics start at zero, its lineage is kept by digest."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What, and where to."""
        super().add_arguments(parser)
        parser.add_argument("reference", metavar="OWNER/NAME[@VERSION]")
        parser.add_argument("--owner", default="")
        parser.add_argument("--name", default="")
        parser.add_argument("--visibility", default="", choices=["", *Pattern.Visibility.values])
        parser.add_argument("--reason", default="")

    def act(self, **options: Any) -> dict[str, Any]:
        """One call."""
        user = acting_user(options["user"])
        origin = finding.version(options["reference"], user)
        made = deriving.fork(
            version=origin,
            owner=acting_owner(options["owner"], user),
            user=user,
            now=timezone.now(),
            via="cli",
            name=options["name"],
            visibility=options["visibility"],
            reason=options["reason"],
        )
        return {"ok": True, "forked": str(origin), "as": str(made), "digest": made.digest}

    def say(self, answer: dict[str, Any]) -> list[str]:
        """What became of it."""
        return [f"forked {answer['forked']} as {answer['as']}", "next: change its text and publish it under that name"]
