"""What a node lost with its database it gets back from whoever got it from there, whatever became of it meanwhile."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from federation.models import Audience, Peer, QuarantineItem, SharedVersion, Statement, ThisNode
from federation.protocol import exchange, feed, session
from federation.protocol.exchange import Answer, Ask
from federation.protocol.feed import Line
from federation.protocol.problems import Refused
from federation.protocol.quarantine import State
from federation.protocol.tiers import Tier
from federation.services import accepting, identities, receiving, sharing, storing, syncing, ticking, trusting
from registry.models import PatternVersion
from registry.services import publishing, yanking
from tests.federation import makers
from tests.federation.conftest import Remote, honest_release
from tests.federation.simulator import PeerSimulator
from tests.registry import factories

NOW = timezone.now
LOST_EPOCH = "0" * 32
_numbers = itertools.count()


def recovered(remote: Remote) -> dict[str, Line]:
    """What that peer, its database empty, gets by comparing sets with this node: statement id → line."""
    found: dict[str, Line] = {}

    def take(step: exchange.Take) -> None:
        found.update({line.envelope.id: line for line in step.lines if isinstance(line, Line)})

    own = identities.node().node_id
    exchange.drive(session.recover([], sender=own, own=remote.identity.id), remote, take=take)
    return found


def pushed(remote: Remote, *statements: Any, through: tuple[Remote, ...] = ()) -> None:
    """Statements of others that this peer brings, and the way that it says they came."""
    via = [*(each.identity.id for each in through), remote.identity.id]
    body = b"".join(feed.line(each, via=via).to_bytes() + b"\n" for each in statements)
    answer = remote.ask("PUT", f"/fed/v1/push/returning-{next(_numbers):020}", body, content_type=feed.CONTENT_TYPE)
    assert {each["status"] for each in answer.json()["results"]} <= {"accepted", "duplicate"}, answer.content


class TestWhatAPeerGaveUs:
    def test_comes_back_while_it_waits_for_its_scan(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.OWN)
        remote.push(*remote.introduced(), made := remote.release())

        assert made.id in recovered(remote)

    def test_comes_back_though_it_waits_for_a_trial(self, remote: Remote) -> None:
        remote.push(*remote.introduced(), made := remote.release())
        ticking.scan_all(now=NOW())
        storing.number()
        assert not Statement.objects.get(statement_id=made.id).is_announced

        assert made.id in recovered(remote)

    def test_comes_back_though_it_was_withdrawn_before_it_was_admitted(
        self, make_remote: Callable[..., Remote]
    ) -> None:
        """Seed 10: else the author's node never learns what its own withdrawal is about."""
        remote = make_remote(tier=Tier.OWN)
        made = remote.release()
        remote.push(*remote.introduced(), made, makers.withdrawal("yank", remote.author, made.id))
        assert QuarantineItem.objects.get().current is State.REJECTED

        assert made.id in recovered(remote)

    def test_bears_a_number_on_its_line_that_any_reader_can_read(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.OWN)
        remote.push(*remote.introduced(), made := remote.release())
        storing.number()
        assert Statement.objects.get(statement_id=made.id).seq is None

        assert recovered(remote)[made.id].seq == ThisNode.objects.get().head

    def test_is_found_by_its_id(self, remote: Remote) -> None:
        remote.push(*remote.introduced(), made := remote.release())

        assert remote.ask("GET", f"/fed/v1/statements/{made.id}").status_code == 200

    def test_is_not_sent_again_by_the_feed(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.OWN)
        remote.push(*remote.introduced(), remote.release())
        ticking.scan_all(now=NOW())
        storing.number()

        page = remote.ask("GET", "/fed/v1/changes")

        assert {line.envelope.id for line in feed.read_lines(page.content, numbered=True, most=100)} == set(
            Statement.objects.filter(peer__isnull=True).values_list("statement_id", flat=True)
        )

    def test_stays_here_once_it_was_erased(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.OWN)
        made = remote.release()
        remote.push(*remote.introduced(), made, makers.withdrawal("erase", remote.author, made.id))

        assert made.id not in recovered(remote)


