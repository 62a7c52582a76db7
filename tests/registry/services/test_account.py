"""Tokens, drafts, organisations, and the audit chain."""

from __future__ import annotations

from datetime import timedelta

import pytest

from registry.errors import Conflict, InvalidDocument, InvalidRequest, NameTaken, NotAllowed, NotThere, RowMoved
from registry.models import AuditEntry, Draft, Membership, Owner, PatternVersion, Token, User
from registry.services import audit, drafts, owners, tokens
from tests.registry.factories import NOW, make_admin, make_organisation, make_user, make_version, opl

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_user("ada")


class TestToken:
    def test_is_stored_as_its_hash_only(self, ada: User) -> None:
        made = tokens.create(user=ada, name="ci", scopes=["publish"], now=NOW)

        row = Token.objects.get()
        stored = " ".join(str(value) for value in vars(row).values())
        assert made.secret not in stored
        assert len(made.secret) == len(tokens.SECRET_PREFIX) + 43
        assert row.digest == tokens.digest_of(made.secret)

    def test_is_found_by_its_secret_until_it_is_revoked(self, ada: User) -> None:
        made = tokens.create(user=ada, name="ci", scopes=["read"], now=NOW)
        assert tokens.find(secret=made.secret, now=NOW) == made.token

        tokens.revoke(user=ada, token_id=made.token.pk, now=NOW)

        assert tokens.find(secret=made.secret, now=NOW) is None

    def test_ends_when_it_says(self, ada: User) -> None:
        made = tokens.create(user=ada, name="ci", scopes=["read"], now=NOW, expires_at=NOW + timedelta(days=1))

        assert tokens.find(secret=made.secret, now=NOW + timedelta(hours=23))
        assert tokens.find(secret=made.secret, now=NOW + timedelta(hours=25)) is None

    def test_ends_with_its_person(self, ada: User) -> None:
        made = tokens.create(user=ada, name="ci", scopes=["read"], now=NOW)
        User.objects.filter(pk=ada.pk).update(is_active=False)

        assert tokens.find(secret=made.secret, now=NOW) is None

    def test_notes_its_use_to_the_minute(self, ada: User) -> None:
        made = tokens.create(user=ada, name="ci", scopes=["read"], now=NOW)

        for seconds in (0, 30, 61):
            tokens.find(secret=made.secret, now=NOW + timedelta(seconds=seconds))

        assert Token.objects.get().last_used_at == NOW + timedelta(seconds=61)

    @pytest.mark.parametrize(
        ("field", "options"),
        [
            ("name", {"name": " "}),
            ("scopes", {"scopes": []}),
            ("scopes", {"scopes": ["everything"]}),
            ("scopes", {"scopes": ["admin"]}),
            ("expires_at", {"expires_at": NOW - timedelta(days=1)}),
        ],
    )
    def test_refuses(self, ada: User, field: str, options: dict[str, object]) -> None:
        values = {"name": "ci", "scopes": ["read"]} | options

        with pytest.raises(InvalidRequest) as refusal:
            tokens.create(user=ada, now=NOW, **values)  # type: ignore[arg-type]

        assert refusal.value.field == field

    def test_of_somebody_else_cannot_be_revoked(self, ada: User) -> None:
        made = tokens.create(user=ada, name="ci", scopes=["read"], now=NOW)

        with pytest.raises(NotThere):
            tokens.revoke(user=make_user("eve"), token_id=made.token.pk, now=NOW)

    @pytest.mark.parametrize("secret", ["", "oplt_", "x" * 1000, "oplt_\ud800", "oplt_\x00"])
    def test_is_not_found_by_odd_secrets(self, ada: User, secret: str) -> None:
        assert tokens.find(secret=secret, now=NOW) is None


class TestDraft:
    def save(self, user: User, source: bytes = b"half a", **options: object) -> Draft:
        return drafts.save(user=user, owner=user.own_owner, source=source, now=NOW, **options)  # type: ignore[arg-type]

    def test_is_seen_by_nobody_else(self, ada: User) -> None:
        row = self.save(ada)

        with pytest.raises(NotThere):
            drafts.find(draft_id=row.pk, user=make_user("eve"))

    def test_is_not_overwritten_unseen(self, ada: User) -> None:
        row = self.save(ada)
        self.save(ada, b"more", draft=row, expected_revision=0)

        with pytest.raises(RowMoved):
            self.save(ada, b"other", draft=row, expected_revision=0)

        assert Draft.objects.get().text == "more"

    def test_is_gone_once_published(self, ada: User) -> None:
        row = self.save(ada, opl())

        drafts.publish(draft=row, user=ada, now=NOW, via="web")

        assert not Draft.objects.exists()
        assert PatternVersion.objects.exists()

    def test_stays_when_publishing_is_refused(self, ada: User) -> None:
        row = self.save(ada, b"no pattern")

        with pytest.raises(InvalidDocument):
            drafts.publish(draft=row, user=ada, now=NOW, via="web")

        assert Draft.objects.exists()


