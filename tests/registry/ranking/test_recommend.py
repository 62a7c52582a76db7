"""Scores, and the reasons given for them."""

import pytest

from registry.ranking.context import Posterior
from registry.ranking.recommend import Option, recommend


def option(name, successes, failures, **changes):
    return Option(name=name, posterior=Posterior(a=successes, b=failures), **changes)


class TestRecommend:
    def test_puts_the_better_first(self):
        found = recommend([option("ada/plain", 50, 50), option("ada/sharp", 90, 10)])

        assert [item.option.name for item in found] == ["ada/sharp", "ada/plain"]

    def test_scores_mean_and_half_a_deviation(self):
        found = recommend([option("ada/plain", 6, 6)])[0]

        assert found.score == pytest.approx(0.5 + 0.5 * Posterior(a=6, b=6).sd)

    def test_prefers_the_unknown_only_to_explore(self):
        known, unknown = option("ada/known", 70, 30), option("ada/unknown", 6, 4)

        assert recommend([known, unknown])[0].option is known
        assert recommend([known, unknown], explore=True)[0].option is unknown

    def test_offers_nothing_below_the_incumbent_by_more_than_the_margin(self):
        incumbent = option("ada/now", 80, 20, incumbent=True)
        close, far = option("ada/close", 71, 29), option("ada/far", 69, 31)

        names = [item.option.name for item in recommend([incumbent, close, far], explore=True)]

        assert names == ["ada/now", "ada/close"]

    def test_takes_off_for_what_is_dearer(self):
        cheap, dear = option("ada/cheap", 80, 20, cost=0.01), option("ada/dear", 81, 19, cost=0.08)

        found = recommend([cheap, dear])

        assert found[0].option is cheap
        assert recommend([cheap, dear], cost_weight=0.0)[0].option is dear

    def test_knows_no_cost_of_nothing(self):
        free = option("ada/free", 80, 20, cost=0.0)

        assert recommend([free, option("ada/unknown", 80, 20)])[0].score == pytest.approx(recommend([free])[0].score)

    def test_says_why(self):
        incumbent = option("ada/now", 80, 20, incumbent=True, cost=0.02, runs=90)
        other = option("ada/new", 60, 10, context_runs=12, attested_runs=8.0, cost=0.01)

        first, second = recommend([incumbent, other])

        assert first.option is other
        assert any("succeeds in about 86%" in reason for reason in first.reasons)
        assert any("12 runs of yours in this context, and peers' reports" in reason for reason in first.reasons)
        assert any("6 points above ada/now" in reason for reason in first.reasons)
        assert any("costs 50% less" in reason for reason in first.reasons)
        assert "it is what you use now" in second.reasons
        assert any("in other contexts" in reason for reason in second.reasons)

    def test_says_when_it_only_guesses(self):
        found = recommend([option("ada/new", 6, 6)], explore=True)[0]

        assert any("no runs of yours yet" in reason for reason in found.reasons)
        assert any("little is known" in reason for reason in found.reasons)

    def test_of_nothing_is_nothing(self):
        assert recommend([]) == []