class TestWhatCameThroughAPeer:
    def test_comes_back_from_a_node_of_the_organisation(self, make_remote: Callable[..., Remote]) -> None:
        first, second = make_remote("first", tier=Tier.OWN), make_remote("second", tier=Tier.OWN)
        pushed(second, *first.introduced(), made := first.release(), through=(first,))

        assert made.id in recovered(first)
        assert made.id in recovered(second)

    def test_opens_no_quarantine_to_a_node_that_a_stranger_names(self, make_remote: Callable[..., Remote]) -> None:
        """A way is not signed: with it, a stranger could have us hand its untried text to a node that trusts us."""
        victim, stranger = make_remote("victim", tier=Tier.OWN), make_remote("stranger", tier=Tier.APPROVED)
        pushed(stranger, *stranger.introduced(), made := stranger.release(), through=(victim,))
        ticking.scan_all(now=NOW())

        assert made.id not in recovered(victim)
        assert victim.ask("GET", f"/fed/v1/statements/{made.id}").status_code == 404
        assert made.id in recovered(stranger)


@dataclass
class Interrupted:
    """A transport to a simulated peer, with something that happens here while it fetches a path."""

    simulator: PeerSimulator
    path: str
    happens: Callable[[], Any]

    def fetch(self, ask: Ask) -> Answer:
        answer = self.simulator.fetch(ask)
        if ask.path.startswith(self.path):
            self.happens()
        return answer


@pytest.fixture
def simulated(node: ThisNode) -> PeerSimulator:
    """A peer in memory that this node pulls from."""
    simulator = PeerSimulator(makers.node("client side"))
    peer = trusting.receive(simulator.identity.chain, {"base_url": "https://south.example"}, now=NOW())
    trusting.set_tier(peer, Tier.APPROVED, now=NOW())
    return simulator


def peer() -> Peer:
    return Peer.objects.get()


def asks_from_a_lost_epoch() -> None:
    """The peer reads on in a feed that a restored database has forgotten."""
    with pytest.raises(Refused, match="begins anew"):
        receiving.judge_changes({"since": f"{LOST_EPOCH}:7"}, peer(), identities.node())


def synced(carrier: Any) -> None:
    report = syncing.sync(peer(), now=NOW(), carrier=carrier)
    assert not report.error


class TestADoubt:
    def test_is_raised_by_a_peer_with_a_cursor_of_a_lost_epoch(self, simulated: PeerSimulator) -> None:
        assert not peer().cursor_epoch  # also where we have never read anything of it

        asks_from_a_lost_epoch()

        assert peer().must_recover

    def test_is_settled_by_a_comparison(self, simulated: PeerSimulator) -> None:
        asks_from_a_lost_epoch()

        synced(simulated)

        assert not peer().must_recover

    def test_outlives_a_page_that_is_stored_meanwhile(self, simulated: PeerSimulator) -> None:
        """Seeds 15 and 18: the peer was marked while we read on in its feed, and the page wiped the mark away."""
        simulated.publish()

        synced(Interrupted(simulated, "/fed/v1/changes", asks_from_a_lost_epoch))

        assert peer().cursor_epoch
        assert peer().must_recover

    @pytest.mark.parametrize("path", ["/fed/v1/reconcile", "/fed/v1/statements", "/fed/v1/changes"])
    def test_outlives_a_comparison_that_began_before_it(self, simulated: PeerSimulator, path: str) -> None:
        simulated.publish()
        asks_from_a_lost_epoch()

        synced(Interrupted(simulated, path, asks_from_a_lost_epoch))
        assert peer().must_recover

        synced(simulated)
        assert not peer().must_recover

    def test_of_a_restore_outlives_a_page_too(self, simulated: PeerSimulator) -> None:
        simulated.publish()

        synced(Interrupted(simulated, "/fed/v1/changes", lambda: identities.restored(now=NOW())))

        assert peer().must_recover

    def test_outlives_a_comparison_that_fails(self, simulated: PeerSimulator) -> None:
        from federation.protocol.problems import TransportFailure

        def breaks() -> None:
            raise TransportFailure("the line is dead")

        simulated.publish()
        asks_from_a_lost_epoch()

        report = syncing.sync(peer(), now=NOW(), carrier=Interrupted(simulated, "/fed/v1/statements", breaks))

        assert report.error
        assert peer().must_recover


# ---------------------------------------------------------------- at home


@dataclass
class Lost:
    """What the database forgot: a release of ours, and the yank of it."""

    user: Any
    release: Line
    yank: Line


