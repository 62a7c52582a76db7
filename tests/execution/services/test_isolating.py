"""The arms of a trial leave the world as it was."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from execution.models import Effect, Entity, Run, RunAgent, Trial
from execution.services import controlling, isolating, verifying
from execution.services.clock import now_ms
from execution.services.isolating import Kind
from execution.worker import run_until_idle
from registry.models import AuditEntry, Channel, DailyRollup, Decision, Outcome, Pattern, PatternVersion, Rating
from tests.execution.factories import make_run, make_user
from tests.execution.trials import ASKING, PLAIN, carry_out, good_on, make_trial, make_version
from tests.registry.factories import make_version as published_version

pytestmark = pytest.mark.django_db(transaction=True)

MEDDLING = """
STATE n = 0
EVENT state:entity:update {type: "account", id: "shared", properties: {balance: n}}
EVENT state:entity:get {type: "account", id: "shared"} AS seen
EVENT agent:spawn {agent_id: "intruder", profile: "worker"}
EVENT human:ask {prompt: "May I?", choices: ["yes", "no"]} AS permit
EVENT orchestrator:decision {decision_type: "meddle", context: {why: "test"}, rationale: "because"}
EVENT mail:send {to: "everybody", text: "hello"}
EVENT orchestration:start {pattern: "CHILD", inputs: {}} AS child
RETURN {ok: seen.properties.balance == n AND permit == "yes" AND child.success}
"""
CHILD = """
EVENT state:entity:update {type: "account", id: "child", properties: {balance: 1}}
EVENT orchestrator:decision {decision_type: "meddle too"}
RETURN 1
"""


def published(user: Any, name: str) -> PatternVersion:
    """A version of a whole document, as people publish them."""
    return published_version(name, user=user)


class World:
    """What other people's pages show, counted."""

    def __init__(self) -> None:
        self.rows = {
            model.__name__: model.objects.count()  # type: ignore[attr-defined]
            for model in (Decision, Outcome, DailyRollup, Pattern, PatternVersion, Rating, AuditEntry)
        }
        mine = Run.objects.of_callers()
        self.rows["runs"] = mine.count()
        self.rows["entities"] = Entity.objects.filter(run__in=mine).count()
        self.rows["agents"] = RunAgent.objects.filter(run__in=mine).count()
        waiting = Effect.objects.filter(handler="person", status="sent")
        self.rows["questions"] = waiting.count()
        self.sums = list(Pattern.objects.order_by("pk").values_list("measured_runs", "simulated_runs", "last_run_at"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, World) and (self.rows, self.sums) == (other.rows, other.sums)

    def __repr__(self) -> str:
        return f"{self.rows} {self.sums}"


class TestBatch:
    def test_a_meddling_candidate_leaves_the_world_untouched(self, settings: Any) -> None:
        settings.AGENT_BACKENDS = PLAIN
        child = make_version(CHILD)
        meddling = make_version(MEDDLING.replace("CHILD", str(child.pattern)))
        trial = make_trial(good_on(10), meddling, 20, backend="plain")
        before = World()

        carry_out(trial)

        assert trial.settled >= 10
        assert World() == before
        # It ran, and its own reads saw what it wrote: the overlay.
        assert trial.pairs.get(position=1).candidate["success"] == 1.0
        assert set(Entity.objects.values_list("run__queue", flat=True)) == {"trials"}
        assert Run.objects.filter(parent__isnull=False, queue="trials", version=child).exists()

    def test_the_same_script_run_by_a_person_does_touch_it(self, settings: Any) -> None:
        """The test above would fail if nothing here counted anything."""
        settings.AGENT_BACKENDS = PLAIN
        child = make_version(CHILD)
        version = make_version(MEDDLING.replace("CHILD", str(child.pattern)))
        before = World()

        make_run(version=version, backend="plain", now=timezone.now())
        run_until_idle()

        assert World() != before
        assert World().rows["questions"] == 1


class TestLive:
    def test_finds_the_person_s_answer_in_the_control_s_journal(self, settings: Any) -> None:
        settings.AGENT_BACKENDS = PLAIN
        script = 'STATE n = 0\nEVENT human:ask {prompt: "May I?", choices: ["yes", "no"]} AS permit\nRETURN {ok: permit == "no"}'
        control, candidate = make_version(script, success_when="ok"), make_version(script + "\n# again")
        trial = verifying.start_trial(
            control=control, candidate=candidate, user=None, now=timezone.now(), mode="live", share=1.0, backend="plain"
        )
        run = make_run(version=control, backend="plain", now=timezone.now())
        run_until_idle()
        question = controlling.open_questions(run.pk)[0]
        controlling.answer(run_id=run.pk, seq=question.seq, value="no", now=now_ms())

        carry_out(trial)

        pair = trial.pairs.get()
        assert (pair.control["success"], pair.candidate["success"]) == (1.0, 1.0)
        assert Effect.objects.filter(handler="person").count() == 2


class TestRecordedAnswers:
    def test_answer_the_same_questions_again_without_asking_anybody(self, settings: Any) -> None:
        settings.AGENT_BACKENDS = PLAIN
        from execution.services.trial_inputs import recorded

        user, version = make_user(), make_version(ASKING, success_when="ok")
        for n in range(25):
            make_run(version=version, inputs={"n": n}, user=user, backend="plain", now=timezone.now())
        run_until_idle()
        inputs = recorded(version=version, user=user)
        trial = verifying.start_trial(
            control=version, candidate=version, user=user, now=timezone.now(), inputs=inputs, backend="recorded"
        )

        carry_out(trial)

        own = Effect.objects.filter(run__queue="trials", handler="agent")
        assert own.count() == own.exclude(reused_from=None).count() >= 40
        assert trial.pairs.get(position=1).control["tokens"] == 5  # what the recorded answer took
        assert trial.outcome != "invalid"

    def test_make_the_trial_invalid_where_the_control_asks_something_else(self, settings: Any) -> None:
        settings.AGENT_BACKENDS = PLAIN
        from execution.services.trial_inputs import recorded

        user, version = make_user(), make_version(ASKING, success_when="ok")
        for n in range(25):
            make_run(version=version, inputs={"n": n}, user=user, backend="plain", now=timezone.now())
        run_until_idle()
        other = make_version(ASKING.replace("Task", "Chore"), success_when="ok")
        trial = verifying.start_trial(
            control=other,
            candidate=version,
            user=user,
            now=timezone.now(),
            inputs=recorded(version=version, user=user),
            backend="recorded",
        )

        carry_out(trial)

        assert trial.outcome == "invalid"


class TestKinds:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("completion:async", Kind.PURE),
            ("state:entity:get", Kind.READ),
            ("state:entity:update", Kind.WRITE),
            ("agent:spawn", Kind.WRITE),
            ("mail:send", Kind.WRITE),
        ],
    )
    def test_take_what_nobody_knows_for_a_write(self, name: str, kind: Kind) -> None:
        assert isolating.kind_of(name) is kind

    def test_capture_a_write_that_would_reach_beyond_the_run(self) -> None:
        assert isolating.captured({"shadow": {}}, "mail:send")
        assert not isolating.captured({"shadow": {}}, "state:entity:update")  # lands in the run's own rows
        assert not isolating.captured({}, "mail:send")

    @pytest.mark.parametrize(
        ("question", "answer"),
        [
            ({"choices": ["a", "b"]}, "a"),
            ({"choices": ["a", "b"], "default": "b"}, "b"),
        ],
    )
    def test_answer_for_people_by_policy(self, question: dict[str, Any], answer: str) -> None:
        assert isolating.by_policy(question).value == answer

    def test_refuse_a_question_that_no_policy_answers(self) -> None:
        assert isolating.by_policy({"prompt": "why?"}).value["success"] is False


