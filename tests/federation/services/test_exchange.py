"""This node against remote peers with real signatures: what it gives, what it takes, what it remembers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from federation.models import (
    DeadLetter,
    EgressEntry,
    Peer,
    QuarantineItem,
    RootDocument,
    SharedVersion,
    Statement,
    ThisNode,
)
from federation.protocol import exchange, feed, kinds, pushing, session
from federation.protocol.exchange import Take
from federation.protocol.feed import Cursor
from federation.protocol.quarantine import State
from federation.protocol.strictjson import dumps
from federation.protocol.tiers import Tier
from federation.services import identities, quarantining, sharing, standing, storing, syncing, ticking, trusting
from registry.models import Owner, PatternVersion
from registry.services import publishing, yanking
from tests.federation import makers
from tests.federation.conftest import Remote, ids
from tests.federation.simulator import Offline, PeerSimulator
from tests.registry import factories


def publish(
    name: str = "vote", *, owner: Owner | None = None, source: bytes | None = None, **changes: Any
) -> PatternVersion:
    owner = owner or factories.make_user().own_owner
    given = {"via": "api", "now": timezone.now(), "user": None} | changes
    made = publishing.publish(owner=owner, source=source or factories.opl(name, script="RETURN 1"), **given)
    return made.versions[0].version


def share(*versions: PatternVersion) -> list[Statement]:
    sharing.notice(now=timezone.now())
    storing.number()
    return [Statement.objects.get(shared__pattern_version=version) for version in versions]


def lines_of(answer: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.content.split(b"\n") if line]


@pytest.fixture
def simulated(node: ThisNode) -> tuple[Peer, PeerSimulator]:
    """A peer in memory that this node pulls from, and its row here."""
    simulator = PeerSimulator(makers.node("client side"))
    peer = trusting.receive(simulator.identity.chain, {"base_url": "https://south.example"}, now=timezone.now())
    trusting.set_tier(peer, Tier.APPROVED, now=timezone.now())
    return peer, simulator


class TestSharing:
    def test_signs_a_public_version_as_a_release_of_its_owner(self, node: ThisNode) -> None:
        version = publish()

        (row,) = share(version)

        told = row.predicate
        assert row.kind == "release"
        assert told["author"] == row.signer == version.pattern.owner.author_identity.author_id
        assert told["source_digest"] == version.digest
        assert told["origin"] == node.node_id

    def test_puts_root_documents_before_the_releases_that_need_them(self, node: ThisNode) -> None:
        share(publish("one"), publish("two"))

        kinds_in_order = list(Statement.objects.order_by("seq").values_list("kind", flat=True))
        assert kinds_in_order == ["root", "root", "root", "release", "release"]

    def test_numbers_are_dense(self, node: ThisNode) -> None:
        share(publish("one"), publish("two"), publish("three"))

        numbers = list(Statement.objects.order_by("seq").values_list("seq", flat=True))
        assert numbers == list(range(1, len(numbers) + 1))

    def test_does_not_share_what_is_private_nor_the_library(self, node: ThisNode) -> None:
        publish("secret", visibility="private")
        publish("shipped", via="library")

        assert sharing.notice(now=timezone.now()) == 0

    def test_keeps_a_planted_secret_on_the_node(self, node: ThisNode) -> None:
        token = "ghp_" + "a1B2" * 10
        version = publish("leaky", source=factories.opl("leaky", script="RETURN 1", description=f"use {token}"))

        sharing.notice(now=timezone.now())

        row = SharedVersion.objects.get(pattern_version=version)
        assert row.outcome == "kept-back"
        assert "GitHub token" in row.reason
        assert token not in json.dumps(row.findings)

    def test_keeps_private_topics_on_the_node(self, node: ThisNode) -> None:
        ThisNode.objects.update(private_topics=["internal"])
        version = publish("plan", source=factories.opl("plan", script="RETURN 1", tags=["internal"]))

        sharing.notice(now=timezone.now())

        assert "private" in SharedVersion.objects.get(pattern_version=version).reason

    def test_signs_a_yank_for_what_was_announced(self, node: ThisNode) -> None:
        version = publish()
        (release,) = share(version)
        yanking.yank(version=version, user=None, reason="it counts wrong", now=timezone.now())

        sharing.notice(now=timezone.now())

        yank = Statement.objects.get(kind="yank")
        assert (yank.target, yank.signer) == (release.statement_id, release.signer)
        assert yank.predicate["reason"] == "it counts wrong"

    def test_previews_exactly_what_leaves(self, node: ThisNode) -> None:
        version = publish()
        identities.author_of(version.pattern.owner, now=timezone.now())

        looked = sharing.preview(version, now=timezone.now())
        (row,) = share(version)

        assert looked.predicate == row.predicate

    def test_previews_the_first_release_of_an_owner_but_for_the_author_it_makes(self, node: ThisNode) -> None:
        version = publish()

        looked = sharing.preview(version, now=timezone.now())
        (row,) = share(version)

        assert looked.predicate == row.predicate | {"author": sharing.NEW_AUTHOR}


class TestTheFeed:
    def test_gives_pages_with_cursors(self, remote: Remote) -> None:
        share(publish("one"), publish("two"))

        first = remote.ask("GET", "/fed/v1/changes?limit=2")
        rest = remote.ask("GET", f"/fed/v1/changes?since={first.headers['Opl-Cursor']}&limit=500")

        assert first.headers["Opl-More"] == "?1"
        assert rest.headers["Opl-More"] == "?0"
        assert [line["seq"] for line in lines_of(first) + lines_of(rest)] == [1, 2, 3, 4, 5]

    def test_is_packed_for_whoever_takes_zstd(self, remote: Remote) -> None:
        share(*(publish(f"pattern{n}") for n in range(8)))

        answer = remote.ask("GET", "/fed/v1/changes?limit=500", headers=(("accept-encoding", "zstd"),))

        assert answer.headers["Content-Encoding"] == "zstd"
        from federation.transport import unpacked

        assert len(unpacked(answer.content).splitlines()) == Statement.objects.count()

    def test_an_unfiltered_cursor_acknowledges(self, remote: Remote) -> None:
        share(publish())
        cursor = remote.ask("GET", "/fed/v1/changes").headers["Opl-Cursor"]
        assert remote.row.acked_seq == 0

        remote.ask("GET", f"/fed/v1/changes?since={cursor}&kinds=yank")
        assert remote.row.acked_seq == 0
        remote.ask("GET", f"/fed/v1/changes?since={cursor}")

        assert remote.row.acked_seq == 3
        assert remote.ask("GET", "/fed/v1/status").json()["lag"] == 0

    @pytest.mark.parametrize("since", ["f" * 32 + ":1", "{epoch}:99"])
    def test_a_cursor_of_another_life_is_reset(self, remote: Remote, node: ThisNode, since: str) -> None:
        answer = remote.ask("GET", f"/fed/v1/changes?since={since.format(epoch=node.epoch)}")

        assert (answer.status_code, answer.json()["code"]) == (410, "cursor-reset")

    @pytest.mark.parametrize(
        "query", ["since=nonsense", "limit=0", "limit=x", "wait=31", "limit=5&limit=6", "since=" + "A" * 32 + ":1"]
    )
    def test_refuses_a_malformed_query(self, remote: Remote, query: str) -> None:
        answer = remote.ask("GET", f"/fed/v1/changes?{query}")

        assert (answer.status_code, answer.json()["code"]) == (422, "schema-invalid")

    def test_refuses_a_page_of_501(self, remote: Remote) -> None:
        assert remote.ask("GET", "/fed/v1/changes?limit=501").json()["code"] == "page-too-large"

    def test_never_filters_what_is_dangerous_to_miss(self, remote: Remote) -> None:
        version = publish()
        share(version)
        yanking.yank(version=version, user=None, reason="harmful", now=timezone.now())
        share(version)

        found = {line["k"] for line in lines_of(remote.ask("GET", "/fed/v1/changes?kinds=translation&topics=none"))}

        assert found == {"root", "yank"}
        assert found <= kinds.ALWAYS_SENT

    def test_shows_the_organisation_only_to_itself(self, make_remote: Callable[..., Remote]) -> None:
        stranger, colleague = make_remote("stranger"), make_remote("colleague", tier=Tier.OWN)
        (row,) = share(publish("ours", visibility="org"))

        assert row.statement_id not in {each.envelope.id for each in _pulled(stranger)}
        assert row.statement_id in {each.envelope.id for each in _pulled(colleague)}
        assert stranger.ask("GET", f"/fed/v1/statements/{row.statement_id}").json()["code"] == "not-found"
        assert stranger.ask("POST", "/fed/v1/have", dumps({"ids": [row.statement_id]})).json()["missing"] == [
            row.statement_id
        ]

    def test_offers_public_topics_only(self, make_remote: Callable[..., Remote]) -> None:
        ThisNode.objects.update(public_topics=["voting"])
        stranger = make_remote("stranger")
        voting, other = share(
            publish("one", source=factories.opl("one", script="RETURN 1", tags=["voting"])),
            publish("two", source=factories.opl("two", script="RETURN 1", tags=["other"])),
        )

        pulled = {each.envelope.id for each in _pulled(stranger)}

        assert voting.statement_id in pulled
        assert other.statement_id not in pulled

    def test_logs_what_left_to_whom(self, remote: Remote) -> None:
        share(publish())
        remote.ask("GET", "/fed/v1/changes")

        entry = EgressEntry.objects.get()
        assert (entry.peer_id, entry.how, entry.count) == (remote.row.pk, "feed", 3)


def _pulled(remote: Remote) -> list[feed.Line]:
    """What a remote reads from this node by the real session."""
    taken: list[feed.Line] = []
    own = identities.node().node_id
    exchange.drive(
        session.sync(None, held=lambda: (), sender=own, own=remote.identity.id),
        remote,
        take=lambda step: taken.extend(step.lines),
    )
    return taken


class TestReading:
    def test_the_real_session_reads_everything(self, remote: Remote) -> None:
        share(*(publish(f"pattern{n}") for n in range(5)))

        assert len(_pulled(remote)) == Statement.objects.count()

    def test_a_lost_reader_is_reconciled_with(self, remote: Remote, node: ThisNode) -> None:
        share(*(publish(f"pattern{n}") for n in range(40)))
        every = [bytes.fromhex(each) for each in Statement.objects.values_list("statement_id", flat=True)]
        taken: list[feed.Line] = []
        stale = Cursor("f" * 32, 7)

        summary = exchange.drive(
            session.sync(stale, held=lambda: every[:-3], sender=node.node_id, own=remote.identity.id),
            remote,
            take=lambda step: taken.extend(step.lines),
        )

        assert {line.envelope.id for line in taken} == {each.hex() for each in every[-3:]}
        assert summary.cursor == Cursor(node.epoch, identities.node().head)

    def test_a_statement_is_immutable_and_answers_304_signed(self, remote: Remote) -> None:
        (row,) = share(publish())
        path = f"/fed/v1/statements/{row.statement_id}"

        whole = remote.ask("GET", path)
        again = remote.ask("GET", path, headers=(("if-none-match", whole.headers["ETag"]),))

        assert whole.json() == row.to_json()
        assert (again.status_code, again.content) == (304, b"")


class TestPush:
    def test_takes_a_release_into_quarantine(self, remote: Remote) -> None:
        results = remote.push(*remote.introduced(), made := remote.release())

        assert [each["status"] for each in results] == ["accepted"] * 3
        item = QuarantineItem.objects.get(statement__statement_id=made.id)
        assert item.current is State.SIGNED_OK
        assert not PatternVersion.objects.filter(digest=made.subject.sha256).exists()

    def test_repeats_its_answer_for_the_same_transaction(self, remote: Remote) -> None:
        statements = [*remote.introduced(), remote.release()]
        first = remote.push(*statements, txn="the-same-transaction")
        assert remote.push(*statements, txn="the-same-transaction") == first

        answer = remote.ask(
            "PUT", "/fed/v1/push/the-same-transaction", remote.lines(statements[0]), content_type=feed.CONTENT_TYPE
        )

        assert answer.json()["code"] == "txn-conflict"

    def test_a_bad_line_rejects_only_itself(self, remote: Remote) -> None:
        body = remote.lines(*remote.introduced()) + b"{nonsense\n" + remote.lines(remote.release())

        answer = remote.ask("PUT", "/fed/v1/push/with-one-bad-line-in", body, content_type=feed.CONTENT_TYPE)

        assert [each["status"] for each in answer.json()["results"]] == ["accepted", "accepted", "rejected", "accepted"]
        assert answer.json()["results"][2]["id"] is None
        assert DeadLetter.objects.get().code == "schema-invalid"

    def test_keeps_a_release_until_its_author_is_known(self, remote: Remote) -> None:
        made = remote.release()

        (result,) = remote.push(made)
        assert result["code"] == "unknown-key"
        remote.push(*remote.introduced())

        assert Statement.objects.filter(statement_id=made.id).exists()
        assert not DeadLetter.objects.exists()

    def test_says_which_ids_it_lacks(self, remote: Remote) -> None:
        made = remote.release()
        remote.push(*remote.introduced())

        answer = remote.ask("POST", "/fed/v1/have", ids(*remote.introduced(), made))

        assert answer.json() == {"missing": [made.id]}

    def test_the_real_session_pushes_only_what_is_missing(self, remote: Remote) -> None:
        lines = [feed.line(each, via=[remote.identity.id]) for each in (*remote.introduced(), remote.release())]
        first = exchange.drive(pushing.push(lines), remote)
        second = exchange.drive(pushing.push(lines), remote)

        assert (first.accepted, second.accepted, second.duplicate) == (3, 0, 3)

    def test_refuses_a_line_that_was_here_before(self, remote: Remote, node: ThisNode) -> None:
        line = feed.line(remote.release(), via=[node.node_id, remote.identity.id]).to_bytes()

        answer = remote.ask("PUT", "/fed/v1/push/with-our-own-id-in-via", line, content_type=feed.CONTENT_TYPE)

        assert answer.json()["results"][0]["code"] == "schema-invalid"

    def test_a_peer_has_a_share_of_the_day(
        self, make_remote: Callable[..., Remote], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        probation = make_remote("probation", tier=Tier.PROBATION)
        from federation.models import day_of

        day = day_of(probation.row, timezone.now())
        day.objects_in = 1_000
        day.save()

        answer = probation.ask("PUT", "/fed/v1/push/beyond-the-days-share", probation.lines(probation.release()))

        assert (answer.status_code, answer.json()["code"]) == (429, "quota-exceeded")
        assert answer.json()["retry_after"] > 0

    def test_tells_a_peer_what_was_rejected_by_code(self, remote: Remote) -> None:
        remote.push(remote.release())

        assert remote.ask("GET", "/fed/v1/status").json()["rejected"] == {"unknown-key": 1}


class TestPeerRequests:
    def body(self, remote: Remote) -> bytes:
        roots = [each.envelope.to_json() for each in remote.identity.statements]
        return dumps({"base_url": "https://new.example", "roots": roots, "contact": "ada", "message": "hello"})

    def test_wait_for_a_person(self, node: ThisNode) -> None:
        newcomer = Remote(makers.node("newcomer"))

        answer = newcomer.ask("POST", "/fed/v1/peer-requests", self.body(newcomer))

        assert (answer.status_code, answer.json()["state"], answer.json()["tier"]) == (202, "pending", 1)
        assert newcomer.row.message == "hello"

    def test_five_an_hour_are_answered(self, node: ThisNode) -> None:
        newcomers = [Remote(makers.node(f"newcomer {n}")) for n in range(6)]

        codes = [each.ask("POST", "/fed/v1/peer-requests", self.body(each)).status_code for each in newcomers]

        assert codes == [202] * 5 + [429]

    def test_a_rotation_keeps_the_tier_and_ends_the_old_key(self, remote: Remote) -> None:
        remote.identity.rotate()

        answer = remote.ask("POST", "/fed/v1/peer-requests", self.body(remote))

        assert (answer.status_code, answer.json()["tier"]) == (200, 3)
        assert remote.ask("GET", "/fed/v1/status").json()["root_version"] == 2

    def test_a_chain_that_was_cut_is_a_rollback(self, remote: Remote) -> None:
        old_key = remote.key
        remote.identity.rotate()
        remote.ask("POST", "/fed/v1/peer-requests", self.body(remote))
        roots = [remote.identity.statements[0].envelope.to_json()]

        answer = remote.ask(
            "POST", "/fed/v1/peer-requests", dumps({"base_url": "https://x.example", "roots": roots}), key=old_key
        )

        assert (answer.status_code, answer.json()["code"]) == (409, "root-rollback")

    def test_are_signed_with_a_key_of_their_own_chain(self, node: ThisNode) -> None:
        newcomer, thief = Remote(makers.node("newcomer")), Remote(makers.node("thief"))

        answer = thief.ask("POST", "/fed/v1/peer-requests", self.body(newcomer))

        assert answer.json()["code"] == "unknown-key"


class TestPull:
    def test_stores_rows_and_cursor_together(self, simulated: tuple[Peer, PeerSimulator]) -> None:
        peer, simulator = simulated
        made = simulator.publish()

        report = sync(peer, simulator)

        peer.refresh_from_db()
        assert report.error == ""
        assert Statement.objects.filter(statement_id=made.id).exists()
        assert peer.cursor == simulator.node.head

    def test_a_crash_loses_rows_and_cursor_together(
        self, simulated: tuple[Peer, PeerSimulator], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        peer, simulator = simulated
        simulator.publish()
        monkeypatch.setattr(syncing.quotas, "note", lambda *a, **k: (_ for _ in ()).throw(RuntimeError("power cut")))

        with pytest.raises(RuntimeError):
            sync(peer, simulator)

        peer.refresh_from_db()
        assert peer.cursor is None
        assert not Statement.objects.filter(kind="release").exists()

    def test_a_cursor_that_moved_meanwhile_stores_nothing(self, simulated: tuple[Peer, PeerSimulator]) -> None:
        peer, simulator = simulated
        Peer.objects.filter(pk=peer.pk).update(cursor_epoch="a" * 32, cursor_seq=9)

        with pytest.raises(syncing.CursorMoved):
            syncing.store(peer, Take(lines=(), cursor=simulator.node.head), expected=None, now=timezone.now())

    def test_reconciles_after_a_restore(self, simulated: tuple[Peer, PeerSimulator]) -> None:
        peer, simulator = simulated
        simulator.publish()
        sync(peer, simulator)
        simulator.fork_feed()
        late = simulator.publish()
        peer.refresh_from_db()

        assert sync(peer, simulator).error == ""

        assert Statement.objects.filter(statement_id=late.id).exists()

    def test_a_silent_peer_is_tried_later_and_later(self, simulated: tuple[Peer, PeerSimulator]) -> None:
        peer, _ = simulated
        now = timezone.now()
        waits = []
        for _ in range(4):
            assert sync(peer, Offline(), now=now).error
            waits.append(peer.next_try_at - now)

        assert waits == sorted(waits)
        assert peer.failures == 4

    def test_a_valid_request_revives_a_dead_peer(self, remote: Remote) -> None:
        long_ago = timezone.now() - timedelta(days=9)
        Peer.objects.filter(pk=remote.row.pk).update(
            failures=40, failing_since=long_ago, next_try_at=timezone.now() + timedelta(days=1)
        )

        remote.ask("GET", "/fed/v1/status")

        assert remote.row.failures == 0
        assert remote.row.next_try_at <= timezone.now()

    def test_stops_when_the_days_share_is_used_up(self, simulated: tuple[Peer, PeerSimulator]) -> None:
        peer, simulator = simulated
        from federation.models import day_of

        day = day_of(peer, timezone.now())
        day.objects_in = 10_000
        day.save()
        simulator.publish()

        assert sync(peer, simulator).lines == 0

    def test_withdrawals_are_read_apart(self, simulated: tuple[Peer, PeerSimulator]) -> None:
        peer, simulator = simulated
        made = simulator.publish()
        yank = makers.withdrawal("yank", simulator.author, made.id)
        simulator.node.publish(yank)

        syncing.revocations(peer, now=timezone.now(), carrier=simulator)

        assert Statement.objects.filter(statement_id=yank.id).exists()

    def test_nothing_goes_out_while_the_kill_switch_is_on(self, simulated: tuple[Peer, PeerSimulator]) -> None:
        peer, simulator = simulated
        trusting.kill_switch(is_on=True, reason="drill", now=timezone.now())

        assert "switched off" in sync(peer, simulator).error
        assert simulator.requests == []


def sync(peer: Peer, carrier: Any, *, now: Any = None) -> standing.Report:
    return syncing.sync(peer, now=now or timezone.now(), carrier=_Wrapped(carrier))


class _Wrapped:
    """A simulator under this node's id: the simulator knows one client, and that is we."""

    def __init__(self, carrier: Any) -> None:
        self.carrier = carrier

    def fetch(self, ask: Any) -> Any:
        return self.carrier.fetch(ask)


