"""Publishing in the browser: everything that stands in the way at once, and nothing lost."""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from registry.models import Draft, Pattern, PatternVersion
from tests.registry.factories import COMPONENT, opl
from tests.registry.web.conftest import World

BROKEN = (
    "type: orchestration_pattern\nname: broken\nversion: 1.0.0\ndsl: |\n  STATE a = (1\n  IF a >: \n  FOREACH IN b:\n"
)


def form(source: str | bytes, **fields: str) -> dict[str, object]:
    text = source.decode() if isinstance(source, bytes) else source
    return {"source": text, "owner": "ada", "visibility": "public", **fields}


class TestPublish:
    def test_makes_a_version_and_shows_it(self, as_owner: Client) -> None:
        answer = as_owner.post("/publish/", form(opl("relay")), follow=True)

        assert answer.redirect_chain[-1][0].startswith("/patterns/ada/relay/")
        assert b"ada/relay@1.0.0 is published" in answer.content

    def test_shows_every_problem_with_its_place_and_keeps_the_text(self, as_owner: Client) -> None:
        answer = as_owner.post("/publish/", form(BROKEN))
        page = answer.content.decode()

        assert answer.status_code == 422
        assert len(set(re.findall(r'data-place="(\d+):\d+"', page))) >= 2
        assert "STATE a = (1" in page
        assert not Pattern.objects.filter(name="broken").exists()

    def test_an_uploaded_file_is_kept_byte_for_byte(self, as_owner: Client) -> None:
        source = opl("exact").replace(b"\n", b"\r\n") + b"# caf\xc3\xa9  \r\n"

        as_owner.post("/publish/", form("", upload=SimpleUploadedFile("exact.yaml", source)))

        version = PatternVersion.objects.get(pattern__name="exact")
        assert version.source_bytes == source
        assert version.provenance["file"] == "exact.yaml"

    def test_a_component_gives_a_list_of_its_patterns(self, as_owner: Client) -> None:
        answer = as_owner.post("/publish/", form(COMPONENT))

        assert answer.status_code == 200
        assert b"2 patterns are published" in answer.content

    def test_the_same_text_again_is_no_error(self, as_owner: Client) -> None:
        as_owner.post("/publish/", form(opl("again")))

        answer = as_owner.post("/publish/", form(opl("again")), follow=True)

        assert b"was published before" in answer.content

    def test_another_text_for_a_version_names_the_one_to_use(self, as_owner: Client) -> None:
        as_owner.post("/publish/", form(opl("taken")))

        answer = as_owner.post("/publish/", form(opl("taken", script="RETURN 1")))

        assert answer.status_code == 409
        assert b"publish it as" in answer.content

    def test_somebody_elses_name_is_no_choice(self, client: Client, world: World) -> None:
        client.force_login(world.stranger)

        assert client.post("/publish/", form(opl("x"))).status_code == 422
        assert not Pattern.objects.filter(name="x").exists()

    @pytest.mark.parametrize("source", ["", "   ", "\x00", "[" * 25_000, "a: &a [*a]", "\ufeff"])
    def test_hostile_texts_are_refused_politely(self, as_owner: Client, source: str) -> None:
        assert as_owner.post("/publish/", form(source)).status_code == 422


class TestCheck:
    def test_says_what_would_become_of_it(self, as_owner: Client) -> None:
        page = as_owner.post("/publish/check/", form(opl("relay"))).content.decode()

        assert "can be published" in page
        assert "relay" in page
        assert "A new pattern." in page

    def test_suggests_the_bump_and_says_why(self, as_owner: Client) -> None:
        as_owner.post("/publish/", form(opl("relay", version="")))

        page = as_owner.post("/publish/check/", form(opl("relay", version="", script="RETURN 1"))).content.decode()

        assert "After 1.0.0" in page
        assert re.search(r"@[12]\.[01]\.0", page)

    def test_points_at_what_means_the_same(self, as_owner: Client, world: World) -> None:
        same = world.second.text.replace("name: vote", "name:   vote")

        page = as_owner.post("/publish/check/", form(same, name="vote-copy")).content.decode()

        assert "The same in meaning as" in page

    def test_stores_nothing(self, as_owner: Client, world: World) -> None:
        before = PatternVersion.objects.count()

        as_owner.post("/publish/check/", form(opl("relay")))

        assert PatternVersion.objects.count() == before

    def test_an_empty_editor_is_no_mistake(self, as_owner: Client) -> None:
        assert b"cannot be published" not in as_owner.post("/publish/check/", form("")).content


