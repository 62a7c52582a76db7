"""Finding: few queries at any size, and a sort that names its number."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.registry.factories import make_user, make_version, record_runs
from tests.registry.web.conftest import World

MOST_QUERIES = 8


def queries_of(client: Client, path: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


class TestList:
    @pytest.mark.parametrize("query", ["", "?q=vote", "?tag=voting&mode=executable", "?sort=new"])
    def test_costs_few_queries_however_many_patterns(self, client: Client, world: World, query: str) -> None:
        for number in range(30):
            make_version(f"vote-{number}", user=world.owner, tags=["voting", f"t{number}"])
        cache.clear()

        assert queries_of(client, f"/patterns/{query}") <= MOST_QUERIES

    def test_rows_show_rate_interval_and_runs(self, client: Client, world: World) -> None:
        page = client.get("/patterns/").content.decode()

        assert "80 %" in page
        assert "49–94 · 10 runs" in page

    def test_under_five_runs_there_is_no_bar(self, client: Client, world: World) -> None:
        few = make_version("few", user=world.owner)
        record_runs(few, 3)

        page = client.get("/patterns/?q=few").content.decode()

        assert "3 runs, not rated" in page
        assert "evidence-bar" not in page

    @pytest.mark.parametrize(
        ("sort", "named"),
        [
            ("best", "success, at least"),
            ("rating", "rating, shrunk mean"),
            ("used", "runs measured here"),
            ("new", "published"),
        ],
    )
    def test_the_number_that_sorts_is_in_the_row(self, client: Client, world: World, sort: str, named: str) -> None:
        assert f'<span class="sorted">{named} <b>' in client.get(f"/patterns/?sort={sort}").content.decode()

    def test_a_facet_is_added_and_taken_away(self, client: Client, world: World) -> None:
        make_version("other", user=make_user("alan"), tags=["pairs"])

        assert b"alan/" in client.get("/patterns/").content
        chosen = client.get("/patterns/?tag=voting").content.decode()

        assert 'class="owner">alan/' not in chosen
        assert '<a class="chip on" href="?">' in chosen

    def test_htmx_gets_the_results_alone(self, client: Client, world: World) -> None:
        part = client.get("/patterns/", headers={"HX-Request": "true"}).content.decode()

        assert "<html" not in part
        assert "ada/" in part

    def test_an_empty_hub_says_what_is_possible(self, client: Client, db: None) -> None:
        cache.clear()

        assert b"Publish the first one" in client.get("/patterns/").content
        assert b"Begin with an example" in client.get("/").content


class TestOwnerPage:
    def test_drafts_are_seen_by_their_author_only(self, client: Client, world: World) -> None:
        client.force_login(world.owner)
        client.post(
            "/publish/",
            {"source": "half a thought", "owner": "ada", "visibility": "public", "save_draft": "1", "name": "later"},
        )

        assert b"later" in client.get("/owners/ada/").content
        client.force_login(world.stranger)
        assert b"later" not in client.get("/owners/ada/").content


class TestLeaderboards:
    def test_rank_within_a_context_by_what_was_shown(self, client: Client, world: World) -> None:
        lucky = make_version("lucky", user=world.owner)
        record_runs(lucky, 5, reporter=world.stranger, cell="task=review")
        record_runs(world.second, 30, reporter=world.stranger, cell="task=review")
        other = make_user("bob")
        record_runs(world.second, 20, reporter=other, cell="task=review")

        page = client.get("/leaderboards/").content.decode()

        assert page.index("ada/vote") < page.index("ada/lucky")
        assert ">review<" in page

    def test_the_owners_own_runs_rank_nothing(self, client: Client, world: World) -> None:
        own = make_version("own", user=world.owner)
        record_runs(own, 50, reporter=world.owner, cell="task=review")

        assert "ada/own" not in client.get("/leaderboards/").content.decode()


class TestRecommend:
    def test_gives_reasons_beside_the_expected_success(self, client: Client, world: World) -> None:
        page = client.get("/recommend/?task=review&tags=voting").content.decode()

        assert "ada/vote" in page
        assert "expected success here" in page
        assert "fits voting" in page

    def test_asks_for_a_task(self, client: Client, world: World) -> None:
        assert b'id="id_task_error"' in client.get("/recommend/?task=").content