class TestAdmission:
    def admit(self, remote: Remote, made: Any) -> PatternVersion:
        ticking.scan_all(now=timezone.now())
        item = QuarantineItem.objects.get(statement__statement_id=made.id)
        if item.current is State.ADMITTED:
            assert item.admitted_as is not None
            return item.admitted_as
        return quarantining.approve(
            item, reason="good", now=timezone.now(), actor=factories.make_admin(f"root{made.id[:6]}")
        )

    def test_keys_the_owner_by_author_so_that_names_never_collide(self, make_remote: Callable[..., Remote]) -> None:
        one, other = make_remote("south", tier=Tier.OWN), make_remote("south", tier=Tier.OWN)
        versions = []
        for remote in (one, other):
            remote.push(
                *remote.introduced(), made := remote.release(source=makers.SOURCE + f"# {remote.identity.id}\n")
            )
            versions.append(self.admit(remote, made))

        owners = {version.pattern.owner for version in versions}
        assert len(owners) == 2
        assert {owner.authority for owner in owners} == {one.author.id, other.author.id}
        assert all(owner.title.startswith("ada@") for owner in owners)

    def test_shows_it_as_a_candidate(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.OWN)
        remote.push(*remote.introduced(), made := remote.release())

        version = self.admit(remote, made)

        channels = set(version.pattern.channels.values_list("name", flat=True))
        assert channels == {"candidate", "latest"}

    def test_of_an_own_peer_follows_a_clean_scan_and_is_announced_onward(
        self, make_remote: Callable[..., Remote], node: ThisNode
    ) -> None:
        remote, third = make_remote(tier=Tier.OWN), make_remote("third")
        remote.push(*remote.introduced(), made := remote.release())
        self.admit(remote, made)
        storing.number()

        line = next(each for each in _pulled(third) if each.envelope.id == made.id)

        assert line.via == (remote.identity.id, node.node_id)
        assert made.id not in {each.envelope.id for each in _pulled(remote)}

    def test_of_an_approved_peer_waits_for_a_trial(self, remote: Remote) -> None:
        remote.push(*remote.introduced(), made := remote.release())

        ticking.scan_all(now=timezone.now())

        item = QuarantineItem.objects.get(statement__statement_id=made.id)
        assert item.current in (State.HELD, State.TRIAL_QUEUED)
        assert not item.statement.is_announced

    def test_stops_at_the_hops_its_author_allowed(self, make_remote: Callable[..., Remote]) -> None:
        remote, third = make_remote(tier=Tier.OWN), make_remote("third")
        remote.push(*remote.introduced(), made := remote.release(propagate="peers"))
        self.admit(remote, made)
        storing.number()

        assert made.id not in {each.envelope.id for each in _pulled(third)}

    def test_a_yank_reaches_it_before_and_after(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.OWN)
        early, late = (
            remote.release(version="1.0.0"),
            remote.release(version="1.0.1", source=makers.SOURCE + "# late\n"),
        )
        remote.push(*remote.introduced(), early, makers.withdrawal("yank", remote.author, late.id))
        version = self.admit(remote, early)
        remote.push(makers.withdrawal("yank", remote.author, early.id), late)

        version.refresh_from_db()
        assert version.yank_reason == "it loops"
        assert QuarantineItem.objects.get(statement__statement_id=late.id).current is State.REJECTED

    def test_a_yank_by_a_third_party_is_advice(self, make_remote: Callable[..., Remote]) -> None:
        remote, other = make_remote(tier=Tier.OWN), make_remote(tier=Tier.OWN)
        remote.push(*remote.introduced(), made := remote.release())
        version = self.admit(remote, made)

        other.push(*other.introduced(), makers.withdrawal("yank", other.author, made.id))

        version.refresh_from_db()
        assert not version.is_yanked
        assert Statement.objects.get(kind="yank").is_advice

    def test_an_erasure_leaves_a_tombstone_without_text(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.OWN)
        remote.push(*remote.introduced(), made := remote.release())
        version = self.admit(remote, made)

        remote.push(makers.withdrawal("erase", remote.author, made.id))

        version.refresh_from_db()
        assert (version.source_bytes, version.digest) == (b"", made.subject.sha256)
        assert version.is_yanked

    def test_a_block_takes_everything_of_an_author_that_waits(self, remote: Remote) -> None:
        releases = [remote.release(version=f"1.0.{n}", source=f"{makers.SOURCE}# {n}\n") for n in range(3)]
        remote.push(*remote.introduced(), *releases)
        ticking.scan_all(now=timezone.now())
        item = QuarantineItem.objects.first()

        assert quarantining.block_author(item, reason="spam", now=timezone.now(), actor=factories.make_admin()) == 3

    def test_expires_after_ninety_days(self, remote: Remote) -> None:
        remote.push(*remote.introduced(), remote.release())
        ticking.scan_all(now=timezone.now())

        quarantining.expire(now=timezone.now() + timedelta(days=91))

        assert QuarantineItem.objects.get().current is State.EXPIRED

    def test_every_step_has_a_reason(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.OWN)
        remote.push(*remote.introduced(), made := remote.release())
        self.admit(remote, made)

        steps = list(QuarantineItem.objects.get().steps.values_list("after", "reason"))
        assert [state for state, _ in steps] == ["signed_ok", "parsed", "scanned", "admitted"]
        assert all(reason for _, reason in steps)