class TestDraft:
    def test_is_kept_and_opened_again(self, as_owner: Client) -> None:
        answer = as_owner.post("/publish/", form("half a thought", save_draft="1"), follow=True)

        assert b"half a thought" in answer.content

    def test_somebody_elses_is_not_there(self, as_owner: Client, client: Client, world: World) -> None:
        as_owner.post("/publish/", form("half a thought", save_draft="1"))
        draft = Draft.objects.get()
        client.force_login(world.stranger)

        assert client.get(f"/publish/?draft={draft.pk}").status_code == 404
        assert client.post(f"/drafts/{draft.pk}/delete/").status_code == 404


class TestFork:
    def test_copies_under_the_own_name_and_starts_at_zero(self, client: Client, world: World) -> None:
        client.force_login(world.stranger)

        answer = client.post(
            "/patterns/ada/vote/fork/", {"owner": "grace", "name": "vote", "visibility": "public"}, follow=True
        )

        fork = Pattern.objects.get(owner__name="grace", name="vote")
        assert answer.redirect_chain[-1][0].startswith("/patterns/grace/vote/")
        assert (fork.measured_runs, fork.ratings_count) == (0, 0)
        assert b"grace/vote" in client.get("/patterns/ada/vote/lineage/").content

    def test_a_taken_name_is_said_in_the_form(self, as_owner: Client) -> None:
        answer = as_owner.post("/patterns/ada/vote/fork/", {"owner": "ada", "name": "vote", "visibility": "public"})

        assert answer.status_code == 422
        assert b"exists already" in answer.content


class TestMerge:
    def test_conflicts_are_decided_on_the_page(self, client: Client, world: World) -> None:
        client.force_login(world.stranger)
        client.post("/patterns/ada/vote/fork/", {"owner": "grace", "name": "vote", "visibility": "public"})
        base = world.second.text
        theirs = base.replace("Ask and count", "Ask the crowd").replace("version: 1.1.0", "version: 1.2.0")
        client.post("/publish/", {**form(theirs), "owner": "grace"})
        client.force_login(world.owner)
        ours = base.replace("Ask and count", "Ask the experts").replace("version: 1.1.0", "version: 1.3.0")
        client.post("/publish/", form(ours))

        refused = client.post("/patterns/ada/vote/merge/", {"theirs": "grace/vote@1.2.0"})
        pointers = set(re.findall(r'name="(choice:[^"]+)"', refused.content.decode()))
        answer = client.post(
            "/patterns/ada/vote/merge/",
            {"theirs": "grace/vote@1.2.0", **dict.fromkeys(pointers, "theirs")},
            follow=True,
        )

        assert refused.status_code == 409
        assert b"Ask the crowd" in refused.content
        assert answer.status_code == 200
        assert "Ask the crowd" in Pattern.objects.get(owner__name="ada", name="vote").newest.text

    def test_an_unknown_version_is_said(self, as_owner: Client) -> None:
        assert as_owner.post("/patterns/ada/vote/merge/", {"theirs": "no/thing@1"}).status_code == 404


class TestExport:
    def test_publishes_what_runs_taught(self, as_owner: Client, world: World) -> None:
        as_owner.post("/patterns/ada/vote/export/", {"owner": "ada", "name": "", "lessons": "Ask twice.\nCount once."})

        newest = Pattern.objects.get(owner__name="ada", name="vote").newest
        assert newest is not None
        assert newest.published_via == "export"
        assert "Ask twice." in newest.text

    def test_nothing_learned_is_said(self, as_owner: Client, world: World) -> None:
        as_owner.post("/publish/", form(opl("fresh")))

        answer = as_owner.post("/patterns/ada/fresh/export/", {"owner": "ada", "name": "", "lessons": ""})

        assert answer.status_code == 422
        assert b"run it first, then export" in answer.content
