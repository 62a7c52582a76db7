"""Reading a peer's feed: what a peer, or somebody between us, may try."""

from __future__ import annotations

import dataclasses

import pytest

from federation.protocol import exchange, limits, messages, session
from federation.protocol.exchange import PeerMisbehaved, PeerRefused, Take
from federation.protocol.feed import BadLine, Cursor, Line
from federation.protocol.problems import Refused, TransportFailure
from federation.protocol.strictjson import dumps
from tests.federation import makers
from tests.federation.makers import NOON, SOURCE, author, node, release, secret
from tests.federation.memory import Node
from tests.federation.simulator import Offline, PeerSimulator, replace_line


@pytest.fixture
def us() -> Node:
    return Node(node("north"))


@pytest.fixture
def peer(us) -> PeerSimulator:
    return PeerSimulator(us.identity)


def pull(us: Node, peer: PeerSimulator, **reading) -> exchange.Summary:
    """A real pull, stored step by step."""
    taker = Taker(us, peer.id)
    since = us.store.cursors.get(peer.id)
    reading = {"limit": 2} | reading
    return exchange.drive(
        session.sync(since, held=us.raw_ids, sender=peer.id, own=us.id, **reading), peer, take=taker.take
    )


class Taker:
    def __init__(self, us: Node, sender: str) -> None:
        self.us, self.sender = us, sender

    def take(self, step: Take) -> None:
        assert self.us.take(step, sender=self.sender, expected=self.us.store.cursors.get(self.sender))


def held(us: Node, kind: str = "release") -> set[str]:
    return {each.statement.id for each in us.store.held.values() if each.statement.kind == kind}


class TestPull:
    def test_takes_everything_in_pages(self, us, peer):
        published = {peer.publish().id for _ in range(5)}

        summary = pull(us, peer)

        assert held(us) == published
        assert (summary.lines, summary.pages, summary.bad) == (7, 4, 0)  # two root documents among them
        assert us.store.cursors[peer.id] == peer.node.head

    def test_goes_on_where_it_stopped(self, us, peer):
        peer.publish()
        pull(us, peer)
        new = peer.publish()

        summary = pull(us, peer)

        assert summary.lines == 1
        assert new.id in held(us)

    def test_takes_nothing_twice(self, us, peer):
        peer.publish()
        pull(us, peer)
        us.store.cursors.clear()

        pull(us, peer)

        assert len(us.store.feed) == len(set(us.store.feed)) == 4

    def test_resumes_from_its_cursor_after_a_crash(self, us, peer):
        published = {peer.publish().id for _ in range(6)}
        taker = Taker(us, peer.id)
        crashes = iter([False, True])

        def crash(step):
            if next(crashes, False):
                raise RuntimeError("power cut")
            taker.take(step)

        with pytest.raises(RuntimeError):
            exchange.drive(session.pull(None, sender=peer.id, own=us.id, limit=2), peer, take=crash)
        asked_before = len(peer.requests)
        pull(us, peer)

        assert held(us) == published
        assert "since=" in peer.requests[asked_before].url

    def test_keeps_unknown_fields_byte_for_byte(self, us, peer):
        made = peer.publish(mood="glad", later={"a": [1.50, None]})

        pull(us, peer)

        assert us.store.held[made.id].statement.envelope.payload == made.envelope.payload

    def test_lets_the_peer_hold_the_first_page_only(self, us, peer):
        for _ in range(4):
            peer.publish()

        pull(us, peer, wait_seconds=20)

        assert ["wait=20" in request.url for request in peer.requests] == [True, False, False]

    def test_stops_after_so_many_pages_and_goes_on_later(self, us, peer):
        for _ in range(4):
            peer.publish()

        assert pull(us, peer, most_pages=1).pages == 1
        assert pull(us, peer).cursor == peer.node.head


