"""The table a foreign object lives by: there is no short way in."""

from __future__ import annotations

import itertools
import pickle

import pytest

from federation.protocol import quarantine
from federation.protocol.quarantine import TERMINAL, TRANSITIONS, Event, ImpossibleStep, State
from federation.protocol.tiers import Tier

DAY = 86_400


class TestTable:
    def test_ends_in_rejected_or_expired_only(self):
        assert {State.REJECTED, State.EXPIRED} == TERMINAL

    def test_admits_by_a_passed_trial_a_clean_scan_or_a_person_only(self):
        ways = {
            (state, event)
            for state, events in TRANSITIONS.items()
            for event, to in events.items()
            if to is State.ADMITTED
        }

        assert {event for _, event in ways} == {Event.ADMITTED_AUTOMATICALLY, Event.APPROVED}
        assert {state for state, event in ways if event is Event.ADMITTED_AUTOMATICALLY} == {
            State.SCANNED, State.TRIAL_PASSED}  # fmt: skip

    @pytest.mark.parametrize("state", [State.RECEIVED, State.SIGNED_OK, State.PARSED])
    def test_lets_nobody_approve_what_was_not_scanned(self, state):
        with pytest.raises(ImpossibleStep):
            quarantine.after(state, Event.APPROVED)

    def test_takes_an_admission_back_for_a_contradiction_only(self):
        assert TRANSITIONS[State.ADMITTED] == {Event.CONTRADICTED: State.HELD}

    def test_lets_everything_that_waits_expire(self):
        waiting = set(State) - TERMINAL - {State.ADMITTED}

        assert all(quarantine.is_overdue(state, received_at=0, now=90 * DAY) for state in waiting)
        assert not any(quarantine.is_overdue(state, received_at=0, now=90 * DAY - 1) for state in State)
        assert not quarantine.is_overdue(State.ADMITTED, received_at=0, now=1_000 * DAY)

    def test_says_what_does_not_apply(self):
        with pytest.raises(ImpossibleStep, match="approved does not apply to an object that is rejected") as error:
            quarantine.after(State.REJECTED, Event.APPROVED)
        assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)


class TestAfterScan:
    @pytest.mark.parametrize(
        ("tier", "event"),
        [
            (Tier.PROBATION, Event.HELD_BACK),
            (Tier.APPROVED, Event.TRIAL_REQUESTED),
            (Tier.OWN, Event.ADMITTED_AUTOMATICALLY),
        ],
    )
    def test_follows_the_tier(self, tier, event):
        assert quarantine.after_scan(tier, findings=False, runnable=True, root_expired=False) is event

    @pytest.mark.parametrize(("tier", "findings", "runnable"), [
        case for case in itertools.product(Tier, [True, False], [True, False]) if case[1] or not case[2]])  # fmt: skip
    def test_holds_back_what_has_findings_or_cannot_run(self, tier, findings, runnable):
        assert quarantine.after_scan(tier, findings=findings, runnable=runnable, root_expired=False) is Event.HELD_BACK

    def test_admits_nothing_automatically_from_a_node_whose_root_expired(self):
        assert quarantine.after_scan(Tier.OWN, findings=False, runnable=True, root_expired=True) is Event.HELD_BACK
