"""
Carry out runs: the embedded worker of a hub without a broker.

    manage.py worker                 # until it is told to stop (SIGTERM, Ctrl-C)
    manage.py worker --until-idle    # everything that can be done now
"""

from __future__ import annotations

import json
import signal
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand

from execution.worker import Worker, WorkerSettings, run_until_idle


class Command(BaseCommand):
    # Checks are `serve`'s and `check`'s business: a worker that was killed should be back at once.
    requires_system_checks: tuple[str, ...] = ()
    help = "Carry out runs; several of these may work at once, on one database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        known = WorkerSettings()
        parser.add_argument("--until-idle", action="store_true", help="stop when nothing more can be done now")
        parser.add_argument("--in-flight", type=int, default=known.in_flight, help="questions to agents at once")
        parser.add_argument("--poll", type=float, default=known.poll_seconds, help="seconds between looks")
        parser.add_argument("--reap", type=float, default=known.reap_seconds, help="seconds between reaping")
        parser.add_argument("--beat", type=float, default=known.beat_seconds, help="seconds between heartbeats")
        parser.add_argument("--lease", type=float, default=known.lease_seconds, help="seconds until a worker is gone")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        settings = WorkerSettings(
            in_flight=options["in_flight"],
            poll_seconds=options["poll"],
            reap_seconds=options["reap"],
            beat_seconds=options["beat"],
            lease_seconds=options["lease"],
        )
        if options["until_idle"]:
            done = run_until_idle(settings=settings)
            self.stdout.write(json.dumps({"done": done}) if options["json"] else f"Did {done} things; nothing is left.")
            return
        worker = Worker(settings)

        def stop(number: int, frame: FrameType | None) -> None:
            worker.stopping.set()
            worker.answers.put(None)

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        worker.start()
        try:
            worker.run_forever()
        finally:
            worker.stop()
