"""Enrolment order: what counts next, and which arm goes first."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.shadow.enrolment import (
    EnrolmentGate,
    commitment_of,
    first_arm,
    input_id,
    inputs_commitment,
    sampled,
)
from execution.shadow.errors import PairConflict


class TestEnrolmentGate:
    @given(count=st.integers(0, 40), seed=st.integers(0, 999))
    def test_releases_in_order_of_enrolment_whatever_finishes_first(self, count, seed):
        positions = list(range(1, count + 1))
        random.Random(seed).shuffle(positions)
        gate, released = EnrolmentGate[int](), []

        for position in positions:
            released += gate.settle(position, position)

        assert released == list(range(1, count + 1))
        assert gate.held == ()

    def test_holds_a_pair_until_every_pair_before_it_is_settled(self):
        gate = EnrolmentGate[str]()

        assert gate.settle(3, "c") == []
        assert gate.settle(2, "b") == []
        assert (gate.next_position, gate.held) == (1, (2, 3))
        assert gate.settle(1, "a") == ["a", "b", "c"]

    def test_takes_a_repeated_message_as_one(self):
        gate = EnrolmentGate[str]()
        gate.settle(1, "a")
        gate.settle(3, "c")

        assert gate.settle(1, "a") == gate.settle(3, "c") == []

    @pytest.mark.parametrize("position", [1, 3])
    def test_refuses_a_second_and_different_end_of_a_pair(self, position):
        gate = EnrolmentGate[str]()
        gate.settle(1, "a")
        gate.settle(3, "c")

        with pytest.raises(PairConflict):
            gate.settle(position, "other")

    def test_counts_positions_from_one(self):
        with pytest.raises(ValueError, match="from 1"):
            EnrolmentGate[str]().settle(0, "a")


class TestOrderOfArms:
    def test_is_the_same_for_a_seed_and_fair_over_positions(self):
        seed = bytes(32)
        drawn = [first_arm(seed, n) for n in range(1, 2001)]

        assert drawn == [first_arm(seed, n) for n in range(1, 2001)]
        assert 900 < drawn.count("control") < 1100

    def test_is_another_for_another_seed(self):
        orders = {tuple(first_arm(bytes([k] * 32), n) for n in range(1, 65)) for k in range(20)}

        assert len(orders) == 20

    def test_commitment_does_not_tell_the_seed_but_fixes_it(self):
        assert commitment_of(bytes(32)).startswith("sha256:")
        assert commitment_of(bytes(32)) != commitment_of(bytes(31) + b"\1")


class TestSampled:
    def test_shadows_the_share_that_was_asked_for(self):
        chosen = sum(sampled(bytes(32), f"run-{n}", 0.1) for n in range(5000))

        assert 420 < chosen < 580

    @pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 50)])
    def test_shadows_none_and_all(self, share, expected):
        assert sum(sampled(bytes(32), f"run-{n}", share) for n in range(50)) == expected


class TestInputs:
    def test_are_named_without_being_told(self):
        assert input_id(b"salt", b"1") != input_id(b"pepper", b"1")
        assert input_id(b"salt", b"1") == input_id(b"salt", b"1")

    def test_are_committed_to_in_their_order(self):
        assert inputs_commitment(["a", "b"]) != inputs_commitment(["b", "a"])
