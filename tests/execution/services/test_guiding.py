"""Guided patterns: prose carried out by an orchestrator, offline and over the real SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from execution.errors import BackendLacksTools, InputsRefused, NotExecutable
from execution.models import Checkpoint, Effect, Event, Run
from execution.primitives import PATTERN_OPERATIONS, PRIMITIVES
from execution.services import branching, faults, guiding, reaping, starting
from execution.worker import Worker, _settle, run_until_idle
from opl.errors import Severity
from registry.errors import InvalidDocument
from registry.models import Decision, PatternVersion, Via
from registry.services import libraries, publishing
from tests.execution import messages_api
from tests.execution.conftest import forget
from tests.execution.factories import NOW, Clock, make_user, make_version
from tests.execution.messages_api import Provider, use
from tests.execution.test_crashes import crash_at

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[3]
CORPUS = ROOT.parent / "shared" / "corpus" / "orchestrations"
PROSE = """
type: orchestration_pattern
name: reading_circle
version: 1.0.0
description: Readers discuss a text until they agree.
parameters:
  type: object
  properties:
    readers: {type: integer, default: 2}
    depth: {type: integer, default: 1}
pattern:
  strategy: |
    WHEN a text arrives: spawn {{readers}} readers, ask each of them, and compare what they say.
    IF they disagree badly: go one level deeper.
  adaptive_rules:
    - condition: "agreement < 0.5"
      action: go_deeper
      rationale: They do not talk about the same thing yet.
  actions:
    go_deeper: {set: {depth: "depth + 1"}}
