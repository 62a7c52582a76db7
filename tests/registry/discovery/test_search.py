"""Search and browse: tiers, filters, facets, visibility, few queries."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from registry.discovery import filters, search
from registry.models import Pattern, User
from registry.services import editing, yanking
from tests.registry.factories import NOW, make_organisation, make_user, make_version, opl, record_runs

pytestmark = pytest.mark.django_db
NOBODY = AnonymousUser()


@pytest.fixture(autouse=True)
def fresh_cache() -> None:
    cache.clear()


@pytest.fixture
def ada() -> User:
    return make_user("ada")


def find(text: str = "", user: object = NOBODY, **options: object) -> list[str]:
    found = search.search(query=filters.parse(text), user=user, **options)  # type: ignore[arg-type]
    return [pattern.name for pattern in found.patterns]


class TestWords:
    def test_find_a_pattern_by_name_tag_description_and_insight(self, ada: User) -> None:
        source = opl(
            "swiss",
            tags=["tournament"],
            description="Pairs players of similar strength",
            pattern={"discovery_insights": ["Timeouts often mean ambiguity"]},
        )
        make_version(user=ada, source=source)

        for words in ("swiss", "tournament", "similar players", "ambiguity", "strengt"):
            assert find(words) == ["swiss"], words

    def test_find_a_rule_s_rationale(self, ada: User) -> None:
        rule = {"condition": "variance(scores) < 0.1", "action": "harder", "rationale": "Clustered results"}
        make_version(user=ada, source=opl(pattern={"adaptive_rules": [rule]}))

        assert find("clustered") == ["vote"]

    def test_put_a_name_above_a_tag_above_a_mention(self, ada: User) -> None:
        make_version("one", user=ada, description="mentions relay in passing")
        make_version("two", user=ada, tags=["relay"])
        make_version("relay-race", user=ada)
        make_version("relay", user=ada)

        assert find("relay") == ["relay", "relay-race", "two", "one"]

    def test_put_evidence_above_freshness_within_a_tier(self, ada: User) -> None:
        proven = make_version("relay-a", user=ada)
        record_runs(proven, 30, reporter=make_user("bob"))
        make_version("relay-b", user=ada, now=NOW + timedelta(days=9))

        assert find("relay") == ["relay-a", "relay-b"]

    def test_need_all_to_be_there(self, ada: User) -> None:
        make_version(user=ada, description="alpha beta")

        assert find("alpha beta") == ["vote"]
        assert find("alpha gamma") == []

    def test_find_the_new_words_after_an_edit(self, ada: User) -> None:
        pattern = Pattern.objects.get(pk=make_version(user=ada).pattern_id)

        editing.edit_pattern(pattern=pattern, user=ada, now=NOW, title="Ballot")

        assert find("ballot") == ["vote"]

    @pytest.mark.parametrize(
        "words", ['"', "'", "AND", "NEAR(", "*", "a:b", "{name}:", "(", "--", "\0", "é" * 300, "^x"]
    )
    def test_may_be_anything(self, ada: User, words: str) -> None:
        make_version(user=ada)

        assert isinstance(find(words), list)


class TestFilters:
    def test_combine(self, ada: User) -> None:
        make_version("aa", user=ada, tags=["x", "y"])
        make_version("bb", user=ada, tags=["x"])
        make_version("cc", user=make_user("bob"), tags=["x", "y"])

        assert find("tag:x tag:y owner:ada") == ["aa"]
        assert sorted(find("tag:x -owner:ada")) == ["cc"]

    def test_by_mode(self, ada: User) -> None:
        make_version("runs", user=ada)
        make_version("told", user=ada, source=opl("told", script="", pattern={"strategy": "Ask them."}))

        assert find("mode:guided") == ["told"]

    def test_by_event(self, ada: User) -> None:
        make_version("asks", user=ada)
        make_version("adds", user=ada, script="RETURN 1 + 1")

        assert find("event:completion:async") == ["asks"]

    def test_by_any_number_in_the_document(self, ada: User) -> None:
        make_version("good", user=ada, source=opl("good", performance={"avg_score": 0.8}))
        make_version("weak", user=ada, source=opl("weak", performance={"avg_score": 0.6}))
        make_version("none", user=ada, source=opl("none"))

        assert find("performance.avg_score > 0.7") == ["good"]
        assert find("performance.avg_score <= 0.7") == ["weak"]

    def test_by_text_and_truth_in_the_metadata(self, ada: User) -> None:
        make_version("hard", user=ada, source=opl("hard", metadata={"complexity": "high", "checked": True}))
        make_version("easy", user=ada, source=opl("easy", metadata={"complexity": "low", "checked": False}))

        assert find('complexity = "high"') == ["hard"]
        assert find("metadata.checked = true") == ["hard"]


class TestFacets:
    def test_count_what_matches(self, ada: User) -> None:
        make_version("one", user=ada, tags=["x", "y"], description="relay")
        make_version("two", user=ada, tags=["x"], description="relay")
        make_version("six", user=ada, tags=["z"])

        found = search.search(query=filters.parse("relay"), user=NOBODY)

        assert found.facets["tag"] == [("x", 2), ("y", 1)]
        assert found.facets["owner"] == [("ada", 2)]
        assert found.total == 2

    def test_of_everything_count_what_the_viewer_may_see(self, ada: User) -> None:
        make_version("open", user=ada, tags=["x"])
        make_version("secret", user=ada, tags=["x", "s"], visibility="private")

        seen = search.search(query=filters.Query(), user=NOBODY)
        own = search.search(query=filters.Query(), user=ada)

        assert (seen.total, seen.facets["tag"]) == (1, [("x", 1)])
        assert (own.total, own.facets["tag"]) == (2, [("x", 2), ("s", 1)])


class TestVisibility:
    def test_hides_what_is_private(self, ada: User) -> None:
        make_version("secret", user=ada, visibility="private")

        assert find("secret") == []
        assert find("") == []
        assert find("secret", make_user("eve")) == []
        assert find("secret", ada) == ["secret"]

    def test_shows_members_what_is_their_organisation_s(self, ada: User) -> None:
        bob = make_user("bob")
        lab = make_organisation("lab", publisher=ada, member=bob)
        make_version("inner", user=ada, owner=lab, visibility="org")

        assert find("inner", bob) == ["inner"]
        assert find("inner") == []


class TestList:
    def test_sorts_by_the_number_it_names(self, ada: User) -> None:
        for name, good in (("few", 2), ("many", 40)):
            record_runs(make_version(name, user=ada), good, reporter=make_user(f"u{name}"))

        assert find(sort="used") == ["many", "few"]
        assert find(sort="best") == ["many", "few"]
        assert find(sort="name") == ["few", "many"]
        assert find(sort="new") == ["many", "few"]

    def test_pages_without_gaps_or_repetitions(self, ada: User) -> None:
        for number in range(7):
            make_version(f"p{number}", user=ada)

        pages = [find(sort="name", offset=offset, limit=3) for offset in (0, 3, 6)]

        assert pages == [["p0", "p1", "p2"], ["p3", "p4", "p5"], ["p6"]]

    @pytest.mark.parametrize("text", ["", "p", "tag:x", "p performance.score > 0"])
    def test_costs_at_most_eight_queries(self, ada: User, text: str) -> None:
        for number in range(25):
            make_version(f"p{number}", user=ada, tags=["x", "y"])
        viewer = make_user("viewer")

        with CaptureQueriesContext(connection) as queries:
            found = search.search(query=filters.parse(text), user=viewer)
            for pattern in found.patterns:
                assert all((pattern.owner.name, pattern.tags, pattern.shown.version, pattern.newest.mode))

        assert len(queries) <= 8

    def test_still_lists_a_pattern_whose_only_version_is_yanked(self, ada: User) -> None:
        version = make_version(user=ada)

        yanking.yank(version=version, user=ada, reason="loops", now=NOW)

        assert find("vote") == ["vote"]


class TestParse:
    def test_takes_words_filters_and_comparisons_apart(self) -> None:
        query = filters.parse('adaptive "two words" tag:x -mode:guided performance.avg_score>=0.7')

        assert query.words == "adaptive two words"
        assert query.facets == (("tag", "x"),)
        assert query.without == (("mode", "guided"),)
        assert [str(one) for one in query.comparisons] == ["performance.avg_score >= 0.7"]


class TestAnyText(TestCase):
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.text(max_size=80))
    def test_is_a_query(self, text: str) -> None:
        search.search(query=filters.parse(text), user=NOBODY)
