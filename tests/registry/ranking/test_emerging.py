"""Growth that is not chance."""

import math
import random

import pytest
from scipy import stats

from registry.ranking.emerging import base_rate, emergence, growth_statistic

OLD = [3, 2, 4, 3, 2, 3, 1, 2]
GROWN = [4, 9, 12, 15, 20, 25, 22, 30]


def judged(weeks, **changes):
    values = {"success": 0.8, "category_success": 0.7, "operators": 4, **changes}
    return emergence(weeks, **values)


class TestStatistic:
    def test_is_the_recursion_of_the_specification(self):
        expected = 0.0
        for factor in (1.7, 2.5, 4.0):
            r = 0.0
            for uses in (2, 5, 7):
                r = (r + 1) * factor**uses * math.exp(-3.1 * (factor - 1))
            expected += r / 3

        assert growth_statistic([2, 5, 7], 3.1) == pytest.approx(expected)

    def test_starts_from_the_upper_quantile_of_older_weeks(self):
        assert base_rate(OLD) == pytest.approx(stats.gamma.ppf(0.75, 1 + 20, scale=1 / 9), rel=1e-9)

    def test_stays_finite_under_a_flood(self):
        assert math.isfinite(growth_statistic([10**6] * 50, 0.1))

    def test_rarely_flags_a_steady_pattern(self):
        rng = random.Random(12)
        weeks = [[sum(rng.random() < 0.03 for _ in range(100)) for _ in range(40)] for _ in range(200)]

        flagged = sum(judged(every).flagged for every in weeks)

        assert flagged <= 6


class TestEmergence:
    def test_flags_growth(self):
        found = judged(OLD + GROWN)

        assert found.flagged and "4 operators" in found.reason

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"operators": 2}, "only 2"),
            ({"success": 0.6}, "below"),
            ({"success": None}, "below"),
        ],
    )
    def test_flags_none_that_does_not_deserve_it(self, changes, word):
        found = judged(OLD + GROWN, **changes)

        assert not found.flagged and word in found.reason

    def test_flags_none_that_does_not_grow(self):
        assert "chance" in judged(OLD + OLD).reason

    def test_needs_no_category_to_compare_with(self):
        assert judged(OLD + GROWN, category_success=None).flagged

    def test_judges_a_pattern_without_a_past(self):
        assert not judged([]).flagged
        assert judged([2, 8, 14, 20, 30]).flagged
