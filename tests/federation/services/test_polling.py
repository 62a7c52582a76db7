"""Withdrawals come apart from everything else: every minute, from every trusted peer, whatever else stands in the way."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as hub_settings
from django.utils import timezone

from execution import rounds
from federation import tasks
from federation.models import DayUse, Peer, Statement, ThisNode, day_of
from federation.protocol.exchange import Answer, Ask
from federation.protocol.tiers import Tier
from federation.services import polling, syncing, ticking, trusting
from tests.federation import makers
from tests.federation.simulator import Offline, PeerSimulator

NOW = timezone.now()


class Wires:
    """Which transport leads to which peer, and who was asked what."""

    def __init__(self) -> None:
        self.to: dict[str, Any] = {}
        self.asked: list[tuple[str, str]] = []

    def connect(self, peer: Peer, **_: Any) -> Any:
        wire, asked = self.to[peer.node_id], self.asked

        class Noting:
            def fetch(self, ask: Ask) -> Answer:
                asked.append((peer.label, ask.path))
                return wire.fetch(ask)

        return Noting()


@pytest.fixture
def wires(node: ThisNode, monkeypatch: pytest.MonkeyPatch) -> Wires:
    made = Wires()
    monkeypatch.setattr(trusting, "connect", made.connect)
    return made


@pytest.fixture
def peer(wires: Wires) -> tuple[Peer, PeerSimulator]:
    """A peer in memory with one release that was read and is withdrawn since."""
    return known(wires, "south")


def known(wires: Wires, name: str, **changes: Any) -> tuple[Peer, PeerSimulator]:
    simulator = PeerSimulator(makers.node("client side"), name)
    row = trusting.receive(simulator.identity.chain, {"base_url": f"https://{name}.example"}, now=NOW)
    trusting.set_tier(row, Tier.APPROVED, now=NOW)
    Peer.objects.filter(pk=row.pk).update(**({"label": name, "approved_there": True} | changes))
    row.refresh_from_db()
    wires.to[row.node_id] = simulator
    return row, simulator


def withdraw(simulator: PeerSimulator) -> str:
    release = simulator.publish()
    made = makers.withdrawal("yank", simulator.author, release.id)
    simulator.node.publish(made)
    return made.id


class TestPolling:
    def test_brings_a_withdrawal_of_a_peer_that_waits_after_failures(
        self, wires: Wires, peer: tuple[Peer, PeerSimulator]
    ) -> None:
        row, simulator = peer
        Peer.objects.filter(pk=row.pk).update(
            failures=9, failing_since=NOW - timedelta(hours=9), next_try_at=NOW + timedelta(hours=4)
        )
        yank = withdraw(simulator)

        polling.poll(NOW)

        assert Statement.objects.filter(statement_id=yank).exists()
        row.refresh_from_db()
        assert row.next_try_at == NOW  # it answers: the rest is exchanged in the next round

    def test_brings_it_where_the_days_share_is_spent(self, wires: Wires, peer: tuple[Peer, PeerSimulator]) -> None:
        row, simulator = peer
        DayUse.objects.filter(pk=day_of(row, NOW).pk).update(objects_in=10**6)
        yank = withdraw(simulator)

        ticking.tick(NOW)
        assert not Statement.objects.filter(statement_id=yank).exists()
        polling.poll(NOW)

        assert Statement.objects.filter(statement_id=yank).exists()

    def test_asks_each_peer_once_a_minute(self, wires: Wires, peer: tuple[Peer, PeerSimulator]) -> None:
        asked = [polling.poll(NOW + timedelta(seconds=seconds)) for seconds in (0, 5, 59, 60, 65, 120)]

        assert asked == [1, 0, 0, 1, 0, 1]

    def test_asks_no_stranger_nobody_blocked_and_nobody_paused_by_hand(self, wires: Wires) -> None:
        for number, changes in enumerate(({"tier": 0}, {"tier": 1}, {"is_paused": True}, {"base_url": ""})):
            known(wires, f"peer-{number}", **changes)

        assert polling.poll(NOW) == 0
        assert wires.asked == []

    def test_asks_nobody_while_the_kill_switch_is_on(self, wires: Wires, peer: tuple[Peer, PeerSimulator]) -> None:
        trusting.kill_switch(is_on=True, reason="drill", now=NOW)

        assert polling.poll(NOW) == 0

    def test_probes_a_dead_peer_once_a_day(self, wires: Wires) -> None:
        row, _ = known(wires, "dead", failures=40, failing_since=NOW - timedelta(days=8))
        wires.to[row.node_id] = Offline()

        asked = [polling.poll(NOW + timedelta(hours=hours)) for hours in (0, 1, 12, 25)]

        assert asked == [1, 0, 0, 1]

    def test_asks_those_that_answer_before_those_that_fail(self, wires: Wires) -> None:
        failing, _ = known(wires, "failing", failures=3, failing_since=NOW)
        wires.to[failing.node_id] = Offline()
        known(wires, "well")

        polling.poll(NOW)

        assert [label for label, _ in wires.asked] == ["well", "failing"]

    def test_a_failure_leaves_the_health_of_the_exchange_alone(self, wires: Wires) -> None:
        row, _ = known(wires, "south")
        wires.to[row.node_id] = Offline()

        polling.poll(NOW)

        row.refresh_from_db()
        assert (row.failures, row.last_error) == (0, "")

    def test_does_not_read_again_what_the_feed_brought(self, wires: Wires, peer: tuple[Peer, PeerSimulator]) -> None:
        row, simulator = peer
        withdraw(simulator)
        syncing.sync(row, now=NOW)
        row.refresh_from_db()
        wires.asked.clear()

        polling.poll(NOW)

        ((_, path),) = wires.asked
        assert f"since={row.cursor}" in path

    def test_begins_anew_where_the_peers_feed_does(self, wires: Wires, peer: tuple[Peer, PeerSimulator]) -> None:
        row, simulator = peer
        polling.poll(NOW)
        simulator.fork_feed()
        yank = withdraw(simulator)

        polling.poll(NOW + timedelta(minutes=2))

        assert Statement.objects.filter(statement_id=yank).exists()
        row.refresh_from_db()
        assert row.revocations_epoch == simulator.node.store.epoch

    def test_runs_in_one_process_at_a_time(self, wires: Wires, peer: tuple[Peer, PeerSimulator]) -> None:
        ThisNode.objects.update(polling_until=NOW + timedelta(seconds=30))

        assert polling.poll(NOW) == 0
        assert polling.poll(NOW + timedelta(seconds=31)) == 1

    def test_does_nothing_without_an_identity(self, db: None) -> None:
        assert polling.poll(NOW) == 0


class TestWhoCallsIt:
    def test_the_embedded_worker_does(self) -> None:
        assert {"federation", "federation-revocations"} <= set(rounds._registered)

    def test_celery_beat_does(self) -> None:
        schedule = hub_settings.CELERY["beat_schedule"]

        assert {name: schedule.get(name) for name in tasks.SCHEDULE} == tasks.SCHEDULE

    def test_a_task_is_the_same_call(self, wires: Wires, peer: tuple[Peer, PeerSimulator]) -> None:
        tasks.poll_revocations()

        assert len(wires.asked) == 1


class TestTidying:
    @pytest.fixture
    def tidied(self, node: ThisNode, monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
        times: list[datetime] = []
        whole = ticking.tidy
        monkeypatch.setattr(ticking, "tidy", lambda *, now: (times.append(now), whole(now=now)))
        return times

    def test_is_due_an_hour_after_the_last_one_whatever_the_clock_shows(self, tidied: list[datetime]) -> None:
        start = datetime(2027, 1, 15, 8, 17, 33, tzinfo=NOW.tzinfo)

        for minutes in (0, 1, 59, 60, 61, 119, 121):
            ticking.tick(start + timedelta(minutes=minutes))

        assert [int((each - start).total_seconds() // 60) for each in tidied] == [0, 60, 121]

    def test_that_failed_is_tried_in_the_next_round(self, node: ThisNode, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(**_: Any) -> None:
            raise OSError("the disk is full")

        with monkeypatch.context() as broken:
            broken.setattr(ticking.segmenting, "cut", fails)
            with pytest.raises(OSError, match="full"):
                ticking.tick(NOW)
        ticking.tick(NOW + timedelta(seconds=5))

        assert ThisNode.objects.get().last_tidied_at == NOW + timedelta(seconds=5)
