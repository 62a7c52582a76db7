"""Channels move on purpose, with every move kept."""

from __future__ import annotations

import pytest

from registry.errors import InvalidRequest, NotAllowed, RowMoved
from registry.models import Channel, ChannelMove, Pattern, PatternVersion, User
from registry.services import channels, yanking
from tests.registry.factories import NOW, make_organisation, make_user, make_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_user("ada")


@pytest.fixture
def old(ada: User) -> PatternVersion:
    return make_version(user=ada, version="1.0.0")


@pytest.fixture
def new(ada: User, old: PatternVersion) -> PatternVersion:
    return make_version(user=ada, version="1.1.0")


def move(version: PatternVersion, user: User | None, name: str = "stable", **options: object) -> Channel:
    pattern = Pattern.objects.get(pk=version.pattern_id)
    return channels.move(pattern=pattern, name=name, version=version, user=user, via="web", now=NOW, **options)  # type: ignore[arg-type]


class TestMove:
    def test_keeps_the_history(self, ada: User, old: PatternVersion, new: PatternVersion) -> None:
        move(new, ada, reason="better")
        move(old, ada, reason="regression")

        moves = ChannelMove.objects.filter(channel__name="stable").order_by("id")
        assert [(row.from_version, row.to_version, row.reason) for row in moves] == [
            (None, old, ""),
            (old, new, "better"),
            (new, old, "regression"),
        ]

    def test_changes_what_is_shown(self, ada: User, new: PatternVersion) -> None:
        move(new, ada)

        assert Pattern.objects.get().shown == new

    def test_makes_a_channel_of_one_s_own(self, ada: User, old: PatternVersion) -> None:
        assert move(old, ada, "nightly").version == old

    def test_refuses_a_stranger(self, old: PatternVersion) -> None:
        with pytest.raises(NotAllowed):
            move(old, make_user("eve"))

    def test_refuses_a_yanked_version(self, ada: User, old: PatternVersion, new: PatternVersion) -> None:
        yanking.yank(version=new, user=ada, reason="loops", now=NOW)

        with pytest.raises(InvalidRequest):
            move(PatternVersion.objects.get(pk=new.pk), ada)

    def test_refuses_another_pattern_s_version(self, ada: User, old: PatternVersion) -> None:
        other = make_version("other", user=ada)

        with pytest.raises(InvalidRequest):
            channels.move(pattern=old.pattern, name="stable", version=other, user=ada, via="web", now=NOW)

    def test_refuses_to_move_latest_by_hand(self, ada: User, old: PatternVersion) -> None:
        with pytest.raises(InvalidRequest):
            move(old, ada, "latest")

    def test_refuses_one_that_somebody_moved_first(self, ada: User, old: PatternVersion, new: PatternVersion) -> None:
        move(new, ada, expected_revision=0)

        with pytest.raises(RowMoved):
            move(old, ada, expected_revision=0)


class TestProtect:
    def test_lets_administrators_and_verdicts_move_it_only(self, ada: User) -> None:
        bob = make_user("bob")
        lab = make_organisation("lab", admin=ada, publisher=bob)
        make_version(user=ada, owner=lab, version="1.0.0")
        second = make_version(user=bob, owner=lab, version="1.1.0")
        third = make_version(user=bob, owner=lab, version="1.2.0")
        channels.protect(pattern=second.pattern, name="stable", is_protected=True, user=ada, now=NOW)

        with pytest.raises(NotAllowed):
            move(second, bob)

        assert move(second, ada).version == second
        assert move(third, None, by_verdict=True).version == third

    def test_is_for_administrators(self, ada: User) -> None:
        bob = make_user("bob")
        lab = make_organisation("lab", admin=ada, publisher=bob)
        version = make_version(user=bob, owner=lab)

        with pytest.raises(NotAllowed):
            channels.protect(pattern=version.pattern, name="stable", is_protected=True, user=bob, now=NOW)


class TestYank:
    def test_moves_channels_to_the_successor(self, ada: User, old: PatternVersion, new: PatternVersion) -> None:
        yanking.yank(version=old, user=ada, reason="loops", successor="1.1.0", now=NOW)

        assert {row.name: row.version for row in Channel.objects.all()} == {"stable": new, "latest": new}

    def test_moves_a_channel_back_to_where_it_stood(self, ada: User, old: PatternVersion, new: PatternVersion) -> None:
        move(new, ada)
        make_version(user=ada, version="1.2.0")

        yanking.yank(version=new, user=ada, reason="loops", now=NOW)

        assert Channel.objects.get(name="stable").version == old
        assert Channel.objects.get(name="latest").version.version == "1.2.0"

    def test_leaves_the_last_version_where_it_is(self, ada: User, old: PatternVersion) -> None:
        yanking.yank(version=old, user=ada, reason="loops", now=NOW)

        assert Channel.objects.get(name="stable").version == old
        assert Pattern.objects.get().newest == old

    def test_needs_a_reason(self, ada: User, old: PatternVersion) -> None:
        with pytest.raises(InvalidRequest):
            yanking.yank(version=old, user=ada, reason="  ", now=NOW)

    def test_refuses_a_successor_that_is_not_there(self, ada: User, old: PatternVersion) -> None:
        with pytest.raises(InvalidRequest):
            yanking.yank(version=old, user=ada, reason="loops", successor="9.9.9", now=NOW)

    def test_refuses_itself_as_successor(self, ada: User, old: PatternVersion) -> None:
        with pytest.raises(InvalidRequest):
            yanking.yank(version=old, user=ada, reason="loops", successor="1.0.0", now=NOW)