def lost(*, visibility: str = "public") -> Lost:
    user = factories.make_user("ada")
    identities.author_of(user.own_owner, now=NOW())
    with transaction.atomic():
        version = published(user, visibility=visibility)
        sharing.notice(now=NOW())
        yanking.yank(version=version, user=user, reason="it loops", now=NOW())
        sharing.notice(now=NOW())
        row = SharedVersion.objects.get(pattern_version=version)
        found = Lost(user, row.statement.line(numbered=False), row.withdrawal.line(numbered=False))
        transaction.set_rollback(True)
    assert not PatternVersion.objects.filter(pattern__name="vote").exists()
    return found


def published(user: Any, *, text: str = "RETURN 1", visibility: str = "public") -> PatternVersion:
    source = factories.opl("vote", script=text)
    made = publishing.publish(
        owner=user.own_owner, user=user, source=source, via="api", now=NOW(), version="1.0.0", visibility=visibility
    )
    return made.versions[0].version


def brought_back(remote: Remote, *lines: Line) -> None:
    at_home = [feed.Line(None, each.kind, each.envelope, (*each.via, remote.identity.id)) for each in lines]
    with transaction.atomic():
        accepting.accept(at_home, peer=remote.row, now=NOW())
    ticking.scan_all(now=NOW())
    storing.number()


def numbered(line: Line) -> bool:
    return Statement.objects.get(statement_id=line.envelope.id).seq is not None


class TestWhatComesHome:
    @pytest.mark.parametrize("tier", [Tier.APPROVED, Tier.OWN])
    def test_is_announced_again_whoever_brings_it(self, make_remote: Callable[..., Remote], tier: Tier) -> None:
        gone = lost()

        brought_back(make_remote(tier=tier), gone.release)
        brought_back(make_remote(tier=tier), gone.yank)

        assert numbered(gone.release)
        assert numbered(gone.yank)
        assert PatternVersion.objects.get(pattern__name="vote").is_yanked

    @pytest.mark.parametrize("tier", [Tier.APPROVED, Tier.OWN])
    def test_is_announced_with_the_withdrawal_that_was_there_first(
        self, make_remote: Callable[..., Remote], tier: Tier
    ) -> None:
        """Else others hold a withdrawal of a text that nobody can tell them of."""
        gone, remote = lost(), make_remote(tier=tier)

        brought_back(remote, gone.yank)
        brought_back(remote, gone.release)

        assert numbered(gone.release)
        assert numbered(gone.yank)

    def test_is_not_withdrawn_a_second_time(self, make_remote: Callable[..., Remote]) -> None:
        gone, remote = lost(), make_remote(tier=Tier.OWN)
        brought_back(remote, gone.release)
        brought_back(remote, gone.yank)

        assert sharing.notice(now=NOW()) == 0
        shared = SharedVersion.objects.get()
        assert shared.withdrawal is not None
        assert shared.withdrawal.statement_id == gone.yank.envelope.id

    def test_and_is_withdrawn_there_withdraws_what_its_author_publishes_again(
        self, make_remote: Callable[..., Remote]
    ) -> None:
        """Else the text stood at home and nowhere else."""
        gone = lost()
        brought_back(make_remote(tier=Tier.OWN), gone.release, gone.yank)
        again = published(gone.user)

        sharing.notice(now=NOW())

        again.refresh_from_db()
        assert again.is_yanked
        assert Statement.objects.filter(kind="release").count() == 1

    def test_keeps_its_author_from_signing_another_text_under_its_number(
        self, make_remote: Callable[..., Remote]
    ) -> None:
        """Two texts of one version prove a contradiction, and an honest author would be the one accused."""
        gone = lost()
        brought_back(make_remote(tier=Tier.OWN), gone.release, gone.yank)
        other = published(gone.user, text="RETURN 2")

        sharing.notice(now=NOW())

        kept = SharedVersion.objects.get(pattern_version=other)
        assert kept.outcome == SharedVersion.Outcome.KEPT_BACK
        assert "another text before" in kept.reason
        assert Statement.objects.filter(kind="release").count() == 1

    def test_stays_in_the_organisation_where_it_was_for_it_alone(self, make_remote: Callable[..., Remote]) -> None:
        gone = lost(visibility="org")
        own, stranger = make_remote("own", tier=Tier.OWN), make_remote("stranger", tier=Tier.APPROVED)

        brought_back(own, gone.yank)
        brought_back(own, gone.release)

        ours = {gone.release.envelope.id, gone.yank.envelope.id}
        assert (
            set(Statement.objects.filter(audience=Audience.ORGANISATION).values_list("statement_id", flat=True)) == ours
        )
        assert not ours & recovered(stranger).keys()
        assert ours <= recovered(own).keys()

    def test_opens_up_a_withdrawal_once_its_target_turns_out_to_be_public(
        self, make_remote: Callable[..., Remote]
    ) -> None:
        gone, remote = lost(), make_remote(tier=Tier.OWN)
        brought_back(remote, gone.yank)
        assert Statement.objects.get(statement_id=gone.yank.envelope.id).audience == Audience.ORGANISATION

        brought_back(remote, gone.release)

        assert Statement.objects.get(statement_id=gone.yank.envelope.id).audience == Audience.PUBLIC


