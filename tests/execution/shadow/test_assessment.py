"""Walking a trial: order, stopping, merging, and the curve."""

import random
from dataclasses import replace

import pytest

from execution.shadow.assessment import MOST_CURVE_POINTS, Course, assess, thresholds
from execution.shadow.errors import MergeRefused, PairConflict, PlanInvalid
from execution.shadow.evidence import Evidence, collect
from execution.shadow.plan import Guardrail, Metric, Mode, TrialPlan
from execution.shadow.planning import discordance, expected_pairs, pairs_to_prove
from execution.shadow.report import pool

from .builders import SUCCESS_ONLY, noisy_pairs, pairs_of

PLAN = TrialPlan.of_profile("standard", strata=("short", "long"))


class TestAssess:
    def test_reads_pairs_in_the_order_of_enrolment_however_they_come(self):
        pairs = noisy_pairs(300)
        shuffled = pairs[:]
        random.Random(7).shuffle(shuffled)

        assert assess(PLAN, shuffled) == assess(PLAN, pairs)

    def test_leaves_out_what_lies_behind_the_verdict(self):
        pairs = noisy_pairs(300)
        first = assess(PLAN, pairs).verdict

        worse_after = [replace(p, contrasts={"success": -1.0}) if p.position > first.position else p for p in pairs]

        assert first.outcome == "promote"
        assert assess(PLAN, worse_after).verdict == first

    def test_refuses_a_gap(self):
        with pytest.raises(PairConflict):
            assess(PLAN, [pair for pair in noisy_pairs(10) if pair.position != 4])

    def test_refuses_a_pair_that_is_there_twice(self):
        pairs = noisy_pairs(10)

        with pytest.raises(PairConflict):
            assess(PLAN, [*pairs, pairs[4]])

    def test_draws_a_curve_that_ends_at_the_verdict(self):
        found = assess(PLAN, noisy_pairs(300))

        assert found.curve[-1].position == found.verdict.position
        assert found.curve[-1].superiority >= thresholds(PLAN)["superiority"]
        assert len(found.curve) <= MOST_CURVE_POINTS

    def test_estimates_every_metric(self):
        found = assess(PLAN, noisy_pairs(300)).estimates

        assert set(found) == {"success", "cost", "tokens", "latency"}
        assert all(e.interval.low <= e.mean <= e.interval.high for e in found.values())

    def test_of_no_pairs_needs_more(self):
        found = assess(PLAN, [])

        assert (found.verdict.outcome, found.curve) == ("needs_more", ())


class TestCourse:
    def test_agrees_with_the_whole_after_every_pair(self):
        pairs, course = noisy_pairs(40), Course(PLAN)

        for n, pair in enumerate(pairs, 1):
            course.feed(pair)
            assert course.assessment() == assess(PLAN, pairs[:n])

    def test_listens_no_more_after_the_verdict(self):
        course = Course(SUCCESS_ONLY)
        for pair in pairs_of([-1] * 30):
            course.feed(pair)
        before = course.assessment()

        course.feed(pairs_of([1])[0])

        assert course.assessment() == before


class TestMerging:
    def test_of_parts_is_the_pooled_trial(self):
        pairs = noisy_pairs(120)
        first, second, third = pairs[:50], pairs[50:51], pairs[51:]

        merged = collect(PLAN, third) + collect(PLAN, first) + collect(PLAN, second)

        assert merged == collect(PLAN, pairs)
        assert merged == pool(PLAN, [first, second, third])

    def test_with_nothing_changes_nothing(self):
        evidence = collect(PLAN, noisy_pairs(20))

        assert evidence + Evidence.empty(PLAN) == evidence

    def test_refuses_an_input_that_is_in_both(self):
        pairs = noisy_pairs(20)

        with pytest.raises(MergeRefused):
            pool(PLAN, [pairs[:11], pairs[10:]])

    def test_refuses_inputs_without_a_name(self):
        with pytest.raises(MergeRefused):
            pool(PLAN, [[replace(pair, input_id="") for pair in noisy_pairs(2)]])

    def test_refuses_evidence_of_another_margin(self):
        other = replace(SUCCESS_ONLY, margin=0.05)

        with pytest.raises(MergeRefused):
            collect(SUCCESS_ONLY, pairs_of([1])) + collect(other, pairs_of([1]))


class TestPlan:
    @pytest.mark.parametrize(
        ("profile", "margin", "n_max"),
        [("quick", 0.15, 200), ("standard", 0.10, 400), ("strict", 0.05, 2000)],
    )
    def test_profiles_are_those_of_the_specification(self, profile, margin, n_max):
        plan = TrialPlan.of_profile(profile)

        assert (plan.margin, plan.n_max, plan.alpha, plan.beta, plan.n_min) == (margin, n_max, 0.05, 0.10, 20)

    @pytest.mark.parametrize(
        ("field", "wrong"),
        [
            ("alpha", {"alpha": 0.0}),
            ("beta", {"beta": 1.0}),
            ("margin", {"margin": 1.0}),
            ("n_max", {"n_max": 10}),
            ("metrics", {"metrics": ("cost",)}),
            ("metrics", {"metrics": ("success", "success")}),
            ("primary", {"primary": ("quality",)}),
            ("guardrails", {"guardrails": (Guardrail(metric=Metric.SUCCESS, margin=0.1),)}),
            ("guardrails.cost", {"guardrails": (Guardrail(metric=Metric.COST, margin=0.0),)}),
            ("effects.cost", {"effects": {"cost": 0.9}}),
            ("strata", {"strata": ("a", "a")}),
            ("looks", {"mode": Mode.SCHEDULED, "looks": (100, 50, 400)}),
            ("looks", {"mode": Mode.SCHEDULED, "looks": (100, 200)}),
        ],
    )
    def test_refuses_what_no_trial_can_run_with(self, field, wrong):
        with pytest.raises(PlanInvalid) as refused:
            TrialPlan(**wrong)

        assert refused.value.field == field

    def test_knows_its_profiles_and_metrics(self):
        with pytest.raises(PlanInvalid, match="quick, standard, strict"):
            TrialPlan.of_profile("sloppy")
        with pytest.raises(PlanInvalid, match="success"):
            TrialPlan.of_profile("quick", metrics=("beauty",))


class TestPlanning:
    def test_expects_fewer_pairs_for_a_larger_effect(self):
        few, many = (expected_pairs(PLAN, effect=effect) for effect in (0.3, 0.15))

        assert PLAN.n_min <= few < many <= PLAN.n_max

    def test_expects_about_what_the_simulation_finds(self):
        """The benchmark's +20 points take 88 pairs on average."""
        assert 60 <= expected_pairs(TrialPlan.of_profile("standard"), effect=0.2, agreement=0.3) <= 120

    def test_knows_when_no_number_of_pairs_would_do(self):
        assert pairs_to_prove({-1.0: 0.5, 0.0: 0.5}, bound=1.0, null=0.0, level=0.05) is None

    def test_discordance_lies_between_independent_and_nested_failures(self):
        assert discordance(0.6, 0.8, 0.0) == pytest.approx((0.32, 0.12))
        assert discordance(0.6, 0.8, 1.0) == pytest.approx((0.2, 0.0))
