"""The usual step as one statement; these tests need PostgreSQL (``make test DB=postgres``)."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from execution.errors import RunMoved
from execution.models import Effect, Event, Run, Tick
from execution.models.stored import BlobWriter
from execution.services import advancing, at_once, committing, delivering, journal, reaping, sessions
from execution.services.clock import now_ms
from execution.services.drafting import Claim, Draft
from execution.worker import run_until_idle
from tests.execution.factories import Clock, make_run, make_version

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="one statement is PostgreSQL's way of writing a step"),
]

STEPS = """STATE i = 0
WHILE i < {count}:
  UPDATE i = i + 1
  EVENT completion:async {{agent_id: "worker", prompt: "{padding}"}} AS answer
RETURN i
"""


def statements(count: int) -> int:
    """How many statements a run of so many steps takes in all."""
    make_run(STEPS.format(count=count, padding="go"))
    with CaptureQueriesContext(connection) as captured:
        run_until_idle(clock=Clock())  # it stands still: no turn of the worker is ever over
    assert Run.objects.latest("pk").status == "succeeded"
    return len(captured)


class TestStep:
    def test_takes_two_statements(self) -> None:
        statements(2)  # what a process learns once

        assert statements(15) - statements(5) == 2 * 10

    def test_keeps_large_values_and_snapshots(self) -> None:
        version = make_version(STEPS.format(count=45, padding="go {{i}} " + "x" * 600))
        run = make_run(version=version, now=timezone.now())
        run_until_idle()
        sessions.drop_all()

        run.refresh_from_db()
        assert (run.status, run.result_value()) == ("succeeded", 45)
        assert run.snapshot.tick >= 20
        assert [effect.data()["prompt"][:5] for effect in run.effects.order_by("seq")[:2]] == ["go 1 ", "go 2 "]
        assert list(run.events.values_list("sequence", flat=True)) == list(range(1, run.events_count + 1))


class TestWrite:
    def started(self) -> tuple[Run, int]:
        """A run whose first question is answered, and that nobody has advanced since."""
        run = make_run(STEPS.format(count=3, padding="go"), now=timezone.now())
        worker = reaping.register("test", now_ms())
        (delivery,) = advancing.advance(run_id=run.pk, now=now_ms(), claim=Claim(worker_id=worker, room=5)).deliveries
        committing.commit([delivering.send_now(delivery, now_ms)], now_ms())
        return run, worker

    def test_writes_nothing_where_another_has_moved_the_run(self) -> None:
        run, worker = self.started()
        session = sessions.take(run.pk)
        assert session is not None
        draft = Draft(session, now_ms(), Claim(worker_id=worker, room=5))
        draft.feed(*advancing.what_is_ready(session, now_ms()), ())
        Run.objects.filter(pk=run.pk).update(revision=session.revision + 1)
        before = [model.objects.filter(run=run).count() for model in (Tick, Effect, Event)]
        assert at_once.can(draft)

        with pytest.raises(RunMoved):
            journal.write(draft)

        assert [model.objects.filter(run=run).count() for model in (Tick, Effect, Event)] == before
        assert run.effects.filter(unread=True).count() == 1

    def test_stores_only_answers_that_are_waited_for(self) -> None:
        run, _ = self.started()
        effect = run.effects.get()
        stale = {
            "status": "done", "answer": '"late"', "error_kind": "", "duration_seconds": 0.5, "tokens": 1, "cost": 0,
            "usage": None, "run_id": run.pk, "seq": effect.seq, "epoch": effect.epoch,
        }  # fmt: skip

        assert at_once.store_answers([stale], BlobWriter(), now_ms()) == []
        assert at_once.store_answers([stale, {**stale, "epoch": 7}], BlobWriter(), now_ms()) == []
        Effect.objects.filter(pk=effect.pk).update(status="sent")
        blobs = BlobWriter()
        kept = {**stale, "answer": blobs.put("y" * 600)}
        both = at_once.store_answers([kept, {**kept, "epoch": 7}], blobs, now_ms())

        assert [row[:3] for row in both] == [(run.pk, effect.seq, effect.epoch)]
        effect.refresh_from_db()
        assert effect.answer_value() == "y" * 600
        assert at_once.store_answers([], BlobWriter(), now_ms()) == []
