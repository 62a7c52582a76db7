"""The next page is on its way while the last one is stored, and a crash between them loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
import zstandard
from django.utils import timezone

from federation.models import Peer, QuarantineItem, Statement, ThisNode, day_of
from federation.protocol import exchange, limits, session
from federation.protocol.exchange import Answer, Ask, Take
from federation.protocol.problems import TransportFailure
from federation.protocol.strictjson import dumps
from federation.protocol.tiers import Tier
from federation.services import accepting, backfilling, standing, syncing, trusting
from federation.transport import ReadingAhead
from tests.federation import makers
from tests.federation.simulator import PeerSimulator


@pytest.fixture
def simulated(node: ThisNode, monkeypatch: pytest.MonkeyPatch) -> tuple[Peer, PeerSimulator]:
    """A peer in memory with seven releases, read two lines at a time."""
    monkeypatch.setattr(limits, "PAGE_ITEMS", 2)
    simulator = PeerSimulator(makers.node("client side"))
    for _ in range(7):
        simulator.publish()
    peer = trusting.receive(simulator.identity.chain, {"base_url": "https://south.example"}, now=timezone.now())
    trusting.set_tier(peer, Tier.APPROVED, now=timezone.now())
    return peer, simulator


def pull(peer: Peer, simulator: PeerSimulator) -> standing.Report:
    report = standing.Report(peer=peer)
    with ReadingAhead(simulator) as through:
        syncing.pull(peer, through, report, now=timezone.now(), ahead=through)
    return report


class TestReadingAhead:
    def test_begins_the_next_page_before_the_last_one_is_stored(self) -> None:
        asked = threading.Event()

        class Slow:
            def fetch(self, ask: Ask) -> Answer:
                asked.set()
                return Answer(status=200, body=ask.path.encode())

        with ReadingAhead(Slow()) as through:
            through.begin(Ask(method="GET", path="/next"))

            assert asked.wait(10)
            assert through.fetch(Ask(method="GET", path="/next")).body == b"/next"

    def test_never_answers_another_question(self) -> None:
        class Echo:
            def fetch(self, ask: Ask) -> Answer:
                return Answer(status=200, body=ask.path.encode())

        with ReadingAhead(Echo()) as through:
            through.begin(Ask(method="GET", path="/this"))

            assert through.fetch(Ask(method="GET", path="/that")).body == b"/that"

    def test_a_failure_shows_when_the_page_is_asked_for(self) -> None:
        class Broken:
            def fetch(self, ask: Ask) -> Answer:
                raise TransportFailure("the line is dead")

        with ReadingAhead(Broken()) as through:
            through.begin(Ask(method="GET", path="/"))

            with pytest.raises(TransportFailure, match="dead"):
                through.fetch(Ask(method="GET", path="/"))

    def test_takes_the_same_lines_as_reading_one_after_the_other(self, simulated: tuple[Peer, PeerSimulator]) -> None:
        _, simulator = simulated
        plain: list[Take] = []
        ahead: list[Take] = []
        us = simulator.client.id

        exchange.drive(session.pull(None, sender=simulator.id, own=us, limit=3), simulator, take=plain.append)
        with ReadingAhead(simulator) as through:
            reading = session.pull(None, sender=simulator.id, own=us, limit=3)
            exchange.drive(reading, through, take=ahead.append, ahead=through)

        assert [step.lines for step in ahead] == [step.lines for step in plain]
        assert plain[-1].then is None and all(step.then is not None for step in plain[:-1])


class TestACrash:
    @pytest.mark.parametrize("page", [1, 2, 3, 4])
    def test_between_pages_leaves_rows_and_cursor_as_one(
        self, simulated: tuple[Peer, PeerSimulator], monkeypatch: pytest.MonkeyPatch, page: int
    ) -> None:
        peer, simulator = simulated
        honest, calls = accepting.accept, [0]

        def crash(lines: Sequence[Any], **given: Any) -> list[accepting.Outcome]:
            calls[0] += 1
            done = honest(lines, **given)
            if calls[0] == page:
                raise RuntimeError("the power went")
            return done

        foreign = Statement.objects.exclude(peer=None)
        monkeypatch.setattr(accepting, "accept", crash)
        with pytest.raises(RuntimeError):
            pull(peer, simulator)
        stored = Peer.objects.get(pk=peer.pk)
        assert (stored.cursor_seq, foreign.count()) == (2 * (page - 1), 2 * (page - 1))

        monkeypatch.setattr(accepting, "accept", honest)
        pull(stored, simulator)

        feed = simulator.node.store.feed
        assert sorted(foreign.values_list("statement_id", flat=True)) == sorted(feed)
        assert QuarantineItem.objects.count() == 7
        assert Peer.objects.get(pk=peer.pk).cursor_seq == len(feed)


class Segmented:
    """The simulator, with its feed in one segment as well; what it answers can be spoiled."""

    def __init__(self, simulator: PeerSimulator, *, spoiled: bytes | None = None, listed: Any = None) -> None:
        self.simulator = simulator
        self.paths: list[str] = []
        lines = simulator.fetch(Ask(method="GET", path="/fed/v1/changes?limit=500")).body
        self.data = zstandard.compress(lines) if spoiled is None else spoiled
        last = len(simulator.node.store.feed)
        entry = {"first": 1, "last": last, "count": last, "sha256": "0" * 64, "bytes": len(self.data)}
        self.listed = {"segments": [entry]} if listed is None else listed

    def fetch(self, ask: Ask) -> Answer:
        self.paths.append(ask.path)
        if ask.path == "/fed/v1/segments":
            return Answer(status=200, body=dumps(self.listed))
        if ask.path.startswith("/fed/v1/segments/"):
            return Answer(status=200, body=self.data)
        return self.simulator.fetch(ask)


class TestBackfill:
    @pytest.fixture
    def peer(self, simulated: tuple[Peer, PeerSimulator]) -> Peer:
        Peer.objects.update(features=["segments"])
        return Peer.objects.get(pk=simulated[0].pk)

    def sync(self, peer: Peer, carrier: Any) -> standing.Report:
        return syncing.sync(peer, now=timezone.now(), carrier=carrier)

    def test_reads_everything_and_goes_on_from_where_it_ends(
        self, peer: Peer, simulated: tuple[Peer, PeerSimulator], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backfilling, "PART_ITEMS", 3)
        carrier = Segmented(simulated[1])
        simulated[1].publish()

        report = self.sync(peer, carrier)

        assert (report.error, report.accepted) == ("", len(simulated[1].node.store.feed))
        assert sum("since=" in path for path in carrier.paths) == 1

    @pytest.mark.parametrize(
        ("spoiled", "listed"),
        [
            (b"not zstd", None),
            (zstandard.compress(b"\0" * (limits.SEGMENT_BYTES + 1)), None),
            (None, {"segments": [{"first": "one"}]}),
            (None, {"segments": [{"first": 5, "last": 9}]}),
            (None, {"segments": "none"}),
            (None, []),
        ],
        ids=["nonsense", "a bomb", "a bad entry", "a gap", "no list", "no object"],
    )
    def test_that_fails_leaves_the_pages(
        self, peer: Peer, simulated: tuple[Peer, PeerSimulator], spoiled: bytes | None, listed: Any
    ) -> None:
        report = self.sync(peer, Segmented(simulated[1], spoiled=spoiled, listed=listed))

        assert (report.error, report.accepted) == ("", len(simulated[1].node.store.feed))

    def test_ends_where_the_share_of_the_day_does(
        self, peer: Peer, simulated: tuple[Peer, PeerSimulator], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backfilling, "PART_ITEMS", 3)
        trusting.set_tier(peer, Tier.PROBATION, now=timezone.now())
        day = day_of(peer, timezone.now())
        day.objects_in = 997
        day.save()

        report = self.sync(Peer.objects.get(pk=peer.pk), Segmented(simulated[1]))

        assert report.accepted == 3
