"""Reading versions: pinned for ever, 304, 404 for what one may not see."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from registry.models import Channel, Pattern, PatternVersion, User
from tests.registry.api.conftest import as_user
from tests.registry.factories import COMPONENT, make_organisation, make_user, make_version, opl

pytestmark = pytest.mark.django_db
ROOT = "/api/v1/patterns/ada/vote"


@pytest.fixture
def version(ada: User) -> PatternVersion:
    return make_version(user=ada)


class TestVersion:
    def test_has_its_digest_as_the_tag_and_holds_for_ever(self, api: APIClient, version: PatternVersion) -> None:
        answer = api.get(f"{ROOT}/versions/1.0.0")

        assert answer.status_code == 200
        assert answer["ETag"] == f'"{version.digest}"'
        assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.json()["digest"] == version.digest

    def test_must_be_asked_for_again_through_a_channel(self, api: APIClient, version: PatternVersion) -> None:
        answer = api.get(f"{ROOT}/versions/stable")

        assert answer.json()["version"] == "1.0.0"
        assert answer["Cache-Control"] == "public, no-cache"

    @pytest.mark.parametrize("path", ["1.0.0", "stable", "1.0.0/source"])
    def test_answers_304_to_who_has_it(self, api: APIClient, version: PatternVersion, path: str) -> None:
        for tag in (f'"{version.digest}"', f'W/"{version.digest}"', f'"other", "{version.digest}"', "*"):
            answer = api.get(f"{ROOT}/versions/{path}", headers={"If-None-Match": tag})

            assert (answer.status_code, answer.content) == (304, b"")
            assert answer["ETag"] == f'"{version.digest}"'

    def test_answers_200_to_who_has_another(self, api: APIClient, version: PatternVersion) -> None:
        answer = api.get(f"{ROOT}/versions/1.0.0", headers={"If-None-Match": '"0000"'})

        assert answer.status_code == 200

    def test_is_found_by_its_digest(self, api: APIClient, version: PatternVersion) -> None:
        for url in (f"{ROOT}/versions/{version.digest}", f"/api/v1/digests/{version.digest}"):
            answer = api.get(url)

            assert answer.json()["version"] == "1.0.0"
            assert "immutable" in answer["Cache-Control"]

    def test_costs_one_query(self, api: APIClient, version: PatternVersion) -> None:
        api.get(f"{ROOT}/versions/1.0.0")

        with CaptureQueriesContext(connection) as queries:
            api.get(f"{ROOT}/versions/1.0.0")

        assert len(queries) == 1

    @pytest.mark.parametrize("path", ["9.9.9", "nightly", "0" * 64, "%00", "a" * 300, "..", "%F0%9F%92%A9"])
    def test_is_404_when_there_is_none(self, api: APIClient, version: PatternVersion, path: str) -> None:
        answer = api.get(f"{ROOT}/versions/{path}")

        assert answer.status_code == 404
        assert answer["Content-Type"] == "application/problem+json"


class TestSource:
    def test_is_served_byte_for_byte_as_text(self, api: APIClient, ada: User) -> None:
        source = opl() + "# Grüße\r\n".encode()
        make_version(user=ada, source=source)

        answer = api.get(f"{ROOT}/versions/1.0.0/source")

        assert answer.content == source
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        assert answer["X-Content-Type-Options"] == "nosniff"

    def test_of_a_component_s_script_is_what_stands_between_the_fences(self, api: APIClient, ada: User) -> None:
        version = make_version(user=ada, source=COMPONENT)

        script = api.get("/api/v1/patterns/ada/relay/versions/1.2.0/source")
        whole = api.get(f"/api/v1/documents/{version.document.digest}")

        assert script.content.startswith(b"## Relay")
        assert b"```" not in script.content
        assert whole.content == COMPONENT


class TestVisibility:
    PATHS = [
        "",
        "/versions",
        "/versions/1.0.0",
        "/versions/1.0.0/source",
        "/versions/1.0.0/diff/1.0.0",
        "/versions/1.0.0/lineage",
        "/channels",
        "/channels/stable",
        "/lineage",
        "/ratings",
        "/comments",
        "/similar",
        "/analytics",
        "/analytics.csv",
        "/decisions",
        "/proposals",
        "/badge.svg",
        "/feed.atom",
    ]

    @pytest.mark.parametrize("path", PATHS)
    def test_is_404_for_who_may_not_see_the_pattern(self, api: APIClient, ada: User, eve: User, path: str) -> None:
        make_version(user=ada, visibility="private")

        for client in (api, as_user(eve)):
            answer = client.get(ROOT + path)
            assert answer.status_code == 404
            assert answer["Content-Type"] == "application/problem+json"

    @pytest.mark.parametrize("path", [path for path in PATHS if path != "/feed.atom"])
    def test_is_200_for_its_owner(self, ada: User, path: str) -> None:
        make_version(user=ada, visibility="private")

        assert as_user(ada).get(ROOT + path).status_code == 200

    def test_hides_writes_behind_404_too(self, ada: User, eve: User) -> None:
        make_version(user=ada, visibility="private")
        client = as_user(eve)

        answers = [
            client.patch(ROOT, {"title": "x"}),
            client.post(f"{ROOT}/fork", {}),
            client.post(f"{ROOT}/versions/1.0.0/yank", {"reason": "x"}),
            client.put(f"{ROOT}/channels/stable", {"version": "1.0.0"}),
            client.put(f"{ROOT}/ratings", {"stars": 5}),
            client.post(f"{ROOT}/comments", {"text": "x"}),
            client.post(f"{ROOT}/report", {"reason": "x"}),
            client.post(f"{ROOT}/adapt", {}),
            client.post(f"{ROOT}/export", {}),
            client.post(f"{ROOT}/decisions", {"decision_type": "x"}),
        ]

        assert {answer.status_code for answer in answers} == {404}

    def test_marks_private_answers_as_private(self, ada: User) -> None:
        make_version(user=ada, visibility="private")

        assert as_user(ada).get(f"{ROOT}/versions/1.0.0")["Cache-Control"].startswith("private")

    def test_shows_an_organisation_s_pattern_to_its_members_only(self, api: APIClient, ada: User, eve: User) -> None:
        lab = make_organisation("lab", publisher=ada, member=eve)
        make_version(user=ada, owner=lab, visibility="org")
        url = "/api/v1/patterns/lab/vote"

        assert as_user(eve).get(url).status_code == 200
        assert as_user(make_user("mallory")).get(url).status_code == 404
        assert api.get(url).status_code == 404

    def test_keeps_a_private_pattern_out_of_members_sight(self, ada: User, eve: User) -> None:
        lab = make_organisation("lab", publisher=ada, member=eve)
        make_version(user=ada, owner=lab, visibility="private")

        assert as_user(eve).get("/api/v1/patterns/lab/vote").status_code == 404

    def test_keeps_private_documents_and_digests_out_of_sight(self, api: APIClient, ada: User) -> None:
        version = make_version(user=ada, visibility="private")

        assert api.get(f"/api/v1/documents/{version.document.digest}").status_code == 404
        assert api.get(f"/api/v1/digests/{version.digest}").status_code == 404
        missing = api.post("/api/v1/bulk", {"references": ["ada/vote", version.digest]}).json()["missing"]
        assert missing == ["ada/vote", version.digest]


class TestYank:
    def test_marks_the_version_and_moves_the_channels(self, ada: User, version: PatternVersion) -> None:
        make_version(user=ada, version="1.1.0")

        answer = as_user(ada).post(f"{ROOT}/versions/1.0.0/yank", {"reason": "loops", "successor": "1.1.0"})

        assert answer.status_code == 200, answer.content
        assert answer.json()["yanked"]["successor"] == "ada/vote@1.1.0"
        assert Channel.objects.get(name="stable").version.version == "1.1.0"

    def test_leaves_it_fetchable(self, api: APIClient, ada: User, version: PatternVersion) -> None:
        as_user(ada).post(f"{ROOT}/versions/1.0.0/yank", {"reason": "loops"})

        answer = api.get(f"{ROOT}/versions/1.0.0")

        assert answer.json()["yanked"]["reason"] == "loops"
        assert api.get(f"{ROOT}/versions/1.0.0/source").content == version.source_bytes

    def test_asks_for_a_reason(self, ada: User, version: PatternVersion) -> None:
        assert as_user(ada).post(f"{ROOT}/versions/1.0.0/yank", {}).status_code == 400

    def test_refuses_a_stranger(self, eve: User, version: PatternVersion) -> None:
        answer = as_user(eve).post(f"{ROOT}/versions/1.0.0/yank", {"reason": "mine"})

        assert answer.status_code == 403
        assert not PatternVersion.objects.get().is_yanked


class TestDiff:
    def test_compares_text_and_meaning(self, api: APIClient, ada: User, version: PatternVersion) -> None:
        make_version(user=ada, version="1.1.0", script="STATE rounds = 4\nRETURN rounds")

        body = api.get(f"{ROOT}/versions/1.0.0/diff/1.1.0").json()

        assert any(line.startswith("+version: 1.1.0") for line in body["text"])
        assert body["meaning"]
        assert body["outcome"]["before"]["measured"]["runs"] == 0

    def test_compares_with_another_pattern(self, api: APIClient, ada: User, version: PatternVersion) -> None:
        make_version("other", user=ada)

        answer = api.get(f"{ROOT}/versions/1.0.0/diff/ada:other@1.0.0")

        assert answer.json()["after"] == "ada/other@1.0.0"


class TestLists:
    def test_versions_come_highest_first_in_pages(self, api: APIClient, ada: User) -> None:
        for number in range(5):
            make_version(user=ada, version=f"1.{number}.0")

        first = api.get(f"{ROOT}/versions?limit=3").json()
        second = api.get(f"{ROOT}/versions?limit=3&cursor={first['next']}").json()

        assert [row["version"] for row in first["results"]] == ["1.4.0", "1.3.0", "1.2.0"]
        assert [row["version"] for row in second["results"]] == ["1.1.0", "1.0.0"]
        assert second["next"] is None
        assert first["results"][0]["channels"] == ["latest"]

    def test_bulk_reads_references_of_every_kind(self, api: APIClient, ada: User, version: PatternVersion) -> None:
        references = ["ada/vote", "ada/vote@1.0.0", "ada/vote@latest", version.digest, "ada/none", "\x00"]

        body = api.post("/api/v1/bulk", {"references": references[:5], "source": True}).json()

        assert [row["reference"] for row in body["results"]] == references[:4]
        assert body["results"][0]["source"] == version.text
        assert body["missing"] == ["ada/none"]

    def test_bulk_costs_few_queries(self, api: APIClient, ada: User) -> None:
        for number in range(12):
            make_version(f"vote{number}", user=ada)
        references = [f"ada/vote{number}@1.0.0" for number in range(12)]

        with CaptureQueriesContext(connection) as queries:
            body = api.post("/api/v1/bulk", {"references": references}).json()

        assert len(body["results"]) == 12
        assert len(queries) <= 5


class TestPattern:
    def test_shows_every_source_of_evidence_apart(self, api: APIClient, version: PatternVersion) -> None:
        body = api.get(ROOT).json()

        assert set(body["evidence"]) == {"measured", "simulated", "attested", "claimed", "claim_flags"}
        assert [channel["name"] for channel in body["channels"]] == ["latest", "stable"]

    def test_lets_its_publishers_edit_words_and_tags(self, ada: User, version: PatternVersion) -> None:
        answer = as_user(ada).patch(ROOT, {"title": "Voting", "tags": ["Vote", "vote", " group "]})

        assert answer.json()["tags"] == ["group", "vote"]
        assert Pattern.objects.get().title == "Voting"

    def test_lets_nobody_else(self, eve: User, version: PatternVersion) -> None:
        assert as_user(eve).patch(ROOT, {"title": "Mine"}).status_code == 403
