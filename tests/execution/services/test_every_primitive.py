"""
Every primitive is carried out at least once, as a tool and as a function of a script: what was used is collected
from the journals, and held against the list of all there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from execution.models import Event, Run
from execution.primitives import PATTERN_OPERATIONS, PRIMITIVES
from execution.worker import run_until_idle
from opl.script.calls import PRIMITIVES as FUNCTIONS
from registry.models import PatternVersion
from tests.execution import messages_api
from tests.execution.factories import Clock, make_user, make_version, scripted
from tests.execution.messages_api import Provider, use
from tests.execution.services.test_guiding import PROSE, publish, start

pytestmark = pytest.mark.django_db(transaction=True)

ALL = {*PRIMITIVES, *PATTERN_OPERATIONS}
SCRIPT = """
STATE rounds = 1
STATE seen = []
observe_events(["task:*"]) AS told:
  APPEND seen told.name
STATE reader = spawn_agent("reader", "to read", {shelf: 1})
STATE agents = list_agents({profile: "reader"})
broadcast_task("read", [reader])
STATE got = await_responses([reader], 30)
STATE done = delegate_subtask(reader, "again")
EVENT task:done {}
STATE status = query_agent_status(reader)
TRACK {score: 0.5}
STATE metrics = track_metrics(["score"])
STATE judged = evaluate_results("score > 0.4")
STATE best = select_best(["a", "b"], "the shorter")
STATE go_on = should_continue("score < 0.9")
STATE changed = modify_strategy({rounds: 2})
STATE point = create_checkpoint({n: 1})
STATE back = rollback_to_checkpoint(point)
STATE gone = terminate_agent(reader)
STATE loaded = load_pattern("counter")
STATE adapted = adapt_pattern("counter", {for: "many"}, inputs={n: 9})
STATE noted = record_decision("stop", "success")
STATE exported = export_pattern()
STATE child = start_pattern("counter", {n: 3})
RETURN {
  seen: seen, agents: LENGTH(agents), got: got[0].output, done: done.output, status: status.status, score: metrics.score,
  met: judged.met, best: best, go_on: go_on, rounds: rounds, back: back.n, gone: gone.status,
  loaded: loaded.success, adapted: adapted.success, noted: noted.status, exported: exported.success, child: child.result
}
"""
JUDGE = [
    {"when": 'Options: ["a","b"]', "reply": {"index": 1, "reason": "b"}},
    {"when": 'Options: ["b","a"]', "reply": {"index": 0, "reason": "b"}},
]


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    settings.AGENT_BACKENDS = messages_api.ALIAS
    messages_api.provider = Provider(others=lambda prompt: '{"index": 0}' if "Which option" in prompt else "read")
    yield messages_api.provider
    messages_api.provider = None


def names_used(run: Run) -> set[str]:
    """The primitives whose events stand in a run's journal."""
    found = set()
    for event in Event.objects.filter(run=run, kind__in=("event", "decision")):
        data = event.value()
        found.add(str(data.get("name")) if event.name == "primitive:call" else event.name.removeprefix("primitive:"))
    return found


class TestEveryPrimitive:
    def test_is_a_tool_and_a_function(self) -> None:
        assert set(FUNCTIONS) == ALL and len(PRIMITIVES) == 15

    def test_is_carried_out_by_a_script(self, clock: Clock) -> None:
        user = make_user()
        make_version("STATE n = 2\nRETURN {n: n}", owner=user.own_owner, name="counter")
        version = make_version(SCRIPT, owner=user.own_owner, name="all_of_them")
        run = scripted("", {"judge": JUDGE, "*": [{"reply": "read"}]}, version=version, user=user)

        run_until_idle(clock=clock)

        run = Run.objects.get(pk=run.pk)
        assert run.status == "succeeded", run.error
        assert run.result_value() == {
            "seen": ["task:done"], "agents": 1, "got": "read", "done": "read", "status": "active", "score": 0.5,
            "met": True, "best": "b", "go_on": True, "rounds": 2, "back": 1, "gone": "terminated",
            "loaded": True, "adapted": True, "noted": "recorded", "exported": False, "child": {"n": 3},
        }  # fmt: skip
        assert names_used(run) >= ALL

    def test_is_carried_out_by_an_orchestrator(self, provider: Provider, clock: Clock) -> None:
        user = make_user()
        make_version("STATE n = 2\nRETURN {n: n}", owner=user.own_owner, name="counter")
        mine = f"{user.own_owner.name}/counter"
        moves = [
            [use("spawn_agent", profile="reader", purpose="p"), use("observe_events", patterns=["completion:*"])],
            [
                use("list_agents"),
                use("query_agent_status", agent_id="reader"),
                use("create_checkpoint", state={"n": 1}),
            ],
            [
                use("broadcast_task", task_description="read", target_agents=["reader"]),
                use("await_responses", agents=["reader"], timeout=30),
                use("delegate_subtask", agent_id="reader", task="again"),
            ],
            [
                use("track_metrics", metric_names=["agreement"], values={"agreement": 0.9}),
                use("evaluate_results", criteria="agreement > 0.5"),
                use("select_best", options=["a", "b"], criteria="shorter"),
                use("should_continue", condition="agreement < 0.5"),
                use("modify_strategy", new_approach={"readers": 3}),
                use("rollback_to_checkpoint", checkpoint_id="checkpoint_1"),
            ],
            [
                use("load_pattern", name=mine),
                use("adapt_pattern", pattern=mine, context={"for": "many"}, inputs={"n": 9}),
                use("record_decision", decision="enough", outcome="success"),
                use("export_pattern"),
                use("start_pattern", pattern=mine, inputs={"n": 5}),
                use("terminate_agent", agent_id="reader"),
            ],
            "done",
        ]
        provider.turns = tuple(moves)
        version = PatternVersion.objects.get(pk=publish(PROSE, user).pk)
        run = start(version, user=user, backend="claude-test")

        run_until_idle(clock=clock)

        run = Run.objects.get(pk=run.pk)
        assert run.status == "succeeded", run.error
        names = [step["name"] for move in moves if isinstance(move, list) for step in move]
        said = provider.results()
        assert set(names) == ALL and len(said) == len(names)
        refused = [key for key, answer in said.items() if isinstance(answer, dict) and set(answer) == {"error"}]
        assert refused == []
        # A start_pattern of the tool is the event orchestration:start of the guided script.
        assert {name.replace("orchestration:start", "start_pattern") for name in names_used(run)} >= ALL
