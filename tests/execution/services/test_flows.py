"""Flows: stages in order, and strategies that a stage or a rule chooses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from execution.models import Run
from execution.worker import run_until_idle
from registry.models import Outcome, PatternVersion
from registry.services import libraries
from tests.execution.factories import NOW, Clock, make_user
from tests.execution.services.test_guiding import publish, start
from tests.execution.test_crashes import crash_at, work

pytestmark = pytest.mark.django_db(transaction=True)

LIBRARY = Path(__file__).resolve().parents[3] / "library"
FLOW = """
type: orchestration_pattern
name: ladder
version: 1.0.0
parameters:
  type: object
  properties:
    participants: {type: array, default: [ann, bo, cy]}
    spread: {type: number, default: 0.1}
pattern:
  RULES
  orchestration_flow:
    prepare:
      spawn: |
        STATE rounds = 1
        TRACK {spread: spread}
    match:
      algorithm: |
        IF spread < 0.2:
          USE "swiss_pairing"
        ELSE:
          USE "round_robin"
        STATE skipped = true
    close:
      report: |
        RETURN {winner: strategy.winner, ranking: LENGTH(strategy.ranking), skipped: skipped, rounds: rounds}
"""
RULE = """adaptive_rules:
    - {condition: "spread > 5", action: knock_out, rationale: far apart}
  actions:
    knock_out: {use: elimination}"""


@pytest.fixture
def user() -> Any:
    libraries.load(folder=LIBRARY, now=NOW)
    return make_user()


def run(flow: str, user: Any, clock: Clock, **inputs: Any) -> Run:
    made = start(publish(flow, user), user=user, inputs=inputs)
    run_until_idle(clock=clock)
    return Run.objects.get(pk=made.pk)


OWN = (
    FLOW.replace("RULES", RULE)
    + """
strategies:
  swiss_pairing: |
    STATE participants = []
    STATE bonus = 1
    RETURN {winner: FIRST(REVERSE(participants)), ranking: participants, bonus: bonus}
  elimination: |
    RETURN {winner: "nobody", ranking: []}
success_when: "ranking >= 0"
"""
)


class TestOwnStrategies:
    def test_go_before_those_of_the_library(self, user: Any, clock: Clock) -> None:
        found = run(OWN, user, clock)

        assert found.status == "succeeded", found.error
        assert found.result_value()["winner"] == "cy"
        child = found.children.get()
        assert child.version_id == found.version_id and child.input_values()["participants"] == ["ann", "bo", "cy"]
        assert child.succeeded and child.policy["strategy"] == "swiss_pairing"

    def test_leave_the_others_to_the_library(self, user: Any, clock: Clock) -> None:
        found = run(OWN, user, clock, spread=0.9)

        assert found.children.get().version.pattern.name == "strategy-round_robin"

    def test_are_chosen_by_rules_too(self, user: Any, clock: Clock) -> None:
        assert run(OWN, user, clock, spread=9).result_value()["winner"] == "nobody"

    def test_count_in_no_rate_of_their_pattern(self, user: Any, clock: Clock) -> None:
        found = run(OWN, user, clock)

        assert list(Outcome.objects.values_list("run_key", flat=True)) == [str(found.pk)]

    def test_are_played_in_a_rehearsal(self, user: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "flow.yaml"
        path.write_text(OWN)

        call_command("rehearse", str(path), "--json")

        assert json.loads(capsys.readouterr().out)["result"]["winner"] == "cy"

    def test_survive_a_crash_at_any_place(self, user: Any, clock: Clock) -> None:
        for place in ("before-advance-commits", "advanced"):
            for time in (1, 2, 3):
                made = start(publish(OWN.replace("1.0.0", f"1.{time}.{len(place)}"), user), user=user)
                crash_at(place, time)
                work(clock)
                for _ in range(3):
                    clock.forward(10)
                    work(clock)
                found = Run.objects.get(pk=made.pk)
                assert found.result_value()["winner"] == "cy" and found.children.count() == 1


class TestFlow:
    def test_runs_the_chosen_strategy_with_its_variables(self, user: Any, clock: Clock) -> None:
        found = run(FLOW.replace("RULES", ""), user, clock)

        assert found.status == "succeeded", found.error
        child = found.children.get()
        assert child.version.pattern.name == "strategy-swiss_pairing"
        assert child.input_values() == {"participants": ["ann", "bo", "cy"], "rounds": 1}
        result = found.result_value()
        assert result["winner"] in ("ann", "bo", "cy") and result["ranking"] == 3 and result["rounds"] == 1

    def test_leaves_the_rest_of_a_stage_that_used_a_strategy(self, user: Any, clock: Clock) -> None:
        assert run(FLOW.replace("RULES", ""), user, clock).result_value()["skipped"] is None

    def test_takes_the_other_branch(self, user: Any, clock: Clock) -> None:
        found = run(FLOW.replace("RULES", ""), user, clock, spread=0.9)

        assert found.children.get().version.pattern.name == "strategy-round_robin"

    def test_follows_a_rule_that_chose_another_strategy(self, user: Any, clock: Clock) -> None:
        found = run(FLOW.replace("RULES", RULE), user, clock, spread=9)

        assert found.children.get().version.pattern.name == "strategy-elimination"

    def test_fails_where_there_is_no_such_strategy(self, user: Any, clock: Clock) -> None:
        found = run(FLOW.replace("RULES", "").replace("swiss_pairing", "coin_toss"), user, clock)

        assert found.status == "failed" and "strategy-coin_toss" in found.error["message"]

    def test_of_the_seeds_is_executable(self, user: Any) -> None:
        found = publish(FLOW.replace("RULES", ""), user)

        assert PatternVersion.objects.get(pk=found.pk).mode == "executable"
