"""What staff decide on the pages of the federation, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from federation.errors import TransportFailure
from federation.models import Peer, QuarantineItem, RootDocument, ThisNode
from federation.protocol.tiers import Tier
from federation.services import hastening, ticking, trusting
from registry.models import AuditEntry
from tests.federation import makers
from tests.federation.web.conftest import World

pytestmark = pytest.mark.django_db


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


@pytest.fixture
def met(monkeypatch: pytest.MonkeyPatch) -> makers.Identity:
    """A node that answers at https://north.example."""
    identity = makers.node("a new north")
    found = trusting.Met(chain=identity.chain, base_url="https://north.example", features=(), contact="<i>ops</i>")
    monkeypatch.setattr(trusting, "meet", lambda url: found)
    monkeypatch.setattr(trusting, "send_request", lambda *given, **options: "pending")
    return identity


class TestAdding:
    def test_shows_the_words_before_anything_is_stored(
        self, world: World, as_root: Client, met: makers.Identity
    ) -> None:
        page = as_root.post("/peers/add/", {"url": "https://north.example/"}).content.decode()

        assert "".join(f"<li>{word}</li>" for word in met.chain.fingerprint.split()) in page
        assert "<i>ops" not in page
        assert not Peer.objects.filter(node_id=met.id).exists()

    def test_adds_with_the_tier_chosen(self, world: World, as_root: Client, met: makers.Identity) -> None:
        answer = as_root.post("/peers/add/", self.confirmed(met, compared="on"))

        assert answer.status_code == 302
        assert Peer.objects.get(node_id=met.id).tier == Tier.APPROVED

    def test_asks_for_compared_words(self, world: World, as_root: Client, met: makers.Identity) -> None:
        answer = as_root.post("/peers/add/", self.confirmed(met))

        assert answer.status_code == 422
        assert not Peer.objects.filter(node_id=met.id).exists()

    def test_refuses_another_node_than_the_one_shown(self, world: World, as_root: Client, met: makers.Identity) -> None:
        answer = as_root.post("/peers/add/", self.confirmed(world.south.identity, compared="on"))

        assert answer.status_code == 422
        assert "do not trust it" in answer.content.decode()

    def test_says_why_a_node_cannot_be_reached(
        self, world: World, as_root: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(url: str) -> None:
            raise TransportFailure("nobody listens <there>")

        monkeypatch.setattr(trusting, "meet", fail)
        answer = as_root.post("/peers/add/", {"url": "https://nowhere.example"})

        assert answer.status_code == 422
        assert "obody listens &lt;there&gt;" in answer.content.decode()

    def test_refuses_private_addresses_without_asking_them(self, world: World, as_root: Client) -> None:
        for url in ("http://10.0.0.1", "ftp://x", "not an address", "https://user:pw@host.example"):
            assert as_root.post("/peers/add/", {"url": url}).status_code == 422, url

    @staticmethod
    def confirmed(identity: makers.Identity, **more: str) -> dict[str, str]:
        words = identity.chain.fingerprint
        return {"url": "https://north.example", "fingerprint": words, "tier": "3", "label": "north", **more}


class TestPeer:
    def test_changes_its_tier_and_says_what_changes_first(self, world: World, as_root: Client) -> None:
        address = f"/peers/{world.west.identity.id}/tier/"
        dialog = as_root.get(address, {"to": "3"}).content.decode()
        assert "× 0.25" in dialog and "10,000 objects, 512 MiB" in dialog

        as_root.post(address, {"to": "3", "reason": "words compared"})

        assert world.west.row.tier == Tier.APPROVED
        assert AuditEntry.objects.get(action="peer.approved", subject=world.west.identity.id, detail__to=3)

    def test_is_blocked(self, world: World, as_root: Client) -> None:
        as_root.post(f"/peers/{world.south.identity.id}/tier/", {"to": "0"})

        assert world.south_row.tier == Tier.BLOCKED

    def test_knows_no_other_tiers(self, world: World, as_root: Client) -> None:
        assert as_root.post(f"/peers/{world.south.identity.id}/tier/", {"to": "9"}).status_code == 404

    def test_pauses_and_goes_on(self, world: World, as_root: Client) -> None:
        address = f"/peers/{world.south.identity.id}/pause/"
        as_root.post(address, {"paused": "yes"})
        assert world.south_row.is_paused

        as_root.post(address, {"paused": "no"})

        assert not world.south_row.is_paused

    def test_is_made_due_at_once(self, world: World, as_root: Client) -> None:
        as_root.post(f"/peers/{world.west.identity.id}/sync/")

        assert world.west.row.next_try_at <= timezone.now()

    def test_is_not_asked_while_paused(self, world: World, as_root: Client) -> None:
        trusting.pause(world.south_row, is_paused=True, now=timezone.now())

        answer = as_root.post(f"/peers/{world.south.identity.id}/sync/", follow=True)

        assert "is paused" in said(answer)[0]

    def test_changes_are_for_staff(self, world: World, as_ada: Client, client: Client) -> None:
        for path in ("tier/", "pause/", "sync/"):
            address = f"/peers/{world.south.identity.id}/{path}"
            assert as_ada.post(address, {"to": "0", "paused": "yes"}).status_code == 404
            assert client.post(address, {"to": "0", "paused": "yes"}).status_code == 302
        assert (world.south_row.tier, world.south_row.is_paused) == (Tier.APPROVED, False)


class TestObject:
    def test_is_admitted_as_a_candidate(self, world: World, as_root: Client) -> None:
        address = f"/peers/quarantine/{world.held.pk}/"
        answer = as_root.post(f"{address}approve/", {"reason": ""}, follow=True)

        world.held.refresh_from_db()
        assert world.held.state == "admitted", said(answer)
        assert world.held.decided_by == world.root
        assert "candidate" in said(answer)[0]

    def test_is_rejected_with_a_reason(self, world: World, as_root: Client) -> None:
        address = f"/peers/quarantine/{world.suspicious.pk}/reject/"
        assert as_root.post(address, {"reason": " "}).status_code == 422

        as_root.post(address, {"reason": "it carries a key"})

        world.suspicious.refresh_from_db()
        assert (world.suspicious.state, world.suspicious.reason) == ("rejected", "it carries a key")

    def test_that_is_decided_is_not_decided_again(self, world: World, as_root: Client) -> None:
        answer = as_root.post(f"/peers/quarantine/{world.admitted.pk}/reject/", {"reason": "too late"}, follow=True)

        assert "does not apply" in said(answer)[0]

    def test_takes_the_others_of_its_author_with_it(self, world: World, as_root: Client) -> None:
        as_root.post(f"/peers/quarantine/{world.held.pk}/block/", {"reason": "spam"})

        states = QuarantineItem.objects.filter(statement__signer=world.west.author.id).values_list("state", flat=True)
        assert set(states) == {"rejected"}

    def test_is_tried_by_hand(self, world: World, as_root: Client) -> None:
        answer = as_root.post(f"/peers/quarantine/{world.held.pk}/try/", follow=True)

        world.held.refresh_from_db()
        assert answer.status_code == 200
        assert world.held.steps.filter(event="trial_requested", actor=world.root).exists()

    def test_decisions_are_for_staff(self, world: World, as_ada: Client) -> None:
        for path in ("approve/", "reject/", "block/", "try/"):
            answer = as_ada.post(f"/peers/quarantine/{world.held.pk}/{path}", {"reason": "mine"})
            assert answer.status_code == 404
        world.held.refresh_from_db()
        assert world.held.state == "held"


class TestNode:
    def test_is_made_once(self, db: None, client: Client) -> None:
        from tests.registry.factories import make_user

        client.force_login(make_user("root", is_staff=True))
        client.post("/peers/node/create/")
        client.post("/peers/node/create/")

        assert ThisNode.objects.count() == 1

    def test_is_switched_off_with_a_reason_and_on_again(self, world: World, as_root: Client) -> None:
        assert as_root.post("/peers/node/switch/", {"reason": ""}).status_code == 422
        as_root.post("/peers/node/switch/", {"reason": "an <incident>"})
        assert ThisNode.objects.get().is_paused
        assert "an &lt;incident&gt;" in Client().get("/peers/").content.decode()

        as_root.post("/peers/node/switch/")

        assert not ThisNode.objects.get().is_paused

    def test_rotates_its_keys_and_shows_them_to_its_peers(
        self, world: World, as_root: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Peer.objects.update(approved_there=True)
        introduced: list[str] = []
        monkeypatch.setattr(trusting, "introduce", lambda peer, **options: introduced.append(peer.node_id))

        as_root.post("/peers/node/rotate/")
        ticking._introduce_again(world.south_row, timezone.now())

        assert introduced == [world.south.identity.id]
        assert not world.south_row.approved_there and world.south_row.next_try_at <= timezone.now()

        assert RootDocument.objects.filter(identity=world.node.node_id).count() == 2
        assert "Version 2" in as_root.get("/peers/node/").content.decode()

    def test_rotation_takes_an_administrator(self, world: World) -> None:
        from tests.federation.web.conftest import signed_in
        from tests.registry.factories import make_user

        moderator = signed_in(make_user("mod", is_staff=True))

        assert moderator.post("/peers/node/rotate/").status_code == 403
        assert RootDocument.objects.filter(identity=world.node.node_id).count() == 1


class TestDeadLetters:
    def test_are_tried_again_when_a_key_came(self, world: World, as_root: Client) -> None:
        answer = as_root.post("/peers/dead-letters/retry/", follow=True)

        assert said(answer) == ["None of them can be accepted yet."]

    def test_are_not_tried_by_others(self, world: World, as_ada: Client) -> None:
        assert as_ada.post("/peers/dead-letters/retry/").status_code == 404


class TestHasten:
    def test_refuses_peers_without_an_address(self, world: World) -> None:
        Peer.objects.filter(pk=world.south_row.pk).update(base_url="")

        with pytest.raises(trusting.Unable, match="no address"):
            hastening.hasten(world.south_row, now=timezone.now())
