"""The betting e-process: the reference figures, exact addition, and a million pairs."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.shadow.eprocess import BETS, FRACTIONS, LOG_PRIOR, Tally, Wealth, wealth_of
from execution.shadow.errors import MergeRefused
from execution.shadow.interval import confidence_sequence

contrasts = st.lists(st.integers(-1_000_000, 1_000_000).map(lambda n: n / 1e6), max_size=60)


class TestReferenceRows:
    """The table of the specification, to the digits it gives."""

    @pytest.mark.parametrize(
        ("wins", "losses", "ties", "superiority", "noninferior", "harm", "low", "high"),
        [
            (0, 0, 10, "1.0000", "1.5595", "1.0000", "-0.4429", "0.4429"),
            (20, 8, 72, "7.2285", "951.0931", "0.0676", "-0.0418", "0.2826"),
            (8, 22, 70, "0.0542", "0.1557", "13.4189", "-0.3058", "0.0259"),
        ],
    )
    def test_gives_the_digits_of_the_specification(self, wins, losses, ties, superiority, noninferior, harm, low, high):
        tally = Tally(wins=wins, losses=losses, ties=ties)

        interval = confidence_sequence(tally.counts(), bound=1.0, alpha=0.05)

        assert f"{tally.wealth(0.0).e_value:.4f}" == superiority
        assert f"{tally.wealth(-0.10).e_value:.4f}" == noninferior
        assert f"{tally.flipped().wealth(0.0).e_value:.4f}" == harm
        assert (f"{interval.low:.4f}", f"{interval.high:.4f}") == (low, high)


class TestBets:
    def test_are_fourteen_fractions_spread_evenly_in_their_logarithm(self):
        ratios = [b / a for a, b in itertools.pairwise(FRACTIONS)]

        assert len(FRACTIONS) == BETS == 14
        assert FRACTIONS[0] == pytest.approx(0.03) and FRACTIONS[-1] == pytest.approx(0.96)
        assert ratios == pytest.approx([ratios[0]] * 13)

    def test_share_one_unit_of_money(self):
        assert math.fsum(math.exp(share) for share in LOG_PRIOR) == pytest.approx(1.0, abs=1e-15)


class TestWealth:
    @given(values=contrasts, seed=st.integers(0, 99))
    def test_does_not_depend_on_the_order_of_pairs(self, values, seed):
        shuffled = values[:]
        random.Random(seed).shuffle(shuffled)

        assert fed(values) == fed(shuffled)

    @given(values=contrasts, cut=st.integers(0, 60))
    def test_of_parts_adds_up_to_that_of_the_whole_to_the_last_bit(self, values, cut):
        assert fed(values[:cut]) + fed(values[cut:]) == fed(values)

    @given(values=contrasts)
    def test_agrees_with_the_plain_product(self, values):
        bound, null = 0.5, -0.05
        plain = 0.0
        for fraction, share in zip(FRACTIONS, LOG_PRIOR, strict=True):
            product = math.exp(share)
            for value in values:
                product *= 1 + fraction / (bound + null) * (min(max(value, -bound), bound) - null)
            plain += product

        assert fed(values).e_value == pytest.approx(plain, rel=1e-9)

    @pytest.mark.parametrize("value", [1.0, -1.0, 0.0, 0.3])
    def test_stays_finite_over_a_million_pairs(self, value):
        wealth = Wealth(bound=1.0, null=-0.1).observe(value, times=10**6)

        assert math.isfinite(wealth.log_e) and math.isfinite(wealth.e_value)
        assert wealth.pairs == 10**6 and wealth.mean == pytest.approx(value, abs=1e-9)

    def test_drifts_by_nothing_over_a_million_single_pairs(self):
        values = (0.3, -0.4, 0.1, 0.0, 0.5)
        chunk = fed(values * 20)
        grown = chunk
        for _ in range(13):
            grown = grown + grown
        once = math.fsum(math.log1p(FRACTIONS[5] * (value + 0.05) / 0.45) for value in values)
        expected = 8192 * 20 * once

        assert grown.pairs == 819_200
        assert grown.units[5] / 2**52 == pytest.approx(expected, abs=1e-6)

    def test_refuses_to_add_another_test(self):
        with pytest.raises(MergeRefused):
            Wealth(bound=1.0, null=0.0) + Wealth(bound=1.0, null=-0.1)

    def test_refuses_what_is_not_a_number(self):
        with pytest.raises(ValueError, match="NaN"):
            Wealth(bound=1.0, null=0.0).observe(math.nan)

    @pytest.mark.parametrize(("bound", "null"), [(0.0, 0.0), (1.0, -1.0), (1.0, 1.5)])
    def test_refuses_a_null_that_nobody_can_bet_against(self, bound, null):
        with pytest.raises(ValueError, match="null"):
            Wealth(bound=bound, null=null)


class TestTally:
    @given(wins=st.integers(0, 50), losses=st.integers(0, 50), ties=st.integers(0, 50))
    def test_is_all_that_a_success_test_needs(self, wins, losses, ties):
        values = [1.0] * wins + [-1.0] * losses + [0.0] * ties

        counted = Tally(wins=wins, losses=losses, ties=ties).wealth(-0.1)

        assert counted == wealth_of(dict.fromkeys([0.5], 0), bound=1.0, null=-0.1) + fed(values, 1.0, -0.1)

    def test_adds(self):
        total = Tally(wins=1, losses=2, ties=3) + Tally(wins=10, losses=20, ties=30)

        assert total == Tally(wins=11, losses=22, ties=33)


class TestConfidenceSequence:
    @given(values=contrasts)
    def test_ends_are_where_the_tests_stop_rejecting(self, values):
        """Bisection is consistent with the tests that it inverts."""
        counts = {value: values.count(value) for value in values}
        interval = confidence_sequence(counts, bound=0.5, alpha=0.05)
        inside, threshold = 1e-9, math.log(40.0)

        for value, low in ((counts, interval.low), ({-v: k for v, k in counts.items()}, -interval.high)):
            if low > -0.5 + inside:
                assert wealth_of(value, bound=0.5, null=low - inside).log_e >= threshold
            assert wealth_of(value, bound=0.5, null=min(low + inside, 0.5)).log_e <= threshold + 1e-6

    def test_of_nothing_is_everything(self):
        interval = confidence_sequence({}, bound=0.5)

        assert (interval.low, interval.high) == pytest.approx((-0.5, 0.5))

    def test_narrows_with_evidence_around_the_mean(self):
        few = confidence_sequence({1.0: 20, -1.0: 10, 0.0: 20}, bound=1.0)
        many = confidence_sequence({1.0: 2000, -1.0: 1000, 0.0: 2000}, bound=1.0)

        assert many.width < few.width / 5
        assert many.low < 0.2 < many.high

    def test_covers_the_mean_at_every_look_together(self):
        rng, missed = random.Random(5), 0
        for _ in range(150):
            counts = {1.0: 0, -1.0: 0, 0.0: 0}
            for n in range(1, 121):
                counts[rng.choices((1.0, -1.0, 0.0), (0.3, 0.2, 0.5))[0]] += 1
                if n % 10 == 0:
                    interval = confidence_sequence(counts, bound=1.0)
                    if not interval.low <= 0.1 <= interval.high:
                        missed += 1
                        break

        assert missed <= 12  # 5 % of 150 is 7.5; 12 or fewer has a chance above 95 % even at the bound


def fed(values, bound=0.5, null=-0.05):
    """The wealth after these values, one by one."""
    wealth = Wealth(bound=bound, null=null)
    for value in values:
        wealth = wealth.observe(value)
    return wealth
