"""Going back and branching off."""

from __future__ import annotations

import pytest

from execution.errors import NotPossible, TickUnknown
from execution.models import Effect, Run
from execution.services import branching, controlling, sessions, watching
from execution.worker import run_until_idle
from tests.execution.factories import NOW, Clock, make_run, make_version, scripted

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = """
STATE seen = []
STATE topic = "tea"
FOREACH n IN RANGE(4):
  EVENT state:entity:update {type: "count", id: "n", properties: {at: n}}
  EVENT completion:async {agent_id: "a", prompt: "{{topic}} {{n}}"} AS r
  APPEND seen r.output
RETURN seen
"""


def reload(run: Run) -> Run:
    return Run.objects.get(pk=run.pk)


def done(run: Run, clock: Clock) -> Run:
    run_until_idle(clock=clock)
    return reload(run)


class TestBranch:
    def test_shares_the_journal_and_pays_nothing_again(self, clock: Clock) -> None:
        origin = done(make_run(STEPS), clock)

        made = done(branching.branch(run=origin, tick=3, now=NOW), clock)

        assert made.result_value() == origin.result_value()
        assert made.tokens_used == 0 and made.forked_from_id == origin.pk and made.forked_at_tick == 3
        assert all(effect.reused_from for effect in Effect.objects.filter(run=made))

    def test_has_the_world_of_its_tick(self, clock: Clock) -> None:
        origin = done(make_run(STEPS), clock)

        made = branching.branch(run=origin, tick=2, now=NOW)

        assert made.entities.get().value() == {"at": 1}
        assert sessions.load_session(made.pk).state is not None

    def test_asks_anew_what_other_inputs_change(self, clock: Clock) -> None:
        origin = done(make_run(STEPS), clock)

        made = done(branching.branch(run=origin, inputs={"topic": "coffee"}, now=NOW), clock)

        assert not Effect.objects.filter(run=made, reused_from__isnull=False).exists()
        assert all("coffee" in text for text in made.result_value())

    def test_uses_answers_again_in_an_edited_pattern(self, clock: Clock) -> None:
        origin = done(make_run(STEPS), clock)
        edited = make_version(STEPS.replace("RETURN seen", "RETURN seen.length"))

        made = done(branching.branch(run=origin, version=edited, now=NOW), clock)

        assert made.result_value() == 4 and made.tokens_used == 0

    def test_pays_only_for_what_an_edit_changed(self, clock: Clock) -> None:
        """A finished effect whose key and request are the same is used again, wherever the edit stands."""
        origin = done(make_run(STEPS), clock)
        more = 'EVENT completion:async {agent_id: "b", prompt: "and last"} AS last\nRETURN seen + [last.output]'
        edited = make_version("STATE unused = 1\n" + STEPS.replace("RETURN seen", more))

        made = done(branching.branch(run=origin, version=edited, now=NOW), clock)

        paid = Effect.objects.filter(run=made, reused_from__isnull=True)
        assert [effect.agent_id for effect in paid] == ["b"] and made.tokens_used == paid.get().tokens
        assert made.result_value()[:4] == origin.result_value()

    def test_tells_the_events_of_its_origin_first(self, clock: Clock) -> None:
        origin = done(make_run(STEPS), clock)
        made = done(branching.branch(run=origin, tick=3, now=NOW), clock)

        told = watching.history(made.pk)

        asked = [each["data"]["prompt"] for each in told if each["name"] == "completion:async"]
        assert asked == ["tea 0", "tea 1", "tea 2", "tea 3"]
        assert {each["run"] for each in told} == {origin.pk, made.pk}
        assert [each["run"] for each in told] == sorted(each["run"] for each in told)

    def test_takes_timers_along(self, clock: Clock) -> None:
        origin = make_run("WAIT 60\nRETURN 1")
        run_until_idle(clock=clock)
        made = branching.branch(run=reload(origin), now=NOW)
        clock.forward(61)

        assert done(made, clock).status == "succeeded"

    def test_asks_a_person_again(self, clock: Clock) -> None:
        origin = make_run('EVENT human:ask {question: "?"} AS x\nRETURN x')
        run_until_idle(clock=clock)
        controlling.answer(run_id=origin.pk, seq=1, value="old", now=clock())

        made = done(branching.branch(run=reload(origin), tick=1, now=NOW), clock)
        assert made.status == "waiting"
        controlling.answer(run_id=made.pk, seq=1, value="new", now=clock())

        assert reload(made).result_value() == "new"

    def test_keeps_what_people_said_before_its_tick_and_in_an_edited_pattern(self, clock: Clock) -> None:
        script = (
            'EVENT human:ask {question: "?"} AS x\nEVENT completion:async {agent_id: "a", prompt: x} AS r\nRETURN x'
        )
        origin = make_run(script)
        run_until_idle(clock=clock)
        controlling.answer(run_id=origin.pk, seq=1, value="old", now=clock())
        done(origin, clock)
        edited = make_version(script.replace("RETURN x", "RETURN [x]"))

        later = done(branching.branch(run=reload(origin), tick=2, now=NOW), clock)
        other = done(branching.branch(run=reload(origin), version=edited, now=NOW), clock)

        assert (later.result_value(), other.result_value()) == ("old", ["old"])

    def test_asks_everybody_again_where_that_is_wanted(self, clock: Clock) -> None:
        origin = done(make_run(STEPS), clock)

        made = done(branching.branch(run=origin, tick=2, anew=True, now=NOW), clock)

        assert made.status == "succeeded" and made.tokens_used > 0
        assert not Effect.objects.filter(run=made, reused_from__isnull=False).exists()
        assert made.result_value()[:1] == origin.result_value()[:1]

    def test_refuses_a_tick_that_is_not_there(self, clock: Clock) -> None:
        origin = done(make_run(STEPS), clock)

        with pytest.raises(TickUnknown):
            branching.branch(run=origin, tick=99, now=NOW)

    def test_refuses_a_run_that_has_not_begun(self) -> None:
        with pytest.raises(NotPossible):
            branching.branch(run=make_run(STEPS), now=NOW)

    def test_of_a_branch_shares_both_journals(self, clock: Clock) -> None:
        origin = done(make_run(STEPS), clock)
        first = done(branching.branch(run=origin, tick=1, now=NOW), clock)

        second = done(branching.branch(run=first, now=NOW), clock)

        assert second.result_value() == origin.result_value() and second.tokens_used == 0
        sessions.drop_all()
        assert sessions.load_session(second.pk).state["ended"] is not None


