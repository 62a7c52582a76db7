"""A blocked author: nothing of it comes in, by whatever way, and what warns of it still does."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from federation.errors import NotFound, Unable
from federation.models import BlockedAuthor, DeadLetter, QuarantineItem, Statement, ThisNode
from federation.protocol.quarantine import Event, State
from federation.protocol.tiers import Tier
from federation.services import blocking, bundling, identities, quarantining, ticking
from registry.models import AuditEntry
from tests.federation import makers
from tests.federation.conftest import Remote
from tests.federation.services.test_carrying import TestABundle, quiet
from tests.registry import factories

NOW = timezone.now()


def block(remote: Remote, reason: str = "it sends copies") -> int:
    return blocking.block(remote.author.id, reason=reason, now=NOW, actor=factories.make_user(is_staff=True))


class TestABlockedAuthor:
    def test_is_refused_when_it_is_pushed(self, remote: Remote) -> None:
        remote.push(*remote.introduced())
        block(remote)

        (result,) = remote.push(remote.release())

        assert (result["status"], result["code"]) == ("rejected", "peer-blocked")
        assert remote.author.id in result["detail"]
        assert not QuarantineItem.objects.exists()

    def test_is_refused_whichever_node_brings_it(self, make_remote, node: ThisNode) -> None:
        one, other = make_remote("south", tier=Tier.OWN), make_remote("west", tier=Tier.OWN)
        other.author = one.author
        block(one)

        results = other.push(*other.introduced(), other.release())

        assert results[-1]["code"] == "peer-blocked"

    def test_is_refused_from_a_bundle(self, remote: Remote, tmp_path: Path) -> None:
        block(remote)
        path = TestABundle().write(tmp_path / "b.zst", remote, *remote.introduced(), remote.release())

        outcomes = bundling.import_(path, now=NOW, progress=quiet)

        assert outcomes[-1].code == "peer-blocked"

    def test_loses_what_waits_here(self, make_remote) -> None:
        remote = make_remote(tier=Tier.PROBATION)
        remote.push(*remote.introduced(), remote.release())
        ticking.scan_all(now=NOW)

        assert block(remote) == 1

        item = QuarantineItem.objects.get()
        assert (item.current, item.reason) == (State.REJECTED, "it sends copies")

    def test_is_not_admitted_by_a_person_before_it_is_unblocked(self, make_remote) -> None:
        remote = make_remote(tier=Tier.PROBATION)
        remote.push(*remote.introduced(), remote.release())
        ticking.scan_all(now=NOW)
        item = QuarantineItem.objects.get()
        BlockedAuthor.objects.create(author_id=remote.author.id, blocked_at=NOW)

        with pytest.raises(Unable, match="blocked here"):
            quarantining.admit(item, Event.APPROVED, reason="", now=NOW)

    def test_may_still_withdraw_what_it_gave(self, make_remote) -> None:
        remote = make_remote(tier=Tier.OWN)
        release = remote.release()
        remote.push(*remote.introduced(), release)
        ticking.scan_all(now=NOW)
        block(remote)

        (result,) = remote.push(makers.withdrawal("yank", remote.author, release.id))

        assert result["status"] == "accepted"
        version = QuarantineItem.objects.get().admitted_as
        version.refresh_from_db()
        assert version.is_yanked

    def test_stays_a_duplicate_where_it_was_here_before(self, remote: Remote) -> None:
        release = remote.release()
        remote.push(*remote.introduced(), release)
        block(remote)

        assert remote.push(release)[0]["status"] == "duplicate"

    def test_leaves_other_authors_alone(self, remote: Remote) -> None:
        other = makers.author("somebody else entirely")
        block(remote)
        given = [*remote.identity.statements, *other.statements]
        remote.author = other

        assert remote.push(*given, remote.release())[-1]["status"] == "accepted"

    def test_is_on_record(self, remote: Remote) -> None:
        block(remote)

        entry = AuditEntry.objects.filter(action="federation.author-blocked").get()
        assert entry.subject == remote.author.id

    def test_comes_in_again_once_it_is_unblocked(self, remote: Remote) -> None:
        remote.push(*remote.introduced())
        block(remote)
        release = remote.release()
        remote.push(release)
        assert DeadLetter.objects.get().code == "peer-blocked"

        assert blocking.unblock(remote.author.id, now=NOW) == 1

        assert Statement.objects.filter(statement_id=release.id).exists()
        assert not DeadLetter.objects.exists()


class TestTheList:
    def test_takes_no_author_of_this_node(self, node: ThisNode) -> None:
        own = identities.author_of(factories.make_user().own_owner, now=NOW)

        with pytest.raises(Unable, match="of this node"):
            blocking.block(own.author_id, reason="", now=NOW)

    def test_takes_nothing_that_is_no_author(self, node: ThisNode) -> None:
        with pytest.raises(Unable, match="author id"):
            blocking.block(node.node_id, reason="", now=NOW)

    def test_has_nobody_to_unblock_who_is_not_on_it(self, remote: Remote) -> None:
        with pytest.raises(NotFound):
            blocking.unblock(remote.author.id, now=NOW)

    def test_is_kept_with_a_command(self, remote: Remote, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("author", "block", remote.author.id, "--reason", "copies")
        call_command("author", "blocked")
        assert remote.author.id in capsys.readouterr().out

        call_command("author", "unblock", remote.author.id)

        assert not BlockedAuthor.objects.exists()


class TestAPage:
    def test_with_the_same_bad_line_twice_is_one_dead_letter(self, remote: Remote) -> None:
        stranger = Remote(remote.identity)
        release = stranger.release()

        results = remote.push(release, release)

        assert [each["status"] for each in results] == ["rejected", "rejected"]
        assert DeadLetter.objects.count() == 1
