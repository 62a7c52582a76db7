"""The group-sequential mode: published boundaries, its looks, and its error."""

import random

import pytest

from execution.shadow.assessment import assess
from execution.shadow.eprocess import Wealth
from execution.shadow.plan import Mode, TrialPlan
from execution.shadow.scheduled import boundaries, spent, z_value

from .builders import pairs_of

PLAN = TrialPlan.of_profile("standard", metrics=("success",), mode=Mode.SCHEDULED)


class TestBoundaries:
    def test_are_those_that_are_published(self):
        """Five equal looks, one-sided 2.5 %, O'Brien–Fleming spending (Lan & DeMets 1983 and after)."""
        found = boundaries((80, 160, 240, 320, 400), 0.025)

        assert found == pytest.approx((4.8769, 3.3569, 2.6803, 2.2898, 2.0310), abs=5e-4)

    def test_of_one_look_is_the_normal_quantile(self):
        assert boundaries((100,), 0.05) == pytest.approx((1.6449,), abs=1e-4)

    def test_spend_all_of_the_error_by_the_end(self):
        assert spent(0.05, 1.0) == pytest.approx(0.05)
        assert spent(0.05, 0.2) < 0.0001


class TestScheduledTrial:
    def test_decides_nothing_between_looks(self):
        found = assess(PLAN, pairs_of([1] * 79))

        assert found.verdict.outcome == "needs_more"

    def test_decides_at_a_look(self):
        found = assess(PLAN, pairs_of([1, 0] * 100))

        assert (found.verdict.outcome, found.verdict.position) == ("promote", 80)

    def test_ends_at_the_last_look(self):
        found = assess(PLAN, pairs_of([1, -1, 0, 0, 1, 0, 0, -1, 0, 0] * 40))

        assert found.verdict.outcome in ("reject_futile", "inconclusive")

    def test_is_not_fooled_by_a_run_of_ties(self):
        """Without pseudo-pairs, twenty ties would have no variance and prove anything."""
        wealth = Wealth(bound=1.0, null=-0.1).observe(0.0, times=20)

        assert z_value(wealth) == pytest.approx(1.483, abs=1e-3)

    def test_keeps_its_error_rate(self):
        rng, wrong, trials = random.Random(11), 0, 300
        for _ in range(trials):
            contrasts = rng.choices((1, -1, 0), (0.2, 0.2, 0.6), k=400)
            wrong += assess(PLAN, pairs_of(contrasts)).verdict.outcome == "promote"

        assert wrong / trials <= 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5
