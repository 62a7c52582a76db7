"""Answers are handed from the commit to the advance that follows it: none twice, and none forgotten."""

from __future__ import annotations

from copy import deepcopy

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from execution.models import Effect, Run, Tick
from execution.services import advancing, committing, delivering, reaping, sessions
from execution.services.asking import Reply
from execution.services.drafting import Claim
from execution.worker import run_until_idle
from tests.execution.factories import Clock, make_run

pytestmark = pytest.mark.django_db(transaction=True)

TWO = """
PARALLEL:
  FOREACH n IN RANGE(2):
    EVENT completion:async {agent_id: "worker", prompt: "{{n}}"} AS answer
RETURN "both"
"""
STEPS = """
FOREACH n IN RANGE(%s):
  EVENT completion:async {agent_id: "worker", prompt: "{{n}}"} AS answer
"""


def answered(run: Run, clock: Clock) -> list[Reply]:
    """Both questions of a run of ``TWO``, asked and answered, with nothing committed."""
    worker = reaping.register("test", clock())
    advanced = advancing.advance(run_id=run.pk, now=clock(), claim=Claim(worker_id=worker, room=5))
    return [delivering.send_now(delivery, clock) for delivery in advanced.deliveries]


def looks_for_answers(steps: int) -> int:
    make_run(STEPS % steps)
    with CaptureQueriesContext(connection) as captured:
        run_until_idle(clock=Clock())
    return sum("unread ORDER BY" in query["sql"] for query in captured)


class TestHanding:
    def test_spares_every_further_step_the_look_for_its_answers(self) -> None:
        assert looks_for_answers(3) == looks_for_answers(9)

    def test_gives_what_the_row_says(self) -> None:
        clock = Clock()
        run = make_run(TWO)
        replies = answered(run, clock)
        advancing.advance(run_id=run.pk, now=clock())  # learns that no timer is set
        committing.commit(replies, clock())
        session = sessions.take(run.pk)
        assert session is not None
        handed, session.handed = session.handed, []

        assert len(handed) == 2
        assert (handed, []) == advancing.what_is_ready(session, clock())

    def test_leaves_an_answer_that_was_not_handed_to_the_next_advance(self) -> None:
        clock = Clock()
        run = make_run(TWO)
        first, second = answered(run, clock)
        advancing.advance(run_id=run.pk, now=clock())
        aside = sessions.take(run.pk)
        committing.commit([first], clock())
        assert aside is not None and not aside.handed
        sessions.keep(aside)
        committing.commit([second], clock())

        advancing.advance(run_id=run.pk, now=clock())
        assert list(Effect.objects.filter(run=run, unread=True).values_list("seq", flat=True)) == [1]
        advancing.advance(run_id=run.pk, now=clock())

        assert Run.objects.get(pk=run.pk).status == "succeeded"
        assert not Effect.objects.filter(run=run, unread=True).exists()

    def test_is_thrown_away_where_another_process_was_faster(self) -> None:
        clock = Clock()
        run = make_run(TWO)
        first, second = answered(run, clock)
        advancing.advance(run_id=run.pk, now=clock())
        committing.commit([first], clock())
        session = sessions.take(run.pk)
        assert session is not None and session.handed
        ours = deepcopy(session)
        advancing.advance(run_id=run.pk, now=clock())  # the other process: reads its rows, and consumes the answer
        ticks = Tick.objects.filter(run=run).count()
        sessions.keep(ours)

        advancing.advance(run_id=run.pk, now=clock())

        assert Tick.objects.filter(run=run).count() == ticks
        committing.commit([second], clock())
        advancing.advance(run_id=run.pk, now=clock())
        assert Run.objects.get(pk=run.pk).status == "succeeded"

    def test_needs_the_run_to_be_as_it_was_before_the_commit(self) -> None:
        clock = Clock()
        run = make_run(TWO)
        replies = answered(run, clock)
        advancing.advance(run_id=run.pk, now=clock())
        before = sessions.revisions([run.pk, 0])
        session = sessions.take(run.pk)
        assert session is not None and before == {run.pk: session.revision}
        sessions.hand(run.pk, session.revision, replies)
        assert not session.handed  # nobody keeps it in memory: somebody advances it now
        sessions.keep(session)

        sessions.hand(run.pk, session.revision - 1, replies)
        sessions.hand(run.pk, None, replies)

        assert not session.handed
