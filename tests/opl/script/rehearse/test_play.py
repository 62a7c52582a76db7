"""A script rehearsed on a virtual clock."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from opl.script.rehearse import Rehearsal, read_agents, rehearse


def play(script: str, agents: str = "", **options: Any) -> Rehearsal:
    lines, problems = read_agents(agents.encode()) if agents else (None, ())
    assert not problems
    return rehearse(script.encode(), file="play.opl", agents=lines, **options)


def outcome(script: str, agents: str = "", **options: Any) -> dict[str, Any]:
    found = play(script, agents, **options)
    assert found.record is not None, [str(problem) for problem in found.problems]
    return found.to_json()


def result(script: str, agents: str = "", **options: Any) -> Any:
    found = outcome(script, agents, **options)
    assert found["error"] is None
    return found["result"]


ASK = 'EVENT completion:async {agent_id: "a", prompt: "p"}'


class TestJson:
    def test_has_every_field(self) -> None:
        found = outcome("STATE x = 1\nTRACK {step: 1}\nEVENT my:event {n: x} AS r\nRETURN r")

        assert list(found) == [
            "status",
            "result",
            "variables",
            "events",
            "tracked",
            "decisions",
            "rules",
            "warnings",
            "error",
            "elapsed",
            "statements",
        ]
        assert found["status"] == "succeeded"
        assert found["result"] == {"status": "emitted"}
        assert found["variables"] == {"x": 1, "r": {"status": "emitted"}}
        assert found["events"] == [
            {
                "seq": 1,
                "at": 0,
                "name": "my:event",
                "data": {"n": 1},
                "reply": {"status": "emitted"},
                "branch": found["events"][0]["branch"],
                "line": 3,
            }
        ]
        assert found["tracked"] == [{"at": 0, "data": {"step": 1}, "line": 2}]
        assert found["statements"] == 4

    def test_places_a_runtime_error(self) -> None:
        found = play("STATE a = 1\nSTATE b = a / 0")

        error = found.to_json()["error"]
        assert (error["code"], error["line"]) == ("opl.run.division-by-zero", 2)
        assert found.exit_status == 1
        assert found.to_json()["result"] is None

    def test_has_only_diagnostics_where_nothing_could_run(self) -> None:
        found = play("STATE 1 = 1\nIF x")

        assert found.exit_status == 2
        assert list(found.to_json()) == ["diagnostics"]
        assert {each["line"] for each in found.to_json()["diagnostics"]} == {1, 2}

    def test_is_the_same_for_the_same_seed(self) -> None:
        script = "FOREACH i IN RANGE(5):\n  " + ASK + " AS r\n  TRACK {n: RANDOM(1, 100), s: r.score + 1}\n"

        one, other, third = (json.dumps(outcome(script, seed=seed)) for seed in (1, 1, 2))

        assert one == other
        assert one != third

    def test_warns_of_names_that_nothing_bound(self) -> None:
        (warning,) = outcome("IF missing == 3: WAIT 1\nSTATE y = missing")["warnings"]

        assert warning["line"] == 1
        assert "missing" in warning["message"]


class TestClock:
    def test_takes_no_time(self) -> None:
        start = time.perf_counter()

        found = outcome("WAIT 3600\nWAIT 0.5")

        assert found["elapsed"] == 3600.5
        assert time.perf_counter() - start < 2

    def test_answers_after_the_latency(self) -> None:
        found = outcome(
            f"{ASK} AS one\n{ASK} AS two\nRETURN ELAPSED()",
            "agents: {a: [{reply: x, latency: 2.5}, {reply: y}]}",
        )

        assert found["result"] == 3.5
        assert [event["at"] for event in found["events"]] == [0, 2.5]

    def test_gives_up_on_a_late_agent(self) -> None:
        reply = result(
            'EVENT completion:async {agent_id: "a", prompt: "p", timeout: 10} AS r\nRETURN r',
            "agents: {a: [{reply: x, latency: 11}]}",
        )

        assert reply["success"] is False
        assert reply["error"]["type"] == "timeout"
        assert reply["duration"] == 10

    def test_an_answer_at_the_instant_of_the_time_out_is_in_time(self) -> None:
        reply = result(
            'EVENT completion:async {agent_id: "a", prompt: "p", timeout: 10} AS r\nRETURN r.output',
            "agents: {a: [{reply: x, latency: 10}]}",
        )

        assert reply == "x"

    def test_an_await_sees_an_answer_before_its_timer(self) -> None:
        script = f"{ASK}\nAWAIT r TIMEOUT 5:\n  RETURN r.output\nRETURN null"

        assert result(script, "agents: {a: [{reply: x, latency: 5}]}") == "x"

    def test_ends_a_run_that_takes_too_long(self) -> None:
        found = outcome("WHILE true:\n  WAIT 3600")

        assert found["status"] == "failed"
        assert found["error"]["code"].startswith("opl.limit.")

    def test_overlaps_questions_to_one_agent(self) -> None:
        script = f"PARALLEL:\n  FOREACH i IN RANGE(3):\n    {ASK} AS r\nRETURN ELAPSED()"

        assert result(script, "agents: {a: [{reply: x, latency: 4}]}") == 4


class TestAgents:
    def test_merges_the_fields_of_an_answer(self) -> None:
        script = f"{ASK} AS r\nRETURN [r.success, r.vote, r.output, r.agent_id]"

        assert result(script, "agents: {a: [{reply: {vote: approve, success: false}}]}") == [
            True,
            "approve",
            {"vote": "approve", "success": False},
            "a",
        ]

    def test_opens_text_that_is_json(self) -> None:
        assert result(f"{ASK} AS r\nRETURN r.output + 1", "agents: {a: [{reply: '41'}]}") == 42

    def test_tells_an_error_as_a_value(self) -> None:
        script = f"{ASK} AS r\nRETURN r.error.type"

        assert result(script, "agents: {a: [{error: {type: refused, message: no}}]}") == "refused"

    def test_simulates_the_shape_that_is_read(self) -> None:
        script = f'{ASK} AS r\nIF r.vote == "approve": WAIT 1\nRETURN [r.vote, AVERAGE([r], x => x.quality_score)]'

        vote, score = result(script, seed=3)

        assert vote == "approve"
        assert 0 <= score <= 1

    def test_simulates_each_agent_apart(self) -> None:
        other = ASK.replace('"a"', '"b"')
        alone = outcome(f"{ASK} AS r\nRETURN r.score + 0")["result"]
        accompanied = outcome(f"{other} AS q\n{ASK} AS r\nRETURN r.score + 0")["result"]

        assert alone == accompanied

    def test_answers_events_from_the_file(self) -> None:
        agents = """
        events:
          optimization:async:
            - reply: {success: true, optimized_params: {parallelism: 4}}
          human:ask:
            - {reply: "no", latency: 60}
          my:event:
            - reply: 5
        """
        script = """
