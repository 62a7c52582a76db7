"""The orchestration primitives in scripts, on the durable engine; a new process between any two steps changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from execution.models import Checkpoint, Effect, Run
from execution.services import branching
from execution.worker import run_until_idle
from registry.models import Channel, Decision
from tests.execution.conftest import forget
from tests.execution.factories import NOW, Clock, make_run, make_user, make_version, scripted

pytestmark = pytest.mark.django_db(transaction=True)


def done(run: Run, clock: Clock) -> Run:
    """Run it to its end, with a new process after every wait."""
    for _ in range(10):
        forget()
        run_until_idle(clock=clock)
        clock.forward(1)
    return Run.objects.get(pk=run.pk)


def result(script: str, clock: Clock, agents: dict[str, Any] | None = None, **options: Any) -> Any:
    run = done(scripted(script, agents or {}, **options), clock)
    assert run.status == "succeeded", run.error
    return run.result_value()


class TestBroadcast:
    def test_asks_all_and_gathers_who_answers_in_time(self, clock: Clock) -> None:
        script = """
broadcast_task("Vote", ["a", "b"])
STATE got = await_responses(["a", "b", "c"], 5)
RETURN MAP(got, r => [r.agent_id, r.success, r.output])
"""
        found = result(script, clock, {"a": [{"reply": "yes"}], "b": [{"reply": "no"}]})

        assert found == [["a", True, "yes"], ["b", True, "no"], ["c", False, None]]

    def test_without_targets_asks_every_agent(self, clock: Clock) -> None:
        script = """
spawn_agent("reader", "to read")
spawn_agent("reader", "to read")
RETURN broadcast_task("Read").sent_to
"""
        assert result(script, clock) == ["reader", "reader_2"]

    def test_leaves_answers_that_nobody_gathers_in_the_inbox(self, clock: Clock) -> None:
        script = 'broadcast_task("x", ["a"])\nAWAIT r FROM "a" TIMEOUT 5:\n  RETURN r.output'

        assert result(script, clock, {"a": [{"reply": "here"}]}) == "here"


class TestAgents:
    def test_tell_what_they_are_doing(self, clock: Clock) -> None:
        script = """
STATE id = spawn_agent("reader", "to read")
EVENT completion:async {agent_id: id, prompt: "a long book"}
STATE busy = query_agent_status(id)
AWAIT r FROM id TIMEOUT 5:
  STATE heard = true
terminate_agent(id)
RETURN [busy.doing, busy.tasks, query_agent_status(id).status, LENGTH(list_agents())]
"""
        assert result(script, clock) == ["busy", ["a long book"], "terminated", 0]


class TestJudging:
    def test_computes_conditions_over_tracked_values_and_variables(self, clock: Clock) -> None:
        script = """
STATE round = 1
TRACK {score: 0.5}
WHILE should_continue("score < 0.9 AND round < 4"):
  UPDATE round = round + 1
RETURN [round, evaluate_results(["round == 4", "score == 0.5"]).met, track_metrics(["score", "other"])]
"""
        run = done(make_run(script), clock)

        assert run.result_value() == [4, True, {"score": 0.5, "other": None}]
        assert not Effect.objects.filter(run=run).exists()

    def test_asks_a_judge_about_prose_with_the_latest_answers(self, clock: Clock) -> None:
        script = """
