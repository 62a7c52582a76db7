"""The promises of the verdict, simulated: quickly here, at length in the benchmarks."""

import numpy as np
import pytest

from benchmarks.verification import (
    OUTCOMES,
    SCENARIOS,
    Scenario,
    Stake,
    draw,
    finishing_times,
    look,
    run,
    simulate,
    table,
)
from execution.shadow.assessment import Pair, assess
from execution.shadow.contrast import Metric, guard_contrast
from execution.shadow.plan import TrialPlan
from execution.shadow.selfcheck import Check, self_check

PLAN = TrialPlan.of_profile("standard")


class TestSelfCheck:
    def test_finds_the_promises_kept(self):
        found = self_check(trials=150, seed=3, clock=lambda: 0.0)

        assert found.good, [check.sentence for check in found.checks]
        assert found.type_i_error <= 0.06 and found.power >= 0.97
        assert found.seconds == 0.0

    def test_is_the_same_for_the_same_seed(self):
        assert self_check(trials=20, clock=lambda: 0.0) == self_check(trials=20, clock=lambda: 0.0)

    def test_says_so_when_a_promise_is_broken(self):
        broken = Check(name="A/A", promoted=0.3, pairs=50, bound=0.02, at_least=False, good=False)

        assert "NOT as promised" in broken.sentence

    def test_does_not_call_what_is_beyond_a_bound_as_promised(self):
        few = Check(name="A/A", promoted=0.1, pairs=50, bound=0.02, at_least=False, good=True)

        assert few.sentence.endswith("beyond it by no more than chance")


class TestBenchmark:
    @pytest.mark.parametrize("scenario", SCENARIOS[:3], ids=lambda scenario: scenario.name)
    def test_simulates_the_rules_that_judge_real_trials(self, scenario):
        """The vectorised rules and ``assess`` end the same trials in the same way after the same pairs."""
        trials = 30
        pairs = draw(scenario, PLAN, trials, np.random.default_rng(9))
        whole = [[pair_at(pairs, trial, n) for n in range(PLAN.n_max)] for trial in range(trials)]
        ends = [assess(PLAN, every).verdict for every in whole]

        fast = list(run(scenario, PLAN, trials, np.random.default_rng(9)))

        assert sorted((end.outcome.value, end.position) for end in ends) == sorted(fast)

    def test_keeps_the_three_figures_of_the_specification(self):
        found = simulate(1000)
        equal, worse, better, finished = found.values()

        assert equal["promote"] <= 0.02 + 3 * (0.02 * 0.98 / 1000) ** 0.5
        assert worse["promote"] <= 0.05 + 3 * (0.05 * 0.95 / 1000) ** 0.5
        assert better["promote"] >= 0.99 - 3 * (0.01 * 0.99 / 1000) ** 0.5
        assert better["pairs_to_promotion"] <= 90 + 5
        assert finished["promote"] > 0.9
        assert "| A/A |" in table(found)

    def test_is_the_same_every_time(self):
        assert simulate(50) == simulate(50)

    def test_accounts_for_every_trial(self):
        for row in simulate(200).values():
            assert sum(row[outcome] for outcome in OUTCOMES) == pytest.approx(1.0)

    def test_lets_a_free_worker_take_the_next_pair(self):
        seconds = np.array([[5.0, 1.0, 1.0, 1.0]])

        assert finishing_times(seconds, 2).tolist() == [[5.0, 1.0, 2.0, 3.0]]
        assert finishing_times(seconds, 1).tolist() == [[5.0, 6.0, 7.0, 8.0]]

    def test_draws_equal_arms_for_an_equal_candidate(self):
        equal = Scenario(name="equal", control_rate=0.7, candidate_rate=0.7)
        pairs = draw(equal, PLAN, 500, np.random.default_rng(2))

        assert abs(pairs[Metric.SUCCESS].mean()) < 0.01
        assert abs(pairs[Metric.COST].mean()) < 0.01

    def test_looks_at_guardrails_as_the_plan_does(self):
        kept = next(test for test in PLAN.processes() if test.name == "cost/noninferior")
        stake = Stake(kept, 1)
        stake.observe(np.array([0.1]))

        assert kept.value_of(0.1) == pytest.approx(guard_contrast(0.1, 0.25))
        assert stake.e[0] > 1.0
        assert set(look(PLAN, all_stakes(1), 1)) == set(OUTCOMES)


def pair_at(pairs, trial, n):
    contrasts = {metric.value: float(values[trial, n]) for metric, values in pairs.items()}
    return Pair(position=n + 1, contrasts={**contrasts, "tokens": 0.0})


def all_stakes(trials):
    return {test.name: Stake(test, trials) for test in PLAN.processes()}
