"""Incomplete beta and gamma functions, against SciPy."""

import random

import pytest
from scipy import stats

from registry.ranking.special import (
    beta_cdf,
    beta_quantile,
    gamma_cdf,
    gamma_quantile,
    log_beta_binomial,
)


class TestBeta:
    def test_quantiles_agree_with_scipy(self):
        rng = random.Random(1)
        for _ in range(400):
            a, b = 10 ** rng.uniform(-1, 5), 10 ** rng.uniform(-1, 5)
            p = rng.uniform(0.001, 0.999)

            assert beta_quantile(p, a, b) == pytest.approx(stats.beta.ppf(p, a, b), rel=1e-8)

    def test_probabilities_agree_with_scipy(self):
        rng = random.Random(2)
        for _ in range(400):
            a, b, x = 10 ** rng.uniform(-1, 5), 10 ** rng.uniform(-1, 5), rng.random()

            assert beta_cdf(x, a, b) == pytest.approx(stats.beta.cdf(x, a, b), rel=1e-9, abs=1e-13)

    @pytest.mark.parametrize(("p", "expected"), [(0.0, 0.0), (1.0, 1.0)])
    def test_quantiles_end_at_0_and_1(self, p, expected):
        assert beta_quantile(p, 2.0, 3.0) == expected == beta_cdf(expected, 2.0, 3.0)

    def test_quantile_inverts_the_probability(self):
        assert beta_cdf(beta_quantile(0.1, 2.4, 7.1), 2.4, 7.1) == pytest.approx(0.1, abs=1e-13)

    @pytest.mark.parametrize("wrong", [(1.5, 1.0, 1.0), (-0.1, 1.0, 1.0)])
    def test_refuses_what_is_no_probability(self, wrong):
        with pytest.raises(ValueError, match="probability"):
            beta_quantile(*wrong)

    def test_refuses_shapes_that_are_not_above_0(self):
        with pytest.raises(ValueError, match="shapes"):
            beta_cdf(0.5, 0.0, 1.0)


class TestGamma:
    def test_quantiles_agree_with_scipy(self):
        rng = random.Random(3)
        for _ in range(400):
            shape, rate, p = 10 ** rng.uniform(-1, 5), 10 ** rng.uniform(-2, 2), rng.uniform(0.001, 0.999)

            assert gamma_quantile(p, shape, rate) == pytest.approx(stats.gamma.ppf(p, shape, scale=1 / rate), rel=1e-9)

    def test_probabilities_agree_with_scipy(self):
        rng = random.Random(4)
        for _ in range(400):
            shape = 10 ** rng.uniform(-1, 5)
            x = shape * rng.uniform(0.2, 2.5)

            assert gamma_cdf(x, shape) == pytest.approx(stats.gamma.cdf(x, shape), rel=1e-9, abs=1e-13)

    def test_begins_at_0(self):
        assert gamma_cdf(-1.0, 2.0) == 0.0 == gamma_quantile(0.0, 2.0)

    @pytest.mark.parametrize("wrong", [(1.0, 2.0, 1.0), (0.5, 2.0, 0.0)])
    def test_refuses_what_has_no_quantile(self, wrong):
        with pytest.raises(ValueError, match="quantile"):
            gamma_quantile(*wrong)

    def test_refuses_shapes_that_are_not_above_0(self):
        with pytest.raises(ValueError, match="shape"):
            gamma_cdf(0.5, 0.0)


class TestBetaBinomial:
    @pytest.mark.parametrize(("k", "n", "a", "b"), [(0, 0, 1, 1), (3, 10, 1, 1), (7, 9, 12.5, 3.25)])
    def test_agrees_with_scipy(self, k, n, a, b):
        assert log_beta_binomial(k, n, a, b) == pytest.approx(stats.betabinom.logpmf(k, n, a, b), abs=1e-10)

    def test_refuses_impossible_counts(self):
        with pytest.raises(ValueError, match="3 of 2"):
            log_beta_binomial(3, 2, 1, 1)
