"""The seed's pattern operations, and what repeated decisions suggest."""

from __future__ import annotations

import pytest

from registry.errors import InvalidRequest, NothingLearned, NotThere
from registry.models import Decision, LineageEdge, PatternVersion, Source, User
from registry.services import learning
from tests.registry.factories import COMPONENT, NOW, make_user, make_version, opl, record_runs

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_user("ada")


@pytest.fixture
def version(ada: User) -> PatternVersion:
    return make_version(user=ada)


def decide(version: PatternVersion, good: int, bad: int = 0, **options: object) -> None:
    values = {"decision_type": "retry_failed", "context": {"failure": "timeout", "attempt": 3}} | options
    for number in range(good + bad):
        learning.record_decision(version=version, succeeded=number < good, now=NOW, **values)  # type: ignore[arg-type]


class TestLoadPattern:
    def test_gives_what_an_orchestrator_reads(self, ada: User) -> None:
        make_version(user=ada, source=opl(pattern={"discovery_insights": ["Ask twice"]}))

        loaded = learning.load_pattern(reference="ada/vote", user=ada)

        assert loaded["version"] == "1.0.0"
        assert loaded["discovery_insights"] == ["Ask twice"]
        assert loaded["source"].startswith("type: orchestration_pattern")
        assert loaded["evidence"]["measured"]["runs"] == 0

    def test_does_not_reach_what_one_may_not_see(self, ada: User) -> None:
        make_version(user=ada, visibility="private")

        with pytest.raises(NotThere):
            learning.load_pattern(reference="ada/vote", user=make_user("eve"))


class TestRecordDecision:
    def test_keeps_one_per_effect(self, version: PatternVersion) -> None:
        for _ in range(2):
            learning.record_decision(version=version, decision_type="retry", run_key="r1", effect_key="e1", now=NOW)

        assert Decision.objects.count() == 1

    @pytest.mark.parametrize("options", [{"decision_type": " "}, {"decision_type": "x", "confidence": 1.5}])
    def test_refuses_what_means_nothing(self, version: PatternVersion, options: dict[str, object]) -> None:
        with pytest.raises(InvalidRequest):
            learning.record_decision(version=version, now=NOW, **options)  # type: ignore[arg-type]

    def test_takes_a_context_in_words(self, version: PatternVersion) -> None:
        row = learning.record_decision(version=version, decision_type="x", context="late at night", now=NOW)

        assert row.context == {"note": "late at night"}


class TestProposedRules:
    def test_come_from_decisions_that_recur_and_turn_out_well(self, version: PatternVersion) -> None:
        decide(version, 5, rationale="late answers still come")

        rules = learning.proposed_rules(version)

        assert [(rule.condition, rule.action, rule.rationale) for rule in rules] == [
            ('failure == "timeout"', "retry_failed", "late answers still come")
        ]
        assert rules[0].to_value()["evidence"] == {"decisions": 5, "successes": 5, "low": 0.566}

    def test_do_not_come_from_few_from_bad_or_from_simulated_ones(self, version: PatternVersion) -> None:
        decide(version, 2, decision_type="few")
        decide(version, 3, 5, decision_type="bad")
        decide(version, 9, decision_type="played", source=Source.SIMULATED)

        assert learning.proposed_rules(version) == []

    def test_use_the_condition_that_a_decision_names(self, version: PatternVersion) -> None:
        decide(version, 5, context={"condition": "variance(scores) < 0.1"})

        assert learning.proposed_rules(version)[0].condition == "variance(scores) < 0.1"


class TestExport:
    def test_states_real_counts_and_proposed_rules(self, ada: User, version: PatternVersion) -> None:
        record_runs(version, 7, 3, failure_type="timeout")
        decide(version, 5)

        made = (
            learning.export_pattern(version=version, user=ada, now=NOW, learnings=["Ask in pairs"]).versions[0].version
        )

        assert made.version == "1.0.1" or made.version == "1.1.0"
        assert made.published_via == "export"
        learned = made.value["learned_from"][0]
        assert (learned["runs"], learned["successes"], learned["success_rate"]) == (10, 7, 0.7)
        assert made.value["pattern"]["adaptive_rules"][0]["action"] == "retry_failed"
        assert "Ask in pairs" in made.value["pattern"]["discovery_insights"]
        assert made.value["dsl"] == version.value["dsl"]
        assert LineageEdge.objects.filter(
            child_digest=made.digest, op="learned_from", parent_digest=version.digest
        ).exists()

    def test_claims_nothing_that_arithmetic_rules_out(self, ada: User, version: PatternVersion) -> None:
        record_runs(version, 2, 1)

        made = learning.export_pattern(version=version, user=ada, now=NOW).versions[0].version

        assert made.claim_flags == []

    def test_wraps_a_bare_script_into_a_document(self, ada: User) -> None:
        script = make_version(user=ada, source=COMPONENT)
        record_runs(script, 3)

        made = learning.export_pattern(version=script, user=ada, now=NOW).versions[0].version

        assert made.envelope == "opl"
        assert made.value["dsl"].startswith("## Relay")
        assert made.mode == "executable"

    def test_refuses_before_there_is_anything_to_learn_from(self, ada: User, version: PatternVersion) -> None:
        record_runs(version, 9, source=Source.SIMULATED)

        with pytest.raises(NothingLearned):
            learning.export_pattern(version=version, user=ada, now=NOW)


class TestAdapt:
    def adapt(self, version: PatternVersion, user: User, **options: object) -> PatternVersion:
        values = {"context": {"team": "small"}, "inputs": {}} | options
        made = learning.adapt_pattern(version=version, owner=user.own_owner, user=user, now=NOW, via="api", **values)  # type: ignore[arg-type]
        return made.versions[0].version

    def test_writes_the_context_down_and_links_its_origin(self, version: PatternVersion) -> None:
        made = self.adapt(version, make_user("bob"))

        assert made.value["context"] == {"team": "small"}
        assert LineageEdge.objects.get(child_digest=made.digest, op="adapt").parent_digest == version.digest

    def test_of_a_private_pattern_is_private(self, ada: User) -> None:
        made = self.adapt(make_version("inner", user=ada, visibility="private"), ada)

        assert made.pattern.visibility == "private"

    def test_changes_constants_of_inputs_in_the_script(self, version: PatternVersion) -> None:
        made = self.adapt(version, make_user("bob"), inputs={"rounds": 7})

        assert "STATE rounds = 7" in made.text
        assert made.inputs[0]["default"] == 7

    def test_changes_a_constant_that_spans_lines(self, ada: User) -> None:
        script = 'STATE names = [\n  "a", # first\n  "]"\n]  # done\nRETURN names'
        version = make_version(user=ada, script=script)

        made = self.adapt(version, make_user("bob"), inputs={"names": ["x"]})

        assert 'STATE names = ["x"]' in made.text
        assert made.inputs[0]["default"] == ["x"]

    def test_refuses_an_input_that_is_not_there(self, version: PatternVersion) -> None:
        with pytest.raises(InvalidRequest, match="speed"):
            self.adapt(version, make_user("bob"), inputs={"speed": 1})


class TestProposedDerivations:
    def test_name_versions_that_clearly_beat_their_parent(self, ada: User, version: PatternVersion) -> None:
        better = make_version(user=ada, version="1.1.0")
        record_runs(version, 5, 5)
        record_runs(better, 10)

        found = learning.proposed_derivations(version)

        assert [(item.version, item.op) for item in found] == [(better, "merge")]
