"""``manage.py export_pattern OWNER/NAME[@VERSION] [--publish] [--output FILE] [--learning TEXT…]``"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.utils import timezone

from registry.management.output import RegistryCommand, acting_owner, acting_user
from registry.services import finding, learning


class Command(RegistryCommand):
    """Writes what runs and decisions taught."""

    help = "Write a pattern with learned_from, insights and rules out of its measured runs; --publish publishes it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """To the terminal by default."""
        super().add_arguments(parser)
        parser.add_argument("reference", metavar="OWNER/NAME[@VERSION]")
        parser.add_argument("--publish", action="store_true")
        parser.add_argument("--owner", default="", help="of the exported pattern; that of the original by default")
        parser.add_argument("--name", default="")
        parser.add_argument("--output", default="", metavar="FILE")
        parser.add_argument("--learning", action="append", default=[], help="a sentence to add; repeat for several")

    def act(self, **options: Any) -> dict[str, Any]:
        """The text, or the version it became."""
        user = acting_user(options["user"])
        version = finding.version(options["reference"], user)
        if options["publish"]:
            made = learning.export_pattern(
                version=version,
                user=user,
                now=timezone.now(),
                owner=acting_owner(options["owner"], user) if options["owner"] else None,
                name=options["name"],
                learnings=options["learning"],
            )
            return {"ok": True, "published": str(made.versions[0].version), "digest": made.versions[0].version.digest}
        source = learning.exported_source(version, learnings=options["learning"])
        if options["output"]:
            Path(options["output"]).write_bytes(source)
            return {"ok": True, "file": options["output"], "bytes": len(source)}
        return {"ok": True, "source": source.decode()}

    def say(self, answer: dict[str, Any]) -> list[str]:
        """The text itself where nothing else was asked for."""
        if "source" in answer:
            return [answer["source"].rstrip("\n")]
        return [f"published {answer['published']}" if "published" in answer else f"wrote {answer['file']}"]