class TestHostileFeed:
    def test_refuses_a_feed_that_rewinds(self, us, peer):
        peer.publish()
        pull(us, peer)
        peer.on_answer(
            lambda answer: dataclasses.replace(
                answer, headers={**answer.headers, "opl-cursor": f"{peer.node.store.epoch}:1"}
            )
        )

        with pytest.raises(PeerMisbehaved, match="rewinds"):
            pull(us, peer)

    def test_refuses_a_feed_that_changes_its_epoch_in_silence(self, us, peer):
        peer.publish()
        pull(us, peer)
        peer.on_answer(
            lambda answer: dataclasses.replace(answer, headers={**answer.headers, "opl-cursor": "0" * 32 + ":9"})
        )

        with pytest.raises(PeerMisbehaved, match="epoch"):
            pull(us, peer)

    def test_refuses_a_feed_that_says_there_is_always_more(self, us, peer):
        pull(us, peer)
        peer.on_answer(lambda answer: dataclasses.replace(answer, headers={**answer.headers, "opl-more": "?1"}))

        with pytest.raises(PeerMisbehaved, match="does not move on"):
            pull(us, peer)

    @pytest.mark.parametrize("seq", [3, 1, 99])
    def test_refuses_lines_out_of_order(self, us, peer, seq):
        for _ in range(4):
            peer.publish()
        pull(us, peer, most_pages=1)
        peer.on_answer(lambda answer: replace_line(answer, 1, seq=seq))

        with pytest.raises(PeerMisbehaved, match="does not follow"):
            pull(us, peer)

    def test_stops_at_the_page_size_limit(self, us, peer):
        for _ in range(4):
            peer.publish()
        peer.on_answer(lambda answer: dataclasses.replace(answer, body=answer.body * 2))

        with pytest.raises(PeerMisbehaved, match="page-too-large"):
            pull(us, peer)
        assert not held(us)

    def test_stops_at_4_mib(self, us, peer):
        peer.on_answer(lambda answer: dataclasses.replace(answer, body=b" " * (limits.PAGE_BYTES + 1)))

        with pytest.raises(PeerMisbehaved, match="page-too-large"):
            pull(us, peer)

    def test_takes_nothing_of_a_page_that_breaks_the_protocol(self, us, peer):
        for _ in range(3):
            peer.publish()
        before = len(us.store.feed)
        peer.on_answer(lambda answer: replace_line(answer, 1, seq=1))

        with pytest.raises(PeerMisbehaved):
            pull(us, peer)
        assert len(us.store.feed) == before
        assert peer.id not in us.store.cursors

    @pytest.mark.parametrize(
        "headers", [{}, {"opl-cursor": "x", "opl-more": "?0"}, {"opl-cursor": "0" * 32 + ":0", "opl-more": "yes"}]
    )
    def test_refuses_a_page_without_its_headers(self, us, peer, headers):
        peer.on_answer(lambda answer: dataclasses.replace(answer, headers=headers))

        with pytest.raises(PeerMisbehaved):
            pull(us, peer)

    def test_refuses_an_error_that_is_no_problem(self, us, peer):
        peer.on_answer(lambda answer: dataclasses.replace(answer, status=500, body=b"<h1>sorry</h1>"))

        with pytest.raises(PeerMisbehaved, match="without a problem"):
            pull(us, peer)