def test_children_of_an_arm_inherit_its_isolation_and_not_its_criterion() -> None:
    policy = {"shadow": {"arm": "candidate", "criterion": ["ok", ""], "trial": 7}}
    assert isolating.inherited(policy) == {"arm": "candidate", "trial": 7}
    assert isolating.inherited({}) is None
    assert Trial.objects.count() == 0


PUBLISHING = """
STATE n = 0
STATE made = adapt_pattern("REFERENCE", {situation: "night"})
STATE seen = load_pattern(made.reference)
EVENT channel:move {pattern: "REFERENCE", channel: "favourite"} AS moved
RETURN {ok: made.success AND seen.success AND moved.success}
"""


class TestRegistry:
    def test_takes_back_what_a_candidate_publishes_and_shows_it_to_the_candidate_alone(self, settings: Any) -> None:
        settings.AGENT_BACKENDS = PLAIN
        user = make_user()
        target = published(user, "target")
        script = PUBLISHING.replace("REFERENCE", str(target))
        publishing = make_version(script, owner=user.own_owner)
        trial = make_trial(good_on(10), publishing, 3, backend="plain", user=user)
        before, channels = World(), Channel.objects.count()

        carry_out(trial)

        assert trial.pairs.get(position=1).candidate["success"] == 1.0, trial.pairs.get(position=1).candidate
        assert (World(), Channel.objects.count()) == (before, channels)

    def test_the_same_script_run_by_a_person_publishes(self, settings: Any) -> None:
        settings.AGENT_BACKENDS = PLAIN
        user = make_user()
        target = published(user, "target")
        version = make_version(PUBLISHING.replace("REFERENCE", str(target)), owner=user.own_owner)
        before = World()

        make_run(version=version, backend="plain", user=user, now=timezone.now())
        run_until_idle()

        assert Run.objects.get().result_value() == {"ok": True}
        assert World() != before
