"""The model of simulated players: what the literature says it must do, and what no pattern could have bent."""

from __future__ import annotations

from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.agents.psychometrics import Examinee, ability_of
from opl.script.chance import Chance

ABILITIES = st.floats(-6, 6)
DIFFICULTIES = st.floats(0, 1)


def information(one: Examinee, difficulty: float, step: float = 1e-4) -> float:
    """Fisher information of one question about the ability: P'^2 / (P (1 - P)), by differences."""
    from dataclasses import replace

    slope = (
        replace(one, ability=one.ability + step).chance_right(difficulty)
        - replace(one, ability=one.ability - step).chance_right(difficulty)
    ) / (2 * step)
    chance = one.chance_right(difficulty)
    return slope**2 / (chance * (1 - chance))


class TestChanceRight:
    @given(ABILITIES)
    def test_is_a_half_where_the_difficulty_is_the_ability(self, ability: float) -> None:
        one = Examinee(ability=ability)

        assert one.chance_right(0.5 + ability / one.difficulty_range) == pytest.approx(0.5)

    @given(ABILITIES, DIFFICULTIES)
    def test_of_the_model_without_guessing_is_a_logistic_curve(self, ability: float, difficulty: float) -> None:
        import math

        chance = Examinee(ability=ability, discrimination=1.3).chance_right(difficulty)

        assert math.log(chance / (1 - chance)) == pytest.approx(1.3 * (ability - 6 * (difficulty - 0.5)), abs=1e-6)

    @given(ABILITIES, DIFFICULTIES)
    def test_rises_with_ability_and_falls_with_difficulty(self, ability: float, difficulty: float) -> None:
        one, abler = Examinee(ability=ability), Examinee(ability=ability + 0.5)

        assert abler.chance_right(difficulty) > one.chance_right(difficulty)
        assert one.chance_right(difficulty) > one.chance_right(difficulty + 0.1)

    @given(st.floats(-1000, 1000), st.floats(0, 1))
    def test_never_falls_below_guessing(self, ability: float, guessing: float) -> None:
        assert guessing <= Examinee(ability=ability, guessing=guessing).chance_right(1.0) <= 1.0

    def test_does_not_depend_on_a_difficulty_that_is_not_noticed(self) -> None:
        deaf = Examinee(ability=1.0, difficulty_range=0.0)

        assert deaf.chance_right(0.1) == deaf.chance_right(0.9)


class TestInformation:
    """Lord 1980: a consequence of the model."""

    @pytest.mark.parametrize("ability", [-1.2, 0.0, 1.5])
    def test_is_greatest_where_the_difficulty_is_the_ability(self, ability: float) -> None:
        one = Examinee(ability=ability, discrimination=1.4)
        found = {difficulty: information(one, difficulty / 100) for difficulty in range(101)}

        assert max(found, key=lambda at: found[at]) / 100 == pytest.approx(0.5 + ability / 6, abs=0.011)
        assert max(found.values()) == pytest.approx(1.4**2 / 4, rel=1e-3)

    def test_of_hard_tests_is_lost_where_they_are_blunt(self) -> None:
        assert information(Examinee(ability=1.5, blunting=1.0), 0.75) < information(Examinee(ability=1.5), 0.5)


class TestScore:
    def test_is_the_share_of_questions_that_came_out_right(self) -> None:
        one = Examinee(ability=0.7, items=5)
        scores = [one.score(0.5, Chance(seed)) for seed in range(2000)]

        assert set(scores) <= {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}
        assert fmean(scores) == pytest.approx(one.chance_right(0.5), abs=0.02)


class TestTime:
    def test_is_lognormal_about_the_median_and_longer_for_harder_tests(self) -> None:
        one = Examinee(ability=0.0, median_seconds=40.0, slowing=0.2)
        easy, hard = (sorted(one.seconds(d, Chance(seed)) for seed in range(1001)) for d in (0.5, 0.9))

        assert easy[500] == pytest.approx(40, rel=0.05)
        assert hard[500] / easy[500] == pytest.approx(1.616, rel=0.1)  # exp(0.2 x 2.4)

    def test_within_a_limit_has_the_chance_that_it_is_drawn_with(self) -> None:
        one = Examinee(ability=0.0, median_seconds=40.0)
        share = fmean(one.seconds(0.5, Chance(seed)) <= 60 for seed in range(2000))

        assert share == pytest.approx(one.chance_in_time(0.5, 60), abs=0.03)


class TestWorth:
    def test_is_the_average_of_baseline_tests(self) -> None:
        assert Examinee(ability=ability_of(0.8)).worth() == pytest.approx(0.8)

    def test_counts_a_test_that_times_out_as_nothing(self) -> None:
        slow = Examinee(ability=ability_of(0.8), median_seconds=60.0)

        assert slow.worth(limit_seconds=60) == pytest.approx(0.4)