class TestBadLine:
    def test_becomes_a_dead_letter_and_never_stops_the_feed(self, us, peer):
        for _ in range(3):
            peer.publish()
        peer.on_answer(lambda answer: replace_line(answer, 0, sig=[]))

        summary = pull(us, peer)

        assert summary.bad == summary.pages
        assert us.store.cursors[peer.id] == peer.node.head
        assert {dead.code for dead in us.store.dead.values() if isinstance(dead.line, BadLine)} == {"schema-invalid"}

    def test_with_our_own_id_in_via_is_one(self, us, peer):
        peer.publish()
        peer.on_answer(lambda answer: replace_line(answer, 0, via=[us.id, peer.id]))

        assert pull(us, peer).bad == 2

    def test_whose_last_node_is_not_the_sender_is_one(self, us, peer):
        peer.publish()
        peer.on_answer(lambda answer: replace_line(answer, 0, via=[node("east").id]))

        assert pull(us, peer).bad == 2

    def test_of_an_unknown_kind_is_kept_for_an_upgrade(self, us, peer):
        made = peer.publish()
        raw = made.envelope.payload.replace(b"predicate/release/v1", b"predicate/release/v9")
        peer.on_answer(lambda answer: replace_line(answer, 0, k="gossip", p=raw.decode()))

        pull(us, peer)

        assert "unknown-kind" in {dead.code for dead in us.store.dead.values()}

    def test_of_an_author_not_yet_known_waits_for_the_root_document(self, us, peer):
        eve = author("eve")
        early = release(eve, peer.identity)
        peer.add(early)
        pull(us, peer)
        assert us.store.dead[early.id].code == "unknown-key"

        peer.node.publish(*eve.statements)
        pull(us, peer)

        assert early.id in held(us)
        assert not us.store.dead

    @pytest.mark.parametrize(
        ("forge", "code"),
        [
            (lambda peer: release(peer.author, peer.identity, signers=peer.identity.publish), "bad-signature"),
            (lambda peer: release(peer.author, peer.identity, signers=author("eve").publish), "bad-signature"),
            (lambda peer: makers.usage(makers.node("east"), "0" * 64), "unknown-key"),
        ],
    )
    def test_that_nobody_entitled_signed_is_refused(self, us, peer, forge, code):
        forged = forge(peer)
        peer.add(forged)

        pull(us, peer)

        assert us.store.dead[forged.id].code == code

    def test_signed_by_a_retired_key_is_refused(self, us, peer):
        old = list(peer.author.publish)
        peer.node.publish(peer.author.rotate(at=NOON))
        late = release(peer.author, peer.identity, signers=old, created=makers.fields.written(NOON + 1))
        in_time = release(peer.author, peer.identity, signers=old, version="2.0.0", created=makers.fields.written(NOON))
        peer.add(late)
        peer.add(in_time)

        pull(us, peer)

        assert us.store.dead[late.id].code == "bad-signature"
        assert in_time.id in held(us)


class TestCursorReset:
    def test_is_overcome_by_reconciling(self, us, peer):
        for _ in range(4):
            peer.publish()
        pull(us, peer)
        new = peer.publish()
        peer.fork_feed()

        summary = pull(us, peer)

        assert new.id in held(us)
        assert us.store.cursors[peer.id] == peer.node.head
        assert summary.lines == 1

    def test_finds_what_the_peer_lost(self, us, peer):
        for _ in range(4):
            peer.publish()
        backup = peer.node.snapshot()
        lost = peer.publish()
        pull(us, peer)
        peer.node.restore(backup)

        assert lost.id in pull(us, peer).have

    def test_after_a_truncated_feed_reconciles(self, us, peer):
        for _ in range(4):
            peer.publish()
        pull(us, peer)
        peer.truncate(at=3)

        pull(us, peer)

        assert us.store.cursors[peer.id].seq == 3

    def test_brings_back_what_this_node_itself_had_published(self, us, peer):
        """A restored database has lost an own statement that a peer still has."""
        ada = author()
        us.publish(*ada.statements)
        backup = us.snapshot()
        lost = release(ada, us.identity)
        us.publish(lost)
        for sent in us.store.held.values():
            peer.node.accept(session.feed.line(sent.statement, via=sent.via), via=(us.id, peer.id))
        us.restore(backup)

        exchange.drive(
            session.recover(us.raw_ids(), sender=peer.id, own=us.id),
            peer,
            take=lambda step: us.take(step, sender=peer.id) and None,
        )

        assert us.store.held[lost.id].via == (us.id,)

    def test_cannot_be_forged_by_somebody_on_the_way(self, us, peer):
        peer.publish()
        pull(us, peer)
        body = dumps(Refused("cursor-reset", "begin anew").to_json())
        peer.on_response(lambda response: dataclasses.replace(response, status=410, body=body))

        with pytest.raises(TransportFailure):
            pull(us, peer)

    def test_takes_no_statement_that_was_not_asked_for(self, us, peer):
        peer.publish()
        pull(us, peer)
        peer.publish()
        peer.fork_feed()
        stray = release(peer.author, peer.identity, version="9.0.0")

        def smuggle(answer):
            if b'"seq"' not in answer.body:
                return answer
            return dataclasses.replace(answer, body=session.feed.line(stray, via=[peer.id], seq=1).to_bytes())

        peer.on_answer(smuggle)
        with pytest.raises(PeerMisbehaved, match="not asked for"):
            pull(us, peer)


