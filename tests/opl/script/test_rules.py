"""Adaptive rules inside the machine."""

from __future__ import annotations

from typing import Any

from opl.errors import Severity
from opl.script import compile_script
from tests.opl.script.driver import Driver, Outcome

RULE = {"condition": "variance(scores) < 0.1", "action": "harder", "rationale": "scores cluster", "line": 7}


def run(source: str, *rules: dict[str, Any], actions: dict[str, Any] | None = None) -> Outcome:
    compiled = compile_script(source, rules=rules, actions=actions)
    assert compiled.program is not None, compiled.problems
    return Driver(compiled.program).run()


class TestRules:
    def test_fire_when_their_condition_turns_true(self) -> None:
        """Once per turn from false to true, as an effect and as an event."""
        outcome = run(
            "FOREACH s IN [[1, 9], [5, 5], [5, 5], [1, 9], [2, 2]]:\n  TRACK {scores: s}",
            RULE,
        )

        assert [rule["condition"] for rule in outcome.rules] == [RULE["condition"]] * 2
        assert [event["name"] for event in outcome.events] == ["rule:fired", "rule:fired"]
        assert outcome.events[0]["data"] == {
            "condition": RULE["condition"],
            "action": "harder",
            "rationale": "scores cluster",
        }
        assert outcome.rules[0]["line"] == 7

    def test_wait_until_all_their_names_are_tracked(self) -> None:
        """A name that was not tracked keeps a rule silent, even where null would make it true."""
        rule = {**RULE, "condition": "failures == 0 AND total > 1"}
        outcome = run("TRACK {failures: 0}\nTRACK {total: 5}", rule)

        assert len(outcome.rules) == 1

    def test_set_what_their_action_is_mapped_to(self) -> None:
        """{set: …} assigns to the script's variables, over tracked values and variables."""
        outcome = run(
            "STATE difficulty = 1\nTRACK {scores: [1, 1]}\nEVENT level {difficulty: difficulty}",
            RULE,
            actions={"harder": {"set": {"difficulty": "difficulty + scores.length"}}},
        )

        assert outcome.variables["difficulty"] == 3
        assert outcome.events[-1]["data"] == {"difficulty": 3}

    def test_leave_a_strategy_to_the_driver(self) -> None:
        """{use: …} stands in the effect."""
        outcome = run("TRACK {scores: [1, 1]}", RULE, actions={"harder": {"use": "swiss_pairing"}})

        assert outcome.rules[0]["use"] == "swiss_pairing"

    def test_in_prose_are_kept_for_an_orchestrator(self) -> None:
        """A condition that is no expression is a note, and never fires."""
        compiled = compile_script("TRACK {x: 1}", rules=[{**RULE, "condition": "when scores seem to cluster"}])

        assert [(p.code, p.severity) for p in compiled.problems] == [("opl.script.rule-prose", Severity.NOTE)]
        assert compiled.program is not None
        assert compiled.program["rules"][0]["test"] is None
        assert Driver(compiled.program).run().rules == []

    def test_that_fail_to_evaluate_are_warned_of(self) -> None:
        """A type error in a condition is no error of the run."""
        outcome = run("TRACK {scores: 5}", {**RULE, "condition": "scores < 'x'"})

        assert outcome.status == "succeeded"
        assert outcome.warnings[0]["code"] == "opl.run.rule"

    def test_take_numbers_with_units(self) -> None:
        """30s, 5min and 30% are numbers."""
        outcome = run("TRACK {wait: 400, rate: 0.2}", {**RULE, "condition": "wait > 5min AND rate < 30%"})

        assert len(outcome.rules) == 1

    def test_have_their_actions_checked(self) -> None:
        """An action that sets what is no expression is an error."""
        compiled = compile_script("TRACK {x: 1}", rules=[RULE], actions={"harder": {"set": {"x": "a b"}}})

        assert compiled.program is None
        assert compiled.problems[-1].code == "opl.script.rule-action"
