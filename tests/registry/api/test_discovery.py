"""Lists, facets, recommendations, feeds, badge: over HTTP."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from registry.models import User
from tests.registry.api.conftest import as_user
from tests.registry.factories import NOW, make_user, make_version, record_runs

pytestmark = pytest.mark.django_db
ATOM = "{http://www.w3.org/2005/Atom}"


class TestList:
    def test_pages_by_cursor_without_gaps(self, api: APIClient, ada: User) -> None:
        for number in range(5):
            make_version(f"p{number}", user=ada)
        names: list[str] = []
        cursor = ""

        while cursor is not None:
            body = api.get(f"/api/v1/patterns?sort=name&limit=2&cursor={cursor}").json()
            names += [row["name"] for row in body["results"]]
            cursor = body["next"]

        assert names == [f"p{number}" for number in range(5)]
        assert body["total"] == 5

    def test_filters_by_parameters_and_by_query(self, api: APIClient, ada: User) -> None:
        make_version("both", user=ada, tags=["x", "y"])
        make_version("one", user=ada, tags=["x"])

        for query in ("tag=x&tag=y", "q=tag:x tag:y", "q=tag:y&tag=x"):
            assert [row["name"] for row in api.get(f"/api/v1/patterns?{query}").json()["results"]] == ["both"]

    def test_counts_facets_and_names_its_sort(self, api: APIClient, ada: User) -> None:
        make_version(user=ada, tags=["x"])

        body = api.get("/api/v1/search?q=vote&sort=rating").json()

        assert body["facets"]["tag"] == [{"value": "x", "count": 1}]
        assert (body["sort"], body["sorted_by"]) == ("rating", "rating, shrunk mean")
        assert api.get("/api/v1/facets?q=vote").json()["total"] == 1

    def test_costs_at_most_eight_queries(self, ada: User) -> None:
        for number in range(20):
            make_version(f"p{number}", user=ada, tags=["x"])
        client = as_user(ada)
        client.get("/api/v1/patterns")

        with CaptureQueriesContext(connection) as queries:
            body = client.get("/api/v1/patterns?q=p").json()

        assert len(body["results"]) == 20
        assert len(queries) <= 8

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=101", "limit=x", "limit=٣", "cursor=abc", "cursor=%00", "cursor=eDE", "sort=odd"]
    )
    def test_refuses_odd_pages_and_orders(self, api: APIClient, db: object, query: str) -> None:
        assert api.get(f"/api/v1/patterns?{query}").status_code == 422

    @pytest.mark.parametrize("query", ["q=%00", "q=" + "x" * 3000, "tag=%00", "owner=%F0%9F%92%A9", "q=a%20>%20b"])
    def test_takes_any_words(self, api: APIClient, db: object, query: str) -> None:
        assert api.get(f"/api/v1/patterns?{query}").status_code == 200

    def test_tells_what_is_left_of_the_limit(self, api: APIClient, db: object) -> None:
        answer = api.get("/api/v1/patterns")

        assert int(answer["RateLimit-Remaining"]) == int(answer["RateLimit-Limit"]) - 1
        assert answer["RateLimit-Policy"].startswith('"search";q=')
        assert 0 < int(answer["RateLimit-Reset"]) <= 60

    def test_refuses_more_than_the_limit_with_429(self, api: APIClient, db: object, settings: object) -> None:
        settings.API_THROTTLES = {"search": (2, 2)}  # type: ignore[attr-defined]

        codes = [api.get("/api/v1/patterns").status_code for _ in range(3)]
        last = api.get("/api/v1/patterns")

        assert codes == [200, 200, 429]
        assert last["Content-Type"] == "application/problem+json"
        assert int(last["Retry-After"]) > 0


class TestRecommend:
    def test_prefers_what_succeeded_in_this_context_and_says_why(self, api: APIClient, ada: User) -> None:
        good = make_version("good", user=ada, description="review code")
        weak = make_version("weak", user=ada, description="review code")
        for number in range(4):
            reporter = make_user(f"r{number}")
            record_runs(good, 9, 1, reporter=reporter, cell="task=review")
            record_runs(weak, 2, 8, reporter=reporter, cell="task=review")

        results = api.get("/api/v1/recommend?task=review").json()["results"]

        assert [row["pattern"]["name"] for row in results] == ["good", "weak"]
        assert any("runs of yours in this context" in reason for reason in results[0]["reasons"])

    def test_never_offers_what_is_clearly_worse_than_the_incumbent(self, api: APIClient, ada: User) -> None:
        good, weak = make_version("good", user=ada), make_version("weak", user=ada)
        for number in range(5):
            record_runs(good, 20, reporter=make_user(f"g{number}"))
            record_runs(weak, 0, 20, reporter=make_user(f"w{number}"))

        results = api.get("/api/v1/recommend?incumbent=ada/good").json()["results"]

        assert [row["pattern"]["name"] for row in results] == ["good"]

    def test_does_not_offer_what_is_private(self, api: APIClient, ada: User) -> None:
        make_version(user=ada, visibility="private", description="review")

        assert api.get("/api/v1/recommend?task=review&incumbent=ada/vote").json()["results"] == []

    @pytest.mark.parametrize("query", ["limit=0", "explore=perhaps", "task=" + "x" * 501])
    def test_refuses_odd_questions(self, api: APIClient, db: object, query: str) -> None:
        assert api.get(f"/api/v1/recommend?{query}").status_code == 400


class TestTrends:
    def test_similar_shares_tags(self, api: APIClient, ada: User) -> None:
        make_version("one", user=ada, tags=["x", "y"])
        make_version("two", user=ada, tags=["x", "y"])
        make_version("six", user=ada, tags=["y"])
        make_version("far", user=ada, tags=["z"])

        body = api.get("/api/v1/patterns/ada/one/similar").json()

        assert [row["name"] for row in body["results"]] == ["two", "six"]

    def test_trending_counts_people_not_runs(self, api: APIClient, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        from registry.discovery import trends

        busy, liked = make_version("busy", user=ada), make_version("liked", user=ada)
        record_runs(busy, 50, reporter=make_user("one"))
        for number in range(3):
            record_runs(liked, 1, reporter=make_user(f"u{number}"))

        found = trends.trending(user=ada, today=NOW.date())

        assert [(pattern.name, people) for pattern, people in found] == [("liked", 3), ("busy", 1)]

    def test_emerging_flags_growth_by_several_people(self, api: APIClient, ada: User) -> None:
        from datetime import timedelta

        from registry.discovery import trends

        version = make_version(user=ada)
        for week in range(8):
            for number in range(1 + 3 * week):
                reporter = User.objects.filter(username=f"u{number}").first() or make_user(f"u{number}")
                record_runs(version, 1, reporter=reporter, at=NOW - timedelta(weeks=7 - week))

        flagged = trends.refresh(today=NOW.date())

        assert flagged == 1
        assert [row["name"] for row in api.get("/api/v1/emerging").json()["results"]] == ["vote"]

    def test_views_never_count_as_use(self, api: APIClient, ada: User) -> None:
        from registry.discovery import trends

        make_version(user=ada)
        for _ in range(50):
            api.get("/api/v1/patterns/ada/vote")

        assert trends.trending(user=ada, today=NOW.date()) == []


class TestFeeds:
    @pytest.mark.parametrize("path", ["feeds/new.atom", "feeds/tags/x.atom", "patterns/ada/vote/feed.atom"])
    def test_list_public_versions(self, api: APIClient, ada: User, path: str) -> None:
        make_version(user=ada, tags=["x"])
        make_version("secret", user=ada, tags=["x"], visibility="private")

        answer = api.get(f"/api/v1/{path}")
        entries = ET.fromstring(answer.content).findall(f"{ATOM}entry")

        assert answer["Content-Type"].startswith("application/atom+xml")
        assert [entry.findtext(f"{ATOM}title") for entry in entries] == ["ada/vote@1.0.0"]

    def test_emerging_is_a_feed_too(self, api: APIClient, db: object) -> None:
        assert ET.fromstring(api.get("/api/v1/feeds/emerging.atom").content).tag == f"{ATOM}feed"


class TestBadge:
    def test_says_the_rate_and_its_n(self, api: APIClient, ada: User) -> None:
        record_runs(make_version(user=ada), 9, 1)

        answer = api.get("/api/v1/patterns/ada/vote/badge.svg")
        picture = ET.fromstring(answer.content)

        assert answer["Content-Type"] == "image/svg+xml"
        assert picture.findtext("{http://www.w3.org/2000/svg}title") == "vote: 1.0.0 · 90 % of 10 runs"
        assert (
            api.get("/api/v1/patterns/ada/vote/badge.svg", headers={"If-None-Match": answer["ETag"]}).status_code == 304
        )

    def test_does_not_rate_a_few_runs(self, api: APIClient, ada: User) -> None:
        record_runs(make_version(user=ada), 3)

        assert "3 runs, not rated" in api.get("/api/v1/patterns/ada/vote/badge.svg").content.decode()
