"""Getting to know a node through the outgoing door: nothing half stored, and what it can do is learned again."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from django.utils import timezone

from federation import transport
from federation.errors import PeerRefused, TransportFailure
from federation.models import Peer, PeerKey, RootDocument, ThisNode
from federation.protocol import messages
from federation.protocol.messages import Request
from federation.protocol.strictjson import dumps
from federation.protocol.tiers import Tier
from federation.services import syncing, ticking, trusting
from registry.errors import OutgoingFailed
from registry.models import AuditEntry
from registry.outgoing import Answer
from tests.federation import makers
from tests.federation.makers import Identity

URL = "https://north.example"
NOW = timezone.now()


class House:
    """A node behind the outgoing door: its public documents, and what it says to a peer request."""

    def __init__(self) -> None:
        self.identity: Identity = makers.node("a house in the north")
        self.features: Any = ["zstd", "segments"]
        self.peer_answer: tuple[int, dict[str, Any]] = (202, {"state": "pending"})
        self.asked: list[str] = []
        self.is_down = False

    def request(
        self, method: str, url: str, *, content: bytes = b"", headers: Any = None, limits: Any = None
    ) -> Answer:
        path = url.removeprefix(URL)
        self.asked.append(path)
        if self.is_down:
            raise OutgoingFailed(url, "nobody listens")
        status, body = self.answer(path)
        lines = tuple((name.lower(), value) for name, value in (headers or {}).items())
        request = Request(method=method, url=url, headers=lines, body=content)
        signed = messages.sign_response(
            request=request, status=status, body=dumps(body), key=self.identity.transport[0],
            now=int(timezone.now().timestamp()), nonce=f"nonce-{len(self.asked):020}",
        )  # fmt: skip
        return Answer(status=status, headers=httpx2.Headers(list(signed.headers)), body=signed.body)

    def answer(self, path: str) -> tuple[int, Any]:
        if path == "/.well-known/opl-federation":
            return 200, {
                "node_id": self.identity.id, "root_version": len(self.identity.statements), "base_url": URL,
                "features": self.features, "contact": "ops@north.example", "protocol": ["1.0"],
            }  # fmt: skip
        if path.startswith("/fed/v1/root/"):
            return 200, self.identity.statements[int(path.rpartition("/")[2]) - 1].envelope.to_json()
        if path == "/fed/v1/peer-requests":
            return self.peer_answer
        return 404, {"code": "not-found", "detail": path}


@pytest.fixture
def house(node: ThisNode, monkeypatch: pytest.MonkeyPatch) -> House:
    made = House()
    monkeypatch.setattr(transport, "door", lambda *, hosts: made)
    return made


def add(**changes: Any) -> Peer:
    return trusting.add(url=URL, now=NOW, **changes)


class TestAdding:
    def test_keeps_the_node_its_keys_and_what_it_can_do(self, house: House) -> None:
        peer = add(tier=Tier.APPROVED)

        assert (peer.node_id, peer.trust, peer.features) == (house.identity.id, Tier.APPROVED, ["zstd", "segments"])
        assert PeerKey.objects.get(peer=peer).keyid == house.identity.transport[0].keyid

    def test_that_is_refused_over_there_leaves_nothing_here(self, house: House) -> None:
        house.peer_answer = (429, {"code": "quota-exceeded", "detail": "five an hour", "retry_after": 3600})

        with pytest.raises(PeerRefused, match="five an hour"):
            add(tier=Tier.APPROVED)

        assert not Peer.objects.exists()
        assert not RootDocument.objects.filter(identity=house.identity.id).exists()
        assert not AuditEntry.objects.filter(action="peer.added").exists()

    def test_that_fails_here_leaves_nothing_either(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(*_: Any, **__: Any) -> None:
            raise OSError("the disk is full")

        monkeypatch.setattr(trusting, "set_tier", fails)
        with pytest.raises(OSError, match="full"):
            add(tier=Tier.APPROVED)

        assert not Peer.objects.exists()

    def test_again_after_a_failure_goes_through(self, house: House) -> None:
        house.peer_answer = (500, {"code": "internal-error", "detail": "no"})
        with pytest.raises(PeerRefused):
            add()
        house.peer_answer = (200, {"state": "approved"})

        assert add().approved_there

    def test_remembers_that_they_approved_us(self, house: House) -> None:
        house.peer_answer = (200, {"state": "approved"})

        assert add(tier=Tier.OWN).approved_there


class TestWhatAPeerCanDo:
    @pytest.fixture
    def peer(self, house: House) -> Peer:
        """One that came to us, so that its well-known document was never read."""
        row = trusting.receive(house.identity.chain, {"base_url": URL}, now=NOW)
        trusting.set_tier(row, Tier.APPROVED, now=NOW)
        Peer.objects.filter(pk=row.pk).update(approved_there=True)
        house.asked.clear()
        return Peer.objects.get(pk=row.pk)

    def test_is_learned_before_the_first_exchange(self, house: House, peer: Peer) -> None:
        syncing.sync(peer, now=NOW)

        assert house.asked[0] == "/.well-known/opl-federation"
        peer.refresh_from_db()
        assert peer.features == ["zstd", "segments"]

    def test_is_learned_again_once_a_day(self, house: House, peer: Peer) -> None:
        syncing.sync(peer, now=NOW)
        house.features = ["zstd"]
        syncing.sync(Peer.objects.get(), now=NOW + timedelta(hours=23))
        assert Peer.objects.get().features == ["zstd", "segments"]

        syncing.sync(Peer.objects.get(), now=NOW + timedelta(hours=25))

        assert Peer.objects.get().features == ["zstd"]

    @pytest.mark.parametrize("told", [None, 7, "segments", [{"x": 1}], ["x" * 5_000] * 500])
    def test_may_be_told_badly_without_harm(self, house: House, peer: Peer, told: Any) -> None:
        house.features = told

        trusting.look_again(peer, now=NOW)

        assert len(json.dumps(Peer.objects.get().features)) < 10_000

    def test_is_not_believed_from_a_strangers_key(self, house: House, peer: Peer) -> None:
        house.identity.transport = [makers.secret("a stranger on the way")]

        with pytest.raises(TransportFailure):
            trusting.look_again(peer, now=NOW)
        assert Peer.objects.get().features == []

    def test_comes_with_a_rotation_that_was_missed(self, house: House, peer: Peer) -> None:
        house.identity.rotate(at=int(NOW.timestamp()))

        trusting.look_again(peer, now=NOW)

        assert RootDocument.objects.filter(identity=house.identity.id).count() == 2
        assert PeerKey.objects.get(peer=peer).keyid == house.identity.transport[0].keyid

    def test_does_not_stop_the_exchange_where_it_is_not_to_be_had(
        self, house: House, peer: Peer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(*_: Any, **__: Any) -> None:
            raise TransportFailure("the document is broken")

        monkeypatch.setattr(trusting, "look_again", fails)
        syncing.sync(peer, now=NOW)

        assert any(path.startswith("/fed/v1/") for path in house.asked)

    def test_is_not_asked_of_a_peer_that_waits(self, house: House, peer: Peer) -> None:
        Peer.objects.update(next_try_at=NOW + timedelta(hours=1), failures=4)

        ticking.tick(NOW)

        assert "/.well-known/opl-federation" not in house.asked
