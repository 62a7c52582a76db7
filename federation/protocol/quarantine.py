"""
The life of a foreign object before it is admitted: one table.

An object moves only along this table; every step is an event with a reason
and an audit row. Nothing leads to ``admitted`` but a passed trial, a scan of
an own-organisation peer's object, or a person. Admission can be taken back
by one event only: proof that its author contradicted itself.

``TRANSITIONS`` is checked for completeness at import: every state has an
entry, every target is a state, every state can be reached, and the terminal
ones are those without a way out.

Source: OPL-Fed/1, "Trust and quarantine".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from federation.protocol.problems import FederationError
from federation.protocol.tiers import RULES as TIER_RULES
from federation.protocol.tiers import Tier, Trial

EXPIRES_AFTER_SECONDS = 90 * 86_400


class State(StrEnum):
    """Where an object stands."""

    RECEIVED = "received"
    SIGNED_OK = "signed_ok"
    PARSED = "parsed"
    SCANNED = "scanned"
    HELD = "held"
    TRIAL_QUEUED = "trial_queued"
    TRIAL_PASSED = "trial_passed"
    TRIAL_FAILED = "trial_failed"
    INCONCLUSIVE = "inconclusive"
    ADMITTED = "admitted"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Event(StrEnum):
    """What happened to it."""

    SIGNATURE_VERIFIED = "signature_verified"
    DOCUMENT_PARSED = "document_parsed"
    SCAN_FINISHED = "scan_finished"
    TRIAL_REQUESTED = "trial_requested"
    TRIAL_PROMOTED = "trial_promoted"
    TRIAL_REFUTED = "trial_refuted"
    TRIAL_ENDED_OPEN = "trial_ended_open"
    BUDGET_EXHAUSTED = "budget_exhausted"
    HELD_BACK = "held_back"  # by a finding, by the tier, or by a missing lens
    ADMITTED_AUTOMATICALLY = "admitted_automatically"
    APPROVED = "approved"  # by a person
    REFUSED = "refused"  # by a check or by a person
    CONTRADICTED = "contradicted"  # the author signed two sources of one version
    TIME_RAN_OUT = "time_ran_out"  # 90 days


_OUT = {Event.REFUSED: State.REJECTED, Event.CONTRADICTED: State.HELD, Event.TIME_RAN_OUT: State.EXPIRED}

TRANSITIONS: Mapping[State, Mapping[Event, State]] = MappingProxyType(
    {
        State.RECEIVED: {
            Event.SIGNATURE_VERIFIED: State.SIGNED_OK,
            Event.REFUSED: State.REJECTED,
            Event.TIME_RAN_OUT: State.EXPIRED,
        },
        State.SIGNED_OK: {Event.DOCUMENT_PARSED: State.PARSED, **_OUT},
        State.PARSED: {Event.SCAN_FINISHED: State.SCANNED, **_OUT},
        State.SCANNED: {
            Event.HELD_BACK: State.HELD,
            Event.TRIAL_REQUESTED: State.TRIAL_QUEUED,
            Event.ADMITTED_AUTOMATICALLY: State.ADMITTED,
            **_OUT,
        },
        State.HELD: {
            Event.TRIAL_REQUESTED: State.TRIAL_QUEUED,
            Event.APPROVED: State.ADMITTED,
            **_OUT,
        },
        State.TRIAL_QUEUED: {
            Event.TRIAL_PROMOTED: State.TRIAL_PASSED,
            Event.TRIAL_REFUTED: State.TRIAL_FAILED,
            Event.TRIAL_ENDED_OPEN: State.INCONCLUSIVE,
            Event.BUDGET_EXHAUSTED: State.HELD,
            Event.HELD_BACK: State.HELD,
            Event.APPROVED: State.ADMITTED,
            **_OUT,
        },
        State.TRIAL_PASSED: {
            Event.ADMITTED_AUTOMATICALLY: State.ADMITTED,
            Event.APPROVED: State.ADMITTED,
            Event.HELD_BACK: State.HELD,
            **_OUT,
        },
        State.TRIAL_FAILED: {
            Event.TRIAL_REQUESTED: State.TRIAL_QUEUED,
            Event.APPROVED: State.ADMITTED,
            **_OUT,
        },
        State.INCONCLUSIVE: {
            Event.TRIAL_REQUESTED: State.TRIAL_QUEUED,
            Event.APPROVED: State.ADMITTED,
            **_OUT,
        },
        State.ADMITTED: {Event.CONTRADICTED: State.HELD},
        State.REJECTED: {},
        State.EXPIRED: {},
    }
)
TERMINAL = frozenset(state for state, ways in TRANSITIONS.items() if not ways)


class ImpossibleStep(FederationError):
    """An event does not apply to an object in that state; load it again and look."""

    code = "opl.federation.impossible-step"
    status = 409  # of the answer where a person asked for it

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(state, event)
        self.state, self.event = state, event

    def __str__(self) -> str:
        return f"{self.event} does not apply to an object that is {self.state}"


def after(state: State, event: Event) -> State:
    """
    The state an event leads to.

    Raises:
        ImpossibleStep: it leads nowhere from here.
    """
    target = TRANSITIONS[state].get(event)
    if target is None:
        raise ImpossibleStep(state, event)
    return target


def after_scan(tier: Tier, *, findings: bool, runnable: bool, root_expired: bool) -> Event:
    """
    What happens to an object whose scan is finished.

    Args:
        findings: the scan found something a person must see.
        runnable: it needs no lens here.
        root_expired: its sender's root document is past ``not_after``.
    """
    trial = TIER_RULES[tier].trial
    if findings or trial is None or trial is Trial.BY_HAND or not runnable:
        return Event.HELD_BACK
    if trial is Trial.ADVISED:
        return Event.HELD_BACK if root_expired else Event.ADMITTED_AUTOMATICALLY
    return Event.TRIAL_REQUESTED


def is_overdue(state: State, *, received_at: int, now: int) -> bool:
    """Whether an object has waited its 90 days; times in seconds since the epoch."""
    return Event.TIME_RAN_OUT in TRANSITIONS[state] and now - received_at >= EXPIRES_AFTER_SECONDS


def _check_table() -> None:
    reached = {State.RECEIVED} | {target for ways in TRANSITIONS.values() for target in ways.values()}
    assert set(TRANSITIONS) == set(State) == reached, "a state is missing, or cannot be reached"
    used = {event for ways in TRANSITIONS.values() for event in ways}
    assert used == set(Event), "an event leads nowhere"


_check_table()
