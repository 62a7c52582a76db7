"""
Start a run, and by default carry it out right here.

    manage.py run ada/vote@stable --inputs '{"rounds": 2}'
    manage.py run library/pipeline --backend simulated --json
    manage.py run ada/vote --user ada --start-only     # a worker takes it up

Exit 0: it succeeded, or waits, or was left to a worker; 1: it ended and did not succeed, with the reason on
stderr, or could not be started; 2: the arguments are bad.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from execution.api import render
from execution.errors import ExecutionError
from execution.management.arguments import as_object, user_named
from execution.models import Run
from execution.services import starting
from execution.worker import run_until_idle
from registry.errors import RegistryError
from registry.services import finding


class Command(BaseCommand):
    help = "Start a run of a published pattern and carry it out."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("pattern", help="owner/name, owner/name@version or @channel, or a digest")
        parser.add_argument("--inputs", default="{}", help="JSON, or @file")
        parser.add_argument("--user", default="", help="who starts it; the first administrator by default")
        parser.add_argument("--backend", default="", help="agent backend; the hub's default by default")
        parser.add_argument("--seed", type=int, default=None)
        parser.add_argument("--limits", default="{}", help="JSON: {tokens, cost_usd, seconds, …}")
        parser.add_argument("--start-only", action="store_true", help="leave it to a worker")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        user = user_named(options["user"])
        try:
            run = starting.start(
                version=finding.version(options["pattern"], user),
                inputs=self.json_of(options["inputs"], "--inputs"),
                user=user,
                now=timezone.now(),
                backend=options["backend"],
                seed=options["seed"],
                policy={"limits": self.json_of(options["limits"], "--limits")},
            )
        except (ExecutionError, RegistryError) as error:
            raise CommandError(str(error)) from error
        if not options["start_only"]:
            run_until_idle()
        run = Run.objects.select_related("version__pattern__owner", "started_by").get(pk=run.pk)
        self.tell(run, options["json"])
        if run.has_ended and not run.succeeded:
            self.stderr.write(f"Run {run.pk} {why_not(run)}")
            sys.exit(1)

    def json_of(self, text: str, option: str) -> dict[str, Any]:
        """An object from the command line or a file."""
        try:
            value = json.loads(Path(text[1:]).read_text("utf-8") if text.startswith("@") else text)
        except (OSError, ValueError) as error:
            raise CommandError(f"{option} cannot be read: {error}", returncode=2) from error
        return as_object(value, option)

    def tell(self, run: Run, as_json: bool) -> None:
        """What became of it, and what to do next."""
        if as_json:
            shown = render.run_detail(run)
            self.stdout.write(json.dumps(shown, default=str, ensure_ascii=False))
            return
        marked = " (simulated agents)" if run.simulated else ""
        self.stdout.write(f"Run {run.pk} of {run.version}: {run.status}{marked}")
        if run.has_ended:
            self.stdout.write(f"Result: {json.dumps(run.result_value(), ensure_ascii=False)[:2000]}")
        else:
            self.stdout.write(f"It goes on with a worker; steer it with: manage.py steer {run.pk} show")
        self.stdout.write(f"See it at /runs/{run.pk}")


def why_not(run: Run) -> str:
    """What kept an ended run from succeeding, after its name."""
    error = run.error
    if error:
        place = f" (line {error['line']})" if error.get("line") else ""
        return f"{run.status}: {error['message']}{place}"
    if run.status == "succeeded":
        return f"ended, and success_when is false: {run.version.success_when}"
    return f"ended as {run.status}"
