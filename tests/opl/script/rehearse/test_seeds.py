"""The patterns that the language was made for run as they were written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opl.document.envelopes import read
from opl.script.rehearse import read_agents, rehearse

PATTERNS = "dsl_orchestration_patterns.md"
DEPENDENCIES = ("event_emission_basics.md", "state_management.md", "control_flow.md")


def play(path: Path, script: int, agents: str = "", **options: Any) -> dict[str, Any]:
    lines = None
    if agents:
        lines, problems = read_agents(agents.encode())
        assert lines is not None, problems
    found = rehearse(path.read_bytes(), file=path.name, script=str(script), agents=lines, **options)
    return found.to_json()


@pytest.fixture
def patterns(shared: Path) -> Path:
    return shared / "seeds" / PATTERNS


class TestPatterns:
    @pytest.mark.parametrize("script", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_succeed_with_simulated_agents(self, patterns: Path, script: int, seed: int) -> None:
        found = play(patterns, script, seed=seed)

        assert found.get("error") is None, found
        assert found["status"] == "succeeded"
        assert not [event for event in found["events"] if event["name"].startswith(("judgement", "primitive"))]

    @pytest.mark.parametrize("script", [1, 2, 3, 4, 5])
    def test_print_the_same_twice(self, patterns: Path, script: int) -> None:
        one, other = (json.dumps(play(patterns, script, seed=7)) for _ in range(2))

        assert one == other

    def test_pipeline_hands_results_on(self, patterns: Path) -> None:
        found = play(
            patterns,
            1,
            "agents: {collection_agent: [{reply: raw data}], aggregator: [{reply: all good}], '*': [{reply: ok}]}",
        )

        prompts = [e["data"]["prompt"] for e in found["events"] if e["name"] == "completion:async"]
        assert "raw data" in prompts[1]
        assert len(prompts) == 5
        assert found["result"]["output"] == "all good"
        assert found["variables"]["progress"] == 100

    def test_scatter_gather_collects_every_answer(self, patterns: Path) -> None:
        agents = "agents: {analyzer_2: [{reply: b, latency: 9}], '*': [{reply: a}]}"

        found = play(patterns, 2, agents)

        assert found["variables"]["gathered_count"] == 3
        assert [each["output"] for each in found["variables"]["analysis_results"]] == ["a", "a", "b"]
        assert found["events"][-1]["data"]["agent_id"] == "synthesizer"

    def test_scatter_gather_reports_what_is_missing(self, patterns: Path) -> None:
        agents = "agents: {analyzer_2: [{reply: b, latency: 500}], '*': [{reply: a}]}"

        found = play(patterns, 2, agents)

        assert found["status"] == "succeeded"

    def test_scatter_gather_runs_on_anyones_documents(self, patterns: Path) -> None:
        found = play(patterns, 2, inputs={"documents": ["x", "y", "z", "w", "v"]})

        assert found["variables"]["gathered_count"] == 5

    def test_workers_finish_every_task(self, patterns: Path) -> None:
        found = play(patterns, 3, "agents: {'*': [{reply: {task_id: t, result: done}, latency: 3}]}")

        assert len(found["variables"]["completed_tasks"]) == 10
        assert found["variables"]["task_queue"] == []
        assert set(found["variables"]["worker_status"].values()) == {"idle"}
        first = next(e for e in found["events"] if e["name"] == "completion:async")
        priorities = json.loads(first["data"]["prompt"].removeprefix("Execute task: "))
        assert priorities["priority"] >= 3

    def test_consensus_is_reached(self, patterns: Path) -> None:
        found = play(patterns, 4, "agents: {'*': [{reply: {vote: approve, reasoning: sound, vote_changed: false}}]}")

        entity = found["events"][-1]["data"]["properties"]
        assert (entity["decision"], entity["rounds"], entity["unanimous"]) == ("approved", 1, True)

    def test_consensus_fails_after_its_rounds(self, patterns: Path) -> None:
        agents = """
agents:
  expert_1: [{reply: {vote: reject, reasoning: no}}]
  "*": [{reply: {vote: approve, reasoning: sound}}]
"""

        entity = play(patterns, 4, agents)["events"][-1]["data"]["properties"]

        assert (entity["decision"], entity["rounds"], entity["unanimous"]) == ("no_consensus", 3, False)

    def test_consensus_follows_a_changed_mind(self, patterns: Path) -> None:
        agents = """
agents:
  expert_1:
    - {when: "Round", reply: {vote: reject, reasoning: no}}
    - {when: "Consider", reply: {vote_changed: true, new_vote: approve, new_reasoning: convinced}}
  "*": [{reply: {vote: approve, reasoning: sound}}]
"""

        entity = play(patterns, 4, agents)["events"][-1]["data"]["properties"]

        assert entity["decision"] == "approved"
        assert entity["final_votes"]["expert_1"]["reasoning"] == "convinced"

    def test_self_improving_takes_over_better_parameters(self, patterns: Path) -> None:
        agents = """
agents:
  worker: [{reply: {quality_score: 0.5}}]
events:
  optimization:async: [{reply: {success: true, optimized_params: {parallelism: 4, timeout: 45}}}]
"""

        found = play(patterns, 5, agents)

        assert found["variables"]["strategies"]["balanced"] == {"parallelism": 4, "timeout": 45}
        assert [each["quality"] for each in found["variables"]["performance_history"]] == [0.5] * 5

    def test_self_improving_changes_a_failing_strategy(self, patterns: Path) -> None:
        good = "{reply: {quality_score: 1}}, " * 10
        agents = f"agents: {{worker: [{good} {{error: overloaded}}]}}"

        found = play(patterns, 5, agents)

        assert found["status"] == "succeeded"
        assert any(e["data"].get("status") == "strategy_change" for e in found["events"])


# What the fragments of the dependency documents read from one another: inputs, when one is run by itself.
GIVEN = {
    "control_flow.md": {
        1: {"analysis_confidence": 0.9},
        2: {"optimization_score": 0.5, "target_score": 0.5},
        5: {"data_sources": ["a", "b"]},
        7: {"optimization_method": "x"},
        9: {"phases": []},
        10: {"target_component": "c"},
    },
    "state_management.md": {
        3: {"progress_counter": 10, "active_agents": []},
        7: {"phases": [{"status": "completed"}], "total_phases": 2, "analysis_results": [], "insights": []},
    },
}


class TestDependencies:
    @pytest.mark.parametrize("name", DEPENDENCIES)
    def test_every_script_can_be_rehearsed(self, shared: Path, name: str) -> None:
        path = shared / "corpus" / "dsl_markdown" / name
        document = read(path.read_bytes(), file=name).document
        assert document is not None

        statuses = {}
        for script in document.main_scripts:
            given = GIVEN.get(name, {}).get(script.number, {})
            found = play(path, script.number, lenient=True, inputs=given)
            # One fragment counts a variable up that another fragment makes: null + 1 is an error, as it should be.
            unbound = any(each["code"] == "opl.run.unbound-name" for each in found.get("warnings", []))
            expected = {"succeeded", "terminated"} | ({"failed"} if unbound else set())
            statuses[script.number] = found.get("status") in expected, found.get("error"), found.get("diagnostics")

        assert statuses
        assert all(fine for fine, _, _ in statuses.values()), statuses
