"""What people do to a run that is alive."""

from __future__ import annotations

import pytest

from execution.errors import AnswerRefused, NotPossible, QuestionClosed, RunFinished
from execution.models import Effect, Event, Run, Timer
from execution.services import controlling
from execution.worker import run_until_idle
from tests.execution.factories import Clock, make_run, scripted

pytestmark = pytest.mark.django_db(transaction=True)

ASK = """
EVENT human:ask {question: "Go on?", choices: ["yes", "no"]} AS choice
RETURN choice
"""


def reload(run: Run) -> Run:
    return Run.objects.get(pk=run.pk)


class TestCancel:
    def test_ends_the_run_and_closes_what_was_open(self, clock: Clock) -> None:
        run = make_run('EVENT completion:async {agent_id: "a", prompt: "x"} AS r\nWAIT 60')
        run_until_idle(clock=clock)

        assert controlling.cancel(run_id=run.pk, now=clock(), reason="enough") == "cancelled"

        assert reload(run).ended_at is not None and not Timer.objects.exists()
        assert reload(run).succeeded is False

    def test_cancels_a_question_that_was_not_sent(self, clock: Clock) -> None:
        run = make_run('EVENT completion:async {agent_id: "a", prompt: "x"} AS r')
        from execution.services import advancing

        advancing.advance(run_id=run.pk, now=clock())
        controlling.cancel(run_id=run.pk, now=clock())

        assert Effect.objects.get(run=run).status == "cancelled"
        assert run_until_idle(clock=clock) == 0

    def test_refuses_a_run_that_has_ended(self, clock: Clock) -> None:
        run = make_run("RETURN 1")
        run_until_idle(clock=clock)

        with pytest.raises(RunFinished):
            controlling.cancel(run_id=run.pk, now=clock())

    def test_works_before_the_run_has_started(self, clock: Clock) -> None:
        run = make_run("RETURN 1")

        assert controlling.cancel(run_id=run.pk, now=clock()) == "cancelled"


class TestPause:
    def test_stops_feeding_until_the_run_is_resumed(self, clock: Clock) -> None:
        run = make_run("WAIT 10\nRETURN 1")
        run_until_idle(clock=clock)
        controlling.pause(run_id=run.pk, now=clock())
        clock.forward(20)

        run_until_idle(clock=clock)
        assert reload(run).status == "paused"
        controlling.resume(run_id=run.pk, now=clock())
        run_until_idle(clock=clock)

        assert reload(run).status == "succeeded"
        names = list(Event.objects.filter(run=run, kind="status").values_list("name", flat=True))
        assert names == ["run:waiting", "run:paused", "run:queued", "run:succeeded"]

    def test_keeps_a_queued_question_from_being_sent(self, clock: Clock) -> None:
        from execution.services import advancing

        run = make_run('EVENT completion:async {agent_id: "a", prompt: "x", timeout: 30} AS r\nRETURN r.success')
        advancing.advance(run_id=run.pk, now=clock())
        controlling.pause(run_id=run.pk, now=clock())
        clock.forward(100)
        run_until_idle(clock=clock)
        assert Effect.objects.get(run=run).status == "queued"

        controlling.resume(run_id=run.pk, now=clock())
        run_until_idle(clock=clock)

        assert reload(run).result_value() is True

    def test_refuses_what_is_paused_already(self, clock: Clock) -> None:
        run = make_run("WAIT 10")
        run_until_idle(clock=clock)
        controlling.pause(run_id=run.pk, now=clock())

        with pytest.raises(NotPossible):
            controlling.pause(run_id=run.pk, now=clock())

    def test_lets_a_paused_run_be_cancelled(self, clock: Clock) -> None:
        run = make_run("WAIT 10")
        run_until_idle(clock=clock)
        controlling.pause(run_id=run.pk, now=clock())

        assert controlling.cancel(run_id=run.pk, now=clock()) == "cancelled"