class TestOrganisation:
    def test_belongs_to_who_made_it(self, ada: User) -> None:
        lab = owners.create_organisation(name="lab", user=ada, now=NOW)

        assert lab.can_administer(ada)

    @pytest.mark.parametrize("name", ["ada", "library", "api"])
    def test_does_not_take_a_name_that_is_taken(self, ada: User, name: str) -> None:
        with pytest.raises(NameTaken):
            owners.create_organisation(name=name, user=ada, now=NOW)

    @pytest.mark.parametrize("name", ["", "Lab", "läb", "a", "x" * 65, "-lab", "la b"])
    def test_has_a_plain_name(self, ada: User, name: str) -> None:
        with pytest.raises(InvalidRequest):
            owners.create_organisation(name=name, user=ada, now=NOW)

    def test_gives_roles_and_takes_them(self, ada: User) -> None:
        bob = make_user("bob")
        lab = owners.create_organisation(name="lab", user=ada, now=NOW)

        owners.set_member(owner=lab, username="bob", role="publisher", user=ada, now=NOW)
        assert lab.can_publish(bob)

        owners.remove_member(owner=lab, username="bob", user=bob, now=NOW)
        assert not lab.can_publish(bob)

    def test_is_changed_by_administrators_only(self, ada: User) -> None:
        bob = make_user("bob")
        lab = make_organisation("lab", admin=ada, publisher=bob)

        with pytest.raises(NotAllowed):
            owners.set_member(owner=lab, username="bob", role="admin", user=bob, now=NOW)

    def test_keeps_an_administrator(self, ada: User) -> None:
        lab = owners.create_organisation(name="lab", user=ada, now=NOW)

        with pytest.raises(Conflict):
            owners.remove_member(owner=lab, username="ada", user=ada, now=NOW)

        assert Membership.objects.filter(owner=lab, user=ada).exists()

    def test_is_no_person(self, ada: User) -> None:
        make_user("bob")

        with pytest.raises(NotAllowed):
            owners.set_member(owner=ada.own_owner, username="bob", role="admin", user=ada, now=NOW)


class TestAudit:
    def test_is_whole_after_ordinary_work(self, ada: User) -> None:
        make_version(user=ada)
        make_version(user=ada, version="1.1.0")

        assert AuditEntry.objects.count() == 2
        assert audit.verify_chain() is None

    @pytest.mark.parametrize(
        "change", [{"subject": "other"}, {"actor_name": "eve"}, {"detail": {}}, {"hash": "0" * 64}]
    )
    def test_finds_a_changed_entry(self, ada: User, change: dict[str, object]) -> None:
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            make_version(user=ada, version=version)

        AuditEntry.objects.filter(sequence=2).update(**change)

        assert audit.verify_chain() == 2

    def test_finds_a_missing_entry(self, ada: User) -> None:
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            make_version(user=ada, version=version)

        AuditEntry.objects.filter(sequence=2).delete()

        assert audit.verify_chain() == 2

    def test_is_read_by_those_it_concerns(self, ada: User) -> None:
        make_version(user=ada)

        assert audit.readable_by(ada).count() == 1
        assert audit.readable_by(make_user("eve")).count() == 0
        assert audit.readable_by(make_admin()).count() == 1


class TestPeople:
    def test_have_an_owner_of_their_own_name(self, ada: User) -> None:
        assert ada.own_owner.name == "ada"
        assert ada.own_owner.can_administer(ada)

    def test_with_a_name_that_is_none_get_one_near_it(self) -> None:
        assert User.objects.create_user("Grace.Hopper").own_owner.name == "grace-hopper"

    def test_keep_their_owner_when_saved_again(self, ada: User) -> None:
        ada.first_name = "Ada"
        ada.save()

        assert Owner.objects.count() == 1
