"""
The process ends at every place between transactions, and whoever comes next finishes the run.

Each case ends a worker at the n-th time it reaches a place, forgets all that a
process knows, lets the lease run out, and starts another worker.
"""

from __future__ import annotations

from collections import Counter

import pytest

from execution.agents.base import Answer, Request
from execution.agents.simulated import SimulatedAgents
from execution.models import Effect, Event, Run, Tick
from execution.services import engine, faults, reaping, sessions
from execution.worker import Worker, run_until_idle
from tests.execution.conftest import forget
from tests.execution.factories import Clock, make_run

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = """
STATE total = 0
FOREACH n IN RANGE(3):
  EVENT state:entity:update {type: "count", id: "n", properties: {n: n}}
  EVENT completion:async {agent_id: "solo", prompt: "{{n}}"} AS r
  UPDATE total = total + 1
PARALLEL:
  FOREACH m IN RANGE(4):
    EVENT completion:async {agent_id: "many_{{m}}", prompt: "{{m}}"} AS r
    UPDATE total = total + 1
WAIT 5
RETURN total
"""
PLACES = (
    "before-advance-commits",
    "advanced",
    "before-sending",
    "before-result-commits",
    "result-committed",
)


class Asked:
    """What agents were asked, and whether the answer stood in the journal already."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times: Counter[str] = Counter()
        self.needless: list[str] = []
        complete = SimulatedAgents.complete

        async def logged(agents: SimulatedAgents, request: Request) -> Answer:
            self.times[request.key] += 1
            if Effect.objects.filter(run_id=request.run_id, key=request.key, status="done").exists():
                self.needless.append(request.key)
            return await complete(agents, request)

        monkeypatch.setattr(SimulatedAgents, "complete", logged)


def crash_at(place: str, time: int) -> None:
    """Install a hook that ends the process the ``time``-th time it is at ``place``."""
    seen = 0

    def hook(here: str) -> None:
        nonlocal seen
        seen += here == place
        if here == place and seen == time:
            faults.hook = None
            raise faults.Crash(place)

    faults.hook = hook


def work(clock: Clock) -> bool:
    """One process: it works until nothing is left, or until it crashes (True)."""
    forget()
    worker = Worker(clock=clock)
    worker.worker_id = reaping.register("test", clock())
    try:
        while worker.claim_and_run():
            pass
    except faults.Crash:
        return True
    return False


CHOICE = """
STATE told = []
observe_events("state:*") AS seen:
  EVENT completion:async {agent_id: "auditor", prompt: "check {{seen.data.id}}"} AS audit
  APPEND told seen.data.id
