"""Publishing: immutable versions, every problem at once, one answer for one digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import InvalidDocument, InvalidRequest, NotAllowed, VersionDisagrees, VersionTaken
from registry.models import (
    AuditEntry,
    Channel,
    LineageEdge,
    Owner,
    Pattern,
    PatternVersion,
    Profile,
    StoredDocument,
    User,
)
from registry.services import publishing
from tests.registry.factories import COMPONENT, NOW, make_organisation, make_user, opl

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_user("ada")


@pytest.fixture
def owner(ada: User) -> Owner:
    return ada.own_owner


def publish(owner: Owner, user: User | None, source: bytes, **options: object) -> publishing.Published:
    return publishing.publish(owner=owner, user=user, source=source, via="api", now=NOW, **options)  # type: ignore[arg-type]


class TestPublish:
    def test_keeps_the_source_byte_for_byte(self, owner: Owner, ada: User) -> None:
        source = opl(mystery={"kept": [1, 2]}) + b"# a last word\n"

        version = publish(owner, ada, source).versions[0].version

        version.refresh_from_db()
        assert version.source_bytes == source
        assert version.value["mystery"] == {"kept": [1, 2]}
        assert version.digest == publishing.digest_of(source)

    def test_compiles_an_executable_pattern(self, owner: Owner, ada: User) -> None:
        version = publish(owner, ada, opl()).versions[0].version

        assert version.mode == "executable"
        assert version.program and version.program_hash
        assert version.events == ["completion:async"]
        assert [(entry["name"], entry["default"]) for entry in version.inputs] == [("rounds", 3)]

    def test_keeps_the_author_and_the_publisher_apart(self, owner: Owner, ada: User) -> None:
        version = publish(owner, ada, opl(author="agent_7")).versions[0].version

        assert (version.author_name, version.published_by, version.published_via) == ("agent_7", ada, "api")

    def test_stores_prose_as_a_guided_pattern(self, owner: Owner, ada: User) -> None:
        source = opl(script="", pattern={"strategy": "Ask everybody what they think, then decide."})

        version = publish(owner, ada, source).versions[0].version

        assert version.mode == "guided"
        assert version.program is None

    def test_answers_the_same_digest_with_the_same_version(self, owner: Owner, ada: User) -> None:
        first = publish(owner, ada, opl())

        second = publish(owner, ada, opl())

        assert second.versions[0].version == first.versions[0].version
        assert not second.created
        assert PatternVersion.objects.count() == 1

    def test_refuses_a_version_that_already_exists_with_another_text(self, owner: Owner, ada: User) -> None:
        first = publish(owner, ada, opl()).versions[0].version

        with pytest.raises(VersionTaken) as refusal:
            publish(owner, ada, opl(description="other words"))

        assert refusal.value.digest == first.digest
        assert refusal.value.suggested == "1.0.1"
        assert PatternVersion.objects.count() == 1

    def test_gives_a_document_without_a_version_the_first_one(self, owner: Owner, ada: User) -> None:
        assert publish(owner, ada, opl(version="")).versions[0].version.version == "1.0.0"

    def test_gives_the_smallest_admissible_bump_after_that(self, owner: Owner, ada: User) -> None:
        publish(owner, ada, opl(version=""))

        words = publish(owner, ada, opl(version="", description="clearer")).versions[0].version
        behaviour = (
            publish(owner, ada, opl(version="", script="STATE rounds = 3\nRETURN rounds + 1")).versions[0].version
        )
        narrower = publish(owner, ada, opl(version="", script="RETURN 4")).versions[0].version

        assert [words.version, behaviour.version, narrower.version] == ["1.0.1", "1.1.0", "2.0.0"]

    def test_refuses_a_version_that_disagrees_with_the_document(self, owner: Owner, ada: User) -> None:
        with pytest.raises(VersionDisagrees):
            publish(owner, ada, opl(version="1.0.0"), version="1.1.0")

        assert not StoredDocument.objects.exists()

    def test_refuses_what_is_no_version(self, owner: Owner, ada: User) -> None:
        with pytest.raises(InvalidRequest):
            publish(owner, ada, opl(version=""), version="one")

    def test_reports_all_problems_with_line_and_column(self, owner: Owner, ada: User) -> None:
        source = opl(
            script="STATE x =\nRETURN x",
            pattern={"adaptive_rules": [{"condition": "variance(", "action": "harder"}]},
        )

        with pytest.raises(InvalidDocument) as refusal:
            publish(owner, ada, source)

        errors = [problem for problem in refusal.value.problems if problem.severity == "error"]
        places = {(problem.line > 0, problem.column > 0) for problem in errors}
        assert len(errors) == 2
        assert places == {(True, True)}
        assert not Pattern.objects.exists()

    @pytest.mark.parametrize(
        "source",
        [opl(description="a\0b"), opl(script='RETURN "a\\u0000"'), opl(script='RETURN "\\ud800"')],
        ids=["nul", "nul-in-script", "half-a-pair"],
    )
    def test_refuses_text_that_no_database_can_hold(self, owner: Owner, ada: User, source: bytes) -> None:
        with pytest.raises(InvalidDocument) as refusal:
            publish(owner, ada, source)

        assert [problem.code for problem in refusal.value.problems] == ["registry.unstorable-character"]
        assert refusal.value.problems[0].line >= 4

    def test_refuses_to_publish_under_a_stranger_s_name(self, ada: User) -> None:
        stranger = make_user("eve")

        with pytest.raises(NotAllowed):
            publish(stranger.own_owner, ada, opl())

    def test_lets_publishers_of_an_organisation_publish_and_members_not(self, ada: User) -> None:
        bob = make_user("bob")
        lab = make_organisation("lab", publisher=ada, member=bob)

        publish(lab, ada, opl())

        with pytest.raises(NotAllowed):
            publish(lab, bob, opl("other"))

    def test_moves_latest_with_every_release_and_stable_only_once(self, owner: Owner, ada: User) -> None:
        publish(owner, ada, opl(version="1.0.0"))
        publish(owner, ada, opl(version="1.1.0"))

        channels = {channel.name: channel.version.version for channel in Channel.objects.all()}
        pattern = Pattern.objects.get()

        assert channels == {"latest": "1.1.0", "stable": "1.0.0"}
        assert (pattern.newest.version, pattern.shown.version) == ("1.1.0", "1.0.0")

    def test_orders_versions_as_semver_does(self, owner: Owner, ada: User) -> None:
        for version in ("1.10.0", "1.9.0", "1.10.0-rc.2", "1.10.0-rc.10"):
            publish(owner, ada, opl(version=version))

        found = [row.version for row in PatternVersion.objects.in_order()]

        assert found == ["1.10.0", "1.10.0-rc.10", "1.10.0-rc.2", "1.9.0"]

    def test_does_not_make_a_prerelease_stable(self, owner: Owner, ada: User) -> None:
        publish(owner, ada, opl(version="1.0.0-rc.1"))

        assert not Channel.objects.filter(name="stable").exists()

    def test_writes_one_audit_entry(self, owner: Owner, ada: User) -> None:
        publish(owner, ada, opl())

        entry = AuditEntry.objects.get(action="version.published")
        assert (entry.subject, entry.actor, entry.via) == ("ada/vote@1.0.0", ada, "api")

    def test_flags_a_claim_that_arithmetic_rules_out(self, owner: Owner, ada: User) -> None:
        source = opl(learned_from=[{"tournament_runs": 15}, {"success_rate": 0.85}])

        version = publish(owner, ada, source).versions[0].version

        assert version.claims["learned_from"][0] == {"tournament_runs": 15}
        assert len(version.claim_flags) == 1

    def test_links_a_new_version_to_the_one_before(self, owner: Owner, ada: User) -> None:
        first = publish(owner, ada, opl(version="1.0.0")).versions[0].version
        second = publish(owner, ada, opl(version="1.0.1")).versions[0].version

        edge = LineageEdge.objects.get(child_digest=second.digest)
        assert (edge.parent_digest, edge.op) == (first.digest, "revision")

    def test_keeps_words_that_people_edited(self, owner: Owner, ada: User) -> None:
        publish(owner, ada, opl(version="1.0.0", description="theirs"))
        Pattern.objects.update(description="ours", description_edited=True)

        publish(owner, ada, opl(version="1.0.1", description="theirs again"))

        assert Pattern.objects.get().description == "ours"


class TestComponent:
    def test_publishes_each_script_as_a_pattern_of_its_own(self, owner: Owner, ada: User) -> None:
        published = publish(owner, ada, COMPONENT)

        versions = [item.version for item in published.versions]
        assert [str(version) for version in versions] == ["ada/relay@1.2.0", "ada/poll@1.2.0"]
        assert versions[0].text.startswith("## Relay: Hand it on\n")
        assert all(version.document == published.document for version in versions)

    def test_links_each_script_to_the_component(self, owner: Owner, ada: User) -> None:
        published = publish(owner, ada, COMPONENT)

        poll = published.versions[1].version
        edge = LineageEdge.objects.get(child_digest=poll.digest)
        assert (edge.op, edge.parent_digest, edge.detail["n"]) == ("extracted_from", published.document.digest, 2)

    def test_stores_the_component_for_others_to_depend_on(self, owner: Owner, ada: User) -> None:
        publish(owner, ada, COMPONENT)

        profile = Profile.objects.get()
        assert (profile.name, profile.version, profile.component_type) == ("teamwork", "1.2.0", "behavior")
        assert "# Teamwork" in profile.value["body"]

    def test_keeps_scripts_that_did_not_change_at_their_version(self, owner: Owner, ada: User) -> None:
        publish(owner, ada, COMPONENT)
        changed = COMPONENT.replace(b"version: 1.2.0", b"version: 1.3.0").replace(b'"Vote"', b'"Vote please"')

        published = publish(owner, ada, changed)

        assert [(str(item.version), item.created) for item in published.versions] == [
            ("ada/relay@1.2.0", False),
            ("ada/poll@1.3.0", True),
        ]

    def test_refuses_one_name_for_several_patterns(self, owner: Owner, ada: User) -> None:
        with pytest.raises(InvalidRequest):
            publish(owner, ada, COMPONENT, name="both")

    def test_gives_two_scripts_of_one_title_different_names(self, owner: Owner, ada: User) -> None:
        source = COMPONENT.replace(b"## Poll: Ask around", b"## Relay: Ask around")

        published = publish(owner, ada, source)

        assert [item.version.pattern.name for item in published.versions] == ["relay", "relay-2"]

    def test_publishes_the_five_patterns_of_the_seed(self, owner: Owner, ada: User, shared: Path) -> None:
        source = (shared / "seeds" / "dsl_orchestration_patterns.md").read_bytes()

        published = publish(owner, ada, source)

        assert [item.version.pattern.name for item in published.versions] == [
            "pipeline",
            "scatter-gather",
            "orchestrator-worker",
            "consensus",
            "self-improving",
        ]
        assert {item.version.version for item in published.versions} == {"1.0.0"}
        assert {item.version.mode for item in published.versions} == {"executable"}
