"""Offering statements: only what is missing, once, and a bad line rejects only itself."""

from __future__ import annotations

import dataclasses
import json

import pytest

from federation.protocol import exchange, feed, limits, pushing
from federation.protocol.exchange import PeerMisbehaved, PeerRefused
from federation.protocol.problems import TransportFailure
from tests.federation.makers import SOURCE, author, node, release
from tests.federation.memory import Node
from tests.federation.simulator import PeerSimulator

ADA = author()


@pytest.fixture
def us() -> Node:
    return Node(node("north"))


@pytest.fixture
def peer(us) -> PeerSimulator:
    return PeerSimulator(us.identity)


def lines(us, *statements):
    return [feed.line(statement, via=[us.id]) for statement in statements]


def releases(us, count):
    return [release(ADA, us.identity, version=f"1.0.{n}", source=SOURCE + f"# {n}\n") for n in range(count)]


def push(peer, given, **options):
    settled = []
    return exchange.drive(pushing.push(given, **options), peer, settle=settled.append), settled


class TestPush:
    def test_offers_what_the_peer_lacks(self, us, peer):
        root, one, two = ADA.statements[0], *releases(us, 2)
        push(peer, lines(us, root, one))

        summary, settled = push(peer, lines(us, root, one, two))

        assert (summary.accepted, summary.duplicate, summary.rejected) == (1, 2, {})
        assert [result.id for result in settled[0].results] == [two.id]

    def test_sends_no_more_than_100_lines_at_once(self, us, peer):
        made = releases(us, 120)

        summary, settled = push(peer, lines(us, ADA.statements[0], *made))

        assert [len(each.results) for each in settled] == [100, 21]
        assert summary.accepted == 121

    def test_sends_no_more_than_4_mib_at_once(self, us, peer):
        big = [release(ADA, us.identity, version=f"1.0.{n}", source="#" + "é" * 120_000 + f"{n}\n") for n in range(20)]

        _, settled = push(peer, lines(us, ADA.statements[0], *big), ask_first=False)

        assert len(settled) == 2
        assert all(len(request.body) <= limits.PAGE_BYTES for request in peer.requests)

    def test_repeated_after_a_lost_answer_is_the_same_transaction(self, us, peer):
        given = lines(us, ADA.statements[0], *releases(us, 2))
        losing = iter([True])

        def lose(response):
            if "push" in response.request.url and next(losing, False):
                raise TransportFailure("the answer was lost")
            return response

        peer.on_response(lose)
        with pytest.raises(TransportFailure):
            push(peer, given, ask_first=False)
        summary, _ = push(peer, given, ask_first=False)

        assert summary.accepted == 3
        assert len(peer.node.store.receipts) == 1
        assert len(peer.node.store.feed) == len(set(peer.node.store.feed))

    def test_a_bad_line_rejects_only_itself(self, us, peer):
        good, other = releases(us, 2)
        forged = release(ADA, us.identity, version="3.0.0", signers=us.identity.publish)

        summary, settled = push(peer, lines(us, ADA.statements[0], good, forged, other))

        assert [result.status for result in settled[0].results] == ["accepted", "accepted", "rejected", "accepted"]
        assert summary.rejected == {"bad-signature": 1}

    def test_a_line_that_was_there_before_is_refused(self, us, peer):
        looping = [feed.line(ADA.statements[0], via=[peer.id, us.id])]

        summary, _ = push(peer, looping, ask_first=False)

        assert summary.rejected == {"schema-invalid": 1}

    def test_the_same_number_for_other_content_is_a_conflict(self, us, peer, monkeypatch):
        monkeypatch.setattr(pushing, "sha256", lambda body: type("Fixed", (), {"hexdigest": lambda self: "t" * 64})())
        push(peer, lines(us, ADA.statements[0]), ask_first=False)

        with pytest.raises(PeerRefused) as refused:
            push(peer, lines(us, *releases(us, 1)), ask_first=False)
        assert refused.value.problem == "txn-conflict"

    @pytest.mark.parametrize(
        "changes",
        [
            {"txn": "other"},
            {"results": []},
            {"results": [{"status": "maybe"}]},
            {"results": [{"status": "rejected"}]},
            {"results": 5},
        ],
    )
    def test_an_answer_of_another_form_is_not_believed(self, us, peer, changes):
        peer.on_answer(
            lambda answer: dataclasses.replace(answer, body=json.dumps(json.loads(answer.body) | changes).encode())
        )

        with pytest.raises(PeerMisbehaved):
            push(peer, lines(us, ADA.statements[0]), ask_first=False)
