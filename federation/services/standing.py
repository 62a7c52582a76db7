"""
How an exchange with one peer stands: who has it in hand, what it did, and what that says of the peer's health.

    if claim(peer, now=now):
        try:
            …
            succeeded(peer, now=now)     # or failed(peer, report, error, now=now)
        finally:
            release(peer)

Source: OPL-Fed/1, "Feed rules".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db.models import Q

from federation import transport
from federation.errors import FederationError, PeerRefused, SwitchedOff, Unable
from federation.models import Peer, ThisNode
from federation.services import identities
from federation.services.accepting import Outcome

EVERY_SECONDS = 60  # between two looks at a peer that said nothing
LEASE = timedelta(seconds=180)
Progress = Callable[[str, int], None]  # what, how many so far


@dataclass(slots=True, kw_only=True)
class Report:
    """What one exchange with a peer did."""

    peer: Peer
    lines: int = 0  # statements that came
    accepted: int = 0
    duplicate: int = 0
    rejected: dict[str, int] = field(default_factory=dict)  # code → lines
    pushed: int = 0  # statements that the peer took
    cursor: str = ""
    error: str = ""  # why it ended early, "" where it did not

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Count what became of lines."""
        for outcome in outcomes:
            self.lines += 1
            self.accepted += outcome.status == "accepted"
            self.duplicate += outcome.status == "duplicate"
            if outcome.status == "rejected":
                self.rejected[outcome.code] = self.rejected.get(outcome.code, 0) + 1

    def to_json(self) -> dict[str, object]:
        """As ``--json`` prints it."""
        return {
            "ok": not self.error,
            "peer": str(self.peer),
            "node_id": self.peer.node_id,
            "lines": self.lines,
            "accepted": self.accepted,
            "duplicate": self.duplicate,
            "rejected": self.rejected,
            "pushed": self.pushed,
            "cursor": self.cursor,
            "error": self.error,
        }


def silent(what: str, count: int) -> None:
    """No progress is shown."""


def claim(peer: Peer, *, now: datetime) -> bool:
    """Take the peer for one exchange; False where somebody else has it."""
    free = Q(busy_until__isnull=True) | Q(busy_until__lt=now)
    free |= Q(busy_until__gt=now + LEASE)  # no lease is that long: it was taken under a wrong clock
    return bool(Peer.objects.filter(pk=peer.pk).filter(free).update(busy_until=now + LEASE))


def release(peer: Peer) -> None:
    """Give it back."""
    Peer.objects.filter(pk=peer.pk).update(busy_until=None)


def judge_ready(peer: Peer) -> ThisNode:
    """
    This node's row, where nothing stands in the way of an exchange.

    Raises:
        SwitchedOff, Unable: as the names say.
    """
    node = identities.node()
    transport.refuse_when_off(node)
    if peer.is_paused:
        raise SwitchedOff(f"{peer} is paused")
    if peer.tier < 2:
        raise Unable(f"{peer} is not approved here; compare its fingerprint, then `manage.py peer approve`")
    return node


def failed(peer: Peer, report: Report, error: FederationError, *, now: datetime) -> None:
    """It will be tried again, later each time."""
    report.error = str(error)
    wait = error.retry_after if isinstance(error, PeerRefused) else None
    chance = secrets.randbelow(1_000_000) / 1_000_000
    peer.set_health(peer.health.after_failure(now=int(now.timestamp()), chance=chance, retry_after=wait))
    Peer.objects.filter(pk=peer.pk).update(
        failures=peer.failures,
        failing_since=peer.failing_since,
        next_try_at=peer.next_try_at,
        last_error=str(error)[:2_000],
        is_poked=False,
    )


def succeeded(peer: Peer, *, now: datetime) -> None:
    """It answers, and is looked at again in a minute."""
    soon = datetime.fromtimestamp(int(now.timestamp()) + EVERY_SECONDS, tz=UTC)
    Peer.objects.filter(pk=peer.pk).update(
        failures=0,
        failing_since=None,
        next_try_at=soon,
        last_sync_at=now,
        last_error="",
        is_poked=False,
        approved_there=True,
    )
    peer.failures, peer.last_error, peer.last_sync_at = 0, "", now