class TestAnswer:
    def test_goes_on_with_what_a_person_said(self, clock: Clock) -> None:
        run = make_run(ASK)
        run_until_idle(clock=clock)
        question = controlling.open_questions(run.pk)[0]
        assert reload(run).status == "waiting" and question.data()["question"] == "Go on?"

        status = controlling.answer(run_id=run.pk, seq=question.seq, value="yes", now=clock(), by="ada")

        assert status == "succeeded" and reload(run).result_value() == "yes"
        assert not controlling.open_questions(run.pk)

    def test_refuses_what_is_no_choice(self, clock: Clock) -> None:
        run = make_run(ASK)
        run_until_idle(clock=clock)

        with pytest.raises(AnswerRefused, match="yes, no"):
            controlling.answer(run_id=run.pk, seq=1, value="perhaps", now=clock())

    def test_refuses_a_second_answer(self, clock: Clock) -> None:
        run = make_run(ASK)
        run_until_idle(clock=clock)
        controlling.answer(run_id=run.pk, seq=1, value="no", now=clock())

        with pytest.raises(QuestionClosed):
            controlling.answer(run_id=run.pk, seq=1, value="yes", now=clock())


class TestBudget:
    SCRIPT = 'FOREACH n IN RANGE(5):\n  EVENT completion:async {agent_id: "a", prompt: "{{n}}"} AS r'

    def test_ends_the_run_before_a_request_that_it_does_not_cover(self, clock: Clock) -> None:
        run = make_run(self.SCRIPT, policy={"limits": {"tokens": 420}})
        run_until_idle(clock=clock)
        run = reload(run)

        assert run.status == "failed" and run.error["code"] == "opl.limit.tokens"
        assert 0 < run.tokens_used <= 420 and run.tokens_reserved == 0
        asked = list(Effect.objects.filter(run=run).values_list("status", "attempts"))
        assert asked[-1] == ("cancelled", 0) and asked[0] == ("done", 1)

    def test_ends_a_run_beyond_its_time(self, clock: Clock) -> None:
        run = make_run("WAIT 100", policy={"limits": {"seconds": 5}})
        run_until_idle(clock=clock)
        clock.forward(6)
        run_until_idle(clock=clock)

        assert reload(run).error["code"] == "opl.limit.seconds"

    def test_waits_where_others_may_free_what_they_hold(self, clock: Clock) -> None:
        script = """
PARALLEL:
  FOREACH n IN RANGE(6):
    EVENT completion:async {agent_id: "a{{n}}", prompt: "x"} AS r
RETURN "all"
"""
        run = make_run(script, policy={"limits": {"tokens": 1000}})
        for _ in range(10):
            run_until_idle(clock=clock)
            clock.forward(1)

        assert reload(run).result_value() == "all" and reload(run).tokens_used < 1000

    def test_counts_along_the_chain_up_to_the_owner(self, clock: Clock) -> None:
        from execution.models import OwnerBudget
        from tests.execution.factories import make_user

        user = make_user()
        budget = OwnerBudget.objects.create(owner=user.own_owner, tokens_limit=420)
        run = make_run(self.SCRIPT, user=user)
        run_until_idle(clock=clock)
        budget.refresh_from_db()

        assert reload(run).error["code"] == "opl.limit.tokens"
        assert budget.tokens_used == reload(run).tokens_used > 0 and budget.tokens_reserved == 0


class TestTimeout:
    def test_answers_a_question_in_time_out(self, clock: Clock) -> None:
        from execution.services import advancing

        run = make_run('EVENT completion:async {agent_id: "a", prompt: "x", timeout: 30} AS r\nRETURN r.error.type')
        advancing.advance(run_id=run.pk, now=clock())
        clock.forward(31)
        run_until_idle(clock=clock)

        assert reload(run).result_value() == "timeout"


class TestScripted:
    def test_gives_the_same_entry_to_the_same_question(self, clock: Clock) -> None:
        run = scripted('SEND a "x"\nAWAIT r:\n  RETURN r.output', {"a": [{"reply": 1}, {"reply": 2}]})
        run_until_idle(clock=clock)

        assert reload(run).result_value() == 1