EVENT completion:async {agent_id: "a", prompt: "x"} AS r
STATE verdict = evaluate_results(["2 > 1", "it is kind"])
RETURN [verdict.met, verdict.score, should_continue("people still care")]
"""
        judge = [
            {"when": "Judge these", "reply": {"met": True, "score": 0.8, "reason": "kind"}},
            {"when": "go on", "reply": {"continue": True, "reason": "they do"}},
        ]
        run = done(scripted(script, {"a": [{"reply": "dear reader"}], "judge": judge}), clock)

        assert run.result_value() == [True, 0.8, True]
        asked = Effect.objects.get(run=run, name="primitive:evaluate_results").data()
        assert asked["results"] == [{"agent_id": "a", "output": "dear reader"}]

    def test_a_computed_condition_that_fails_outweighs_the_judge(self, clock: Clock) -> None:
        judge = [{"reply": {"met": True, "score": 1, "reason": "nice"}}]

        assert result('RETURN evaluate_results(["1 > 2", "it is kind"]).met', clock, {"judge": judge}) is False

    def test_chooses_what_wins_in_both_orders(self, clock: Clock) -> None:
        script = 'RETURN select_best(["long text", "short"], "the shorter")'
        judge = [
            {"when": '["long text","short"]', "reply": {"index": 1, "reason": "s"}},
            {"when": '["short","long text"]', "reply": {"index": 0, "reason": "s"}},
        ]

        assert result(script, clock, {"judge": judge}) == "short"

    def test_chooses_nothing_where_the_order_decides(self, clock: Clock) -> None:
        judge = [{"reply": {"index": 0, "reason": "first"}}]

        assert result('RETURN select_best(["a", "b"], "the better")', clock, {"judge": judge}) is None

    def test_a_simulated_judge_does_not_mind_the_order(self, clock: Clock) -> None:
        run = done(make_run('RETURN select_best(["a", "b", "c"], "the better")'), clock)

        assert run.result_value() in ("a", "b", "c")


CHECKPOINT = """
EVENT state:entity:create {type: "note", id: "n", properties: {text: "before"}}
STATE id = create_checkpoint({phase: 1})
WAIT 1
EVENT state:entity:update {type: "note", id: "n", properties: {text: "after"}}
EVENT state:entity:create {type: "note", id: "extra", properties: {}}
WAIT 1
STATE saved = rollback_to_checkpoint(id)
EVENT state:entity:query {type: "note"} AS notes
WAIT 1
RETURN [saved.phase, MAP(notes, n => n.properties.text), rollback_to_checkpoint("none")]
"""


class TestCheckpoint:
    def test_brings_back_its_state_and_entities_in_another_process(self, clock: Clock) -> None:
        run = done(make_run(CHECKPOINT), clock)

        assert run.result_value() == [1, ["before"], None]
        assert [entity.value() for entity in run.entities.all()] == [{"text": "before"}]
        assert Checkpoint.objects.get(run=run).tick == 1

    def test_is_known_to_a_branch(self, clock: Clock) -> None:
        origin = done(make_run(CHECKPOINT), clock)

        made = done(branching.branch(run=origin, tick=2, now=NOW), clock)

        assert made.result_value() == origin.result_value()
        assert Checkpoint.objects.filter(run=made).count() == 1


class TestObserving:
    def test_gives_what_was_told_so_far_across_branches(self, clock: Clock) -> None:
        script = """
EVENT news:first {n: 1}
WAIT 1
EVENT news:second {n: 2}
WAIT 1
STATE seen = observe_events(["news:*"])
RETURN MAP(seen.events, e => e.name)
"""
        origin = done(make_run(script), clock)
        made = done(branching.branch(run=origin, tick=1, now=NOW), clock)

        assert origin.result_value() == made.result_value() == ["news:first", "news:second"]


class TestStrategy:
    def test_sets_declared_parameters_only(self, clock: Clock) -> None:
        script = """
STATE rounds = 1
STATE changed = modify_strategy({rounds: 5, nonsense: 1})
WAIT 1
RETURN [rounds, changed.set, changed.not_set != null]
"""
        run = done(make_run(script), clock)

        assert run.result_value() == [5, {"rounds": 5}, True]
        assert Decision.objects.get(run_key=str(run.pk)).decision_type == "modify_strategy"

    def test_records_decisions(self, clock: Clock) -> None:
        run = done(make_run('record_decision("retry", "success")'), clock)

        assert Decision.objects.get(run_key=str(run.pk)).outcome == "success"


class TestRegistry:
    def test_a_variation_is_adapted_started_and_deployed_once(self, clock: Clock) -> None:
        user = make_user()
        make_version("STATE n = 2\nRETURN {n: n}", owner=user.own_owner, name="counter")
        script = """
STATE made = adapt_pattern("counter", {for: "many"})
STATE found = load_pattern(made.reference)
STATE child = start_pattern(made.reference, {n: 4})
EVENT channel:move {pattern: made.reference, channel: "candidate", reason: "it won"} AS moved
RETURN [made.success, found.pattern == made.pattern, child.n, moved.success]
"""
        version = make_version(script, owner=user.own_owner, name="deployer")
        run = done(make_run(version=version, user=user), clock)

        assert run.result_value() == [True, True, 4, True]
        channel = Channel.objects.get(name="candidate")
        assert channel.pattern.name == "counter-adapted" and channel.pattern.versions.count() == 1

    def test_nobody_may_write(self, clock: Clock) -> None:
        found = result('RETURN adapt_pattern("counter", {}).error.type', clock)

        assert found == "execution.may-not-write"
