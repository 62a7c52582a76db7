"""Lenses: what a foreign pattern needs, and its translation into a fork of our own."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol import lens, statement, translate
from federation.protocol.kinds import Subject
from federation.protocol.lens import Fit, Vocabulary
from federation.protocol.problems import Refused
from tests.federation.makers import author

ROOT = Path(__file__).resolve().parents[3]
KSI = json.loads((ROOT / "library/lenses/ksi.json").read_text())
SMALL = {
    "name": "town", "version": "1.0.0", "from": "town", "to": "opl", "events": {"town:ask": "completion:async"},
    "roles": {"clerk": "base_agent"}, "functions": {"TALLY": "COUNT"}, "parameters": {"votes": "ballots"}, "losses": [],
}  # fmt: skip
PARENT = "ab" * 32


def applied(document, **changes):
    return translate.apply(lens.read(SMALL | changes), document, parent=PARENT)


def script(text, **changes):
    return translate.script(lens.read(SMALL | changes), text)


class TestRead:
    @pytest.mark.parametrize(
        "changes",
        [
            {"name": ""}, {"version": "1"}, {"from": None}, {"events": []}, {"events": {"a": 1}}, {"fields": [{"from": "/a"}]},
            {"fields": [{"from": "a", "to": "/b"}]}, {"values": [{"at": "/a", "from": 1}]}, {"defaults": {"a": 1}},
            {"tool_use": {"type": "x"}}, {"losses": None}, {"losses": [1]}, {"scripts": "/dsl"},
            {"roles": {str(n): "x" for n in range(1_001)}},
        ],
        ids=lambda changes: str(changes)[:40],
    )  # fmt: skip
    def test_refuses_a_lens_of_another_form(self, changes):
        with pytest.raises(Refused) as refusal:
            lens.read(SMALL | changes)
        assert refusal.value.code == "schema-invalid"

    def test_reads_the_lens_that_ships(self):
        assert lens.read(KSI).target == "opl"

    def test_travels_as_a_statement(self):
        ada = author()
        predicate = {"author": ada.id, "lens": KSI, "created": "2027-01-15T08:00:00Z"}

        made = statement.sign("translation", predicate, subject=Subject("ksi-vocabulary", PARENT), signers=ada.publish)

        assert lens.read(made.predicate["lens"]) == lens.read(KSI)
        with pytest.raises(Refused):
            statement.write("translation", predicate | {"lens": {}}, subject=Subject("x", PARENT))


HERE = Vocabulary(
    events=frozenset({"completion:async"}), roles=frozenset({"base_agent"}), functions=frozenset({"COUNT"})
)


def judged(*known, **requires):
    return lens.judge(Vocabulary.required(requires), HERE, known)


class TestJudge:
    def test_finds_what_asks_for_nothing_unknown_runnable(self):
        assert judged(events=["completion:async"], roles=[], functions=["COUNT"]).fit is Fit.RUNNABLE

    def test_names_what_is_missing(self):
        judgement = judged(events=["town:ask", "town:tell"], roles=["clerk"])

        assert judgement.fit is Fit.NEEDS_LENS
        assert str(judgement) == "needs-lens (missing event town:ask, event town:tell, role clerk)"

    def test_names_the_lenses_that_supply_all_of_it(self):
        town = lens.read(SMALL)

        assert judged(town, events=["town:ask"], roles=["clerk"]).lenses == ("town",)
        assert judged(town, events=["town:ask", "town:tell"]).lenses == ()

    def test_trusts_no_lens_that_leads_to_what_is_missing_too(self):
        elsewhere = lens.read(SMALL | {"events": {"town:ask": "moon:ask"}})

        assert judged(elsewhere, events=["town:ask"]).lenses == ()

    def test_finds_a_missing_function_incompatible_unless_a_lens_maps_it(self):
        assert judged(functions=["TALLY"]).fit is Fit.INCOMPATIBLE
        assert judged(lens.read(SMALL), functions=["TALLY"]).fit is Fit.NEEDS_LENS


class TestScript:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("EVENT town:ask {}", "EVENT completion:async {}"),
            ("EVENT town:askew {}", "EVENT town:askew {}"),
            ("x = TALLY(votes)", "x = COUNT(ballots)"),
            ("x = TALLY + tally(1)", "x = TALLY + tally(1)"),
            ("x = report.votes", "x = report.votes"),
            ("x = {votes: votes}", "x = {votes: ballots}"),
            ("# EVENT town:ask votes", "# EVENT town:ask votes"),
            ('x = "EVENT town:ask votes"', 'x = "EVENT town:ask votes"'),
            ('x = "of {{votes}} and {{a.votes}}"', 'x = "of {{ballots}} and {{a.votes}}"'),
            ("IF votes: BREAK", "IF ballots: BREAK"),
            ("FOREACH v IN votes:\n  WAIT 1", "FOREACH v IN ballots:\n  WAIT 1"),
        ],
    )
    def test_is_translated_token_by_token(self, old, new):
        assert script(old) == new

    def test_turns_tool_calls_into_events(self):
        text = 'FIRST:\n  {\n    "type": "ksi_tool_use",\n    "id": "1",\n    "name": "agent:status",\n    "input": {"a": "é"}\n  }\nWAIT 1\n'

        assert translate.script(lens.read(KSI), text) == 'FIRST:\n  EVENT agent:status {"a": "é"}\nWAIT 1\n'

    @pytest.mark.parametrize("text", ['{"type": "other", "name": "x"}', '{"type": "ksi_tool_use"', '{"type": "ksi_tool_use", "name": "a b"}',
                                      '{"type": "ksi_tool_use", "name": "a", "name": "b"}', "{" * 5_000])  # fmt: skip
    def test_leaves_other_objects_alone(self, text):
        assert translate.script(lens.read(KSI), text) == text

    @given(st.text(max_size=300))
    def test_of_any_text_is_some_text(self, text):
        assert isinstance(translate.script(lens.read(KSI), text), str)

    @given(st.text(max_size=200))
    def test_is_not_changed_by_a_lens_that_maps_nothing(self, text):
        empty = lens.read(SMALL | {"events": {}, "functions": {}, "parameters": {}, "roles": {}})

        assert translate.script(empty, text) == text


class TestApply:
    DOCUMENT = {
        "name": "poll",
        "agents": {"one": {"profile": "clerk"}, "two": {"title": "clerk"}},
        "variables": {"votes": 3, "other": 1},
        "capabilities": ["town:ask", "agent:status"],
        "routing": [{"pattern": "town:ask"}],
        "dsl": "EVENT town:ask {}\n",
    }

    def test_never_edits_the_foreign_document(self):
        before = copy.deepcopy(self.DOCUMENT)

        applied(self.DOCUMENT)

        assert before == self.DOCUMENT

    def test_makes_a_fork_that_names_its_origin(self):
        assert applied(self.DOCUMENT).lineage == {"parents": [PARENT], "op": "translate"}

    def test_renames_events_roles_and_parameters_where_they_stand(self):
        assert applied(self.DOCUMENT).document == {
            "name": "poll",
            "agents": {"one": {"profile": "base_agent"}, "two": {"title": "clerk"}},
            "variables": {"ballots": 3, "other": 1},
            "capabilities": ["completion:async", "agent:status"],
            "routing": [{"pattern": "completion:async"}],
            "dsl": "EVENT completion:async {}\n",
        }

    def test_tells_what_it_did(self):
        changes = applied(self.DOCUMENT).changes

        assert "the script at /dsl is translated" in changes
        assert "the role clerk is called base_agent" in changes

    def test_moves_fields_but_never_over_others(self):
        moved = applied({"a": 1, "b": 2}, fields=[{"from": "/a", "to": "/x/y"}, {"from": "/b", "to": "/x"}])

        assert moved.document == {"x": {"y": 1}, "b": 2}

    def test_leaves_a_field_where_its_new_place_cannot_be(self):
        assert applied({"a": 1, "b": 2}, fields=[{"from": "/a", "to": "/b/c"}]).document == {"a": 1, "b": 2}

    def test_fills_defaults_where_nothing_stands(self):
        assert applied({"a": 1}, defaults={"/a": 9, "/b": {"c": 1}}).document == {"a": 1, "b": {"c": 1}}

    def test_respells_values(self):
        made = applied({"type": "x", "kind": "x"}, values=[{"at": "/type", "from": "x", "to": "y"}])

        assert made.document == {"type": "y", "kind": "x"}

    def test_states_its_losses(self):
        assert len(translate.apply(lens.read(KSI), {}, parent=PARENT).losses) == 4


class TestKsi:
    def test_reads_a_composition_as_a_pattern_of_ours(self):
        composition = {
            "name": "relay", "type": "orchestration", "description": "One asks, one answers.", "performance": {"runs": 4},
            "agents": {"a": {"component": "components/core/base_agent"}},
            "orchestration_logic": {"strategy": "EVENT agent:kill {agent_id: \"a\"}\n", "description": "in turn"},
        }  # fmt: skip

        made = translate.apply(lens.read(KSI), composition, parent=PARENT).document

        assert made["type"] == "orchestration_pattern"
        assert made["dsl"] == 'EVENT agent:terminate {agent_id: "a"}\n'
        assert made["agents"] == {"a": {"component": "base_agent"}}
        assert made["pattern"]["description"] == "One asks, one answers."
        assert made["verification"] == {"claimed_performance": {"runs": 4}}

    def test_applies_to_every_real_composition(self, shared):
        from opl.document.envelopes import read

        seen = 0
        for path in sorted((shared / "corpus/orchestrations").glob("*.yaml")):
            document = read(path.read_bytes()).document
            if document is not None and isinstance(document.value, dict):
                made = translate.apply(lens.read(KSI), document.value, parent=PARENT)
                assert made.document.get("type") != "orchestration"
                seen += 1
        assert seen > 100
