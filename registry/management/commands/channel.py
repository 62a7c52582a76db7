"""``manage.py channel OWNER/NAME [CHANNEL [VERSION]] [--protect|--free] [--reason TEXT] [--as USER]``"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from registry.api import render
from registry.errors import InvalidRequest
from registry.management.output import RegistryCommand, acting_user
from registry.services import channels, finding


class Command(RegistryCommand):
    """Shows, moves and protects channels."""

    help = "Show the channels of a pattern, move one to a version, protect or free it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Nothing more than the pattern shows them."""
        super().add_arguments(parser)
        parser.add_argument("pattern", metavar="OWNER/NAME")
        parser.add_argument("channel", nargs="?", default="")
        parser.add_argument("target", nargs="?", default="", metavar="VERSION")
        parser.add_argument("--reason", default="")
        protection = parser.add_mutually_exclusive_group()
        protection.add_argument("--protect", action="store_true")
        protection.add_argument("--free", action="store_true")

    def act(self, **options: Any) -> dict[str, Any]:
        """Move, protect, then show."""
        user, now = acting_user(options["user"]), timezone.now()
        owner, _, name = options["pattern"].partition("/")
        pattern = finding.pattern(owner, name, user)
        if (options["protect"] or options["free"] or options["target"]) and not options["channel"]:
            raise CommandError("name the channel too", returncode=2)
        if options["target"]:
            version = pattern.version_named(options["target"])
            if version is None:
                raise InvalidRequest("version", f"{pattern} has no version {options['target']}")
            channels.move(
                pattern=pattern,
                name=options["channel"],
                version=version,
                user=user,
                via="cli",
                reason=options["reason"],
                now=now,
            )
        if options["protect"] or options["free"]:
            channels.protect(
                pattern=pattern, name=options["channel"], is_protected=options["protect"], user=user, now=now
            )
        rows = pattern.channels.select_related("version").order_by("name")
        wanted = [row for row in rows if options["channel"] in ("", row.name)]
        return {"ok": True, "pattern": str(pattern), "channels": [render.channel(row) for row in wanted]}

    def say(self, answer: dict[str, Any]) -> list[str]:
        """One line each."""
        return [
            f"{row['name']:12} {row['version']:12} {row['digest'][:12]} {'protected' if row['protected'] else ''}".rstrip()
            for row in answer["channels"]
        ] or [f"{answer['pattern']} has no such channel"]
