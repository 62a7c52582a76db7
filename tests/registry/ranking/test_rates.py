"""Intervals, shrinkage, and claims that nobody can have measured."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from registry.ranking import rates
from registry.ranking.rates import (
    Counts,
    claim_is_possible,
    lower_quantile,
    rate_in_words,
    rating_mean,
    robbins_interval,
    shrunk_mean,
    total,
    wilson_interval,
)

counts = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


class TestWilson:
    @given(counts)
    def test_agrees_with_scipy(self, count):
        k, n = count
        expected = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")

        assert wilson_interval(k, n) == pytest.approx((expected.low, expected.high), abs=1e-12)

    def test_of_no_runs_is_everything(self):
        assert wilson_interval(0, 0) == (0.0, 1.0)


class TestShrinkage:
    def test_pulls_few_runs_towards_the_prior(self):
        assert shrunk_mean(1, 1) == pytest.approx(0.6)
        assert shrunk_mean(900, 1000) == pytest.approx(0.9, abs=0.002)

    def test_sorts_the_well_proven_before_the_lucky(self):
        lucky, proven = lower_quantile(3, 3), lower_quantile(90, 100)

        assert lucky < proven

    def test_is_the_lower_quantile_of_the_posterior(self):
        expected = stats.beta.ppf(0.1, 7 + 4 * 0.6, 3 + 4 * 0.4)

        assert lower_quantile(7, 10, prior=0.6) == pytest.approx(expected, rel=1e-10)

    @pytest.mark.parametrize(("prior", "expected"), [(0.0, 0.0), (1.0, 1.0)])
    def test_of_a_certain_prior_alone_is_certain(self, prior, expected):
        assert lower_quantile(0, 0, prior=prior) == expected

    def test_of_stars_starts_in_the_middle(self):
        assert rating_mean(0, 0) == 3.0
        assert rating_mean(5, 1) == pytest.approx(20 / 6)


class TestRobbins:
    @given(counts)
    def test_ends_are_where_the_mixture_reaches_alpha(self, count):
        k, n = count
        low, high = robbins_interval(k, n)

        for end, certain in ((low, 0.0), (high, 1.0)):
            if end != certain:
                mixture = (n + 1) * stats.binom.pmf(k, n, end)
                assert mixture == pytest.approx(0.05, rel=1e-6)
        assert low <= k / n <= high

    def test_is_wider_than_an_interval_for_one_look(self):
        low, high = robbins_interval(60, 100)
        once_low, once_high = wilson_interval(60, 100)

        assert low < once_low and once_high < high

    def test_covers_the_rate_at_every_look_together(self):
        rng, missed = random.Random(6), 0
        for _ in range(200):
            k = 0
            for n in range(1, 151):
                k += rng.random() < 0.7
                low, high = robbins_interval(k, n)
                if not low <= 0.7 <= high:
                    missed += 1
                    break

        assert missed <= 16  # 5 % of 200 is 10

    def test_of_no_runs_is_everything(self):
        assert robbins_interval(0, 0) == (0.0, 1.0)

    def test_refuses_impossible_counts(self):
        with pytest.raises(ValueError, match="3 of 2"):
            robbins_interval(3, 2)


class TestWords:
    @pytest.mark.parametrize(
        ("k", "n", "words"),
        [
            (0, 0, "no runs yet"),
            (1, 1, "1 run, not rated"),
            (4, 4, "4 runs, not rated"),
            (7, 9, "7 of 9 runs (45 to 94 %)"),
        ],
    )
    def test_rate_nothing_under_five_runs(self, k, n, words):
        assert rate_in_words(k, n) == words


class TestClaims:
    @pytest.mark.parametrize(
        ("rate", "runs"),
        [(0.87, 15), (0.89, 28), (0.333, 3), (1 / 3, 3), (1.0, 4), (0.0, 4), (0.5, 2), (0.1, 10)],
    )
    def test_are_possible_when_some_count_gives_them(self, rate, runs):
        assert claim_is_possible(rate, runs)

    @pytest.mark.parametrize(
        ("rate", "runs"),
        [(0.95, 7), (0.5, 3), (0.34, 3), (0.999, 10), (1.2, 10), (-0.1, 5), (math.nan, 5), (0.5, 0)],
    )
    def test_are_impossible_otherwise(self, rate, runs):
        assert not claim_is_possible(rate, runs)

    def test_are_read_with_the_digits_that_were_written(self):
        assert claim_is_possible(0.9, 7, decimals=1)  # 6/7 is 0.857, written 0.9
        assert not claim_is_possible(0.9, 7, decimals=2)

    @given(count=counts, decimals=st.integers(0, 6))
    def test_never_call_a_true_rate_impossible(self, count, decimals):
        k, n = count

        assert claim_is_possible(round(k / n, decimals), n, decimals)
        assert claim_is_possible(k / n, n)


class TestCounts:
    def test_add_and_weigh(self):
        found = total([Counts(successes=3, runs=4), Counts(successes=1, runs=2)]).weighed(0.5)

        assert found == Counts(successes=2.0, runs=3.0)
        assert Counts().rate is None and found.rate == pytest.approx(2 / 3)

    @pytest.mark.parametrize("wrong", [(3, 2), (-1, 2), (0, math.inf)])
    def test_refuse_what_nothing_can_have(self, wrong):
        with pytest.raises(ValueError, match="count"):
            Counts(successes=wrong[0], runs=wrong[1])


def test_example_in_the_docstring_is_true():
    import doctest

    assert doctest.testmod(rates).failed == 0
