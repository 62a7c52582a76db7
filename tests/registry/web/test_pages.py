"""Every page, for everybody who may come: its status, its policy, and nothing that they may not know."""

from __future__ import annotations

import re

from django.test import Client

from registry.services import feedback
from tests.registry.factories import NOW, make_version
from tests.registry.web.conftest import World

OPEN = [
    "/",
    "/patterns/",
    "/patterns/?q=vote&tag=voting&sort=rating",
    "/patterns/?q=nothing-like-that",
    "/patterns/ada/vote/",
    "/patterns/ada/vote/?version=1.0.0",
    "/patterns/ada/vote/source/",
    "/patterns/ada/vote/versions/",
    "/patterns/ada/vote/versions/1.0.0/raw",
    "/patterns/ada/vote/lineage/",
    "/patterns/ada/vote/analytics/",
    "/patterns/ada/vote/analytics/?days=365&source=simulated&only=version",
    "/patterns/ada/vote/analytics.csv",
    "/patterns/ada/vote/discussion/",
    "/patterns/ada/vote/provenance/",
    "/patterns/ada/vote/compare/",
    "/patterns/ada/vote/compare/?from=1.1.0&to=1.0.0",
    "/owners/ada/",
    "/owners/lab/",
    "/leaderboards/",
    "/recommend/",
    "/recommend/?task=review&model=&tags=voting",
    "/health/",
    "/help/language/",
    "/help/counting/",
    "/accounts/login/",
    "/accounts/new/",
]
SIGNED_IN = [
    "/publish/",
    "/publish/?example=1",
    "/publish/?from=ada/vote",
    "/settings/tokens/",
    "/settings/webhooks/",
    "/audit/",
    "/patterns/ada/vote/fork/",
    "/patterns/ada/vote/export/",
    "/patterns/ada/vote/merge/",
    "/patterns/ada/vote/merge/?theirs=1.0.0",
    "/patterns/ada/vote/report/",
]
OF_THE_OWNER = [
    "/patterns/ada/vote/edit/",
    "/patterns/ada/vote/versions/1.0.0/promote/",
    "/patterns/ada/vote/versions/1.0.0/yank/",
]
OF_STAFF = ["/moderation/", "/design/", "/audit/?verify=1"]
EVERYTHING = [*OPEN, *SIGNED_IN, *OF_THE_OWNER, *OF_STAFF]


def statuses(client: Client, paths: list[str]) -> dict[str, int]:
    """What each page answers; one world serves them all."""
    return {path: client.get(path).status_code for path in paths}


class TestEveryPage:
    def test_open_pages_answer_everybody(self, client: Client, world: World) -> None:
        assert statuses(client, OPEN) == dict.fromkeys(OPEN, 200)

    def test_pages_of_a_person_ask_to_sign_in(self, client: Client, world: World) -> None:
        for path in [*SIGNED_IN, *OF_THE_OWNER]:
            answer = client.get(path)

            assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (302, "/accounts/login/"), path

    def test_pages_of_a_person_answer_a_stranger(self, client: Client, world: World) -> None:
        client.force_login(world.stranger)

        assert set(statuses(client, [*OPEN, *SIGNED_IN]).values()) <= {200, 302}

    def test_changes_are_refused_to_a_stranger(self, client: Client, world: World) -> None:
        client.force_login(world.stranger)

        assert statuses(client, OF_THE_OWNER) == dict.fromkeys(OF_THE_OWNER, 403)

    def test_everything_of_hers_answers_the_owner(self, as_owner: Client) -> None:
        assert set(statuses(as_owner, [*OPEN, *SIGNED_IN, *OF_THE_OWNER]).values()) <= {200, 302}

    def test_pages_of_staff_answer_staff_only(self, client: Client, world: World) -> None:
        assert set(statuses(client, OF_STAFF).values()) <= {302, 404}

        client.force_login(world.moderator)

        assert statuses(client, OF_STAFF) == dict.fromkeys(OF_STAFF, 200)


