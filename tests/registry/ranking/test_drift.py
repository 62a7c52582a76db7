"""Half-life, changes, and what is inherited."""

import random

import pytest

from registry.ranking.drift import current, decayed, inherited, last_change
from registry.ranking.rates import Counts


class TestDecayed:
    def test_halves_a_run_after_a_hundred_others(self):
        days = [Counts(successes=1, runs=1), *[Counts(runs=1)] * 100]

        assert decayed(days).successes == pytest.approx(0.5)

    def test_is_the_same_run_by_run_or_day_by_day(self):
        runs = [Counts(successes=1, runs=1)] * 7
        per_day = [Counts(successes=3, runs=3), Counts(), Counts(successes=4, runs=4)]

        assert decayed(per_day).runs == pytest.approx(decayed(runs).runs)

    def test_weighs_at_most_one_and_a_half_half_lives(self):
        """Σ 2^(−i/100) over all i is 144.8 runs."""
        assert decayed([Counts(successes=10, runs=10)] * 1000).runs == pytest.approx(144.77, abs=0.5)

    def test_of_nothing_is_nothing(self):
        assert decayed([]) == Counts()


class TestInherited:
    @pytest.mark.parametrize(("runs", "weight"), [(0, 0.0), (8, 2.0), (80, 20.0), (1000, 20.0)])
    def test_is_a_quarter_and_at_most_twenty_runs(self, runs, weight):
        found = inherited(Counts(successes=runs * 0.75, runs=runs))

        assert found.runs == pytest.approx(weight)
        assert found.successes == pytest.approx(0.75 * weight)


class TestLastChange:
    def test_is_none_while_the_rate_stays(self):
        alarms = sum(last_change(drawn([(0.7, 100)], seed)) > 0 for seed in range(40))

        assert alarms <= 1

    @pytest.mark.parametrize(("before", "after"), [(0.9, 0.4), (0.4, 0.9)])
    def test_is_the_day_on_which_the_rate_changed(self, before, after):
        for seed in range(10):
            assert abs(last_change(drawn([(before, 40), (after, 20)], seed)) - 40) <= 3

    def test_finds_the_last_of_several(self):
        assert abs(last_change(drawn([(0.9, 40), (0.3, 40), (0.9, 20)], 5)) - 80) <= 3

    @pytest.mark.parametrize("days", [[], [Counts()] * 30, [Counts(successes=3, runs=3)] * 5])
    def test_needs_enough_to_compare_with(self, days):
        assert last_change(days) == 0

    def test_copes_with_rates_of_nothing_and_all(self):
        days = [Counts(runs=10)] * 20 + [Counts(successes=10, runs=10)] * 20 + [Counts(runs=10)] * 20

        assert last_change(days) == 40


class TestCurrent:
    def test_forgets_what_was_before_a_change_and_what_was_inherited(self):
        days = drawn([(0.9, 40), (0.3, 30)], 8)

        found = current(days, parent=Counts(successes=100, runs=100))

        assert found.rate == pytest.approx(0.3, abs=0.1)

    def test_of_a_new_version_is_its_inheritance(self):
        assert current([], parent=Counts(successes=30, runs=40)) == Counts(successes=7.5, runs=10.0)

    def test_of_a_fork_is_nothing(self):
        assert current([]) == Counts()


def drawn(regimes, seed, per_day=10):
    """Days of ten runs: (rate, days) after (rate, days)."""
    rng = random.Random(seed)
    return [
        Counts(successes=sum(rng.random() < rate for _ in range(per_day)), runs=per_day)
        for rate, days in regimes
        for _ in range(days)
    ]
