"""What the arm of a trial may do in one transaction, and that cutting it up changes nothing else."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from execution.models import Effect, Entity, Event, Run, Tick
from execution.services import advancing, reaping, sessions
from execution.services.drafting import Claim
from execution.worker import Worker, WorkerSettings, run_until_idle
from tests.execution.factories import Clock, make_run, make_user, make_version

pytestmark = pytest.mark.django_db(transaction=True)

CHATTERING = """
STATE n = 0
FOREACH i IN RANGE(900):
  EVENT note:taken {i: i}
RETURN n
"""
FLOODING = """
STATE answers = []
PARALLEL(limit: 200):
  FOREACH n IN RANGE(400):
    EVENT completion:async {agent_id: "steady", prompt: "{{n}}"} AS answer
    APPEND answers answer.output
RETURN answers.length
"""
WRITING = """
FOREACH i IN RANGE(300):
  EVENT state:entity:create {type: "thing", id: "t{{i}}", properties: {i: i}} AS made
RETURN 1
"""
SPAWNING = """
STATE sum = 0
PARALLEL:
  FOREACH i IN RANGE(120):
    EVENT orchestration:start {pattern: "kin/child", inputs: {n: i}} AS child
    UPDATE sum = sum + child.result
RETURN sum
"""
MOST_ROWS = 150  # events or questions of one tick


def arm(script: str, **options: Any) -> Run:
    """The run of a candidate as a trial starts it."""
    return make_run(script, queue="trials", shadow={"arm": "candidate"}, **options)


def finished(run: Run, clock: Clock) -> Run:
    run_until_idle(clock=clock, settings=WorkerSettings(queue=run.queue))
    return Run.objects.get(pk=run.pk)


def told(run: Run) -> list[tuple[str, str]]:
    """What observers were told, in order."""
    return list(Event.objects.filter(run=run).exclude(kind="status").values_list("name", "data"))


def largest_tick(run: Run) -> int:
    """The most events of one transaction."""
    ends = [0, *Tick.objects.filter(run=run).values_list("last_event", flat=True)]
    return max(last - first for first, last in itertools.pairwise(ends))


class TestTurns:
    @pytest.mark.parametrize("script", [CHATTERING, WRITING])
    def test_bound_what_an_arm_writes_at_once_and_change_nothing_else(self, script: str, clock: Clock) -> None:
        """The same words in the same order as of a run that is not cut up."""
        run, whole = finished(arm(script), clock), finished(make_run(script), clock)

        assert (
            (run.status, run.result_value())
            == (whole.status, whole.result_value())
            == ("succeeded", whole.result_value())
        )
        assert told(run) == told(whole)
        assert largest_tick(run) <= MOST_ROWS < largest_tick(whole)
        assert Entity.objects.filter(run=run).count() == Entity.objects.filter(run=whole).count()

    def test_bound_questions_and_answers(self, clock: Clock) -> None:
        run = finished(arm(FLOODING), clock)

        assert (run.status, run.result_value()) == ("succeeded", 400)
        asked = Effect.objects.filter(run=run).values_list("emitted_tick", "tick")
        for ticks in zip(*asked, strict=True):
            assert max(ticks.count(tick) for tick in set(ticks)) <= MOST_ROWS

    def test_bound_children(self, clock: Clock) -> None:
        make_version("STATE n = 0\nRETURN n", owner=make_user("kin").own_owner, name="child")

        run = finished(arm(SPAWNING), clock)

        assert (run.status, run.result_value()) == ("succeeded", sum(range(120)))
        assert largest_tick(run) <= MOST_ROWS

    @pytest.mark.parametrize("script", [CHATTERING, FLOODING, WRITING])
    def test_survive_a_worker_that_forgets_everything_between_them(self, script: str, clock: Clock) -> None:
        """The journal holds the turns: a replay stops where the run stopped."""
        run = arm(script)

        for _ in range(200):
            sessions.drop_all()
            if run_until_idle_once(clock) == 0:
                break

        run.refresh_from_db()
        assert run.status == "succeeded"
        assert sorted(told(run)) == sorted(told(finished(make_run(script), clock)))
        replayed = sessions.load_session(run.pk)
        assert replayed is not None and replayed.state["ended"] == "succeeded"

    def test_are_found_by_other_workers(self, clock: Clock) -> None:
        """A worker that dies between two turns leaves a timer that is due."""
        run = arm(CHATTERING)

        advanced = advancing.advance(run_id=run.pk, now=clock())

        assert advanced.again and advanced.status == "waiting"
        assert reaping.runs_with_work(clock(), queue="trials") == [run.pk]

    def test_end_with_the_run(self, clock: Clock) -> None:
        """A run that is cancelled between two turns leaves nothing to do."""
        run = arm(CHATTERING)
        advancing.advance(run_id=run.pk, now=clock())

        advancing.advance(
            run_id=run.pk, now=clock(), signals=[{"kind": "terminate", "status": "cancelled", "reason": "enough"}]
        )

        assert Run.objects.get(pk=run.pk).status == "cancelled"
        assert reaping.runs_with_work(clock(), queue="trials") == []

    def test_are_not_for_people(self, clock: Clock) -> None:
        """A run that somebody waits for goes on until it waits, in one transaction."""
        run = make_run(CHATTERING)

        advanced = advancing.advance(run_id=run.pk, now=clock())

        assert (advanced.status, advanced.again) == ("succeeded", False)

    def test_are_not_for_message_batches(self, clock: Clock) -> None:
        """All that an arm asks at once goes in the same batch."""
        run = make_run(FLOODING, queue="trials", shadow={"arm": "candidate", "in_batches": True})

        advancing.advance(run_id=run.pk, now=clock(), claim=Claim(worker_id=1, room=500))

        assert Effect.objects.filter(run=run).count() == 200


def run_until_idle_once(clock: Clock) -> int:
    """One look of a worker of trials that has just been started."""
    worker = Worker(WorkerSettings(queue="trials"), clock=clock)
    worker.worker_id = reaping.register("once", clock())
    done = worker.claim_and_run()
    reaping.leave(worker.worker_id, clock())
    return done


class TestWorkersOfTrials:
    def test_commit_and_claim_little_at_once(self) -> None:
        people, trials = Worker(WorkerSettings()), Worker(WorkerSettings(queue="trials"))

        assert trials.batch_size < people.batch_size
