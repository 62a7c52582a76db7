"""Back-off from a context to all patterns."""

import pytest
from scipy import stats

from registry.ranking.context import Posterior, posterior
from registry.ranking.rates import Counts


class TestPosterior:
    def test_is_the_formula_of_the_specification(self):
        found = posterior(
            context=Counts(successes=3, runs=4),
            category=Counts(successes=10, runs=20),
            pattern=Counts(successes=30, runs=40),
            everything=Counts(successes=600, runs=1000),
        )

        p0 = 601 / 1002
        g = (30 + 4 * p0) / 44
        c = (10 + 12 * g) / 32
        assert (found.a, found.b) == pytest.approx((3 + 12 * c, 1 + 12 * (1 - c)))

    def test_of_nothing_at_all_is_an_even_chance(self):
        nothing = Counts()

        found = posterior(context=nothing, category=nothing, pattern=nothing, everything=nothing)

        assert found.mean == 0.5

    def test_of_an_unseen_context_is_that_of_the_category(self):
        seen = Counts(successes=900, runs=1000)

        found = posterior(context=Counts(), category=seen, pattern=seen, everything=seen)

        assert found.mean == pytest.approx(0.9, abs=0.002)

    def test_listens_to_the_context_once_it_has_runs(self):
        good, bad = Counts(successes=900, runs=1000), Counts(successes=10, runs=100)

        found = posterior(context=bad, category=good, pattern=good, everything=good)

        assert found.mean < 0.25

    def test_knows_its_moments_and_quantiles(self):
        found, expected = Posterior(a=3.5, b=9.25), stats.beta(3.5, 9.25)

        assert (found.mean, found.sd) == pytest.approx((expected.mean(), expected.std()))
        assert found.quantile(0.2) == pytest.approx(expected.ppf(0.2), rel=1e-10)
        assert found.below(0.3) == pytest.approx(expected.cdf(0.3), rel=1e-10)
