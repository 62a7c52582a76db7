"""An erasure takes a text out of every place that shows or sends it, and leaves a tombstone that cannot be refilled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from django.db import connection
from django.test import Client
from django.utils import timezone

from execution.worker import WorkerSettings, run_until_idle
from federation.models import DeadLetter, QuarantineItem, Segment, SharedVersion, Statement, ThisNode
from federation.protocol import limits
from federation.protocol.feed import Cursor
from federation.protocol.strictjson import dumps
from federation.protocol.tiers import Tier
from federation.services import bundling, erasing, segmenting, sharing, storing, ticking, trying
from registry.models import PatternVersion, StoredDocument
from tests.federation import makers
from tests.federation.conftest import Remote
from tests.federation.services.test_carrying import quiet
from tests.federation.services.test_exchange import publish, share
from tests.registry import factories

NOW = timezone.now()
WORD = "xylotherapy"  # stands in the text and nowhere else
TEXT = f"type: orchestration_pattern\nname: echo\ndescription: {WORD} for all\ndsl: |\n  RETURN '{WORD}'\n"


def everywhere(word: str) -> list[str]:
    """Columns of any table whose rows still hold the word, packed or not."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                found += [f"{table}.{name}" for name, value in zip(names, row, strict=True) if _holds(value, word)]
    return sorted(set(found))


def _holds(value: Any, word: str) -> bool:
    raw = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
    if raw.startswith(b"\x28\xb5\x2f\xfd"):
        raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    return word.encode() in raw


@pytest.fixture
def own(node: ThisNode) -> PatternVersion:
    """A version of this node that was announced."""
    version = publish("echo", source=TEXT.encode())
    share(version)
    return version


def erase(version: PatternVersion) -> Statement:
    row = sharing.withdraw(version, kind="erase", reason="it names a person", now=NOW)
    storing.number()
    return row


class TestAnErasedText:
    def test_of_ones_own_stands_in_no_table_any_more(self, own: PatternVersion) -> None:
        assert "federation_statement.payload" in everywhere(WORD)

        erase(own)

        assert everywhere(WORD) == []

    def test_of_a_foreigner_stands_in_no_table_any_more(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.OWN)
        remote.push(*remote.introduced(), made := remote.release(source=TEXT))
        ticking.scan_all(now=NOW)
        assert "registry_patternversion.source" in everywhere(WORD)

        remote.push(makers.withdrawal("erase", remote.author, made.id))

        assert everywhere(WORD) == []

    def test_that_was_tried_here_is_taken_from_the_copy_as_well(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.APPROVED)
        source = TEXT.replace("RETURN", 'EVENT completion:async {agent_id: "judge", prompt: "A"} AS a\n  RETURN')
        remote.push(*remote.introduced(), made := remote.release(source=source))
        ticking.scan_all(now=NOW)
        run_until_idle(settings=WorkerSettings(queue="trials"))
        trying.settle(now=NOW)
        assert PatternVersion.objects.filter(provenance__statement=made.id).count() == 2  # admitted, and its copy

        remote.push(makers.withdrawal("erase", remote.author, made.id))

        assert not PatternVersion.objects.filter(provenance__statement=made.id).exclude(source=b"").exists()
        assert not StoredDocument.objects.filter(digest=made.subject.sha256).exclude(source=b"").exists()
        # What ran keeps its own record (journal and blobs) until that is pruned: decision 0132.
        assert [place for place in everywhere(WORD) if place.startswith(("federation", "registry"))] == []

    def test_that_arrives_after_its_erasure_is_not_kept(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.OWN)
        made = remote.release(source=TEXT)

        remote.push(*remote.introduced(), makers.withdrawal("erase", remote.author, made.id), made)

        assert everywhere(WORD) == []

    def test_is_taken_from_a_proof_of_contradiction(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.OWN)
        remote.push(*remote.introduced(), made := remote.release(source=TEXT))
        remote.push(remote.release())
        proof = Statement.objects.get(kind="equivocation")

        remote.push(makers.withdrawal("erase", remote.author, made.id))

        assert everywhere(WORD) == []
        proof.refresh_from_db()
        assert proof.is_held_back
        assert made.id in proof.predicate["statements"]

    def test_of_a_stranger_stays(self, make_remote: Callable[..., Remote]) -> None:
        remote, other = make_remote(tier=Tier.OWN), make_remote(tier=Tier.OWN)
        remote.push(*remote.introduced(), made := remote.release(source=TEXT))

        other.push(*other.introduced(), makers.withdrawal("erase", other.author, made.id))

        assert "federation_statement.payload" in everywhere(WORD)

    def test_that_another_pattern_has_too_stays_there(self, own: PatternVersion) -> None:
        other = publish("mine", owner=factories.make_user().own_owner, source=TEXT.encode())

        erase(own)

        other.refresh_from_db()
        assert WORD in other.text
        assert bytes(other.document.source) == TEXT.encode()

    def test_is_still_known_by_name_number_digest_and_reason(self, own: PatternVersion, client: Client) -> None:
        digest = own.digest
        erase(own)

        row = Statement.objects.get(kind="release")
        assert (row.subject_digest, row.predicate["source_digest"], row.version) == (digest, digest, own.version)
        page = client.get(own.get_absolute_url(), follow=True).content.decode()
        assert "it names a person" in page
        assert WORD not in page


