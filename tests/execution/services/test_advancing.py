"""Runs carried out to their end, on a clock that the test moves."""

from __future__ import annotations

import pytest

from execution.models import Effect, Event, Run, RunAgent, Snapshot, Tick, Timer
from execution.services import advancing, sessions
from execution.worker import run_until_idle
from registry.models import Decision, Outcome
from tests.execution.factories import Clock, make_run, make_version, scripted

pytestmark = pytest.mark.django_db(transaction=True)

PIPELINE = """
STATE stages = ["draft", "polish"]
STATE results = {}
FOREACH stage IN stages:
  EVENT completion:async {agent_id: stage, prompt: "Do {{stage}}"} AS answer
  UPDATE results[stage] = answer.output
RETURN results
"""


def finished(run: Run, clock: Clock) -> Run:
    run_until_idle(clock=clock)
    return Run.objects.get(pk=run.pk)


class TestAdvance:
    def test_carries_a_script_to_its_end(self, clock: Clock) -> None:
        run = scripted(PIPELINE, {"draft": [{"reply": "a draft"}], "polish": [{"reply": "polished"}]})

        run = finished(run, clock)

        assert run.status == "succeeded"
        assert run.result_value() == {"draft": "a draft", "polish": "polished"}
        assert run.succeeded is True and run.simulated

    def test_asks_each_question_once(self, clock: Clock) -> None:
        run = finished(make_run(PIPELINE), clock)

        assert list(Effect.objects.filter(run=run).values_list("agent_id", "status", "attempts")) == [
            ("draft", "done", 1),
            ("polish", "done", 1),
        ]

    def test_numbers_events_without_gaps(self, clock: Clock) -> None:
        run = finished(make_run(PIPELINE), clock)

        sequences = list(Event.objects.filter(run=run).values_list("sequence", flat=True))
        assert sequences == list(range(1, run.events_count + 1))
        assert Event.objects.filter(run=run).last().name == "run:succeeded"

    def test_replays_to_the_same_state(self, clock: Clock) -> None:
        run = finished(make_run(PIPELINE), clock)

        one = sessions.load_session(run.pk)
        Snapshot.objects.all().delete()
        other = sessions.load_session(run.pk)

        assert one.state == other.state and one.state["ended"] is not None

    def test_takes_inputs(self, clock: Clock) -> None:
        run = finished(make_run(PIPELINE, inputs={"stages": ["one", "two", "three"]}), clock)

        assert list(run.result_value()) == ["one", "two", "three"]

    def test_fans_out_and_gathers(self, clock: Clock) -> None:
        script = """
STATE answers = []
PARALLEL:
  FOREACH n IN RANGE(50):
    EVENT completion:async {agent_id: "worker_{{n}}", prompt: "{{n}}"} AS answer
    APPEND answers answer.output
RETURN answers.length
"""
        run = finished(make_run(script), clock)

        assert run.result_value() == 50
        assert RunAgent.objects.filter(run=run).count() == 50

    def test_waits_without_memory_until_a_timer_is_due(self, clock: Clock) -> None:
        run = finished(make_run("WAIT 3600\nRETURN ELAPSED()"), clock)
        assert run.status == "waiting"
        assert Timer.objects.filter(run=run).count() == 1

        clock.forward(3599)
        assert finished(run, clock).status == "waiting"
        clock.forward(1)
        run = finished(run, clock)

        assert run.status == "succeeded" and run.result_value() == 3600
        assert not Timer.objects.exists()

    def test_keeps_entities(self, clock: Clock) -> None:
        script = """
EVENT state:entity:create {type: "job", id: "one", properties: {done: 0, words: "x"}}
EVENT state:entity:update {id: "one", properties: {done: 1}}
EVENT state:entity:get {type: "job", id: "one"} AS found
RETURN found.properties
"""
        run = finished(make_run(script), clock)

        assert run.result_value() == {"done": 1, "words": "x"}
        assert run.entities.get().value() == {"done": 1, "words": "x"}

    def test_logs_decisions(self, clock: Clock) -> None:
        script = """
EVENT orchestrator:decision {decision_type: "retry", rationale: "it was late", context: {stage: 2}}
"""
        run = finished(make_run(script), clock)

        assert Decision.objects.get().decision_type == "retry"
        assert Event.objects.filter(run=run, kind="decision").count() == 1

    def test_records_how_it_ended_as_simulated(self, clock: Clock) -> None:
        finished(make_run(PIPELINE), clock)

        assert Outcome.objects.get().source == "simulated"

    def test_tells_a_failed_agent_as_a_value(self, clock: Clock) -> None:
        script = 'EVENT completion:async {agent_id: "a", prompt: "x"} AS r\nRETURN {ok: r.success, why: r.error.type}'
        run = finished(scripted(script, {"a": [{"error": {"type": "refused", "message": "no"}}]}), clock)

        assert run.result_value() == {"ok": False, "why": "refused"}
        assert Effect.objects.get(run=run).status == "failed"

    def test_tries_a_retryable_failure_again(self, clock: Clock) -> None:
        script = 'EVENT completion:async {agent_id: "a", prompt: "x"} AS r\nRETURN r.output'
        overloaded = {"error": {"type": "overloaded", "message": "later", "retryable": True}}
        run = finished(scripted(script, {"a": [overloaded, {"reply": "yes"}]}), clock)
        assert run.status == "running"

        clock.forward(2)
        run = finished(run, clock)

        assert run.result_value() == "yes"
        effect = Effect.objects.get(run=run)
        assert (effect.attempts, effect.failed_attempts.count()) == (2, 1)

    def test_ends_as_failed_for_a_script_error(self, clock: Clock) -> None:
        run = finished(make_run("STATE x = 1 / 0"), clock)

        assert run.status == "failed" and run.error["line"] == 1
        assert Outcome.objects.get().succeeded is False

    def test_judges_by_success_when_and_score(self, clock: Clock) -> None:
        version = make_version(
            "STATE votes = 3\nRETURN {quality: 0.5}", success_when="votes > 2 and quality > 0.6", score="result.quality"
        )
        run = finished(make_run(version=version), clock)

        assert run.status == "succeeded" and run.succeeded is False
        assert run.score == 0.5

    def test_snapshots_every_twenty_ticks(self, clock: Clock) -> None:
        script = """
FOREACH n IN RANGE(45):
  EVENT completion:async {agent_id: "a", prompt: "{{n}}"} AS r
RETURN n
"""
        run = finished(make_run(script), clock)

        assert Snapshot.objects.get(run=run).tick == 40
        assert Tick.objects.filter(run=run).count() == 46

    def test_keeps_a_broken_machine_from_being_asked_for_ever(self, clock: Clock, monkeypatch) -> None:
        run = make_run(PIPELINE)
        monkeypatch.setattr("execution.services.engine.step", lambda *_: 1 / 0)

        run = finished(run, clock)

        assert run.status == "failed" and "ZeroDivisionError" in run.error["message"]

    def test_leaves_a_run_alone_that_has_nothing_ready(self, clock: Clock) -> None:
        run = finished(make_run("WAIT 60"), clock)

        advanced = advancing.advance(run_id=run.pk, now=clock())

        assert not advanced.moved and advanced.status == "waiting"
