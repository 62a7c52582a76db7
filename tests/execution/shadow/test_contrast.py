"""Contrasts: their signs, their bounds, and the guardrail read off a contrast."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.shadow.contrast import (
    RULES,
    Metric,
    contrasts_of,
    difference,
    guard_contrast,
    relative_saving,
)
from execution.shadow.observation import Observation, mean_observation

amounts = st.floats(min_value=0.0, max_value=1e300)


class TestRules:
    def test_are_those_of_the_specification(self):
        found = {metric.value: (rule.clip, rule.margin) for metric, rule in RULES.items()}

        assert found == {
            "success": (1.0, 0.10),
            "quality": (0.5, 0.05),
            "preference": (1.0, 0.10),
            "cost": (0.5, 0.25),
            "tokens": (0.5, 0.25),
            "latency": (0.5, 0.25),
        }


class TestRelativeSaving:
    def test_is_positive_for_a_cheaper_candidate(self):
        assert relative_saving(3.0, 1.0) == 0.5
        assert relative_saving(1.0, 3.0) == -0.5

    def test_of_two_zeros_is_none(self):
        assert relative_saving(0.0, 0.0) == 0.0

    @given(control=amounts, candidate=amounts)
    def test_stays_between_minus_one_and_one(self, control, candidate):
        found = relative_saving(control, candidate)

        assert -1.0 <= found <= 1.0
        assert found == -relative_saving(candidate, control) + 0.0


class TestGuardContrast:
    @given(control=st.floats(0.01, 100), candidate=st.floats(0.01, 100), tolerance=st.floats(0.01, 2))
    def test_is_the_contrast_against_the_dearer_control(self, control, candidate, tolerance):
        plain = (control - candidate) / (control + candidate)
        allowed = (1 + tolerance) * control

        assert guard_contrast(plain, tolerance) == pytest.approx(
            (allowed - candidate) / (allowed + candidate), abs=1e-9
        )

    def test_is_nothing_for_a_candidate_exactly_as_dear_as_allowed(self):
        assert guard_contrast(relative_saving(100.0, 125.0), 0.25) == pytest.approx(0.0, abs=1e-6)

    def test_speaks_for_a_candidate_that_costs_the_same(self):
        assert guard_contrast(0.0, 0.25) == pytest.approx(0.25 / 2.25)


class TestContrastsOf:
    def test_covers_every_metric_that_was_measured(self):
        control = Observation(success=0.0, seconds=2.0, tokens=100, cost=0.02)
        candidate = Observation(success=1.0, quality=0.9, seconds=1.0, tokens=300, cost=0.02)

        found = contrasts_of(control, candidate, preference=1)

        assert found == {
            "success": 1.0,
            "quality": 0.9,  # the failed control was never scored: quality 0
            "preference": 1.0,
            "cost": 0.0,
            "tokens": -0.5,
            "latency": 0.333333,
        }

    def test_leaves_out_quality_that_nobody_scored(self):
        one = Observation(success=1.0)

        assert set(contrasts_of(one, one)) == {"success", "cost", "tokens", "latency"}

    def test_has_no_negative_zero(self):
        assert math.copysign(1.0, difference(0.5, 0.5)) == 1.0
        assert Metric.SUCCESS == "success"


class TestMeanObservation:
    def test_makes_several_runs_of_one_input_one_observation(self):
        runs = [
            Observation(success=1.0, quality=0.8, cost=0.2),
            Observation(success=0.0, cost=0.4, error="hung"),
        ]

        found = mean_observation(runs)

        assert (found.success, found.quality, found.runs, found.error) == (0.5, 0.4, 2, "hung")
        assert found.cost == pytest.approx(0.3)

    def test_needs_a_run(self):
        with pytest.raises(ValueError, match="at least one"):
            mean_observation([])

    @pytest.mark.parametrize(
        "wrong", [{"success": 1.5}, {"success": 1, "quality": -1}, {"success": 1, "cost": math.nan}]
    )
    def test_refuses_numbers_that_no_run_can_have(self, wrong):
        with pytest.raises(ValueError, match="is"):
            Observation(**wrong)
