"""Asking in both orders, and examining who is asked."""

import pytest
from scipy import stats

from execution.shadow.judge import Answer, Asked, examine, sign_test

FIRST, SECOND, TIE = Answer.FIRST, Answer.SECOND, Answer.TIE


class TestPreference:
    @pytest.mark.parametrize(
        ("control_first", "candidate_first", "preference"),
        [
            (SECOND, FIRST, 1),
            (FIRST, SECOND, -1),
            (TIE, TIE, 0),
            (FIRST, FIRST, 0),  # it likes what comes first
            (SECOND, SECOND, 0),
            (SECOND, TIE, 0),
            (TIE, SECOND, 0),
        ],
    )
    def test_counts_only_if_it_survives_the_swap(self, control_first, candidate_first, preference):
        assert Asked(control_first=control_first, candidate_first=candidate_first).preference == preference


class TestExamine:
    def test_lets_a_steady_judge_serve(self):
        found = examine(asked(consistent=25, first=4, second=3))

        assert found.qualified and found.consistency == pytest.approx(25 / 32)

    def test_wants_thirty_pairs(self):
        assert "30 are needed" in examine(asked(consistent=29)).reason

    def test_wants_it_to_agree_with_itself(self):
        assert "across the swap" in examine(asked(consistent=17, first=7, second=6)).reason

    def test_accepts_exactly_sixty_percent(self):
        assert examine(asked(consistent=18, first=6, second=6)).qualified

    @pytest.mark.parametrize(("first", "second", "word"), [(12, 0, "first"), (0, 12, "second")])
    def test_wants_no_favourite_position(self, first, second, word):
        assert f"laid out {word}" in examine(asked(consistent=28, first=first, second=second)).reason

    def test_of_nobody_refuses(self):
        assert not examine([]).qualified


class TestSignTest:
    @pytest.mark.parametrize(("one", "other"), [(0, 0), (5, 5), (12, 0), (3, 11), (400, 300), (3000, 3100)])
    def test_is_the_binomial_test(self, one, other):
        expected = stats.binomtest(one, one + other).pvalue if one + other else 1.0

        assert sign_test(one, other) == pytest.approx(expected, rel=1e-6)


def asked(*, consistent, first=0, second=0):
    """Pairs on which a judge agreed with itself, and on which it liked one position in both orders."""
    return (
        [Asked(control_first=FIRST, candidate_first=SECOND)] * consistent
        + [Asked(control_first=FIRST, candidate_first=FIRST)] * first
        + [Asked(control_first=SECOND, candidate_first=SECOND)] * second
    )