"""


def publish(source: str | bytes, user: Any) -> PatternVersion:
    data = source.encode() if isinstance(source, str) else source
    made = publishing.publish(owner=user.own_owner, user=user, source=data, via=Via.CLI, now=NOW)
    return made.versions[0].version


def start(version: PatternVersion, *, user: Any, backend: str = "simulated", **options: Any) -> Run:
    return starting.start(version=version, user=user, now=NOW, backend=backend, seed=7, **options)


def reload(run: Run) -> Run:
    return Run.objects.get(pk=run.pk)


@pytest.fixture
def speak(settings: Any) -> Iterator[Any]:
    """Put a provider at the other end of the backend ``claude-test``."""
    settings.AGENT_BACKENDS = messages_api.ALIAS

    def put(*turns: Any, **options: Any) -> Provider:
        messages_api.provider = Provider(*turns, **options)
        return messages_api.provider

    yield put
    messages_api.provider = None


class TestOffline:
    @pytest.mark.parametrize("name", ["adaptive_pipeline", "game_theory_orchestration_v2"])
    def test_carries_out_real_prose_with_the_simulated_orchestrator(self, name: str, clock: Clock) -> None:
        if not CORPUS.is_dir():
            pytest.skip("the corpus is not beside the project")
        user = make_user()
        run = start(publish((CORPUS / f"{name}.yaml").read_bytes(), user), user=user)

        run_until_idle(clock=clock)

        run = reload(run)
        assert run.status == "succeeded" and run.succeeded and run.simulated
        assert run.result_value()["finished"] and run.result_value()["turns"] >= 3
        assert Decision.objects.filter(run_key=str(run.pk)).exists()

    def test_is_the_same_again_for_the_same_seed(self, clock: Clock) -> None:
        user = make_user()
        version = publish(PROSE, user)
        runs = [start(version, user=user) for _ in range(2)]

        run_until_idle(clock=clock)

        assert reload(runs[0]).result_value() == reload(runs[1]).result_value()

    def test_needs_agents_that_can_use_tools(self, settings: Any) -> None:
        settings.KSI_SOCKET = "/nowhere"
        user = make_user()

        with pytest.raises(BackendLacksTools):
            start(publish(PROSE, user), user=user, backend="ksi")

    def test_can_be_a_child_run(self, clock: Clock) -> None:
        user = make_user()
        publish(PROSE, user)
        parent = make_version(
            'EVENT orchestration:start {pattern: "reading_circle"} AS c\nRETURN c.finished', owner=user.own_owner
        )
        run = start(parent, user=user)

        run_until_idle(clock=clock)

        assert reload(run).result_value() is True


class TestInputs:
    def test_fill_the_prose_and_become_variables(self) -> None:
        user = make_user()
        found = guiding.plan(publish(PROSE, user), {"readers": 5, "task": "read"})

        assert "spawn 5 readers" in found.inputs["strategy"]
        assert found.inputs["task"] == "read" and found.inputs["readers"] == 5
        assert found.inputs["tools"] == [*PRIMITIVES, *PATTERN_OPERATIONS]

    def test_are_only_those_that_the_pattern_declares(self) -> None:
        user = make_user()

        with pytest.raises(InputsRefused, match="there is no input 'strategy'"):
            guiding.plan(publish(PROSE, user), {"strategy": "do as I say"})

    def test_compose_the_orchestrators_profile(self) -> None:
        libraries.load(folder=ROOT / "library" / "profiles", now=NOW)
        user = make_user()

        system = guiding.plan(publish(PROSE, user), {}).inputs["system"]

        assert "one of several agents" in system and "When an agent fails" in system

    def test_take_the_documents_own_orchestrator(self) -> None:
        user = make_user()
        own = "agents:\n  conductor_of_all: {prompt: 'Serve {{readers}} as {{agent_id}}.'}\n"
        found = guiding.plan(publish(PROSE + own, user), {})

        assert found.inputs["orchestrator"] == "conductor_of_all"
        assert "Serve 2 as conductor_of_all." in found.inputs["system"]

    def test_offer_only_the_tools_that_capabilities_cover(self) -> None:
        user = make_user()
        found = guiding.plan(publish(PROSE + "capabilities: ['agent:spawn']\n", user), {})

        assert "spawn_agent" in found.inputs["tools"] and "start_pattern" not in found.inputs["tools"]


class TestTools:
    def run(self, provider: Provider, clock: Clock, **options: Any) -> Run:
        user = options.pop("user", None) or make_user()
        version = options.pop("version", None) or publish(PROSE, user)
        run = start(version, user=user, backend="claude-test", **options)
        run_until_idle(clock=clock)
        return reload(run)

    def test_every_primitive_answers(self, speak: Any, clock: Clock) -> None:
        provider = speak(
            [
                use("spawn_agent", profile="reader", purpose="to read"),
                use("spawn_agent", profile="reader", purpose="to read too", metadata={"second": True}),
                use("observe_events", patterns=["primitive:create*"], callback="look at it"),
            ],
            [
                use("list_agents"),
                use("query_agent_status", agent_id="reader_2"),
                use("create_checkpoint", state={"phase": "spawned"}),
                use("broadcast_task", task_description="Read it", target_agents=["reader", "reader_2"]),
                use("await_responses", agents=["reader", "reader_2", "nobody"], timeout=30),
            ],
            [
                use("delegate_subtask", agent_id="reader", task="Read it again"),
                use("track_metrics", metric_names=["agreement"], values={"agreement": 0.4}),
                use("evaluate_results", criteria=["agreement < 0.5", "the answers are kind"]),
                use("evaluate_results", criteria="agreement > 0.5"),
                use("select_best", options=["a", "b"], criteria="the kinder"),
                use("should_continue", condition="agreement < 0.5 AND turn < 10"),
                use("should_continue", condition="while everybody is still interested"),
            ],
            [
                use("modify_strategy", new_approach={"readers": 3, "messages": []}),
                use("modify_strategy", new_approach="ask them to quote"),
                use("rollback_to_checkpoint", checkpoint_id="checkpoint_1"),
                use("rollback_to_checkpoint", checkpoint_id="checkpoint_9"),
                use("record_decision", decision="stop here", outcome="success"),
                use("terminate_agent", agent_id="reader_2"),
                use("terminate_agent"),
                use("paint_a_picture"),
            ],
            '{"agreed": true}',
            others=lambda prompt: (
                '{"index": 0, "met": true, "score": 0.9, "reason": "so"}'
                if "Judge" in prompt or "Which option" in prompt
                else "read"
            ),
        )

        run = self.run(provider, clock)

        assert run.status == "succeeded", run.error
        assert run.result_value() == {"finished": True, "turns": 5, "result": {"agreed": True}, "reason": None}
        said = provider.results()
        assert (said["toolu_0_0"], said["toolu_0_1"]) == ("reader", "reader_2")
        assert [agent["doing"] for agent in said["toolu_1_0"] if "reader" in agent["agent_id"]] == ["idle", "idle"]
        assert said["toolu_1_1"]["purpose"] == "to read too"
        assert said["toolu_1_3"] == {"sent_to": ["reader", "reader_2"]}
        assert [each["output"] for each in said["toolu_1_4"]["responses"]] == ["read", "read"]
        assert said["toolu_1_4"]["missing"] == ["nobody"]
        assert said["toolu_2_0"]["output"] == "read"
        assert said["toolu_2_1"] == {"agreement": 0.4}
        assert said["toolu_2_2"]["met"] is True and said["toolu_2_2"]["score"] == 0.9
        assert said["toolu_2_3"]["met"] is False
        assert said["toolu_2_4"]["choice"] is None  # index 0 in both orders is no choice
        assert said["toolu_2_5"] is True
        assert said["toolu_3_0"]["set"] == {"readers": 3} and "messages" in said["toolu_3_0"]["not_set"]
        assert said["toolu_3_2"] == {"phase": "spawned"}
        assert "checkpoint_1" in said["toolu_3_3"]["error"]
        assert said["toolu_3_5"]["status"] == "terminated"
        assert "agent_id" in said["toolu_3_6"]["error"] and "no tool" in said["toolu_3_7"]["error"]
        assert Checkpoint.objects.get(run=run).label == "checkpoint_1"
        kinds = Decision.objects.filter(run_key=str(run.pk)).values_list("decision_type", flat=True)
        assert {"stop here", "modify_strategy", "go_deeper"} <= set(kinds)

    def test_rules_are_live_and_told(self, speak: Any, clock: Clock) -> None:
        provider = speak(
            [use("track_metrics", metric_names=["agreement"], values={"agreement": 0.2})],
            [use("should_continue", condition="depth == 2")],
            "done",
        )

        run = self.run(provider, clock)

        assert provider.results()["toolu_1_0"] is True
        assert "go_deeper" in provider.told() and "do not talk about the same thing" in provider.told()
        assert Event.objects.filter(run=run, kind="rule").count() == 1

    def test_observed_events_are_told_at_the_next_turn(self, speak: Any, clock: Clock) -> None:
        provider = speak(
            [use("observe_events", patterns=["completion:*"], callback="note who answers")],
            [use("delegate_subtask", agent_id="a", task="x")],
            "done",
        )

        self.run(provider, clock)

        assert "note who answers" in provider.told() and '"x"' not in provider.told().split("Since")[0]

    def test_pattern_operations_read_and_write_the_registry(self, speak: Any, clock: Clock) -> None:
        user = make_user()
        publish(PROSE, user)
        make_version("STATE n = 2\nRETURN {n: n}", owner=user.own_owner, name="counter")
        me = user.own_owner.name
        provider = speak(
            [use("load_pattern", name=f"{me}/counter"), use("load_pattern", name="no/where")],
            [
                use("adapt_pattern", pattern=f"{me}/counter", context={"for": "many"}, inputs={"n": 9}),
                use("export_pattern"),
                use("start_pattern", pattern=f"{me}/counter", inputs={"n": 5}),
            ],
            "done",
        )

        run = self.run(provider, clock, user=user, version=PatternVersion.objects.get(pattern__name="reading_circle"))

        said = provider.results()
        assert run.status == "succeeded", run.error
        assert "STATE n = 2" in said["toolu_0_0"]["source"] and said["toolu_0_1"]["success"] is False
        adapted = PatternVersion.objects.get(digest=said["toolu_1_0"]["digest"])
        assert "STATE n = 9" in adapted.text and adapted.pattern.owner == user.own_owner
        assert said["toolu_1_1"]["success"] is False  # nothing was measured yet
        assert said["toolu_1_2"]["result"] == {"n": 5}

    def test_do_not_publish_for_a_stranger_without_leave(self, speak: Any, clock: Clock) -> None:
        author, runner = make_user(), make_user()
        version = publish(PROSE, author)
        make_version("STATE n = 2", owner=runner.own_owner, name="counter")
        provider = speak(
            [use("adapt_pattern", pattern=f"{runner.own_owner.name}/counter", context={}, inputs={"n": 1})], "done"
        )

        self.run(provider, clock, user=runner, version=version)

        assert provider.results()["toolu_0_0"]["error"]["type"] == "execution.may-not-write"

    def test_send_the_tools_and_the_whole_conversation(self, speak: Any, clock: Clock) -> None:
        provider = speak([use("list_agents")], "done")

        self.run(provider, clock)

        first, last = provider.sent[0], provider.sent[-1]
        assert {tool["name"] for tool in first["tools"]} == {*PRIMITIVES, *PATTERN_OPERATIONS}
        assert [message["role"] for message in last["messages"]] == ["user", "assistant", "user"]
        assert last["messages"][2]["content"][0]["tool_use_id"] == "toolu_0_0"


class TestRealProse:
    def test_of_a_pipeline_is_carried_out(self, speak: Any, clock: Clock) -> None:
        if not CORPUS.is_dir():
            pytest.skip("the corpus is not beside the project")
        provider = speak(
            [
                use("spawn_agent", profile="data_cleaner", purpose="clean"),
                use("create_checkpoint", state={"at": "raw"}),
            ],
            [use("delegate_subtask", agent_id="data_cleaner", task="Clean the data")],
            [use("track_metrics", metric_names=["quality"], values={"quality": 0.9})],
            '{"report": "cleaned and analysed"}',
            others="clean",
        )
        user = make_user()
        version = publish((CORPUS / "adaptive_pipeline.yaml").read_bytes(), user)
        run = start(version, user=user, backend="claude-test")

        run_until_idle(clock=clock)

        assert reload(run).result_value()["result"] == {"report": "cleaned and analysed"}
        told = provider.sent[0]["messages"][0]["content"]
        assert "STAGE preprocessing" in told and "stage_templates" in told and "learnings" in told
        assert reload(run).cost_used > 0

    def test_of_a_game_is_carried_out(self, speak: Any, clock: Clock) -> None:
        if not CORPUS.is_dir():
            pytest.skip("the corpus is not beside the project")
        players = ["rational", "mirror", "learner"]
        provider = speak(
            [use("spawn_agent", profile=name, purpose="to play") for name in players],
            [
                use("broadcast_task", task_description="Your move for round 1", target_agents=players),
                use("await_responses", agents=players, timeout=60),
            ],
            [use("record_decision", decision={"decision_type": "round", "context": {"round": 1}}, outcome="converged")],
            '{"dominant": "mirror"}',
            others="cooperate",
        )
        user = make_user()
        version = publish((CORPUS / "game_theory_orchestration_v2.yaml").read_bytes(), user)
        run = start(version, user=user, backend="claude-test", inputs={"num_players": 3})

        run_until_idle(clock=clock)

        assert reload(run).result_value()["result"] == {"dominant": "mirror"}
        first = provider.sent[0]
        assert "SPAWN 3 strategy_agents" in first["messages"][0]["content"]
        assert (
            "num_players=3" in first["system"][0]["text"]
            and "Your agent_id is: game_orchestrator" in (first["system"][0]["text"])
        )


TURNS: tuple[Any, ...] = (
    [use("spawn_agent", profile="reader", purpose="p")],
    [
        use("broadcast_task", task_description="Read", target_agents=["reader", "other"]),
        use("await_responses", agents=["reader", "other"], timeout=30),
    ],
    [use("track_metrics", metric_names=["agreement"], values={"agreement": 0.1})],
    "done",
)
PLACES = ("before-advance-commits", "advanced", "before-sending", "before-result-commits", "result-committed")


def process(clock: Clock) -> bool:
    """One process with real lanes: it works until nothing is left, or until it crashes (True)."""
    forget()
    worker = Worker(clock=clock)
    worker.worker_id = reaping.register("test", clock())
    try:
        while worker.claim_and_run() or _settle(worker):
            pass
    except faults.Crash:
        return True
    finally:
        worker.lane.stop()
    return False


class TestCrash:
    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("time", [1, 2, 3, 4, 5])
    def test_between_any_two_turns_repeats_none(self, place: str, time: int, speak: Any, clock: Clock) -> None:
        """A turn whose answer is committed is never asked for again; one that died on the way is, and is counted."""
        provider = speak(*TURNS, others="read")
        user = make_user()
        run = start(publish(PROSE, user), user=user, backend="claude-test")
        crash_at(place, time)

        crashed = process(clock)
        for _ in range(6):
            clock.forward(10)
            process(clock)

        run = reload(run)
        assert crashed and run.status == "succeeded", run.error
        lost = sum(effect.doubts for effect in Effect.objects.filter(run=run, agent_id="orchestrator"))
        assert len(provider.turns_sent) <= 4 + lost and sorted(set(provider.turns_sent)) == [1, 2, 3, 4]
        assert run.result_value()["turns"] == 4
        assert Event.objects.filter(run=run, kind="rule").count() == 1
        assert Decision.objects.filter(run_key=str(run.pk)).count() == 1


class TestBudget:
    def test_refuses_a_turn_before_it_is_sent_and_keeps_everything(self, speak: Any, clock: Clock) -> None:
        provider = speak([use("spawn_agent", profile="reader", purpose="p")] * 2, "done")
        user = make_user()
        version = publish(PROSE, user)
        first = start(version, user=user, backend="claude-test")
        run_until_idle(clock=clock)
        need = Effect.objects.filter(run=first).order_by("seq").first()
        assert need is not None and need.tokens
        bound = make_bound(first)
        provider.sent.clear()

        run = start(version, user=user, backend="claude-test", policy={"limits": {"tokens": bound + need.tokens - 1}})
        run_until_idle(clock=clock)

        run = reload(run)
        assert (run.status, run.error["code"]) == ("failed", "opl.limit.tokens")
        assert provider.turns_sent == [1]
        assert run.tokens_used == need.tokens and run.tokens_reserved == 0
        assert {agent.agent_id for agent in run.agents.all()} == {"orchestrator", "reader", "reader_2"}

    def test_that_covers_nothing_sends_nothing(self, speak: Any, clock: Clock) -> None:
        provider = speak("done")
        user = make_user()
        run = start(publish(PROSE, user), user=user, backend="claude-test", policy={"limits": {"tokens": 100}})

        run_until_idle(clock=clock)

        assert reload(run).error["code"] == "opl.limit.tokens" and provider.sent == []


def make_bound(run: Run) -> int:
    """The reservation of a run's second turn."""
    from execution.agents import roster
    from execution.agents.base import Profile
    from execution.services import asking

    effect = Effect.objects.filter(run=run, agent_id="orchestrator").order_by("seq")[1]
    request = asking.make_request(
        run_id=run.pk,
        key=effect.key,
        name=effect.name,
        data=effect.data(),
        shape=None,
        seed=7,
        attempt=1,
        timeout=600,
        profile=Profile(system=effect.data()["system"]),
    )
    return roster.backend("claude-test").reserve(request).tokens


