"""What publishing would do, with nothing stored."""

from __future__ import annotations

import pytest

from registry.models import Owner, StoredDocument, User
from registry.services import previewing
from tests.registry.factories import make_user, make_version, opl

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_user("ada")


@pytest.fixture
def owner(ada: User) -> Owner:
    return ada.own_owner


class TestPreview:
    def test_stores_nothing(self, owner: Owner, ada: User) -> None:
        preview = previewing.preview(owner=owner, user=ada, source=opl())

        assert preview.ok
        assert preview.patterns[0].version == "1.0.0"
        assert not StoredDocument.objects.exists()

    def test_offers_a_bump_with_its_reasons(self, owner: Owner, ada: User) -> None:
        make_version(user=ada, version="1.0.0")

        preview = previewing.preview(owner=owner, user=ada, source=opl(version="", script="RETURN 1"))

        item = preview.patterns[0]
        assert (item.newest, item.bump, item.version) == ("1.0.0", "major", "2.0.0")
        assert item.reasons

    def test_finds_what_only_differs_in_formatting(self, owner: Owner, ada: User) -> None:
        theirs = make_version(user=make_user("bob"))

        preview = previewing.preview(owner=owner, user=ada, source=opl() + b"# a comment\n")

        assert [str(version) for version in preview.patterns[0].near_duplicates] == [str(theirs)]

    def test_says_that_the_very_text_is_published(self, owner: Owner, ada: User) -> None:
        make_version(user=ada)

        assert previewing.preview(owner=owner, user=ada, source=opl()).patterns[0].same_as == "1.0.0"

    def test_reports_problems_instead_of_raising(self, owner: Owner, ada: User) -> None:
        preview = previewing.preview(owner=owner, user=ada, source=b"\xff\xfe not text")

        assert not preview.ok
        assert preview.reading.problems

    def test_reports_a_disagreeing_version_as_a_problem(self, owner: Owner, ada: User) -> None:
        preview = previewing.preview(owner=owner, user=ada, source=opl(version="1.0.0"), version="2.0.0")

        assert "registry.version-disagrees" in {problem.code for problem in preview.reading.problems}