class TestAfterAnErasure:
    @pytest.fixture
    def erased(self, own: PatternVersion) -> Statement:
        erase(own)
        return Statement.objects.get(kind="release")

    def test_the_feed_shows_the_erasure_and_not_the_release(
        self, erased: Statement, node: ThisNode, remote: Remote
    ) -> None:
        body = remote.ask("GET", "/fed/v1/changes?limit=500").content.decode()

        assert '"k":"erase"' in body
        assert WORD not in body
        assert remote.ask("GET", f"/fed/v1/changes?since={Cursor(node.epoch, 3)}").content.count(b"\n") == 1

    def test_nobody_gets_it_by_its_id(self, erased: Statement, remote: Remote) -> None:
        assert remote.ask("GET", f"/fed/v1/statements/{erased.statement_id}").status_code == 404
        body = dumps({"ids": [erased.statement_id]})
        assert remote.ask("POST", "/fed/v1/statements", body).content == b""
        assert remote.ask("POST", "/fed/v1/have", body).json() == {"missing": [erased.statement_id]}

    def test_bundles_leave_it_out(self, erased: Statement, tmp_path: Path) -> None:
        path = tmp_path / "b.zst"
        bundling.export(path, bundling.choose(), now=NOW, progress=quiet)

        assert WORD.encode() not in zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())

    def test_segments_are_cut_anew_without_it(self, own: PatternVersion, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "SEGMENT_ITEMS", 3)
        segmenting.cut(now=NOW)
        before = set(Segment.objects.values_list("sha256", flat=True))
        assert "federation_segment.data" in everywhere(WORD)

        erase(own)
        segmenting.cut(now=NOW)

        assert everywhere(WORD) == []
        assert set(Segment.objects.values_list("sha256", flat=True)) - before

    def test_pages_open_for_staff_and_hold_no_envelope(self, erased: Statement, client: Client) -> None:
        client.force_login(factories.make_admin())

        assert client.get("/peers/withdrawn/").status_code == 200
        assert client.get("/peers/outgoing/").status_code == 200
        assert client.get(f"/peers/statements/{erased.statement_id}.json").status_code == 404
        version = SharedVersion.objects.get().pattern_version
        address = f"/patterns/{version.pattern.owner.name}/{version.pattern.name}/egress/"
        assert client.get(address).status_code == 200

    def test_the_quarantine_page_of_an_erased_object_opens(
        self, make_remote: Callable[..., Remote], client: Client
    ) -> None:
        remote = make_remote(tier=Tier.PROBATION)
        remote.push(*remote.introduced(), made := remote.release(source=TEXT))
        ticking.scan_all(now=NOW)
        remote.push(makers.withdrawal("erase", remote.author, made.id))
        client.force_login(factories.make_admin())

        page = client.get(f"/peers/quarantine/{QuarantineItem.objects.get().pk}/")

        assert page.status_code == 200
        assert WORD not in page.content.decode()


class TestATombstone:
    @pytest.fixture
    def remote_and_release(self, make_remote: Callable[..., Remote]) -> tuple[Remote, Any]:
        remote = make_remote(tier=Tier.OWN)
        remote.push(*remote.introduced(), made := remote.release(source=TEXT))
        remote.push(makers.withdrawal("erase", remote.author, made.id))
        return remote, made

    def test_is_not_refilled_by_the_same_statement(self, remote_and_release: tuple[Remote, Any]) -> None:
        remote, made = remote_and_release

        assert remote.push(made)[0]["status"] == "duplicate"
        assert everywhere(WORD) == []

    def test_is_not_refilled_by_the_same_text_signed_again(self, remote_and_release: tuple[Remote, Any]) -> None:
        remote, _ = remote_and_release

        assert remote.push(remote.release(source=TEXT, license="Apache-2.0"))[0]["status"] == "duplicate"
        assert everywhere(WORD) == []

    def test_refuses_another_text_under_its_number(self, remote_and_release: tuple[Remote, Any]) -> None:
        remote, _ = remote_and_release

        (result,) = remote.push(remote.release())

        assert (result["status"], result["code"]) == ("rejected", "equivocation")
        assert not Statement.objects.filter(kind="equivocation").exists()

    def test_takes_a_second_withdrawal(self, remote_and_release: tuple[Remote, Any]) -> None:
        remote, made = remote_and_release

        assert remote.push(makers.withdrawal("revoke", remote.author, made.id))[0]["status"] == "accepted"
        assert not Statement.objects.get(kind="revoke").is_advice

    def test_is_the_same_when_it_is_erased_again(self, remote_and_release: tuple[Remote, Any]) -> None:
        _, made = remote_and_release
        row = Statement.objects.get(statement_id=made.id)
        before = (bytes(row.payload), row.erased_at)

        erasing.erase(row, [], now=timezone.now())

        row.refresh_from_db()
        assert (bytes(row.payload), row.erased_at) == before

    def test_leaves_no_dead_letter_with_the_text(self, make_remote: Callable[..., Remote]) -> None:
        remote = make_remote(tier=Tier.OWN)
        made = remote.release(source=TEXT)
        remote.push(*remote.identity.statements, made)  # its author is unknown so far
        assert DeadLetter.objects.exists()
        remote.push(*remote.author.statements, makers.withdrawal("erase", remote.author, made.id))

        assert everywhere(WORD) == []
