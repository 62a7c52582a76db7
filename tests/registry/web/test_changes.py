"""What publishers change: words, channels, yanks; dialogs that say what happens."""

from __future__ import annotations

from django.test import Client

from registry.models import Channel, Pattern
from tests.registry.factories import record_runs
from tests.registry.web.conftest import World

PROMOTE = "/patterns/ada/vote/versions/1.0.0/promote/"
YANK = "/patterns/ada/vote/versions/1.1.0/yank/"


class TestPromote:
    def test_says_what_would_be_replaced(self, as_owner: Client) -> None:
        page = as_owner.get(PROMOTE).content.decode()

        assert page.index("@1.1.0") < page.index("would become") < page.rindex("@1.0.0")

    def test_is_a_fragment_for_the_dialog(self, as_owner: Client) -> None:
        part = as_owner.get(PROMOTE, headers={"HX-Request": "true"}).content.decode()

        assert "<html" not in part
        assert "<form" in part

    def test_moves_the_channel(self, as_owner: Client) -> None:
        as_owner.post(PROMOTE, {"channel": "stable", "reason": "the new one asks twice"})

        channel = Channel.objects.get(pattern__name="vote", name="stable")
        assert channel.version.version == "1.0.0"
        assert b"the new one asks twice" in as_owner.get("/patterns/ada/vote/versions/").content

    def test_refuses_the_channel_that_follows_by_itself(self, as_owner: Client) -> None:
        answer = as_owner.post(PROMOTE, {"channel": "latest"})

        assert answer.status_code == 422
        assert b"follows the highest version" in answer.content


class TestYank:
    def test_says_which_channels_move(self, as_owner: Client) -> None:
        assert b"These channels point at it" in as_owner.get(YANK).content

    def test_marks_the_version_and_names_the_successor(self, as_owner: Client) -> None:
        as_owner.post(YANK, {"reason": "counts twice", "successor": "1.0.0"})

        page = as_owner.get("/patterns/ada/vote/?version=1.1.0").content.decode()
        assert "counts twice" in page
        assert "ada/vote@1.0.0" in page

    def test_needs_a_reason(self, as_owner: Client) -> None:
        assert as_owner.post(YANK, {"reason": " "}).status_code == 422

    def test_an_unknown_successor_is_said_at_its_field(self, as_owner: Client) -> None:
        answer = as_owner.post(YANK, {"reason": "x", "successor": "7.7.7"})

        assert answer.status_code == 422
        assert b'id="id_successor_error"' in answer.content

    def test_a_stranger_may_not(self, client: Client, world: World) -> None:
        client.force_login(world.stranger)

        assert client.post(YANK, {"reason": "envy"}).status_code == 403


class TestEdit:
    def test_changes_words_and_tags_and_no_version(self, as_owner: Client, world: World) -> None:
        before = world.second.digest

        as_owner.post(
            "/patterns/ada/vote/edit/",
            {"title": "Votes", "description": "New words", "tags": "a, b", "visibility": "public"},
        )

        pattern = Pattern.objects.get(pk=world.second.pattern_id)
        assert (pattern.title, pattern.description, pattern.tags) == ("Votes", "New words", ["a", "b"])
        assert pattern.shown is not None
        assert pattern.shown.digest == before


class TestProtect:
    def test_protects_and_frees(self, as_owner: Client) -> None:
        as_owner.post("/patterns/ada/vote/channels/stable/protect/", {"protected": "yes"})
        assert b"protected" in as_owner.get("/patterns/ada/vote/versions/").content
        assert Channel.objects.get(pattern__name="vote", name="stable").is_protected

        as_owner.post("/patterns/ada/vote/channels/stable/protect/", {"protected": "no"})
        assert not Channel.objects.get(pattern__name="vote", name="stable").is_protected


class TestVersions:
    def test_show_how_each_did_measured_before_simulated(self, client: Client, world: World) -> None:
        record_runs(world.first, 3, 9, source="simulated")

        page = client.get("/patterns/ada/vote/versions/").content.decode()

        measured, simulated = page.index("10 runs"), page.index("12 runs")
        assert measured < simulated
        assert page.count('class="evidence measured"') == 1
        assert page.count('class="evidence simulated"') == 1
