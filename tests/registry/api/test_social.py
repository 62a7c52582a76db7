"""Forks, channels, ratings, comments, reports, lineage, learning: over HTTP."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from registry.models import Pattern, PatternVersion, Rating, Report, User
from tests.registry.api.conftest import as_user
from tests.registry.factories import make_admin, make_user, make_version, opl, record_runs

pytestmark = pytest.mark.django_db
ROOT = "/api/v1/patterns/ada/vote"


@pytest.fixture
def version(ada: User) -> PatternVersion:
    return make_version(user=ada)


class TestFork:
    def test_copies_under_one_s_own_name(self, api: APIClient, eve: User, version: PatternVersion) -> None:
        answer = as_user(eve).post(f"{ROOT}/fork", {"reason": "smaller teams"})

        assert answer.status_code == 201, answer.content
        assert answer.json()["pattern"] == "eve/vote"
        assert answer["Location"] == "/api/v1/patterns/eve/vote"
        assert api.get("/api/v1/patterns/eve/vote").json()["forked_from"]["pattern"] == "ada/vote"
        assert api.get(f"{ROOT}/lineage").json()["forks"][0]["pattern"] == "eve/vote"

    def test_says_that_the_name_is_taken(self, eve: User, version: PatternVersion) -> None:
        client = as_user(eve)
        client.post(f"{ROOT}/fork", {})

        again = client.post(f"{ROOT}/fork", {})

        assert (again.status_code, again.json()["code"]) == (409, "registry.name-taken")

    def test_refuses_a_version_that_is_not_there(self, eve: User, version: PatternVersion) -> None:
        assert as_user(eve).post(f"{ROOT}/fork", {"version": "9.9.9"}).status_code == 422


class TestAdaptAndMerge:
    def test_adapt_changes_inputs(self, eve: User, version: PatternVersion) -> None:
        answer = as_user(eve).post(f"{ROOT}/adapt", {"context": {"team": "small"}, "inputs": {"rounds": 5}})

        assert answer.status_code == 201, answer.content
        assert answer.json()["patterns"][0]["inputs"][0]["default"] == 5

    def test_merge_lists_conflicts_with_409(self, ada: User, eve: User, version: PatternVersion) -> None:
        as_user(eve).post(f"{ROOT}/fork", {"source": opl(version="1.1.0", description="theirs").decode()})
        make_version(user=ada, source=opl(version="1.1.0", description="ours"))
        client = as_user(ada)

        refused = client.post(f"{ROOT}/merge", {"theirs": "eve/vote@1.1.0", "version": "1.1.0"})
        choices = {conflict["pointer"]: "theirs" for conflict in refused.json()["conflicts"]}
        merged = client.post(f"{ROOT}/merge", {"theirs": "eve/vote@1.1.0", "version": "1.1.0", "choices": choices})

        assert (refused.status_code, refused.json()["code"]) == (409, "registry.merge-conflicts")
        assert merged.status_code == 201, merged.content
        assert merged.json()["patterns"][0]["description"] == "theirs"


class TestChannels:
    def test_move_with_history(self, ada: User, version: PatternVersion) -> None:
        make_version(user=ada, version="1.1.0")
        client = as_user(ada)

        moved = client.put(f"{ROOT}/channels/stable", {"version": "1.1.0", "reason": "better"})
        body = client.get(f"{ROOT}/channels/stable").json()

        assert moved.json()["version"] == "1.1.0"
        assert [(move["from"], move["to"], move["reason"]) for move in body["moves"]] == [
            ("1.0.0", "1.1.0", "better"),
            (None, "1.0.0", ""),
        ]

    def test_refuse_a_stale_revision(self, ada: User, version: PatternVersion) -> None:
        make_version(user=ada, version="1.1.0")

        answer = as_user(ada).put(f"{ROOT}/channels/stable", {"version": "1.1.0", "expected_revision": 7})

        assert (answer.status_code, answer.json()["code"]) == (409, "registry.row-moved")

    def test_refuse_strangers_and_odd_names(self, ada: User, eve: User, version: PatternVersion) -> None:
        assert as_user(eve).put(f"{ROOT}/channels/stable", {"version": "1.0.0"}).status_code == 403
        assert as_user(ada).put(f"{ROOT}/channels/%00", {"version": "1.0.0"}).status_code == 422
        assert as_user(ada).put(f"{ROOT}/channels/X", {"version": "1.0.0"}).status_code == 422
        assert as_user(ada).put(f"{ROOT}/channels/nightly", {}).status_code == 422


class TestRatings:
    def test_set_read_and_withdraw(self, api: APIClient, eve: User, version: PatternVersion) -> None:
        record_runs(version, 1, reporter=eve, source="simulated")
        client = as_user(eve, "run")

        put = client.put(f"{ROOT}/ratings", {"stars": 5, "words": "works"})
        listed = api.get(f"{ROOT}/ratings").json()["results"]
        summary = api.get(ROOT).json()["rating"]
        gone = client.delete(f"{ROOT}/ratings")

        assert put.status_code == 200, put.content
        assert [(row["user"], row["stars"], row["ran_it"]) for row in listed] == [("eve", 5, True)]
        assert summary["count"] == 1
        assert gone.status_code == 204
        assert not Rating.objects.exists()

    @pytest.mark.parametrize("stars", [0, 6, "many", None, 3.7])
    def test_refuse_what_are_no_stars(self, eve: User, version: PatternVersion, stars: object) -> None:
        assert as_user(eve).put(f"{ROOT}/ratings", {"stars": stars}).status_code == 400

    def test_need_a_scope_that_writes(self, eve: User, version: PatternVersion) -> None:
        assert as_user(eve, "read").put(f"{ROOT}/ratings", {"stars": 5}).status_code == 403


class TestCommentsAndReports:
    def test_form_a_discussion(self, api: APIClient, eve: User, version: PatternVersion) -> None:
        client = as_user(eve)
        first = client.post(f"{ROOT}/comments", {"text": "How many rounds?", "version": "1.0.0"}).json()

        client.post(f"{ROOT}/comments", {"text": "Three.", "parent": first["id"]})

        rows = api.get(f"{ROOT}/comments").json()["results"]
        assert [(row["text"], row["parent"]) for row in rows] == [("How many rounds?", None), ("Three.", first["id"])]

    def test_are_moderated(self, api: APIClient, ada: User, eve: User, version: PatternVersion) -> None:
        comment = as_user(eve).post(f"{ROOT}/comments", {"text": "buy things"}).json()
        as_user(ada).post(f"{ROOT}/report", {"reason": "spam", "comment": comment["id"]})
        moderator = as_user(make_admin(), "admin")

        queue = moderator.get("/api/v1/reports").json()["results"]
        resolved = moderator.post(f"/api/v1/reports/{queue[0]['id']}/resolve", {"uphold": True})

        assert resolved.json()["status"] == "upheld"
        assert api.get(f"{ROOT}/comments").json()["results"][0]["text"] == ""

    def test_queue_is_for_moderators(self, api: APIClient, eve: User) -> None:
        assert api.get("/api/v1/reports").status_code == 401
        assert as_user(eve).get("/api/v1/reports").status_code == 403
        assert as_user(eve).post("/api/v1/reports/1/resolve", {"uphold": True}).status_code == 403

    def test_refuse_another_pattern_s_comment(self, eve: User, version: PatternVersion) -> None:
        make_version("other", user=make_user("bob"))
        other = as_user(eve).post("/api/v1/patterns/bob/other/comments", {"text": "x"}).json()

        assert as_user(eve).post(f"{ROOT}/comments", {"text": "y", "parent": other["id"]}).status_code == 422
        assert as_user(eve).post(f"{ROOT}/report", {"reason": "z", "comment": other["id"]}).status_code == 422
        assert not Report.objects.exists()


class TestLineage:
    def test_shows_texts_and_what_was_done(self, api: APIClient, ada: User, version: PatternVersion) -> None:
        make_version(user=ada, version="1.1.0")

        body = api.get(f"{ROOT}/versions/1.1.0/lineage").json()

        assert [node["steps"] for node in body["nodes"]] == [-1, 0]
        assert [(edge["op"], edge["parent"]) for edge in body["edges"]] == [("revision", version.digest)]


class TestLearning:
    def test_analytics_keep_the_sources_apart(self, api: APIClient, version: PatternVersion) -> None:
        record_runs(version, 3, 1, cell="task=review")
        record_runs(version, 2, source="simulated")

        body = api.get(f"{ROOT}/analytics?since=2026-03-01&until=2026-03-31").json()

        assert body["evidence"]["measured"]["runs"] == 4
        assert body["evidence"]["simulated"]["runs"] == 2
        assert [(row["cell"], row["runs"]) for row in body["contexts"]] == [("task=review", 4)]
        assert body["failures"] == [{"type": "failed", "count": 1}]
        assert [row["day"] for row in body["days"]] == ["2026-03-02"]

    @pytest.mark.parametrize("query", ["since=yesterday", "since=2026-04-01&until=2026-03-01", "source=rumour"])
    def test_analytics_refuse_odd_questions(self, api: APIClient, version: PatternVersion, query: str) -> None:
        assert api.get(f"{ROOT}/analytics?{query}").status_code == 422

    def test_csv_is_a_table(self, api: APIClient, version: PatternVersion) -> None:
        record_runs(version, 1, cell="=cmd()")

        answer = api.get(f"{ROOT}/analytics.csv?since=2026-03-01&until=2026-03-31")
        lines = b"".join(answer.streaming_content).decode().splitlines()

        assert lines[0].startswith("day,version,context")
        assert lines[1].startswith("2026-03-02,1.0.0,'=cmd()")

    def test_decisions_are_recorded_by_publishers(
        self, api: APIClient, ada: User, eve: User, version: PatternVersion
    ) -> None:
        body = {"decision_type": "retry", "context": {"failure": "timeout"}, "succeeded": True}

        made = as_user(ada, "run").post(f"{ROOT}/decisions", body)
        refused = as_user(eve, "run").post(f"{ROOT}/decisions", body)

        assert (made.status_code, refused.status_code) == (201, 403)
        assert api.get(f"{ROOT}/decisions").json()["results"][0]["decision_type"] == "retry"

    def test_decisions_refuse_text_that_no_database_can_hold(self, ada: User, version: PatternVersion) -> None:
        body = {"decision_type": "retry", "context": {"deep": ["a\0"]}}

        assert as_user(ada, "run").post(f"{ROOT}/decisions", body).status_code == 422

    def test_proposals_and_export(self, api: APIClient, ada: User, version: PatternVersion) -> None:
        client = as_user(ada)
        nothing = client.post(f"{ROOT}/export", {})
        record_runs(version, 4)
        for _ in range(5):
            client.post(f"{ROOT}/decisions", {"decision_type": "retry", "context": {"f": "t"}, "succeeded": True})

        rules = api.get(f"{ROOT}/proposals").json()["rules"]
        made = client.post(f"{ROOT}/export", {"learnings": ["Ask twice"]})

        assert (nothing.status_code, nothing.json()["code"]) == (422, "registry.nothing-learned")
        assert [rule["action"] for rule in rules] == ["retry"]
        assert made.status_code == 201, made.content
        assert made.json()["patterns"][0]["published_via"] == "export"
        assert Pattern.objects.get().versions.count() == 2
