"""Chance that can be written down."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from opl.script.chance import Chance


class TestChance:
    def test_draws_the_same_for_the_same_seed(self) -> None:
        # These values must never change: recorded runs are replayed with them.
        chance = Chance(seed=42)

        assert [chance.integer(1, 100) for _ in range(5)] == [Chance(42, n).integer(1, 100) for n in range(5)]
        assert Chance(seed=42).bits() == FIRST_OF_42

    def test_goes_on_where_it_was_written_down(self) -> None:
        chance = Chance(seed="s")
        chance.shuffled(list(range(10)))

        resumed = Chance.from_json(chance.to_json())

        assert [resumed.fraction() for _ in range(5)] == [chance.fraction() for _ in range(5)]

    @given(st.integers(), st.integers(-1000, 1000), st.integers(0, 1000))
    def test_stays_between_the_bounds(self, seed: int, low: int, width: int) -> None:
        assert low <= Chance(seed).integer(low, low + width) <= low + width

    def test_is_even(self) -> None:
        chance = Chance(seed=1)
        counts = [0] * 6
        for _ in range(6000):
            counts[chance.below(6)] += 1

        assert all(880 < count < 1120 for count in counts)

    def test_is_normal_where_asked(self) -> None:
        chance = Chance(seed=3)
        drawn = [chance.gaussian(10, 2) for _ in range(4000)]
        mean = sum(drawn) / len(drawn)

        assert abs(mean - 10) < 0.15
        assert abs(sum((x - mean) ** 2 for x in drawn) / len(drawn) - 4) < 0.4

    @given(st.integers(), st.lists(st.integers()), st.integers(0, 20))
    def test_samples_without_repetition(self, seed: int, items: list[int], count: int) -> None:
        places = Chance(seed).sample(list(range(len(items))), count)

        assert len(places) == len(set(places)) == min(count, len(items))

    def test_makes_uuids_of_version_4(self) -> None:
        assert uuid.UUID(Chance(seed=0).uuid()).version == 4


FIRST_OF_42 = 10904584138907720832
