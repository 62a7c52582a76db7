"""Bradley–Terry within a family."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from registry.ranking.leaderboard import Duel, leaderboard


class TestLeaderboard:
    def test_finds_the_most_likely_strengths(self):
        duels = {
            ("a", "b"): Duel(wins=30, losses=12, ties=6),
            ("b", "c"): Duel(wins=20, losses=5, ties=3),
            ("c", "a"): Duel(wins=4, losses=25),
        }
        names = ["a", "b", "c"]

        def unlikelihood(s):
            total = sum(0.5 * (math.log1p(math.exp(-x)) + math.log1p(math.exp(x))) for x in s)
            for (one, other), duel in duels.items():
                gap = s[names.index(one)] - s[names.index(other)]
                total += (duel.wins + duel.ties / 2) * math.log1p(math.exp(-gap))
                total += (duel.losses + duel.ties / 2) * math.log1p(math.exp(gap))
            return total

        best = minimize(unlikelihood, np.zeros(3), tol=1e-12).x
        expected = 1500 + (best - best.mean()) * 400 / math.log(10)

        found = {row.name: row.rating for row in leaderboard(duels)}

        assert [found[name] for name in names] == pytest.approx(list(expected), abs=0.05)

    def test_counts_each_pair_for_both_sides(self):
        found = {row.name: row for row in leaderboard({("a", "b"): Duel(wins=3, losses=1, ties=2)})}

        assert (found["a"].wins, found["a"].losses, found["a"].ties) == (3, 1, 2)
        assert (found["b"].wins, found["b"].losses, found["b"].ties) == (1, 3, 2)

    def test_shares_a_rank_between_those_it_cannot_tell_apart(self):
        duels = {
            ("a", "b"): Duel(wins=6, losses=5, ties=20),
            ("a", "c"): Duel(wins=60, losses=2),
            ("b", "c"): Duel(wins=58, losses=3),
        }

        found = leaderboard(duels)

        assert [(row.name, row.rank) for row in found] == [("a", 1), ("b", 1), ("c", 3)]
        assert found[0].tied_with == ("b",) and found[2].tied_with == ()

    def test_takes_pairs_in_either_order(self):
        one = leaderboard({("a", "b"): Duel(wins=3, losses=1), ("b", "a"): Duel(wins=2, losses=4)})
        other = leaderboard({("a", "b"): Duel(wins=7, losses=3)})

        assert one == other

    def test_keeps_an_unbeaten_version_finite(self):
        first, last = leaderboard({("a", "b"): Duel(wins=50)})

        assert first.rating < 3000 and math.isfinite(first.error)
        assert (first.rank, last.rank) == (1, 2)

    def test_leaves_out_a_version_against_itself(self):
        assert leaderboard({("a", "a"): Duel(ties=5), ("a", "b"): Duel()}) == []

    def test_copes_with_versions_that_never_met(self):
        found = leaderboard({("a", "b"): Duel(wins=5, losses=5), ("c", "d"): Duel(wins=5, losses=5)})

        assert {row.rank for row in found} == {1}