class TestWhatWasSentFromHereByAnAuthorWhoIsForgotten:
    """Seeds 8 and 9: the backup is older than the author's first release, so even the author's identity is lost."""

    def gone(self, node: ThisNode, **changes: Any) -> list[Any]:
        """What a forgotten author of this node released and withdrew, and the keys it needs."""
        author = makers.author("forgotten")
        here = makers.node("here")
        here.id = node.node_id  # its releases name this node as their origin
        made = honest_release(author, here, **changes)
        return [*author.statements, made, makers.withdrawal("yank", author, made.id)]

    def returned(self, *statements: Any, through: tuple[Remote, ...]) -> None:
        own = identities.node().node_id
        via = (own, *(each.identity.id for each in through))
        lines = [feed.line(each, via=via) for each in statements]
        with transaction.atomic():
            accepting.accept(lines, peer=through[-1].row, now=NOW())
        storing.number()

    def test_is_announced_again_though_it_was_withdrawn(
        self, node: ThisNode, make_remote: Callable[..., Remote]
    ) -> None:
        near, third = make_remote("near", tier=Tier.OWN), make_remote("third", tier=Tier.APPROVED)
        root, made, yank = self.gone(node)

        self.returned(root, yank, made, through=(near,))

        assert QuarantineItem.objects.get().current is State.REJECTED
        assert {made.id, yank.id} <= recovered(third).keys()

    def test_stays_in_the_organisation_where_it_was_for_it_alone(
        self, node: ThisNode, make_remote: Callable[..., Remote]
    ) -> None:
        near, third = make_remote("near", tier=Tier.OWN), make_remote("third", tier=Tier.APPROVED)
        root, made, yank = self.gone(node, propagate="peers")

        self.returned(root, made, yank, through=(near,))

        assert not {made.id, yank.id} & recovered(third).keys()
        assert {made.id, yank.id} <= recovered(make_remote("other", tier=Tier.OWN)).keys()

    def test_is_not_believed_of_a_stranger(self, node: ThisNode, make_remote: Callable[..., Remote]) -> None:
        """Else anybody could have us announce text that nobody here has scanned."""
        near, stranger = make_remote("near", tier=Tier.OWN), make_remote("stranger", tier=Tier.APPROVED)
        root, made, yank = self.gone(node)

        self.returned(root, made, yank, through=(stranger,))
        assert not Statement.objects.get(statement_id=made.id).is_announced
        Statement.objects.filter(kind__in=["release", "yank"]).delete()

        self.returned(made, yank, through=(stranger, near))
        assert not Statement.objects.get(statement_id=made.id).is_announced


class TestExactCounts:
    def test_of_another_node_stay_in_the_organisation(self, make_remote: Callable[..., Remote]) -> None:
        own, stranger = make_remote("own", tier=Tier.OWN), make_remote("stranger", tier=Tier.APPROVED)
        own.push(*own.identity.statements, exact := makers.usage(own.identity, "a" * 64))
        own.push(public := makers.usage(own.identity, "b" * 64, profile="public", epsilon=1.0, runs=140))
        storing.number()

        found = recovered(stranger)

        assert public.id in found
        assert exact.id not in found
        assert exact.id in recovered(make_remote("another", tier=Tier.OWN))
