"""What a trial is expected to take; simulated and measured runs never in one number."""

from __future__ import annotations

from typing import Any

import pytest

from execution.models import Run
from execution.services import trial_plans
from registry.models import PatternVersion
from tests.execution.factories import make_run
from tests.execution.trials import good_on

pytestmark = pytest.mark.django_db


def ended(version: PatternVersion, cost: int, **fields: Any) -> None:
    """An ended run of the version that cost so many millionths."""
    run = make_run(version=version, inputs={"n": 1})
    Run.objects.filter(pk=run.pk).update(status="succeeded", cost_used=cost, tokens_used=cost // 10, **fields)


class TestExpectation:
    def test_takes_the_cost_of_measured_runs_only(self) -> None:
        control = good_on(4)
        ended(control, 1_000, simulated=False)
        for _ in range(3):
            ended(control, 900_000, simulated=True)

        takes = trial_plans.expectation(control=control)

        assert takes.cost_usd == pytest.approx(2 * takes.pairs * 0.001)
        assert takes.tokens == pytest.approx(2 * takes.pairs * 100)

    def test_of_a_simulated_trial_is_told_by_simulated_runs_only(self) -> None:
        control = good_on(4)
        ended(control, 1_000, simulated=False)
        ended(control, 500_000, simulated=True)

        takes = trial_plans.expectation(control=control, simulated=True)

        assert takes.cost_usd == pytest.approx(2 * takes.pairs * 0.5)

    def test_is_unknown_where_only_simulated_runs_are_known(self) -> None:
        control = good_on(4)
        ended(control, 500_000, simulated=True)

        assert trial_plans.expectation(control=control).cost_usd is None

    def test_leaves_out_runs_of_trials_whose_recorded_answers_cost_nothing(self) -> None:
        control = good_on(4)
        ended(control, 1_000, simulated=False)
        ended(control, 0, simulated=False, queue="trials")

        takes = trial_plans.expectation(control=control)

        assert takes.cost_usd == pytest.approx(2 * takes.pairs * 0.001)