class TestPrivacy:
    def test_what_one_may_not_see_is_not_there(self, client: Client, world: World) -> None:
        client.force_login(world.stranger)
        tails = ("", "source/", "versions/", "versions/1.0.0/raw", "analytics.csv", "compare/", "discussion/", "fork/")
        paths = [f"/patterns/ada/secret/{tail}" for tail in tails]

        assert statuses(client, paths) == dict.fromkeys(paths, 404)

    def test_no_list_names_it(self, client: Client, world: World) -> None:
        client.force_login(world.stranger)

        for path in ("/", "/patterns/", "/patterns/?q=secret", "/owners/ada/", "/patterns/ada/vote/lineage/"):
            assert b"ada/secret/" not in client.get(path).content, path

    def test_the_owner_sees_it(self, as_owner: Client) -> None:
        assert as_owner.get("/patterns/ada/secret/").status_code == 200

    def test_a_pattern_that_never_was_answers_the_same(self, client: Client, world: World) -> None:
        hidden, missing = client.get("/patterns/ada/secret/"), client.get("/patterns/ada/nothing/")

        assert hidden.content.replace(b"secret", b"nothing") == missing.content


class TestPolicy:
    def test_no_page_carries_style_or_script_of_its_own(self, client: Client, world: World) -> None:
        world.moderator.is_superuser = True
        world.moderator.save()
        client.force_login(world.moderator)
        for path in EVERYTHING:
            answer = client.get(path)
            if not answer.headers["Content-Type"].startswith("text/html"):
                continue
            html = answer.content.decode()

            assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|javascript:", html), path
            assert not re.search(r"<script(?![^>]*\ssrc=)[^>]*>", html), path
            assert not re.search(r"(?:src|href)=\"(?:https?:)?//(?!testserver)[^\"]*\.(?:js|css)", html), path

    def test_only_our_own_things_may_load(self, client: Client, world: World) -> None:
        policy = client.get("/").headers["Content-Security-Policy"]

        assert "default-src 'none'" in policy
        assert "unsafe" not in policy

    def test_ids_are_not_given_twice(self, as_owner: Client) -> None:
        for path in ("/patterns/ada/vote/", "/patterns/ada/vote/discussion/", "/publish/?example=1", "/patterns/"):
            ids = re.findall(r"\sid=\"([^\"]+)\"", as_owner.get(path).content.decode())

            assert len(ids) == len(set(ids)), path


class TestErrors:
    def test_what_is_not_there_is_404_with_a_way_on(self, as_owner: Client) -> None:
        for path in (
            "/nothing/",
            "/patterns/ada/vote/?version=9.9.9",
            "/patterns/ada/vote/versions/9.9.9/",
            "/patterns/nobody/vote/",
            "/owners/nobody/",
            "/patterns/ada/vote/compare/?from=9.9.9",
            "/patterns/ada/%00/",
            "/drafts/77/",
        ):
            answer = as_owner.get(path)

            assert answer.status_code == 404, path
            assert b"/patterns/" in answer.content

    def test_no_address_breaks_the_list(self, client: Client, world: World) -> None:
        queries = (
            "offset=999999999",
            "offset=-1",
            "offset=x",
            "sort=nothing",
            "tag=%00",
            "q=" + "%22(" * 300,
            "q=a+OR+NEAR(",
        )
        paths = [f"/patterns/?{query}" for query in queries]

        assert statuses(client, paths) == dict.fromkeys(paths, 200)

    def test_programs_get_a_problem_instead_of_a_page(self, client: Client, world: World) -> None:
        answer = client.get("/api/nothing/")

        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == 404

    def test_a_stale_form_says_what_to_do(self, world: World) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(world.owner)

        answer = strict.post("/patterns/ada/vote/edit/", {"title": "x"})

        assert answer.status_code == 403
        assert b"reload the page" in answer.content


class TestHidden:
    def test_what_moderators_hid_is_not_shown(self, client: Client, world: World) -> None:
        comment = feedback.comment(pattern=world.second.pattern, user=world.stranger, text="buy pills", now=NOW)
        client.force_login(world.owner)
        client.post("/patterns/ada/vote/report/?comment=" + str(comment.pk), {"reason": "spam"})
        report = world.second.pattern.reports.get()

        client.force_login(world.moderator)
        client.post(f"/moderation/{report.pk}/", {"decision": "uphold", "note": "spam it is"})

        assert b"buy pills" not in client.get("/patterns/ada/vote/discussion/").content


class TestGuided:
    def test_a_strategy_in_prose_is_shown_as_guided(self, as_owner: Client, world: World) -> None:
        prose = b"type: orchestration\nname: talk-it-over\nversion: 1.0.0\norchestration_logic:\n  strategy: |\n    Let everyone speak in turn, then decide together what to do next.\n"
        made = make_version("talk-it-over", user=world.owner, source=prose)

        page = as_owner.get(made.get_absolute_url(), follow=True).content.decode()

        assert "Guided: an orchestrator agent carries it out" in page
