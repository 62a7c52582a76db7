"""The page of blocked authors: who is on it, and how one gets on and off it."""

from __future__ import annotations

import pytest
from django.test import Client

from federation.models import BlockedAuthor, DeadLetter, QuarantineItem, Statement
from federation.services import blocking
from tests.federation import makers
from tests.federation.web.conftest import BLOCKED, World
from tests.federation.web.test_deciding import said

pytestmark = pytest.mark.django_db


class TestTheList:
    def test_names_author_reason_and_person(self, world: World, as_root: Client) -> None:
        page = as_root.get("/peers/blocked/").content.decode()

        assert BLOCKED in page and "it floods" in page and "blocked by root" in page
        assert "nothing was sent since" in page

    def test_counts_what_was_refused_since_and_what_stays(self, world: World, as_root: Client) -> None:
        signer = world.admitted.statement.signer
        blocking.block(signer, reason="x", now=world.admitted.changed_at)
        world.south.push(world.south.release(version="9.0.0"))

        page = as_root.get("/peers/blocked/").content.decode()

        assert "1 statement refused since" in page
        assert "1 object admitted before, which stays" in page

    def test_says_what_to_do_when_nobody_is_on_it(self, world: World, as_root: Client) -> None:
        BlockedAuthor.objects.all().delete()

        assert "Nobody is blocked" in as_root.get("/peers/blocked/").content.decode()


class TestBlocking:
    def test_by_id_refuses_what_waits(self, world: World, as_root: Client) -> None:
        author = world.west.author.id

        answer = as_root.post("/peers/blocked/add/", {"author_id": f" {author} ", "reason": "spam"}, follow=True)

        assert said(answer) == ["Blocked; 2 objects that waited are refused."]
        row = BlockedAuthor.objects.get(author_id=author)
        assert (row.reason, row.blocked_by) == ("spam", world.root)

    @pytest.mark.parametrize(
        "given", [{"author_id": "opln1x", "reason": "y"}, {"author_id": BLOCKED, "reason": " "}, {}]
    )
    def test_takes_an_id_and_a_reason(self, world: World, as_root: Client, given: dict[str, str]) -> None:
        assert as_root.post("/peers/blocked/add/", given).status_code == (422 if given else 200)
        assert BlockedAuthor.objects.count() == 1

    def test_of_an_own_author_is_refused_with_the_reason(self, world: World, as_root: Client) -> None:
        from federation.models import Author

        own = Author.objects.get().author_id

        answer = as_root.post("/peers/blocked/add/", {"author_id": own, "reason": "x"}, follow=True)

        assert "is an author of this node" in said(answer)[0]


class TestUnblocking:
    def test_looks_again_at_what_was_refused(self, world: World, as_root: Client) -> None:
        author = world.west.author.id
        blocking.block(author, reason="x", now=world.held.changed_at)
        world.west.push(release := world.west.release(version="9.0.0"))
        dialog = as_root.get(f"/peers/blocked/{author}/unblock/").content.decode()
        assert "One statement that was refused since is looked at again" in dialog

        answer = as_root.post(f"/peers/blocked/{author}/unblock/", follow=True)

        assert said(answer) == ["Unblocked; 1 statement is accepted now."]
        assert Statement.objects.filter(statement_id=release.id).exists()
        assert not DeadLetter.objects.filter(waits_for=author).exists()

    def test_of_somebody_who_is_not_blocked_is_not_there(self, world: World, as_root: Client) -> None:
        assert as_root.get(f"/peers/blocked/{makers.author('else').id}/unblock/").status_code == 404

    def test_is_for_staff(self, world: World, as_ada: Client) -> None:
        assert as_ada.post(f"/peers/blocked/{BLOCKED}/unblock/").status_code == 404
        assert BlockedAuthor.objects.exists()

    def test_is_offered_on_the_page_of_an_object(self, world: World, as_root: Client) -> None:
        item = QuarantineItem.objects.get(pk=world.held.pk)
        blocking.block(item.statement.signer, reason="x", now=item.changed_at)

        page = as_root.get(f"/peers/quarantine/{item.pk}/").content.decode()

        assert "Its author is blocked here" in page and "Unblock the author" in page
        assert "Block the author</a>" not in page
