"""
Make a script of guided runs, and propose it as a new version of their pattern.

    manage.py distill 12 15            # shows the script
    manage.py distill 12 15 --publish  # proposes it
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from execution.errors import ExecutionError
from execution.management.arguments import user_named
from execution.models import Run
from execution.services import distilling
from registry.errors import RegistryError


class Command(BaseCommand):
    help = "Make a script of successful guided runs of one pattern."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("runs", nargs="+", type=int, metavar="RUN")
        parser.add_argument("--publish", action="store_true", help="propose it as a new version")
        parser.add_argument("--output", default="", metavar="FILE", help="write the document there")
        parser.add_argument("--name", default="", help="another name for the pattern")
        parser.add_argument("--user", default="", help="who publishes it; the first administrator by default")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        user = user_named(options["user"])
        try:
            made = distilling.distil(
                runs=[self.run(number) for number in options["runs"]],
                user=user,
                now=timezone.now(),
                publish=options["publish"],
                name=options["name"],
            )
        except (ExecutionError, RegistryError) as error:
            raise CommandError(str(error)) from error
        if options["output"]:
            self.write(made, options["output"])
        self.tell(made, options)

    def write(self, made: distilling.Distilled, path: str) -> None:
        """The document as a file; what was published before stays published."""
        try:
            Path(path).write_bytes(made.source)
        except OSError as error:
            published = f"; {made.version} is published all the same" if made.version is not None else ""
            raise CommandError(f"{path}: {error.strerror or 'it cannot be written'}{published}") from error

    def run(self, number: int) -> Run:
        found = Run.objects.select_related("version__pattern__owner").filter(pk=number).first()
        if found is None:
            raise CommandError(f"there is no run {number}")
        return found

    def tell(self, made: distilling.Distilled, options: dict[str, Any]) -> None:
        """The script, and what to do next."""
        version = str(made.version) if made.version is not None else None
        if options["json"]:
            shown = {"ok": True, "script": made.script, "published": version, "runs": options["runs"]}
            self.stdout.write(json.dumps(shown, ensure_ascii=False))
            return
        self.stdout.write(made.script)
        if version is not None:
            self.stdout.write(f"Proposed as {version}. Try it in shadow against the guided one before it is stable.")
        else:
            self.stdout.write("Nothing is published yet; add --publish to propose it as a new version.")