EVENT optimization:async {component: "x"} AS better
EVENT human:ask {question: "Go on?"} AS answer
EVENT my:event {} AS mine
RETURN [better.success, better.optimized_params, answer, mine, ELAPSED()]
"""

        assert result(script, agents) == [True, {"parallelism": 4}, "no", 5, 62]

    def test_asks_each_of_a_list(self) -> None:
        script = 'SEND {to: [anna, boris], message: "Hi"}\nAWAIT {from: [anna, boris], count: 2} AS rs\nRETURN MAP(rs, r => r.output)'

        assert result(script, "agents: {anna: [{reply: a}], boris: [{reply: b}]}") == ["a", "b"]

    def test_keeps_entities(self) -> None:
        script = """
EVENT state:entity:update {id: "p", properties: {a: 1}}
EVENT state:entity:update {id: "p", properties: {b: 2}} AS p
EVENT state:entity:get {id: "nothing"} AS none
RETURN [p.properties, none]
"""

        assert result(script) == [{"a": 1, "b": 2}, None]

    def test_logs_decisions(self) -> None:
        found = outcome('WAIT 2\nEVENT orchestrator:decision {decision_type: "stop", outcome: "good"}')

        assert found["decisions"] == [{"at": 2, "decision_type": "stop", "outcome": "good"}]


class TestPrimitives:
    def test_broadcasts_and_gathers(self) -> None:
        script = """
a = spawn_agent("judge", "to judge")
b = spawn_agent("judge", "to judge")
broadcast_task("Vote", [a, b, "c"])
responses = await_responses([a, b, "c"], 10)
return [a, b, MAP(responses, r => r.success), ELAPSED()]
"""
        agents = 'agents: {c: [{reply: late, latency: 60}], "*": [{reply: yes, latency: 3}]}'

        assert result(script, agents) == ["judge", "judge_2", [True, True, False], 10]

    def test_delegates(self) -> None:
        script = 'r = delegate_subtask("helper", "do it")\nreturn r.output'

        assert result(script, "agents: {helper: [{when: do it, reply: done}]}") == "done"

    def test_saves_a_state(self) -> None:
        script = "id = create_checkpoint({n: 1})\nsaved = rollback_to_checkpoint(id)\nreturn saved.n"

        assert result(script) == 1

    def test_does_not_go_on_for_ever(self) -> None:
        script = 'n = 0\nwhile should_continue("the results get better"):\n  n = n + 1\nreturn n'

        assert result(script) < 10

    def test_computes_conditions_over_tracked_values(self) -> None:
        script = """
n = 0
track {n: n}
while should_continue("n < 5"):
  n = n + 1
  track {n: n}
