"""Authors who keep their key: made, signed with and rotated on their own machine; the node never sees it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from federation.errors import NothingToSend, Refused, Unable
from federation.management import keyfile
from federation.models import Author, SharedVersion, SigningKey, Statement, ThisNode
from federation.protocol.tiers import Tier
from federation.services import authoring, identities, sharing, storing
from registry.models import Owner, PatternVersion, User
from registry.services import publishing, yanking
from tests.federation.conftest import Remote
from tests.federation.services.test_exchange import lines_of
from tests.registry import factories

WORDS = "correct horse battery staple"


@pytest.fixture
def ada(node: ThisNode) -> User:
    return factories.make_user("ada")


@pytest.fixture
def key(ada: User) -> keyfile.AuthorKey:
    """Ada's own key, registered here."""
    made = keyfile.create("")
    authoring.register(ada.own_owner, made.roots, now=timezone.now(), user=ada)
    return keyfile.unlocked(made, "")


def release(key: keyfile.AuthorKey, *, name: str = "ada/vote", version: str = "1.0.0", script: str = "RETURN 1",
            origin: str = "", **changes: Any) -> Any:  # fmt: skip
    source = factories.opl(name.partition("/")[2], script=script)
    origin = origin or identities.node().node_id
    return key.release(
        source, name=name, version=version, origin=origin, now=int(timezone.now().timestamp()), **changes
    )


def submit(signed: Any, user: User | None = None) -> Statement:
    row = authoring.submit(signed.envelope.to_json(), now=timezone.now(), user=user)
    storing.number()
    row.refresh_from_db()
    return row


