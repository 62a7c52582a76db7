"""The tasks of scaled mode, called as a Celery worker calls them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from kombu.exceptions import OperationalError

from execution import tasks
from execution.models import Run
from execution.services import hints, reaping
from execution.worker import Worker, WorkerSettings
from tests.execution.factories import make_run

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = """
PARALLEL:
  FOREACH n IN RANGE(3):
    EVENT completion:async {agent_id: "a{{n}}", prompt: "x"} AS r
RETURN "all"
"""


@pytest.fixture(autouse=True)
def _workers_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database of the tests lives in memory, and threads would lock each other out of it."""

    class Threadless(Worker):
        """Does at once what its thread would be woken up for."""

        def hint(self, kind: str, run_id: int) -> None:
            super().hint(kind, run_id)
            self.claim_and_run()

    def worker(*, delivers: bool) -> Worker:
        made = Threadless(WorkerSettings(delivers=delivers))
        made.worker_id = reaping.register("test", made.clock())
        return made

    monkeypatch.setattr(tasks, "process_worker", worker)


@pytest.fixture
def sent() -> Iterator[list[tuple[str, int]]]:
    """Hints as they would go over a broker."""
    found: list[tuple[str, int]] = []
    listener = lambda kind, run_id: found.append((kind, run_id))  # noqa: E731
    hints.listen(listener)
    yield found
    hints.forget(listener)


class TestTasks:
    def test_carry_a_run_from_hint_to_hint(self, sent: list[tuple[str, int]]) -> None:
        run = make_run(SCRIPT, now=timezone.now())
        assert sent.pop() == ("advance", run.pk)

        tasks.advance(run.pk)
        assert ("deliver", run.pk) in sent
        tasks.deliver(run.pk)

        run.refresh_from_db()
        assert run.status == "succeeded" and run.result_value() == "all"

    def test_do_no_harm_when_they_come_twice(self, sent: list[tuple[str, int]]) -> None:
        run = make_run(SCRIPT, now=timezone.now())
        for _ in range(2):
            tasks.advance(run.pk)
            tasks.deliver(run.pk)

        assert Run.objects.get(pk=run.pk).effects.filter(attempts=1).count() == 3

    def test_find_what_nobody_was_told_of(self, monkeypatch: pytest.MonkeyPatch) -> None:
        run = make_run(SCRIPT, now=timezone.now())
        told: list[tuple[str, int]] = []
        monkeypatch.setattr(tasks, "hint", lambda kind, run_id: told.append((kind, run_id)))

        tasks.reap()

        assert told == [("advance", run.pk)]

    def test_survive_a_broker_that_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise OperationalError("refused")

        monkeypatch.setattr(tasks.advance, "apply_async", refuse)

        tasks.hint("advance", 1)
