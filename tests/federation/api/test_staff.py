"""Peers, quarantine and blocked authors below /api/v1/: staff with the scope decide, nobody else sees that they exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from rest_framework.test import APIClient

from federation.models import BlockedAuthor, DeadLetter, Peer, QuarantineItem, Statement
from federation.protocol.quarantine import State
from federation.protocol.tiers import Tier
from federation.services import blocking, identities, ticking, trusting
from tests.contract import answered_as_described, is_of_federation, operations
from tests.federation import makers
from tests.federation.conftest import Remote, honest_release
from tests.federation.web.conftest import take
from tests.registry.api.conftest import as_user
from tests.registry.factories import make_admin, make_user

EVERYTHING = ("/api/v1/peers", "/api/v1/quarantine", "/api/v1/blocked-authors")


@pytest.fixture(autouse=True)
def fresh_limits() -> Iterator[None]:
    """Every test begins with unused limits."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def staff(db: Any) -> APIClient:
    """A member of the staff whose token may federate."""
    return as_user(make_user("sam", is_staff=True), "federate")


@pytest.fixture
def held(make_remote: Callable[..., Remote]) -> QuarantineItem:
    """An object of a peer on probation that waits for a person."""
    remote = make_remote(tier=Tier.PROBATION)
    take(remote, *remote.introduced(), remote.release())
    return QuarantineItem.objects.select_related("statement").get()


class TestWhoMayAsk:
    @pytest.mark.parametrize("path", EVERYTHING)
    def test_is_staff_with_the_scope(self, staff: APIClient, node: Any, path: str) -> None:
        assert staff.get(path).status_code == 200

    @pytest.mark.parametrize("path", EVERYTHING)
    def test_is_nobody_else(self, node: Any, path: str) -> None:
        assert APIClient().get(path).status_code == 401
        assert as_user(make_user("ada"), "federate").get(path).status_code == 404
        assert as_user(make_user("rex", is_staff=True), "read").get(path).status_code == 403


class TestBlockedAuthors:
    def test_are_listed_with_reason_person_and_what_was_refused_since(self, staff: APIClient, remote: Remote) -> None:
        remote.push(*remote.introduced())
        staff.post("/api/v1/blocked-authors", {"author_id": remote.author.id, "reason": "copies"}, format="json")
        remote.push(remote.release())

        (row,) = staff.get("/api/v1/blocked-authors").json()["results"]

        assert (row["author_id"], row["reason"], row["by"], row["refused"]) == (remote.author.id, "copies", "sam", 1)
        assert staff.get(f"/api/v1/blocked-authors/{remote.author.id}").json() == row

    def test_lose_what_waits_here(self, staff: APIClient, held: QuarantineItem) -> None:
        body = {"author_id": held.statement.signer, "reason": "copies"}

        answer = staff.post("/api/v1/blocked-authors", body, format="json")

        assert (answer.status_code, answer.json()["refused"]) == (201, 1)
        held.refresh_from_db()
        assert held.current is State.REJECTED

    def test_are_unblocked_and_what_was_refused_is_looked_at_again(self, staff: APIClient, remote: Remote) -> None:
        remote.push(*remote.introduced())
        blocking.block(remote.author.id, reason="x", now=timezone.now())
        remote.push(release := remote.release())

        answer = staff.delete(f"/api/v1/blocked-authors/{remote.author.id}")

        assert answer.json() == {"author_id": remote.author.id, "accepted": 1}
        assert Statement.objects.filter(statement_id=release.id).exists()
        assert not BlockedAuthor.objects.exists() and not DeadLetter.objects.exists()

    @pytest.mark.parametrize("author", ["", "opla1x", "opln1" + "a" * 32])
    def test_must_be_authors(self, staff: APIClient, node: Any, author: str) -> None:
        answer = staff.post("/api/v1/blocked-authors", {"author_id": author, "reason": "x"}, format="json")

        assert 400 <= answer.status_code < 500
        assert not BlockedAuthor.objects.exists()

    def test_that_are_none_cannot_be_unblocked(self, staff: APIClient, node: Any) -> None:
        answer = staff.delete("/api/v1/blocked-authors/opla1" + "a" * 32)

        assert (answer.status_code, answer.json()["code"]) == (404, "federation.not-found")
        assert "author blocked" in answer.json()["detail"]


