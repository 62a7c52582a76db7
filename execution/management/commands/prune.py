"""
Forget runs that ended long ago, and large values that nobody holds any more.

    manage.py prune --days 90
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from execution.services import pruning

MOST_DAYS = 365_000  # a thousand years


class Command(BaseCommand):
    help = "Delete runs that ended more than so many days ago; ratings and evidence stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=float, required=True, help="how old, counted from their end")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["days"] <= MOST_DAYS:
            raise CommandError(f"--days is a number from 0 to {MOST_DAYS:,}", returncode=2)
        pruned = pruning.prune(now=timezone.now(), days=options["days"])
        if options["json"]:
            self.stdout.write(json.dumps(asdict(pruned)))
            return
        self.stdout.write(f"Deleted {pruned.runs} runs and {pruned.blobs} large values.")
        if pruned.kept_runs:
            self.stdout.write(f"Kept {pruned.kept_runs} old runs: a branch or a trial stands on them.")
        if pruned.marked:
            self.stdout.write(f"{pruned.marked} large values are unused now; prune again in an hour to remove them.")
