"""Which envelope a source has, and what the document says."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opl.document import Envelope, Kind, Layout, Mode, Role, read
from opl.errors import Severity


class TestRecognition:
    @pytest.mark.parametrize(
        ("text", "file", "envelope", "kind"),
        [
            ("type: orchestration_pattern\nname: ab\n", "", Envelope.OPL, Kind.PATTERN),
            ('{"type": "orchestration_pattern", "name": "ab"}', "a.json", Envelope.OPL, Kind.PATTERN),
            ("---\ntype: orchestration_pattern\nname: ab\n", "a.yaml", Envelope.OPL, Kind.PATTERN),
            ("type: orchestration\nname: ab\n", "", Envelope.KSI, Kind.PATTERN),
            ("component_type: orchestration\nname: ab\n", "", Envelope.KSI, Kind.PATTERN),
            ("type: profile\nname: ab\n", "", Envelope.KSI, Kind.PROFILE),
            ("name: ab\nextends: base\ncomponents: []\n", "", Envelope.KSI, Kind.PROFILE),
            ("type: transformer\nname: ab\n", "", Envelope.KSI, Kind.OTHER),
            ("---\ncomponent_type: behavior\n---\n# Words\n", "", Envelope.COMPONENT, Kind.PROFILE),
            ("---\ncomponent_type: orchestration\n---\n# Words\n", "a.md", Envelope.COMPONENT, Kind.PATTERN),
            ("# Words\n\nMore words.\n", "a.md", Envelope.COMPONENT, Kind.COMPONENT),
            ("STATE a = 1\nRETURN a\n", "", Envelope.SCRIPT, Kind.PATTERN),
            ("## Title: words\nTRACK {a: 1}\n", "", Envelope.SCRIPT, Kind.PATTERN),
            ("PARALLEL:\n  WAIT 1\n", "", Envelope.SCRIPT, Kind.PATTERN),
            ("results = parallel_map(agents, evaluate)\nreturn results\n", "", Envelope.SCRIPT, Kind.PATTERN),
            ("anything", "a.opl", Envelope.SCRIPT, Kind.PATTERN),
        ],
    )
    def test_goes_by_the_text_and_then_by_the_suffix(
        self, text: str, file: str, envelope: Envelope, kind: Kind
    ) -> None:
        document, _ = read(text.encode(), file=file)

        assert document is not None
        assert (document.envelope, document.kind) == (envelope, kind)

    def test_supposes_a_type_from_the_keys_and_says_so(self) -> None:
        document, problems = read(b"name: ab\ndsl: RETURN 1\n")

        assert document is not None
        assert document.envelope is Envelope.OPL
        assert [(p.code, p.severity) for p in problems] == [("opl.document.no-type", Severity.WARNING)]

    def test_refuses_what_is_in_no_envelope(self) -> None:
        document, problems = read(b"colour: red\n")

        assert document is not None
        assert document.kind is Kind.OTHER
        assert [p.code for p in problems] == ["opl.document.unknown-envelope"]

    def test_refuses_a_list(self) -> None:
        document, problems = read(b"- a\n- b\n", file="a.yaml")

        assert document is None
        assert [p.code for p in problems] == ["opl.document.not-a-mapping"]

    def test_reads_front_matter_over_yaml_as_one_document(self) -> None:
        text = "---\nname: ab\ncomponent_type: orchestration\n---\n\nagents:\n  one: {profile: x}\n"

        document, problems = read(text.encode())

        assert document is not None
        assert not problems
        assert document.envelope is Envelope.KSI
        assert document.name == "ab"
        assert list(document.agents) == ["one"]
        assert document.position("/agents/one") == (7, 8)
        assert document.text == text

    def test_finds_a_key_that_stands_in_front_matter_and_below(self) -> None:
        _, problems = read(b"---\nname: ab\ncomponent_type: orchestration\n---\nname: cd\nagents: {}\n")

        assert [(p.code, p.line) for p in problems] == [("opl.document.duplicate-key", 5)]

    def test_names_the_file_in_every_problem(self) -> None:
        _, problems = read(b"a: [", file="some/where.yaml")

        assert [p.file for p in problems] == ["some/where.yaml"]


class TestFields:
    def test_reads_an_opl_pattern(self, tournament, document) -> None:
        found = document(tournament)

        assert (found.name, found.version, found.author) == ("ladder_tournament", "1.2.0", "ada")
        assert found.tags == ("tournament", "ladder")
        assert found.description == "Plays a ladder until the order is stable."
        assert found.discovery_insights == ("Close scores call for harder tests",)
        assert [rule.action for rule in found.adaptive_rules] == ["harder", "simpler"]
        assert found.adaptive_rules[1].pointer == "/pattern/adaptive_rules/1"
        assert found.actions["harder"] == {"set": {"difficulty": "difficulty + 1"}}
        assert found.learned_from == ({"runs": 20, "success_rate": 0.85},)
        assert [(item.name, item.required, item.default) for item in found.inputs] == [
            ("players", True, None),
            ("rounds", False, 3),
        ]
        assert found.parameters is not None
        assert found.parameters["required"] == ["players"]
        assert found.mode is Mode.EXECUTABLE

    def test_keeps_the_source_byte_for_byte_and_every_unknown_key(self, document) -> None:
        text = "type: orchestration_pattern\r\nname: ab # why\r\nx_mine: {deep: [1]}\r\n"

        found = document(text)

        assert found.text == text
        assert found.value["x_mine"] == {"deep": [1]}
        assert found.digest == hashlib.sha256(text.encode()).hexdigest()

    def test_keeps_a_version_as_it_is_written(self, document) -> None:
        assert document("type: orchestration\nname: ab\nversion: 1.10\n").version == "1.10"

    def test_reads_a_composition(self, document) -> None:
        found = document(
            "type: orchestration\nname: ab\nextends: parent_pattern\n"
            "metadata: {tags: [x], lineage: {parent: 'old@1.0.0', fork_reason: why, fork_author: unknown}}\n"
            "learnings: [{insight: batch early}]\n"
            "capabilities: {spawn: true, shell: false}\n"
            "orchestration_logic:\n  description: words\n  strategy: |\n    WHEN ready:\n      ANALYZE all\n"
        )

        assert found.tags == ("x",)
        assert [(p.op, p.reference, p.author) for p in found.lineage] == [
            ("fork", "old@1.0.0", ""),
            ("extends", "parent_pattern", ""),
        ]
        assert found.discovery_insights == ("batch early",)
        assert found.capabilities == ("spawn",)
        assert [script.title for script in found.scripts] == ["strategy"]
        assert found.mode is Mode.GUIDED
        assert "WHEN ready" in found.strategy

    @pytest.mark.parametrize(
        "text",
        [
            "agents: 3\nvariables: [1]\nmetadata: x\npattern: []\n",
            "adaptive_rules: {a: b}\nlearned_from: 7\nparameters: [1]\ntags: {a: 1}\n",
            "orchestration_logic: [1, 2]\nhelpers: x\ncapabilities: 3\nlineage: 4\nextends: [1, {}]\n",
            "orchestration_flow: [[x], {y: [z]}]\ndsl: 3\nscripts: [1, {script: 2}]\nperformance: []\n",
        ],
    )
    def test_survives_sections_of_the_wrong_type(self, text: str, document) -> None:
        found = document(f"type: orchestration_pattern\nname: ab\n{text}")

        assert found.name == "ab"


class TestDigests:
    def test_name_one_meaning_however_it_is_laid_out(self, tournament, document) -> None:
        one = document("type: orchestration_pattern\nname: ab\ntags: [a, b]\nx: 1.0\n")
        other = document('# hi\n"x": 1\ntags:\n- a\n- "b"\nname: ab\ntype: orchestration_pattern\n')

        assert one.digest != other.digest
        assert one.semantic_digest == other.semantic_digest

    def test_tell_different_meanings_apart(self, document) -> None:
        one = document("type: orchestration_pattern\nname: ab\nx: 1\n")
        other = document('type: orchestration_pattern\nname: ab\nx: "1"\n')

        assert one.semantic_digest != other.semantic_digest

    def test_of_a_script_ignores_line_ends_and_trailing_blanks(self, document) -> None:
        one, other = document("STATE a = 1  \r\nRETURN a\r\n"), document("STATE a = 1\nRETURN a")
        canonical = b'{"script":"STATE a = 1\\nRETURN a"}'

        assert one.semantic_digest == other.semantic_digest == hashlib.sha256(canonical).hexdigest()


class TestScripts:
    def test_stand_where_the_source_has_them(self, tournament, document) -> None:
        found = document(tournament)
        lines = tournament.splitlines()

        places = {script.key: (script.first_line, script.first_column) for script in found.scripts}

        line, column = places["/dsl"]
        assert lines[line - 1][column - 1 :] == "## Ladder: One Rung At A Time"
        line, column = places["/pattern/adaptive_rules/0/condition"]
        assert lines[line - 1][column - 1 :].startswith("variance")
        line, column = places["/pattern/orchestration_flow/init/spawn_strategy"]
        assert lines[line - 1][column - 1 :].startswith("parallel_matches")

    def test_have_roles_titles_and_numbers(self, tournament, document) -> None:
        found = document(tournament)

        assert [(s.role, s.title, s.number) for s in found.scripts] == [
            (Role.CONDITION, "adaptive_rules[0]", 1),
            (Role.CONDITION, "adaptive_rules[1]", 2),
            (Role.FLOW, "init / spawn_strategy", 1),
            (Role.SCRIPT, "Ladder: One Rung At A Time", 1),
        ]
        assert found.script("ladder") is found.script("1") is found.main_scripts[0]
        assert found.script("missing") is None

    @pytest.mark.parametrize(
        ("yaml", "layout", "place"),
        [
            ("dsl: |\n  STATE a = 1\n", Layout.BLOCK, (4, 3)),
            ("dsl: |2\n    STATE a = 1\n", Layout.BLOCK, (4, 3)),
            ("dsl: |  # words\n\n\n   STATE a = 1\n", Layout.BLOCK, (4, 4)),
            ('dsl: "STATE a = 1"\n', Layout.INLINE, (3, 7)),
            ("dsl: RETURN 1\n", Layout.INLINE, (3, 6)),
            ('dsl: "STATE a = 1\\n\\\n  RETURN a"\n', Layout.QUOTED, (3, 7)),
            ("dsl: 'RETURN ''a'''\n", Layout.QUOTED, (3, 7)),
            ("dsl: >\n  RETURN\n  1\n", Layout.FOLDED, (4, 1)),
        ],
    )
    def test_know_how_they_are_laid_out(self, yaml: str, layout: Layout, place: tuple, document) -> None:
        script = document(f"type: orchestration_pattern\nname: ab\n{yaml}").scripts[0]

        assert script.layout is layout
        assert (script.first_line, script.first_column) == place

    def test_map_back_through_escapes_and_folds(self, document) -> None:
        text = 'type: orchestration_pattern\nname: ab\ndsl: "STATE a = \\"x\\"\\nRETURN\n\n  a\\\n   .b"\n'
        script = document(text).scripts[0]
        lines = text.splitlines()

        assert script.text == 'STATE a = "x"\nRETURN\na.b'
        for line, column, told in [(3, 11, '\\"x'), (4, 1, "RETURN"), (5, 1, "a"), (5, 2, ".b")]:
            found_line, found_column = script.place(line, column)
            assert lines[found_line - 1][found_column - 1 :].startswith(told)

    def test_come_singly_or_by_name(self, document) -> None:
        found = document(
            "type: orchestration_pattern\nname: ab\nscripts:\n  first: RETURN 1\n  second: RETURN 2\n"
            "strategies:\n  swiss: RETURN 3\n"
        )

        assert [(s.title, s.role, s.pointer) for s in found.scripts] == [
            ("first", Role.SCRIPT, "/scripts/first"),
            ("second", Role.SCRIPT, "/scripts/second"),
            ("swiss", Role.FRAGMENT, "/strategies/swiss"),
        ]


class TestComponents:
    def test_hold_one_pattern_for_each_script(self, component, document) -> None:
        found = document(component)

        assert found.kind is Kind.COMPONENT
        assert [pattern.name for pattern in found.patterns] == ["relay", "chorus"]
        relay = found.patterns[0]
        assert relay.text == "## Relay: Pass It On\nSTATE baton = 1\nRETURN baton\n"
        assert relay.digest == hashlib.sha256(relay.text.encode()).hexdigest()
        assert relay.version == "2.0.0"
        assert relay.dependencies == ("core/base",)
        edge = relay.lineage[0]
        assert (edge.op, edge.reference, edge.number) == ("extracted_from", found.digest, 1)
        assert component.splitlines()[found.scripts[0].first_line - 1] == "## Relay: Pass It On"

    def test_are_profiles_as_well(self, component, document) -> None:
        profile = document(component).profiles[0]

        assert profile.name == "team_patterns"
        assert profile.prompt.startswith("# Team patterns")

    def test_ignore_backticks_that_open_no_fence(self, document) -> None:
        text = "# Words\n\nUse ```json``` blocks.\n\n```json``` too\n\n~~~\nSTATE a = 1\n~~~\n"

        assert [s.text for s in document(text, "a.md").scripts] == ["STATE a = 1\n"]

    def test_give_equal_titles_different_names(self, document) -> None:
        text = "# A\n\n```\n## Same: x\nRETURN 1\n```\n\n```\n## Same: y\nRETURN 2\n```\n"

        assert [p.name for p in document(text, "a.md").patterns] == ["same", "same-2"]

    def test_cut_the_indentation_of_a_fence_in_a_list(self, document) -> None:
        text = "# A\n\n1. First\n\n   ```\n   IF a:\n     RETURN 1\n   ```\n"

        script = document(text, "a.md").scripts[0]

        assert script.text == "IF a:\n  RETURN 1\n"
        assert (script.first_line, script.first_column) == (6, 4)

    def test_show_the_documents_in_their_yaml_fences(self, document) -> None:
        text = (
            "# Words\n\n```yaml\ntype: orchestration_pattern\nname: ab\ndsl: RETURN 1\n```\n\n"
            "```yaml\nname: judge\ncomponents: []\n```\n\n```yaml\na: [\n```\n\n```yaml\njust: data\n```\n"
        )

        pattern, profile = document(text, "a.md").embedded

        assert (pattern.envelope, pattern.name, pattern.scripts[0].first_line) == (Envelope.OPL, "ab", 6)
        assert (profile.kind, profile.profiles[0].name) == (Kind.PROFILE, "judge")


class TestCorpus:
    def test_every_file_reads_in_its_envelope(self, shared: Path) -> None:
        files = sorted((shared / "corpus" / "orchestrations").iterdir())

        assert len(files) == 209
        unread = []
        for file in files:
            source = file.read_bytes()
            document, problems = read(source, file=file.name)
            if document is None:
                assert any(p.severity is Severity.ERROR for p in problems)
                unread.append(file.name)
                continue
            assert document.text.encode() == source
            assert document.envelope in (Envelope.KSI, Envelope.OPL, Envelope.COMPONENT)
            assert len(document.semantic_digest) == 64
        assert unread == ["prompt_dsl_hybrid_optimization@421dda3.yaml"]  # broken by its author

    def test_profiles_and_markdown_read_too(self, shared: Path) -> None:
        for folder in ("profiles", "dsl_markdown", "certificates", "transformers", "fixtures", "decisions"):
            for file in sorted((shared / "corpus" / folder).iterdir()):
                document, problems = read(file.read_bytes(), file=file.name)
                assert document is not None or problems, file.name

    @pytest.mark.parametrize(
        ("name", "count"), [("control_flow.md", 10), ("event_emission_basics.md", 6), ("state_management.md", 9)]
    )
    def test_every_script_fence_is_found(self, shared: Path, name: str, count: int) -> None:
        document, _ = read((shared / "corpus" / "dsl_markdown" / name).read_bytes(), file=name)

        assert document is not None
        assert len(document.scripts) == count

    def test_the_five_patterns_are_named_by_their_titles(self, shared: Path) -> None:
        source = (shared / "seeds" / "dsl_orchestration_patterns.md").read_bytes()

        document, _ = read(source)

        assert document is not None
        assert [pattern.name for pattern in document.patterns] == [
            "pipeline",
            "scatter-gather",
            "orchestrator-worker",
            "consensus",
            "self-improving",
        ]
        lines = source.decode().splitlines()
        for script in document.scripts:
            assert lines[script.first_line - 1] == f"## {script.title}"

    def test_the_overview_embeds_its_pattern_and_profiles(self, shared: Path) -> None:
        source = (shared / "seeds" / "intelligent_orchestration_patterns.md").read_bytes()

        document, _ = read(source, file="seed.md")

        assert document is not None
        assert [(each.name, str(each.kind)) for each in document.embedded] == [
            ("orchestrator_agent", "profile"),
            ("adaptive_tournament_v2", "pattern"),
            ("pattern_aware_orchestrator", "profile"),
            ("tournament_orchestrator_v2", "profile"),
            ("meta_orchestrator", "profile"),
        ]


@given(st.binary(max_size=200))
def test_any_bytes_give_a_document_or_a_problem(data: bytes) -> None:
    document, problems = read(data)

    assert document is not None or any(p.severity is Severity.ERROR for p in problems)


@given(st.text(alphabet="-#`~ \n:ab|STATE=1{}[]", max_size=150))
def test_any_text_gives_a_document_or_a_problem(text: str) -> None:
    for file in ("", "a.md", "a.yaml", "a.opl"):
        document, problems = read(text.encode(), file=file)

        assert document is not None or any(p.severity is Severity.ERROR for p in problems)
        assert document is None or document.text == text