EVENT state:entity:create {type: "note", id: "first", properties: {}}
STATE best = select_best(["a", "b", "c"], "the better")
EVENT state:entity:create {type: "note", id: best, properties: {}}
"""


class TestCrashOfAChoice:
    """Each of its two questions, and each question of a callback, is an effect of its own."""

    @pytest.mark.parametrize("time", [1, 2, 3])
    @pytest.mark.parametrize("place", PLACES)
    def test_asks_neither_order_again(
        self, place: str, time: int, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = Asked(monkeypatch)
        run = make_run(CHOICE)
        crash_at(place, time)

        crashed = work(clock)
        for _ in range(6):
            clock.forward(10)
            work(clock)

        run = Run.objects.get(pk=run.pk)
        assert crashed and run.status == "succeeded", run.error
        names = engine.variables(sessions.load_session(run.pk).state)
        assert names["best"] in ("a", "b", "c") and sorted(names["told"]) == sorted([names["best"], "first"])
        assert asked.needless == []
        effects = list(Effect.objects.filter(run=run, handler="agent").order_by("seq"))
        assert sorted(e.name for e in effects) == ["completion:async"] * 2 + ["primitive:select_best"] * 2
        assert len({e.key for e in effects}) == 4
        assert all(e.attempts == 1 + e.doubts for e in effects)
        assert all(asked.times[e.key] <= 1 + e.doubts for e in effects)


class TestCrash:
    @pytest.mark.parametrize("time", [1, 2, 4])
    @pytest.mark.parametrize("place", PLACES)
    def test_loses_nothing_and_asks_nothing_answered(
        self, place: str, time: int, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = Asked(monkeypatch)
        run = make_run(SCRIPT)
        crash_at(place, time)

        crashed = work(clock)
        for _ in range(6):
            clock.forward(10)
            work(clock)

        assert crashed
        run = Run.objects.get(pk=run.pk)
        assert run.status == "succeeded" and run.result_value() == 7
        assert asked.needless == []
        assert all(e.attempts == 1 + e.doubts for e in Effect.objects.filter(run=run))
        assert list(Event.objects.filter(run=run).values_list("sequence", flat=True)) == list(
            range(1, run.events_count + 1)
        )
        assert Tick.objects.filter(run=run).count() == run.tick
        assert (run.tokens_reserved, run.cost_reserved) == (0, 0)
        assert sessions.load_session(run.pk).state["ended"] is not None

    def test_while_fencing_a_dead_worker_is_mended_by_the_next(self, clock: Clock) -> None:
        run = make_run(SCRIPT)
        crash_at("before-sending", 1)
        assert work(clock)
        clock.forward(10)
        crash_at("before-fence-commits", 1)
        assert work(clock)

        for _ in range(3):
            clock.forward(10)
            work(clock)

        assert Run.objects.get(pk=run.pk).status == "succeeded"


class TestFencing:
    def test_keeps_an_answer_that_comes_after_the_lease_as_late(self, clock: Clock) -> None:
        from execution.services import advancing, committing, delivering
        from execution.services.drafting import Claim

        run = make_run('EVENT completion:async {agent_id: "a", prompt: "x"} AS r\nRETURN r.output')
        slow = reaping.register("slow", clock())
        delivery = advancing.advance(run_id=run.pk, now=clock(), claim=Claim(worker_id=slow, room=1)).deliveries[0]
        reply = delivering.send_now(delivery, clock)
        clock.forward(10)
        work(clock)

        committing.commit([reply], clock())

        effect = Effect.objects.get(run=run)
        run = Run.objects.get(pk=run.pk)
        assert (effect.status, effect.attempts, effect.doubts) == ("done", 2, 1)
        assert list(effect.failed_attempts.values_list("outcome", flat=True)) == ["in_doubt", "late"]
        assert run.repaid == 1 and run.tokens_used == 2 * effect.tokens

    def test_asks_a_person_about_what_is_in_doubt_where_the_policy_says_so(self, clock: Clock) -> None:
        from execution.services import advancing, controlling
        from execution.services.drafting import Claim

        script = 'EVENT completion:async {agent_id: "a", prompt: "x"} AS r\nRETURN r.success'
        run = make_run(script, policy={"in_doubt": "ask"})
        gone = reaping.register("gone", clock())
        advancing.advance(run_id=run.pk, now=clock(), claim=Claim(worker_id=gone, room=1))
        clock.forward(10)
        work(clock)
        assert Effect.objects.get(run=run).status == "in_doubt"

        controlling.resolve(run_id=run.pk, seq=1, retry=True, now=clock())
        work(clock)

        assert Run.objects.get(pk=run.pk).result_value() is True


class TestHeartbeat:
    def test_keeps_a_busy_worker_from_fencing_itself(self, clock: Clock) -> None:
        script = 'FOREACH n IN RANGE(20):\n  EVENT completion:async {agent_id: "a", prompt: "{{n}}"} AS r'
        run = make_run(script)

        def slow_clock() -> int:
            clock.forward(0.2)
            return clock.now

        run_until_idle(clock=slow_clock)

        assert not Effect.objects.filter(run=run, doubts__gt=0).exists()
        assert Run.objects.get(pk=run.pk).status == "succeeded"
