"""What leaves the node about its people: not enough to find one of them, and nothing that outvotes this node."""

from __future__ import annotations

import math
import random
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol import privacy
from federation.protocol.privacy import Cell, Tally

CELL, OTHER = Cell("a" * 64, "review"), Cell("b" * 64, "review")


def dice(seed: int = 1):
    return random.Random(seed).randrange


class TestDiscreteLaplace:
    @pytest.mark.parametrize("scale", [Fraction(1), Fraction(3, 2), Fraction(20)])
    def test_has_the_distribution_it_names(self, scale):
        """Chi-square over the likely values, far above chance; the seed is fixed, so this never flickers."""
        draws, below = 20_000, dice()
        seen = Counter(privacy.discrete_laplace(scale, below=below) for _ in range(draws))
        ratio = math.exp(-1 / scale)
        normal = (1 - ratio) / (1 + ratio)
        values = range(-int(3 * scale), int(3 * scale) + 1)

        chi_square = sum(
            (seen[x] - draws * normal * ratio ** abs(x)) ** 2 / (draws * normal * ratio ** abs(x)) for x in values
        )

        assert chi_square < len(values) + 5 * math.sqrt(2 * len(values))

    def test_has_no_bias(self):
        below = dice(2)

        assert abs(sum(privacy.discrete_laplace(Fraction(20), below=below) for _ in range(20_000))) / 20_000 < 1


def crowd(people: int, runs: int, cell: Cell = CELL, success: int | None = None):
    return {f"person {n}": {cell: Tally(runs, runs if success is None else success)} for n in range(people)}


class TestOrg:
    def test_tells_exact_counts_from_20_runs_and_5_principals(self):
        (row,) = privacy.org(crowd(5, 4, success=3))

        assert (row.tally, row.profile, row.epsilon) == (Tally(20, 15), "org", None)

    @pytest.mark.parametrize(("people", "runs"), [(4, 100), (19, 1), (1, 1_000)])
    def test_tells_nothing_below(self, people, runs):
        assert privacy.org(crowd(people, runs)) == []

    def test_does_not_count_people_who_did_nothing(self):
        assert privacy.org(crowd(4, 100) | {"idle": {CELL: Tally(0, 0)}}) == []


class TestPublic:
    def test_adds_noise(self):
        told = {privacy.public(crowd(40, 10), below=dice(seed))[0].tally.runs for seed in range(20)}

        assert len(told) > 10
        assert all(200 < runs < 600 for runs in told)

    def test_spends_one_epsilon_per_period_and_says_so(self):
        assert privacy.public(crowd(40, 10), below=dice())[0].epsilon == 1.0

    def test_counts_one_person_for_at_most_20_runs_over_all_cells(self):
        busy = {"robot": {CELL: Tally(100_000, 100_000), OTHER: Tally(100_000, 0)}}

        kept = privacy.clip(busy["robot"], below=dice())

        assert sum(tally.runs for tally in kept.values()) == 20

    def test_hardly_ever_publishes_a_cell_that_one_person_made(self):
        """The chance is 2.75 in 100 for this scale and threshold: exp(-4) * (1/2 + 80/(4*20))."""
        appeared = sum(bool(privacy.public(crowd(1, 100_000), below=dice(seed))) for seed in range(2_000))

        assert appeared < 2_000 * 0.045

    def test_never_tells_negative_or_impossible_counts(self):
        for seed in range(200):
            for row in privacy.public(crowd(6, 20, success=0), below=dice(seed)):
                assert 0 <= row.tally.success <= row.tally.runs

    def test_leaves_principals_behind(self):
        (row,) = privacy.public(crowd(40, 10), below=dice())

        assert "person" not in repr(row)


class TestClip:
    @given(
        st.dictionaries(
            st.sampled_from([Cell(str(n), "") for n in range(4)]),
            st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: Tally(sum(pair), pair[0])),
        ),
        st.integers(0, 1_000),
    )
    def test_keeps_a_part_of_what_was_there(self, cells, seed):
        kept = privacy.clip(cells, below=dice(seed))

        assert sum(tally.runs for tally in kept.values()) == min(20, sum(tally.runs for tally in cells.values()))
        assert all(
            tally.success <= cells[cell].success and tally.failures <= cells[cell].failures
            for cell, tally in kept.items()
        )


class TestInfluence:
    def test_is_at_least_20_runs_and_at_most_half_of_ours(self):
        assert privacy.influence(0) == 20
        assert privacy.influence(40) == 20
        assert privacy.influence(1_000) == 500

    @given(
        st.integers(0, 2_000),
        st.floats(0, 1),
        st.lists(st.tuples(st.integers(0, 10**9), st.floats(0, 1), st.floats(0, 1))),
    )
    def test_of_all_claims_together_is_bounded(self, n_local, rate, claims):
        """However many nodes claim whatever, an inflating statistician included."""
        local = Tally(n_local, round(n_local * rate))
        remote = [(Tally(runs, round(runs * success)), weight) for runs, success, weight in claims]

        moved = abs(privacy.blended(local, remote) - privacy.blended(local, []))

        bound = privacy.influence(n_local)
        assert moved <= bound / (bound + n_local + 2) + 1e-12

    def test_of_nobody_leaves_the_local_rate(self):
        assert privacy.blended(Tally(8, 6), []) == 0.7

    def test_of_a_peer_without_trust_is_none(self):
        assert privacy.blended(Tally(8, 6), [(Tally(10**6, 0), 0.0)]) == 0.7


class TestPeriod:
    def test_has_28_days(self):
        assert privacy.period_of(2_419_200 - 1) == 0
        assert privacy.period_of(2_419_200) == 1