class TestAKeyFile:
    def test_opens_with_its_passphrase_only(self, tmp_path: Path) -> None:
        path = tmp_path / "ada.key"
        keyfile.write(path, keyfile.create(WORDS))

        assert keyfile.unlocked(keyfile.read(path), WORDS).chain.id.startswith("opla1")
        with pytest.raises(Unable, match="not the passphrase"):
            keyfile.unlocked(keyfile.read(path), "correct horse")

    def test_holds_no_seed_that_can_be_read(self) -> None:
        made = keyfile.create(WORDS)
        opened = keyfile.unlocked(made, WORDS)

        text = json.dumps(made.to_json())

        assert opened.publish._expanded[:32].hex() not in text
        assert b"publish" not in made.sealed

    def test_is_readable_by_its_owner_only(self, tmp_path: Path) -> None:
        path = tmp_path / "ada.key"

        keyfile.write(path, keyfile.create(""))

        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600

    def test_is_never_overwritten(self, tmp_path: Path) -> None:
        path = tmp_path / "ada.key"
        keyfile.write(path, keyfile.create(""))

        with pytest.raises(Unable, match="never overwritten"):
            keyfile.write(path, keyfile.create(""))

    @pytest.mark.parametrize(
        "data", [b"", b"{}", b"[]", b"\xff", b'{"format": "opl-author-key/1"}', b'{"format": "x", "roots": []}']
    )
    def test_that_is_none_is_refused_with_a_sentence(self, tmp_path: Path, data: bytes) -> None:
        path = tmp_path / "ada.key"
        path.write_bytes(data)

        with pytest.raises(Unable):
            keyfile.read(path)

    def test_with_the_seeds_of_another_author_is_refused(self) -> None:
        one, other = keyfile.create(""), keyfile.create("")
        mixed = keyfile.KeyFile(salt=b"", sealed=other.sealed, roots=one.roots)

        with pytest.raises(Unable, match="not those of its newest"):
            keyfile.unlocked(mixed, "")

    def test_is_made_and_signs_without_a_database(self, tmp_path: Path, django_db_blocker: DjangoDbBlocker,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
        monkeypatch.setenv("OPL_AUTHOR_PASSPHRASE", WORDS)
        document = tmp_path / "vote.opl.yaml"
        document.write_bytes(factories.opl("vote", script="RETURN 1"))
        path, out = tmp_path / "ada.key", tmp_path / "release.json"

        with django_db_blocker.block():
            call_command("author", "create", key=path, out=tmp_path / "root.json")
            call_command(
                "author", "sign", str(document), key=path, out=out, name="ada/vote", release="1.0.0",
                origin="opln1" + "a" * 32,
            )  # fmt: skip

        assert json.loads(out.read_bytes())["payloadType"] == "application/vnd.in-toto+json"


class TestRegistering:
    def test_leaves_no_key_of_the_author_on_the_node(self, ada: User, key: keyfile.AuthorKey) -> None:
        row = Author.objects.get(owner=ada.own_owner)

        assert row.author_id == key.chain.id
        assert not SigningKey.objects.filter(identity=row.author_id).exists()

    def test_announces_the_root_document(self, key: keyfile.AuthorKey, remote: Remote) -> None:
        storing.number()

        kinds = [line["k"] for line in lines_of(remote.ask("GET", "/fed/v1/changes"))]
        assert kinds == ["root", "root"]

    def test_takes_nobodys_place(self, ada: User, key: keyfile.AuthorKey) -> None:
        eve = factories.make_user("eve")

        with pytest.raises(Unable, match="is ada here"):
            authoring.register(eve.own_owner, [each.statement.envelope.to_json() for each in key.chain.documents],
                               now=timezone.now(), user=eve)  # fmt: skip
        with pytest.raises(Unable, match="cannot be exchanged"):
            authoring.register(ada.own_owner, keyfile.create("").roots, now=timezone.now(), user=ada)

    def test_of_an_owner_that_is_not_ones_own_is_refused(self, ada: User) -> None:
        eve = factories.make_user("eve")

        with pytest.raises(Unable, match="may not publish"):
            authoring.register(ada.own_owner, keyfile.create("").roots, now=timezone.now(), user=eve)

    def test_of_the_chain_of_a_node_is_refused(self, ada: User, remote: Remote) -> None:
        roots = [each.envelope.to_json() for each in remote.identity.statements]

        with pytest.raises(Unable, match="of a node"):
            authoring.register(ada.own_owner, roots, now=timezone.now(), user=ada)

    def test_again_with_a_longer_chain_is_a_rotation(self, ada: User) -> None:
        first = keyfile.create("")
        authoring.register(ada.own_owner, first.roots, now=timezone.now(), user=ada)
        second = keyfile.rotated(first, "", now=int(timezone.now().timestamp()) - 5)

        authoring.register(ada.own_owner, second.roots, now=timezone.now(), user=ada)

        submit(release(keyfile.unlocked(second, "")))
        with pytest.raises(Refused, match="retired"):
            submit(release(keyfile.unlocked(first, ""), version="1.0.1", script="RETURN 2"))


class TestSubmitting:
    def test_publishes_and_announces_what_the_author_signed(
        self, ada: User, key: keyfile.AuthorKey, remote: Remote
    ) -> None:
        signed = release(key)

        row = submit(signed, ada)

        version = PatternVersion.objects.get(pattern__name="vote")
        assert (str(version.pattern), version.version, version.digest) == ("ada/vote", "1.0.0", signed.subject.sha256)
        assert version.shared.statement == row
        lines = lines_of(remote.ask("GET", "/fed/v1/changes"))
        assert lines[-1]["p"] == signed.envelope.payload.decode()
        assert lines[-1]["sig"][0]["keyid"] == key.publish.keyid

    def test_twice_is_once(self, key: keyfile.AuthorKey) -> None:
        signed = release(key)

        assert submit(signed).pk == submit(signed).pk
        assert SharedVersion.objects.count() == 1

    def test_of_another_text_for_a_version_is_refused(self, key: keyfile.AuthorKey) -> None:
        submit(release(key))

        with pytest.raises(Refused) as caught:
            submit(release(key, script="RETURN 2"))

        assert caught.value.code == "equivocation"
        assert Statement.objects.filter(kind="equivocation").count() == 0

    def test_of_another_text_than_the_one_published_is_refused(self, ada: User, key: keyfile.AuthorKey) -> None:
        publishing.publish(owner=ada.own_owner, user=ada, source=factories.opl("vote", script="RETURN 7"), via="web",
                           now=timezone.now(), version="1.0.0")  # fmt: skip

        with pytest.raises(Refused, match="another text"):
            submit(release(key))

    def test_under_a_foreign_handle_or_origin_is_refused(self, key: keyfile.AuthorKey) -> None:
        with pytest.raises(Unable, match="begins with eve"):
            submit(release(key, name="eve/vote"))
        with pytest.raises(Unable, match="origin"):
            submit(release(key, origin="opln1" + "a" * 32))

    def test_of_somebody_unregistered_is_refused(self, node: ThisNode) -> None:
        with pytest.raises(Unable, match="register"):
            submit(release(keyfile.unlocked(keyfile.create(""), "")))

    def test_by_another_person_is_refused(self, key: keyfile.AuthorKey) -> None:
        with pytest.raises(Unable, match="may not publish"):
            submit(release(key), factories.make_user("eve"))

    def test_with_a_changed_byte_is_refused(self, key: keyfile.AuthorKey) -> None:
        import base64

        value = release(key).envelope.to_json()
        payload = base64.b64decode(value["payload"]).replace(b'"MIT"', b'"MIX"').replace(b'"new"', b'"fork"')
        changed = value | {"payload": base64.b64encode(payload).decode()}

        with pytest.raises(Refused) as caught:
            authoring.submit(changed, now=timezone.now())
        assert caught.value.code == "bad-signature"

    def test_of_a_planted_secret_is_refused_as_at_every_egress(self, key: keyfile.AuthorKey) -> None:
        token = "ghp_" + "a1B2" * 10
        source = factories.opl("vote", script="RETURN 1", description=f"use {token}")
        signed = key.release(source, name="ada/vote", version="1.0.0", origin=identities.node().node_id,
                             now=int(timezone.now().timestamp()))  # fmt: skip

        with pytest.raises(Unable, match="GitHub token") as caught:
            submit(signed)
        assert token not in str(caught.value)
        assert not PatternVersion.objects.exists()

    def test_of_a_yank_withdraws_the_version(self, key: keyfile.AuthorKey) -> None:
        row = submit(release(key))

        submit(key.withdrawal("yank", row.statement_id, reason="it loops", now=int(timezone.now().timestamp())))

        version = PatternVersion.objects.get(pattern__name="vote")
        assert (version.is_yanked, version.yank_reason) == (True, "it loops")
        assert sharing.notice(now=timezone.now()) == 0  # nothing is signed a second time

    def test_of_a_withdrawal_of_nothing_is_refused(self, key: keyfile.AuthorKey) -> None:
        with pytest.raises(Unable, match="withdraws nothing"):
            submit(key.withdrawal("yank", "a" * 64, reason="", now=1))


class TestAVersionWhoseAuthorSigns:
    @pytest.fixture
    def version(self, ada: User, key: keyfile.AuthorKey) -> PatternVersion:
        made = publishing.publish(owner=ada.own_owner, user=ada, source=factories.opl("vote", script="RETURN 1"),
                                  via="web", now=timezone.now())  # fmt: skip
        return made.versions[0].version

    def test_waits_for_the_signature(self, version: PatternVersion) -> None:
        assert sharing.notice(now=timezone.now()) == 0
        assert not SharedVersion.objects.exists()
        with pytest.raises(NothingToSend, match="its author signs it"):
            sharing.shared_of(version, now=timezone.now())

    def test_is_prepared_signed_elsewhere_and_announced(self, version: PatternVersion, key: keyfile.AuthorKey) -> None:
        prepared = authoring.prepare(version, now=timezone.now())

        row = submit(key.prepared(prepared))

        assert row.predicate == prepared
        assert SharedVersion.objects.get().pattern_version == version

    def test_is_not_signed_with_another_authors_key(self, version: PatternVersion) -> None:
        prepared = authoring.prepare(version, now=timezone.now())

        with pytest.raises(Unable, match="prepared for"):
            keyfile.unlocked(keyfile.create(""), "").prepared(prepared)

    def test_that_the_hub_yanks_is_withdrawn_by_the_origin(
        self, version: PatternVersion, key: keyfile.AuthorKey, node: ThisNode, remote: Remote
    ) -> None:
        submit(key.prepared(authoring.prepare(version, now=timezone.now())))
        yanking.yank(version=version, user=None, reason="it counts wrong", now=timezone.now())

        sharing.notice(now=timezone.now())

        yank = Statement.objects.get(kind="yank")
        assert (yank.signer, yank.is_advice) == (node.node_id, False)

    def test_says_so_on_its_page(self, version: PatternVersion, ada: User, client: Client) -> None:
        client.force_login(ada)

        page = client.get(reverse("federation:egress", args=["ada", "vote"]))

        assert "has not signed this version yet" in page.content.decode()


class TestTheEgressPreview:
    def test_makes_no_keys(self, node: ThisNode, ada: User, client: Client) -> None:
        publishing.publish(owner=ada.own_owner, user=ada, source=factories.opl("vote", script="RETURN 1"), via="web",
                           now=timezone.now())  # fmt: skip
        client.force_login(ada)
        before = SigningKey.objects.count()

        page = client.get(reverse("federation:egress", args=["ada", "vote"]))

        assert page.status_code == 200
        assert "RETURN 1" in page.content.decode()
        assert SigningKey.objects.count() == before
        assert not Author.objects.exists()


class TestTheCommands:
    def test_carry_a_release_from_the_authors_machine_to_the_feed(
        self, ada: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_remote: Callable[..., Remote],
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        monkeypatch.setenv("OPL_AUTHOR_PASSPHRASE", WORDS)
        document, key = tmp_path / "vote.opl.yaml", tmp_path / "ada.key"
        document.write_bytes(factories.opl("vote", script="RETURN 1"))
        call_command("author", "create", key=key, out=tmp_path / "root.json")
        call_command("author", "register", "ada", str(tmp_path / "root.json"))
        call_command("author", "sign", str(document), key=key, out=tmp_path / "signed.json", name="ada/vote",
                     release="1.0.0", origin=identities.node().node_id)  # fmt: skip
        capsys.readouterr()

        call_command("author", "submit", str(tmp_path / "signed.json"), json=True)

        told = json.loads(capsys.readouterr().out)
        assert (told["ok"], told["kind"], told["subject"]) == (True, "release", "ada/vote")
        lines = lines_of(make_remote(tier=Tier.PROBATION).ask("GET", "/fed/v1/changes"))
        assert lines[-1]["seq"] == told["seq"]

    def test_list_who_holds_which_key(
        self, ada: User, key: keyfile.AuthorKey, capsys: pytest.CaptureFixture[str]
    ) -> None:
        identities.author_of(Owner.objects.get(name=factories.make_user("bob").username), now=timezone.now())

        call_command("author", "list", json=True)

        told = {each["owner"]: each["key"] for each in json.loads(capsys.readouterr().out)["authors"]}
        assert told == {"ada": "author", "bob": "node"}