class TestBranch:
    def test_goes_on_from_a_turn_without_paying_again(self, speak: Any, clock: Clock) -> None:
        provider = speak(*TURNS, others="read")
        user = make_user()
        origin = start(publish(PROSE, user), user=user, backend="claude-test")
        run_until_idle(clock=clock)
        sent = len(provider.sent)

        made = branching.branch(run=reload(origin), tick=2, now=NOW)
        forget()
        run_until_idle(clock=clock)

        assert reload(made).result_value() == reload(origin).result_value()
        assert len(provider.sent) == sent and reload(made).tokens_used == 0
        assert json.dumps(reload(made).input_values()) == json.dumps(reload(origin).input_values())


class TestWhatDoesNotCompile:
    """Nothing falls back in silence: a guided document with a broken rule is refused, with the place."""

    BROKEN = PROSE.replace("depth + 1", "depth +")

    def test_is_refused_at_publishing(self) -> None:
        with pytest.raises(InvalidDocument) as caught:
            publish(self.BROKEN, make_user())

        assert [problem.line for problem in caught.value.problems if problem.severity is Severity.ERROR] == [20]

    def test_of_an_older_version_is_refused_at_the_start(self) -> None:
        user = make_user()
        version = publish(PROSE, user)
        PatternVersion.objects.filter(pk=version.pk).update(source=self.BROKEN.encode())

        with pytest.raises(NotExecutable, match=r"20:\d+: "):
            start(PatternVersion.objects.get(pk=version.pk), user=user)

    def test_parameters_of_the_program_itself_are_left_to_it(self, clock: Clock) -> None:
        source = PROSE.replace("readers: {type: integer, default: 2}", "answer: {type: integer, default: 2}")
        user = make_user()
        run = start(publish(source, user), user=user)

        run_until_idle(clock=clock)

        assert reload(run).status == "succeeded" and "answer" not in reload(run).input_values()
