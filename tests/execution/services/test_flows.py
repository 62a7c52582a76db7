"""Flows: stages in order, and strategies that a stage or a rule chooses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from execution.models import Run
from execution.worker import run_until_idle
from registry.models import PatternVersion
from registry.services import libraries
from tests.execution.factories import NOW, Clock, make_user
from tests.execution.services.test_guiding import publish, start

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
