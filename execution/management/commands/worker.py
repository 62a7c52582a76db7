"""
Carry out runs: the embedded worker of a hub without a broker.

    manage.py worker                 # until it is told to stop (SIGTERM, Ctrl-C)
    manage.py worker --until-idle    # everything that can be done now
    manage.py worker --queue trials  # the runs of trials only, with less of the processor
"""

from __future__ import annotations

import json
import os
import signal
import threading
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from execution.rounds import Rounds
from execution.worker import Worker, WorkerSettings, run_until_idle

QUEUES = {"all": ["", "trials"], "runs": [""], "trials": ["trials"]}
TRIALS_NICENESS = 10  # people's runs go first where both want the processor
STOP_SECONDS = 10.0
MOST = 100_000  # of seconds, or of questions


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
        parser.add_argument(
            "--queue",
            choices=["all", "runs", "trials"],
            default="all",
            help="what to carry out: people's runs, the runs of trials, or both (trials in a thread of their own)",
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ("in_flight", "poll", "reap", "beat", "lease"):
            if not 0 < options[name] <= MOST:
                raise CommandError(f"--{name.replace('_', '-')} is a number above 0 and up to {MOST:,}", returncode=2)
        settings = WorkerSettings(
            in_flight=options["in_flight"],
            poll_seconds=options["poll"],
            reap_seconds=options["reap"],
            beat_seconds=options["beat"],
            lease_seconds=options["lease"],
        )
        chosen = [replace(settings, queue=queue) for queue in QUEUES[options["queue"]]]
        if options["until_idle"]:
            done = sum(run_until_idle(settings=one) for one in chosen)
            self.stdout.write(json.dumps({"done": done}) if options["json"] else f"Did {done} things; nothing is left.")
            return
        if options["queue"] == "trials":
            os.nice(TRIALS_NICENESS)
        carry_out([Worker(one) for one in chosen])


def carry_out(workers: Sequence[Worker]) -> None:
    """
    Work until a signal says stop: the first in this thread, others in threads of their own.

    Stopping waits a while for answers that are under way; a second Ctrl-C does not.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        for worker in workers:
            if number == signal.SIGINT and worker.stopping.is_set():
                worker.hurried.set()
            worker.stopping.set()
            worker.answers.put(None)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for worker in workers:
        worker.start()
    others = [threading.Thread(target=worker.run_forever, name="trials") for worker in workers[1:]]
    for thread in others:
        thread.start()
    # A process for trials only leaves what happens from time to time to the others.
    beside = Rounds() if workers[0].settings.queue == "" else None
    if beside is not None:
        beside.start()
    try:
        workers[0].run_forever()
    finally:
        stop(0, None)
        if beside is not None:
            beside.stop()
        for thread in others:
            thread.join(timeout=STOP_SECONDS)
        for worker in workers:
            worker.stop()
