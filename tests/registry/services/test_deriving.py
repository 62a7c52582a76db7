"""Forks, merges, and the graph of digests between texts."""

from __future__ import annotations

import pytest

from registry.errors import InvalidRequest, LineageCycle, MergeConflicts, NameTaken, NotThere
from registry.models import LineageEdge, Pattern, PatternVersion, User
from registry.services import analytics, deriving, lineage
from tests.registry.factories import NOW, make_user, make_version, opl, record_runs

pytestmark = pytest.mark.django_db
A, B, C = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def ada() -> User:
    return make_user("ada")


@pytest.fixture
def bob() -> User:
    return make_user("bob")


def fork(version: PatternVersion, user: User, **options: object) -> PatternVersion:
    return deriving.fork(version=version, owner=user.own_owner, user=user, now=NOW, via="web", **options)  # type: ignore[arg-type]


class TestFork:
    def test_copies_the_text_and_starts_statistics_at_zero(self, ada: User, bob: User) -> None:
        origin = make_version(user=ada)
        record_runs(origin, 5)

        made = fork(origin, bob)

        assert str(made) == "bob/vote@1.0.0"
        assert made.digest == origin.digest
        assert made.pattern.forked_from == origin
        assert analytics.evidence_of(made).measured.runs == 0
        assert Pattern.objects.get(pk=made.pattern_id).measured_runs == 0
        assert Pattern.objects.get(pk=origin.pattern_id).forks_count == 1

    def test_is_linked_by_digest_from_its_first_own_text_on(self, ada: User, bob: User) -> None:
        origin = make_version(user=ada)
        fork(origin, bob)

        changed = make_version(user=bob, version="1.1.0")

        edge = LineageEdge.objects.get(child_digest=changed.digest)
        assert (edge.op, edge.parent_digest) == ("fork", origin.digest)

    def test_may_change_the_text_at_once(self, ada: User, bob: User) -> None:
        origin = make_version(user=ada)

        made = fork(origin, bob, source=opl(version="2.0.0"))

        edge = LineageEdge.objects.get(child_digest=made.digest)
        assert (edge.op, edge.parent_digest) == ("fork", origin.digest)

    def test_refuses_a_name_that_is_taken(self, ada: User, bob: User) -> None:
        origin = make_version(user=ada)
        make_version(user=bob)

        with pytest.raises(NameTaken):
            fork(origin, bob)

        assert fork(origin, bob, name="vote-two").pattern.name == "vote-two"

    def test_does_not_reach_what_one_may_not_see(self, ada: User, bob: User) -> None:
        with pytest.raises(NotThere):
            fork(make_version(user=ada, visibility="private"), bob)

    def test_of_a_private_pattern_is_private(self, ada: User) -> None:
        made = fork(make_version(user=ada, visibility="private"), ada, name="copy")

        assert made.pattern.visibility == "private"

    def test_survives_the_yank_of_its_origin(self, ada: User, bob: User) -> None:
        from registry.services import yanking

        origin = make_version(user=ada)
        made = fork(origin, bob)

        yanking.yank(version=origin, user=ada, reason="loops", now=NOW)

        made.refresh_from_db()
        assert not made.is_yanked


class TestGraph:
    def test_refuses_a_cycle(self) -> None:
        lineage.add_edge(child=B, parent=A, op="fork", now=NOW)
        lineage.add_edge(child=C, parent=B, op="adapt", now=NOW)

        with pytest.raises(LineageCycle):
            lineage.add_edge(child=A, parent=C, op="merge", now=NOW)

    def test_refuses_a_text_as_its_own_parent(self) -> None:
        with pytest.raises(LineageCycle):
            lineage.add_edge(child=A, parent=A, op="fork", now=NOW)

    def test_keeps_an_edge_once(self) -> None:
        lineage.add_edge(child=B, parent=A, op="fork", now=NOW)
        lineage.add_edge(child=B, parent=A, op="fork", now=NOW)

        assert LineageEdge.objects.count() == 1

    def test_walks_both_ways_with_distances(self) -> None:
        lineage.add_edge(child=B, parent=A, op="fork", now=NOW)
        lineage.add_edge(child=C, parent=B, op="fork", now=NOW)

        assert lineage.ancestors([C]) == {B: 1, A: 2}
        assert lineage.descendants([A]) == {B: 1, C: 2}

    def test_shows_a_missing_parent_as_a_dangling_node(self, ada: User) -> None:
        version = make_version(user=ada)
        lineage.add_edge(child=version.digest, parent=A, op="fork", label="lost@1.0", now=NOW)

        graph = lineage.graph(digest=version.digest, user=ada)

        lost = next(node for node in graph.nodes if node.digest == A)
        assert (lost.versions, lost.label, lost.steps) == ((), "lost@1.0", -1)

    def test_does_not_name_what_the_viewer_may_not_see(self, ada: User, bob: User) -> None:
        secret = make_version("secret", user=ada, visibility="private")
        version = make_version(user=ada)
        lineage.add_edge(child=version.digest, parent=secret.digest, op="adapt", now=NOW)

        graph = lineage.graph(digest=version.digest, user=bob)

        assert [node.versions for node in graph.nodes if node.digest == secret.digest] == [()]
        assert graph.hidden == 1

    def test_reads_a_parent_that_a_document_names(self, ada: User) -> None:
        parent = make_version("base", user=ada)

        child = make_version("child", user=ada, source=opl("child", extends="base"))

        edge = LineageEdge.objects.get(child_digest=child.digest, op="extends")
        assert (edge.parent_digest, edge.label) == (parent.digest, "base")


class TestMerge:
    @pytest.fixture
    def base(self, ada: User) -> PatternVersion:
        return make_version(user=ada, source=opl(tags=["x"], description="base"))

    def test_takes_what_only_one_side_changed(self, ada: User, bob: User, base: PatternVersion) -> None:
        theirs = fork(base, bob, source=opl(version="1.1.0", tags=["x", "y"], description="base"))
        ours = make_version(user=ada, source=opl(version="1.0.1", tags=["x"], description="clearer"))

        made = deriving.merge(ours=ours, theirs=theirs, user=ada, now=NOW, via="web").versions[0].version

        assert made.value["tags"] == ["x", "y"]
        assert made.value["description"] == "clearer"
        parents = set(
            LineageEdge.objects.filter(child_digest=made.digest, op="merge").values_list("parent_digest", flat=True)
        )
        assert parents == {ours.digest, theirs.digest}

    def test_lists_conflicts_and_takes_decisions(self, ada: User, bob: User, base: PatternVersion) -> None:
        theirs = fork(base, bob, source=opl(version="1.1.0", tags=["x"], description="theirs"))
        ours = make_version(user=ada, source=opl(version="1.1.0", tags=["x"], description="ours"))

        with pytest.raises(MergeConflicts) as refusal:
            deriving.merge(ours=ours, theirs=theirs, user=ada, now=NOW, via="web")
        choices = {conflict["pointer"]: "theirs" for conflict in refusal.value.conflicts}
        made = deriving.merge(ours=ours, theirs=theirs, user=ada, now=NOW, via="web", choices=choices)

        assert "/description" in choices
        assert made.versions[0].version.value["description"] == "theirs"

    def test_needs_a_common_ancestor(self, ada: User, bob: User) -> None:
        ours, theirs = make_version(user=ada), make_version(user=bob, source=opl(description="unrelated"))

        with pytest.raises(InvalidRequest):
            deriving.merge(ours=ours, theirs=theirs, user=ada, now=NOW, via="web")
