"""What a restored database had lost of its own comes back from peers, once, under its own name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from federation.models import PeerKey, QuarantineItem, SharedVersion, Statement, ThisNode
from federation.protocol import feed
from federation.protocol.quarantine import State
from federation.protocol.tiers import Tier
from federation.services import (
    accepting,
    identities,
    polling,
    quarantining,
    screening,
    sharing,
    standing,
    ticking,
    trying,
)
from federation.services.trusting import Peer
from registry.models import Owner, PatternVersion
from registry.services import publishing, yanking
from tests.federation.conftest import Remote
from tests.registry import factories

NOW = timezone.now


def published(user: Any, *, text: str = "RETURN 1") -> PatternVersion:
    source = factories.opl("vote", script=text)
    made = publishing.publish(owner=user.own_owner, user=user, source=source, via="api", now=NOW())
    return made.versions[0].version


def forgotten(user: Any) -> Any:
    """What the peers still hold of a version, after the database here was set back to before it was published."""
    identities.author_of(user.own_owner, now=NOW())
    with transaction.atomic():
        version = published(user)
        sharing.notice(now=NOW())
        line = SharedVersion.objects.get(pattern_version=version).statement.line(numbered=False)
        transaction.set_rollback(True)
    assert not PatternVersion.objects.filter(pattern__name="vote").exists()
    return line


def brought_back(remote: Remote, *lines: Any) -> None:
    at_home = [feed.Line(None, each.kind, each.envelope, (*each.via, remote.identity.id)) for each in lines]
    with transaction.atomic():
        accepting.accept(at_home, peer=remote.row, now=NOW())
    ticking.scan_all(now=NOW())


class TestAReleaseOfOurOwn:
    def test_comes_home_under_its_owners_name(self, make_remote: Callable[..., Remote]) -> None:
        user = factories.make_user("ada")
        line = forgotten(user)

        brought_back(make_remote(tier=Tier.APPROVED), line)

        assert QuarantineItem.objects.get().current is State.ADMITTED
        version = PatternVersion.objects.get(pattern__name="vote")
        assert version.pattern.owner == user.own_owner
        assert not Owner.objects.filter(kind=Owner.Kind.REMOTE).exists()

    def test_is_not_signed_a_second_time(self, make_remote: Callable[..., Remote]) -> None:
        line = forgotten(factories.make_user("ada"))
        brought_back(make_remote(), line)

        assert sharing.notice(now=NOW()) == 0
        assert Statement.objects.filter(kind="release").count() == 1

    def test_that_was_published_again_before_it_came_home_is_one_version(
        self, make_remote: Callable[..., Remote]
    ) -> None:
        user = factories.make_user("ada")
        line = forgotten(user)
        again = published(user)
        again.published_at += timedelta(seconds=90)
        again.save()
        sharing.notice(now=NOW())

        brought_back(make_remote(), line)

        assert Statement.objects.filter(kind="release").count() == 2
        assert PatternVersion.objects.filter(pattern__name="vote").count() == 1

    def test_that_came_home_before_it_was_published_again_stands_for_both(
        self, make_remote: Callable[..., Remote]
    ) -> None:
        user = factories.make_user("ada")
        line = forgotten(user)
        remote = make_remote()
        at_home = feed.Line(None, line.kind, line.envelope, (*line.via, remote.identity.id))
        with transaction.atomic():
            accepting.accept([at_home], peer=remote.row, now=NOW())  # not scanned yet
        version = published(user)

        sharing.notice(now=NOW())

        assert SharedVersion.objects.get(pattern_version=version).statement.statement_id == line.envelope.id
        assert Statement.objects.filter(kind="release").count() == 1

    def test_withdrawn_under_one_release_is_withdrawn_under_the_other(self, make_remote: Callable[..., Remote]) -> None:
        user = factories.make_user("ada")
        line = forgotten(user)
        again = published(user)
        again.published_at += timedelta(seconds=90)
        again.save()
        sharing.notice(now=NOW())
        yanking.yank(version=again, user=user, reason="it loops", now=NOW())
        sharing.notice(now=NOW())

        brought_back(make_remote(), line)

        item = QuarantineItem.objects.get()
        assert item.current is State.REJECTED
        assert "it loops" in item.reason


class TestATwin:
    def test_of_a_withdrawn_release_is_refused_when_it_comes(self, remote: Remote) -> None:
        from tests.federation import makers

        first = remote.release()
        second = remote.release(created="2027-01-15T09:00:00Z")
        assert first.id != second.id
        remote.push(*remote.introduced(), first, makers.withdrawal("yank", remote.author, first.id))

        remote.push(second)
        ticking.scan_all(now=NOW())

        states = {item.statement.statement_id: item.current for item in QuarantineItem.objects.all()}
        assert states[second.id] is State.REJECTED

    def test_of_what_was_passed_on_is_passed_on_with_the_withdrawal(self, make_remote: Callable[..., Remote]) -> None:
        """Else a node that lost the twin would hold a withdrawal of something it never heard of."""
        from tests.federation import makers

        remote = make_remote(tier=Tier.OWN)
        first, second = remote.release(), remote.release(created="2027-01-15T09:00:00Z")
        remote.push(*remote.introduced(), first)
        ticking.scan_all(now=NOW())

        remote.push(second, makers.withdrawal("yank", remote.author, second.id))
        ticking.scan_all(now=NOW())

        assert not Statement.objects.filter(is_announced=False).exists()
        assert PatternVersion.objects.get(pattern__name="echo").is_yanked

    def test_of_a_stranger_is_none(self, remote: Remote, make_remote: Callable[..., Remote]) -> None:
        from tests.federation import makers

        other = make_remote("other")
        first = remote.release()
        remote.push(*remote.introduced(), first, makers.withdrawal("yank", remote.author, first.id))

        same_text = other.release()
        other.push(*other.introduced(), same_text)

        item = QuarantineItem.objects.get(statement__statement_id=same_text.id)
        assert item.current is State.SIGNED_OK


class TestACrash:
    def test_between_scan_and_admission_leaves_nothing_behind(
        self, make_remote: Callable[..., Remote], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remote = make_remote(tier=Tier.OWN)
        remote.push(*remote.introduced(), remote.release())
        with monkeypatch.context() as crash:
            crash.setattr(screening, "_go_on", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                ticking.scan_all(now=NOW())
        assert QuarantineItem.objects.get().current is State.SCANNED

        ticking.scan_all(now=NOW() + screening.LEFT_AFTER + timedelta(seconds=1))

        assert QuarantineItem.objects.get().current is State.ADMITTED

    def test_between_paying_and_beginning_a_trial_begins_it_later(
        self, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remote.push(*remote.introduced(), remote.release())
        with monkeypatch.context() as crash:
            crash.setattr(trying, "_begin", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                ticking.scan_all(now=NOW())
        assert QuarantineItem.objects.get().trial == ""

        resumed = trying.resume(now=NOW() + trying.LEFT_AFTER + timedelta(seconds=1))

        assert resumed == 1
        assert QuarantineItem.objects.get().trial

    def test_that_stops_one_admission_does_not_stop_the_next(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.OWN)
        first, second = remote.release(), remote.release(version="2.0.0", source=SECOND)
        remote.push(*remote.introduced(), first, second)
        real = quarantining._publish

        def refusing(row: Statement, **how: Any) -> PatternVersion:
            from registry.errors import InvalidRequest

            if row.statement_id == first.id:
                raise InvalidRequest("name", "the registry does not want it")
            return real(row, **how)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(quarantining, "_publish", refusing)
            ticking.scan_all(now=NOW())

        states = {item.statement.statement_id: item.current for item in QuarantineItem.objects.all()}
        assert states == {first.id: State.REJECTED, second.id: State.ADMITTED}


SECOND = "type: orchestration_pattern\nname: echo\ndsl: |\n  RETURN 2\n"


class TestALeaseTakenUnderAWrongClock:
    AHEAD = timedelta(days=40)

    def test_does_not_keep_the_rounds_from_going_on(self, node: ThisNode) -> None:
        ThisNode.objects.update(ticking_until=NOW() + self.AHEAD)

        assert ticking._take_lease(NOW())

    def test_does_not_keep_a_peer_busy(self, remote: Remote) -> None:
        Peer.objects.update(busy_until=NOW() + self.AHEAD)

        assert standing.claim(remote.row, now=NOW())

    def test_does_not_keep_withdrawals_from_being_asked_for(self, node: ThisNode) -> None:
        ThisNode.objects.update(polling_until=NOW() + self.AHEAD)

        assert polling._take_lease(NOW())

    def test_nor_does_a_question_that_was_asked_in_the_future(self, remote: Remote) -> None:
        Peer.objects.update(revocations_at=NOW() + self.AHEAD, base_url="https://south.example")

        assert list(Peer.objects.due_for_revocations(NOW(), every_seconds=60)) == [remote.row]
        Peer.objects.update(revocations_at=NOW() + timedelta(seconds=20))
        assert not Peer.objects.due_for_revocations(NOW(), every_seconds=60)

    def test_does_not_leave_lying_what_a_crash_left_after_its_scan(
        self, make_remote: Callable[..., Remote], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remote = make_remote(tier=Tier.OWN)
        remote.push(*remote.introduced(), remote.release())
        with monkeypatch.context() as crash:
            crash.setattr(screening, "_go_on", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                ticking.scan_all(now=NOW() + self.AHEAD)

        ticking.scan_all(now=NOW())

        assert QuarantineItem.objects.get().current is State.ADMITTED

    def test_does_not_leave_lying_a_trial_that_was_paid(self, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
        remote.push(*remote.introduced(), remote.release())
        with monkeypatch.context() as crash:
            crash.setattr(trying, "_begin", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                ticking.scan_all(now=NOW() + self.AHEAD)

        assert trying.resume(now=NOW()) == 1

    def test_of_today_is_respected(self, remote: Remote) -> None:
        ThisNode.objects.update(ticking_until=NOW() + timedelta(seconds=20))
        Peer.objects.update(busy_until=NOW() + timedelta(seconds=20))

        assert not ticking._take_lease(NOW())
        assert not standing.claim(remote.row, now=NOW())

    def test_nor_does_a_wait_of_forty_days(self, remote: Remote) -> None:
        Peer.objects.update(next_try_at=NOW() + self.AHEAD, base_url="https://south.example")

        assert list(Peer.objects.due(NOW())) == [remote.row]

    def test_a_wait_of_an_hour_is_kept(self, remote: Remote) -> None:
        Peer.objects.update(next_try_at=NOW() + timedelta(hours=1), base_url="https://south.example")

        assert not Peer.objects.due(NOW())
        assert PeerKey.objects.exists()