return [n, evaluate_results("n == 5").met]
"""

        assert result(script) == [5, True]

    def test_selects_one_of_the_options(self) -> None:
        assert result('return select_best(["a", "b"], "the shorter")') in ("a", "b")

    def test_asks_an_oracle(self) -> None:
        script = 'RETURN RATE_TONE("hello")'

        assert result(script, "agents: {oracle: [{when: RATE_TONE, reply: 0.25}]}") == 0.25
        assert isinstance(result(script), int | float)


class TestStuck:
    def test_is_stuck_where_nothing_can_happen_any_more(self) -> None:
        found = play("WHILE true:\n  AWAIT r TIMEOUT 0:\n    TRACK {r: r}")

        assert found.to_json()["status"] == "stuck"
        assert found.exit_status == 1
        assert found.to_json()["statements"] < 10_000

    def test_terminates(self) -> None:
        found = play('EVENT orchestration:request_termination {reason: "enough"}\nWAIT 5')

        assert found.to_json()["status"] == "terminated"
        assert found.to_json()["elapsed"] == 0
        assert found.exit_status == 1


MARKDOWN = """
# Two patterns

```
## First: one
RETURN 1
```

Text between.

```
## Second: two
WAIT 1
RETURN 1 / 0
```
"""


class TestChoosing:
    @pytest.mark.parametrize("wanted", ["1", "First: one", "first: ONE"])
    def test_takes_a_title_or_a_number(self, wanted: str) -> None:
        found = rehearse(MARKDOWN.encode(), file="two.md", script=wanted)

        assert found.to_json()["result"] == 1

    def test_tells_lines_of_the_file(self) -> None:
        found = rehearse(MARKDOWN.encode(), file="two.md", script="2")

        assert found.to_json()["error"]["line"] == 14

    @pytest.mark.parametrize("wanted", ["", "3", "Third"])
    def test_lists_the_scripts_where_none_is_meant(self, wanted: str) -> None:
        found = rehearse(MARKDOWN.encode(), file="two.md", script=wanted)

        assert found.exit_status == 2
        assert "2 Second: two" in found.problems[0].hint

    def test_says_that_prose_is_no_script(self) -> None:
        found = rehearse(b"# Only words\n\nNothing else.\n", file="words.md")

        assert found.exit_status == 2
        assert "no script" in found.problems[0].message

    def test_finds_the_script_in_a_yaml_document(self) -> None:
        document = "type: orchestration_pattern\nname: small\npattern:\n  dsl: |\n    STATE n = 2\n    RETURN n * m\nparameters:\n  type: object\n  properties:\n    m: {type: integer, default: 21}\n"

        found = rehearse(document.encode(), file="small.yaml")

        assert found.to_json().get("result") == 42, found.to_json()

    def test_finds_a_stage_by_its_title(self) -> None:
        document = 'type: orchestration_pattern\nname: flow\npattern:\n  orchestration_flow:\n    matching:\n      algorithm: |\n        if 1 < 2:\n          use "swiss_pairing"\n'

        found = rehearse(document.encode(), file="flow.yaml", script="matching / algorithm")

        assert found.to_json()["result"] == {"use": "swiss_pairing"}

    def test_refuses_bytes_that_are_no_text(self) -> None:
        assert rehearse(b"\xff\xfe\x00", file="x.opl").exit_status == 2


class TestInputs:
    SCRIPT = "STATE names = []\nRETURN names.length"

    def test_replace_constants(self) -> None:
        assert result(self.SCRIPT, inputs={"names": ["a", "b"]}) == 2

    @pytest.mark.parametrize(
        ("inputs", "message"),
        [({"name": 1}, "no input 'name'"), ({"names": "a"}, "is a string")],
    )
    def test_are_checked(self, inputs: dict[str, Any], message: str) -> None:
        found = play(self.SCRIPT, inputs=inputs)

        assert found.exit_status == 2
        assert message in found.problems[0].message

    def test_may_be_names_that_nothing_binds(self) -> None:
        assert result("RETURN tasks.length", inputs={"tasks": [1]}) == 1

    def test_feed_generated_tasks(self) -> None:
        found = outcome("STATE tasks = GENERATE_TASKS(2)\nRETURN tasks")

        assert [task["id"] for task in found["result"]] == ["task_1", "task_2"]


class TestLenient:
    SCRIPT = "STATE a = 1\nSTATE 5 = broken\nRETURN a"

    def test_runs_the_rest_and_says_what_it_left_out(self) -> None:
        found = outcome(self.SCRIPT, lenient=True)

        assert (found["status"], found["result"]) == ("succeeded", 1)
        assert [warning["line"] for warning in found["warnings"]] == [2]

    def test_is_off_by_itself(self) -> None:
        assert play(self.SCRIPT).exit_status == 2