class TestPeers:
    def test_are_listed_as_the_command_lists_them(self, staff: APIClient, remote: Remote) -> None:
        (row,) = staff.get("/api/v1/peers").json()["results"]

        assert row["node_id"] == remote.identity.id
        assert row["fingerprint"] == remote.identity.chain.fingerprint
        assert staff.get(f"/api/v1/peers/{remote.identity.id}").json() == row

    def test_get_another_tier_and_a_pause(self, staff: APIClient, remote: Remote) -> None:
        address = f"/api/v1/peers/{remote.identity.id}"

        answer = staff.patch(address, {"tier": 0, "paused": True, "reason": "it floods"}, format="json")

        assert (answer.json()["tier_name"], answer.json()["paused"]) == ("blocked", True)
        assert Peer.objects.get().trust is Tier.BLOCKED

    def test_that_nobody_knows_are_not_there(self, staff: APIClient, node: Any) -> None:
        assert staff.get("/api/v1/peers/nobody").status_code == 404


class TestQuarantine:
    def test_is_narrowed_by_state_and_peer(self, staff: APIClient, held: QuarantineItem) -> None:
        def found(query: str) -> list[int]:
            return [row["id"] for row in staff.get(f"/api/v1/quarantine?{query}").json()["results"]]

        assert found("state=held") == [held.pk]
        assert found(f"state=held&peer={Peer.objects.get().node_id}") == [held.pk]
        assert found("state=admitted") == found("peer=nobody") == []
        assert staff.get("/api/v1/quarantine?state=lost").status_code == 422

    @pytest.mark.parametrize(
        ("decision", "state"), [("approve", "admitted"), ("reject", "rejected"), ("block", "rejected")]
    )
    def test_is_decided(self, staff: APIClient, held: QuarantineItem, decision: str, state: str) -> None:
        address = f"/api/v1/quarantine/{held.pk}"

        answer = staff.post(f"{address}/decide", {"decision": decision, "reason": "I read it"}, format="json")

        assert answer.json()["state"] == state
        assert staff.get(address).json() == answer.json()
        assert held.steps.filter(actor__username="sam", reason="I read it").exists()

    def test_takes_a_reason_for_a_refusal(self, staff: APIClient, held: QuarantineItem) -> None:
        answer = staff.post(f"/api/v1/quarantine/{held.pk}/decide", {"decision": "reject"}, format="json")

        assert answer.status_code == 422

    def test_of_what_is_decided_is_a_conflict(self, staff: APIClient, held: QuarantineItem) -> None:
        address, body = f"/api/v1/quarantine/{held.pk}/decide", {"decision": "reject", "reason": "no"}
        staff.post(address, body, format="json")

        assert staff.post(address, body, format="json").status_code == 409


OPERATIONS = operations(is_of_federation)


class TestAnyRequest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        cache.clear()
        identities.create_node(now=timezone.now())
        south, author = makers.node("south"), makers.author("somebody")
        peer = trusting.receive(south.chain, {"base_url": "https://south.example"}, now=timezone.now())
        trusting.set_tier(peer, Tier.PROBATION, now=timezone.now())
        remote = Remote(south, author=author)
        take(remote, *remote.introduced(), honest_release(author, south))
        ticking.scan_all(now=timezone.now())
        item = QuarantineItem.objects.get()
        blocked = makers.author("blocked").id
        blocking.block(blocked, reason="x", now=timezone.now())
        self.known = {"node_id": south.id, "item_id": item.pk, "author_id": blocked}
        self.client_of_root = as_user(make_admin(), "federate")

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.data())
    def test_is_answered_as_described(self, data: st.DataObject) -> None:
        answered_as_described(self.client_of_root, data, OPERATIONS, self.known)
