"""A worker that is told to stop: answers under way are waited for, the rest is given back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from execution.agents.base import Answer, Capabilities, Request, Reservation
from execution.models import Effect, Run, WorkerLease
from execution.services import reaping
from execution.worker import Worker, WorkerSettings
from tests.conftest import refuse
from tests.execution import fleet
from tests.execution.factories import make_run
from tests.servers import MissingService

SCRIPT = """
PARALLEL:
  FOREACH n IN RANGE(3):
    EVENT completion:async {agent_id: "a{{n}}", prompt: "x"} AS r
RETURN "all"
"""

told = threading.Event()  # what the agents of these tests wait for


class Patient:
    """Answers once ``told`` is set."""

    name = "patient"
    capabilities = Capabilities(simulated=True)

    async def complete(self, request: Request) -> Answer:
        while not told.is_set():
            await asyncio.sleep(0.002)
        return Answer(value="at last")

    def reserve(self, request: Request) -> Reservation:
        return Reservation(tokens=5)


@pytest.fixture(autouse=True)
def _patient_agents(settings: Any) -> Iterator[None]:
    settings.AGENT_BACKENDS = {"patient": {"backend": "tests.execution.test_stopping.Patient"}}
    told.clear()
    yield
    told.set()


def make_worker(**settings: Any) -> Worker:
    """One without threads of its own; the lane is one."""
    worker = Worker(WorkerSettings(poll_seconds=0.01, **settings))
    worker.worker_id = reaping.register("test", worker.clock())
    return worker


@pytest.mark.django_db(transaction=True)
class TestStop:
    def test_waits_for_answers_under_way_and_commits_them(self) -> None:
        run, worker = make_run(SCRIPT, backend="patient", now=timezone.now()), make_worker()
        worker.claim_and_run()
        assert worker.lane.in_flight == 3

        threading.Timer(0.05, told.set).start()
        worker.stop()

        run.refresh_from_db()
        assert run.status == "succeeded"
        assert list(Effect.objects.values_list("status", "attempts", "doubts")) == [("done", 1, 0)] * 3

    def test_gives_back_what_it_never_sent_as_it_was(self) -> None:
        run, worker = make_run(SCRIPT, backend="patient", now=timezone.now()), make_worker(drain_seconds=0.0)
        worker.advance(run.pk)
        assert len(worker.backlog) == 3 and worker.lane.in_flight == 0

        worker.stop()

        effects = Effect.objects.values_list("status", "attempts", "doubts", "worker", "reserved_tokens")
        assert list(effects) == [("queued", 0, 0, None, 0)] * 3
        run.refresh_from_db()
        assert (run.tokens_reserved, run.repaid) == (0, 0)

    def test_puts_what_stays_without_an_answer_in_doubt_at_once(self) -> None:
        run, worker = make_run(SCRIPT, backend="patient", now=timezone.now()), make_worker(drain_seconds=0.05)
        worker.claim_and_run()

        worker.stop()

        assert list(Effect.objects.values_list("status", "attempts")) == [("in_doubt", 1)] * 3
        assert WorkerLease.objects.get().gone
        told.set()
        other = make_worker()
        other.claim_and_run()
        other.stop()
        run.refresh_from_db()
        assert run.status == "succeeded"

    def test_waits_no_longer_when_it_is_hurried(self) -> None:
        make_run(SCRIPT, backend="patient", now=timezone.now())
        worker = make_worker(drain_seconds=60.0)
        worker.claim_and_run()
        worker.hurried.set()
        began = time.monotonic()

        worker.stop()

        assert time.monotonic() - began < 10
        assert Effect.objects.filter(status="in_doubt").count() == 3

    def test_claims_nothing_any_more(self) -> None:
        worker = make_worker()
        worker.stopping.set()
        make_run(SCRIPT, backend="patient", now=timezone.now())

        worker.claim_and_run()

        assert set(Effect.objects.values_list("status", flat=True)) == {"queued"}
        assert not Run.objects.get().has_ended


@pytest.mark.slow
@pytest.mark.redis
@pytest.mark.postgres
@pytest.mark.timeout(150)
class TestCeleryWorker:
    def test_ends_within_thirty_seconds_of_sigterm_and_loses_no_answer(self, tmp_path: Path) -> None:
        """Two real effects workers; one is told to stop while agents think, and nothing of it is asked twice."""
        with contextlib.ExitStack() as stack:
            try:
                hub = stack.enter_context(fleet.open_fleet("scaled", tmp_path, seed=1, scale=6.0))
            except MissingService as missing:
                refuse(missing)
            hub.feeder(6, 6)
            for name in ("advance", "effects-1", "beat"):
                hub.start(name)
            self.wait(lambda: len(self.sent(hub)) >= 3, hub)
            under_way = self.sent(hub)

            process = hub.processes["effects-1"]
            told_at = time.monotonic()
            os.kill(process.pid, signal.SIGTERM)
            assert process.wait(30) == 0
            took = time.monotonic() - told_at

            assert took < 30
            assert not hub.ask("SELECT 1 FROM execution_effect WHERE status IN ('sent', 'in_doubt')")
            answered = set(hub.ask("SELECT id FROM execution_effect WHERE status = 'done'"))
            assert under_way <= answered
            asked = [tuple(line.split("\t")[:2]) for line in (tmp_path / "asked.log").read_text().splitlines()]
            assert len(asked) == len(set(asked))
            assert not hub.ask("SELECT 1 FROM execution_attempt WHERE outcome = 'in_doubt'")
            hub.start("effects-2")
            self.wait(
                lambda: len(hub.ask("SELECT id FROM execution_effect WHERE status = 'done'")) > len(answered), hub
            )

    @staticmethod
    def sent(hub: fleet.Fleet) -> set[tuple[Any, ...]]:
        return set(hub.ask("SELECT id FROM execution_effect WHERE status = 'sent' AND handler = 'agent'"))

    @staticmethod
    def wait(condition: Any, hub: fleet.Fleet) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, hub.logs()
            time.sleep(0.1)
