"""Trust by reproduction."""

import math

import pytest
from scipy import stats

from registry.ranking.peers import Claim, attested, claim_weight, trust, with_peers
from registry.ranking.rates import Counts

HONEST = Claim(operator="k1", successes=80, runs=100)


class TestTrust:
    def test_is_the_formula_of_the_specification(self):
        q = 50 / 100
        told = stats.betabinom.logpmf(15, 20, 1 + q * 80, 1 + q * 20)
        odds = math.log(0.7 / 0.3) + told - stats.betabinom.logpmf(15, 20, 1, 1)

        found = trust(HONEST, Counts(successes=15, runs=20))

        assert found == pytest.approx(1 / (1 + math.exp(-odds)), rel=1e-9)

    def test_starts_at_seven_in_ten(self):
        assert trust(HONEST, Counts()) == pytest.approx(0.7)

    def test_grows_with_reproduction_and_falls_with_contradiction(self):
        reproduced, contradicted = Counts(successes=16, runs=20), Counts(successes=2, runs=20)

        assert trust(HONEST, reproduced) > 0.85
        assert trust(HONEST, contradicted) < 0.001

    def test_of_an_empty_claim_stays_where_it_starts(self):
        assert trust(Claim(operator="k", successes=0, runs=0), Counts(successes=5, runs=9)) == pytest.approx(0.7)

    def test_does_not_overflow_on_a_blatant_lie(self):
        assert trust(Claim(operator="k", successes=10**6, runs=10**6), Counts(runs=10**6)) == pytest.approx(0.0)


class TestWeight:
    @pytest.mark.parametrize(("runs", "total"), [(0, 0.0), (40, 20.0), (100, 50.0), (10_000, 50.0)])
    def test_counts_half_of_at_most_a_hundred_runs(self, runs, total):
        assert claim_weight(runs, 1.0) * runs == pytest.approx(total)


class TestAttested:
    def test_counts_one_voice_per_operator(self):
        once = attested([HONEST], Counts())

        assert attested([HONEST, HONEST], Counts()) == once
        assert once.runs == pytest.approx(0.7 * 50)

    def test_believes_nobody_who_says_two_things(self):
        other = Claim(operator="k1", successes=20, runs=100)

        assert attested([HONEST, other], Counts()) == Counts()
        assert attested([HONEST, other, HONEST], Counts()) == Counts()

    def test_adds_different_operators(self):
        other = Claim(operator="k2", successes=80, runs=100)

        assert attested([HONEST, other], Counts()).runs == pytest.approx(2 * 35)

    def test_refuses_impossible_counts(self):
        with pytest.raises(ValueError, match="3 of 2"):
            Claim(operator="k", successes=3, runs=2)


class TestWithPeers:
    def test_lets_all_peers_together_count_as_twenty_runs(self):
        crowd = Counts(successes=10_000, runs=10_000)

        assert with_peers(Counts(), crowd) == Counts(successes=20.0, runs=20.0)

    def test_lets_them_count_half_of_many_runs_of_ours(self):
        ours, crowd = Counts(successes=0, runs=1000), Counts(successes=10_000, runs=10_000)

        assert with_peers(ours, crowd).runs == pytest.approx(1500)

    def test_takes_few_as_they_are(self):
        assert with_peers(Counts(), Counts(successes=3, runs=5)) == Counts(successes=3.0, runs=5.0)
