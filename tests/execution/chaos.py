"""
The other side of the chaos test: agents that log each question, and the setting up of a run.

    DJANGO_SETTINGS_MODULE=tests.execution.chaos_settings python -m tests.execution.chaos COUNT
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from execution.agents.base import AgentBackend, Answer, Request
from execution.agents.simulated import SimulatedAgents

SCRIPT = """
STATE done = 0
PARALLEL(limit: 10):
  FOREACH n IN RANGE({count}):
    EVENT completion:async {{agent_id: "worker_{{{{n % 10}}}}", prompt: "Task {{{{n}}}}"}} AS answer
    UPDATE done = done + 1
RETURN done
"""


class LoggedAgents(SimulatedAgents):
    """Appends one line for each question before it answers; the line is written by one system call."""

    def __init__(self, *, scale: float, path: str) -> None:
        super().__init__(scale=scale, sleep=asyncio.sleep)
        self.log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def complete(self, request: Request) -> Answer:
        os.write(self.log, f"{request.run_id}\t{request.key}\t{time.time_ns() // 1_000_000}\n".encode())
        return await super().complete(request)


def logged_agents(scale: float, path: str) -> AgentBackend:
    """For ``settings.AGENT_BACKENDS``."""
    return LoggedAgents(scale=scale, path=path)


def main() -> None:
    """Make the tables, a person, a pattern and a queued run; print its id."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from tests.execution import factories

    call_command("migrate", verbosity=0, skip_checks=True)
    version = factories.make_version(SCRIPT.format(count=int(sys.argv[1])))
    run = factories.make_run(version=version, backend="logged", now=timezone.now(), policy={"attempts": 20})
    print(run.pk)


if __name__ == "__main__":
    main()