class TestIdentity:
    def test_seeds_are_sealed(self, node: ThisNode) -> None:
        from federation.models import SigningKey

        for row in SigningKey.objects.all():
            assert len(bytes(row.sealed_seed)) == 24 + 16 + 32
        key = identities.transport_key()
        assert key.public in set(SigningKey.objects.values_list("public_key", flat=True))

    def test_needs_the_key_from_the_environment(self, node: ThisNode, settings: Any) -> None:
        from federation.errors import NoKeyring

        settings.KEY_ENCRYPTION_KEY = "another key"
        with pytest.raises(NoKeyring):
            identities.transport_key()

    def test_rotation_keeps_the_id_and_old_releases_valid(self, node: ThisNode, remote: Remote) -> None:
        (row,) = share(publish())
        author = row.signer

        identities.rotate(author, now=timezone.now())
        identities.rotate(node.node_id, now=timezone.now())
        storing.number()

        chain = identities.chain_of(node.node_id)
        assert chain is not None
        assert (chain.id, chain.latest.version) == (node.node_id, 2)
        assert RootDocument.objects.filter(identity=author).count() == 2
        assert remote.ask("GET", "/fed/v1/status").status_code == 200

    def test_a_restored_database_begins_a_new_epoch(self, remote: Remote, node: ThisNode) -> None:
        cursor = remote.ask("GET", "/fed/v1/changes").headers["Opl-Cursor"]

        identities.restored(now=timezone.now())

        assert remote.ask("GET", f"/fed/v1/changes?since={cursor}").json()["code"] == "cursor-reset"


class TestOverlappingWriters:
    def test_numbers_follow_commits_not_inserts(self, node: ThisNode) -> None:
        first, second = publish("one"), publish("two")
        with transaction.atomic():
            sharing.share(first, now=timezone.now())
            head_inside = ThisNode.objects.get(pk=1).head
        sharing.share(second, now=timezone.now())
        storing.number()

        assert head_inside <= 1
        assert ThisNode.objects.get(pk=1).head == Statement.objects.count()