class TestRetry:
    def test_asks_only_what_failed(self, clock: Clock) -> None:
        script = """
EVENT completion:async {agent_id: "good", prompt: "x"} AS a
EVENT completion:async {agent_id: "bad", prompt: "x"} AS b
IF NOT b.success:
  STATE broken = 1 / 0
RETURN [a.output, b.output]
"""
        agents = {"good": [{"reply": "fine"}], "bad": [{"error": "broken"}]}
        origin = done(scripted(script, agents), clock)
        assert origin.status == "failed"

        policy = {"agents": {**agents, "bad": [{"reply": "mended"}]}}
        made = done(branching.retry(run=origin, now=NOW, policy=policy), clock)

        assert made.result_value() == ["fine", "mended"]

    def test_refuses_a_run_that_is_alive(self, clock: Clock) -> None:
        run = make_run("WAIT 9")
        run_until_idle(clock=clock)

        with pytest.raises(NotPossible):
            branching.retry(run=reload(run), now=NOW)


class TestRollback:
    def test_throws_away_what_came_after_its_tick(self, clock: Clock) -> None:
        origin = done(make_run(STEPS), clock)

        made = done(branching.rollback(run=origin, tick=2, now=NOW), clock)

        assert made.tokens_used > 0 and not Effect.objects.filter(run=made, reused_from__isnull=False).exists()

    def test_cancels_the_run_it_leaves(self, clock: Clock) -> None:
        origin = make_run("WAIT 9\nWAIT 9")
        run_until_idle(clock=clock)
        clock.forward(9)
        run_until_idle(clock=clock)

        branching.rollback(run=reload(origin), tick=1, now=NOW)

        assert reload(origin).status == "cancelled"