class TestTransport:
    def test_acts_on_no_answer_under_another_key(self, us, peer):
        peer.sign_with(secret("eve transport"))

        with pytest.raises(TransportFailure, match="unknown key"):
            pull(us, peer)

    def test_acts_on_no_answer_under_a_replaced_transport_key(self, us, peer):
        old = peer.key
        peer.identity.rotate()
        peer.sign_with(old)

        with pytest.raises(TransportFailure, match="unknown key"):
            pull(us, peer)

    def test_follows_a_peer_that_rotated(self, us, peer):
        peer.identity.rotate()
        peer.sign_with(peer.identity.transport[0])
        peer.publish()

        assert pull(us, peer).bad == 0

    def test_acts_on_no_answer_to_another_question(self, us, peer):
        peer.publish()
        kept = []
        peer.on_response(
            lambda response: kept.append(response) or dataclasses.replace(kept[0], request=response.request)
        )

        with pytest.raises(TransportFailure):
            pull(us, peer)

    def test_is_told_of_a_wrong_clock(self, us, peer):
        peer.skew = 3_600

        with pytest.raises(TransportFailure, match="clock"):
            pull(us, peer)

    def test_is_refused_by_a_peer_that_does_not_know_its_key(self, us, peer):
        us.identity.transport = [secret("never announced")]

        with pytest.raises(PeerRefused) as refused:
            pull(us, peer)
        assert (refused.value.problem, refused.value.retryable) == ("unknown-key", True)

    def test_has_its_changed_request_refused(self, us, peer):
        peer.on_request(lambda request: dataclasses.replace(request, url=request.url.replace("limit=2", "limit=3")))

        with pytest.raises(TransportFailure):
            pull(us, peer)

    def test_that_reaches_nobody_changes_nothing(self, us, peer):
        before = us.snapshot()

        with pytest.raises(TransportFailure):
            exchange.drive(session.pull(None, sender=peer.id, own=us.id), Offline())
        assert us.store == before

    def test_sends_a_fresh_nonce_with_every_request(self, us, peer):
        for _ in range(4):
            peer.publish()
        pull(us, peer)
        inputs = [messages.header(request.headers, "signature-input") for request in peer.requests]

        assert len(set(inputs)) == len(inputs) == 3


class TestEquivocation:
    def test_quarantines_both_releases_of_one_version(self, us, peer):
        first = peer.publish(version="1.0.0")
        second = release(peer.author, peer.identity, version="1.0.0", source=SOURCE + "# second\n")
        peer.add(second)

        pull(us, peer)

        assert us.store.quarantined == {first.id, second.id}


class TestSteps:
    def test_hold_lines_and_cursor_together(self, us, peer):
        peer.publish()
        steps: list[Take] = []

        exchange.drive(session.pull(None, sender=peer.id, own=us.id), peer, take=steps.append)

        (step,) = steps
        assert step.cursor == Cursor(peer.node.store.epoch, 3)
        assert all(isinstance(line, Line) for line in step.lines)
