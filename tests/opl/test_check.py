"""A whole document, checked at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opl.check import check
from opl.document import Kind, Mode, read
from opl.errors import Severity

GOOD = """\
type: orchestration_pattern
name: relay
version: 1.0.0
description: Hands a baton on.
pattern:
  adaptive_rules:
    - condition: "laps > 2"
      action: rest
      rationale: enough
    - condition: "mean(times) < 0.5"
      action: hurry
      rationale: there is time
    - condition: "variance(times) < 0.1"
      action: vary
      rationale: all alike
dsl: |
  STATE runners = ["ann", "bob"]
  FOREACH runner IN runners:
    EVENT completion:async {agent_id: runner, prompt: "run"} AS lap
    TRACK {laps: 1}
  RETURN runners
"""


def found(text: str, **options) -> list[tuple[str, int, int]]:
    """Code, line and column of every problem that is worse than a note."""
    report = check(text.encode(), **options)
    return [(p.code, p.line, p.column) for p in report.problems if p.severity is not Severity.NOTE]


class TestCheck:
    def test_passes_a_good_document_with_its_programs(self) -> None:
        report = check(GOOD.encode(), file="relay.yaml")

        assert report.ok, report.problems
        assert report.mode is Mode.EXECUTABLE
        assert report.events == ("completion:async",)
        assert report.program() is report.programs["/dsl"] is report.program("1")
        assert set(report.programs) == {"/dsl", *(f"/pattern/adaptive_rules/{n}/condition" for n in range(3))}

    def test_reports_a_typo_in_a_condition_where_it_stands(self) -> None:
        report = check(GOOD.replace("variance(times) < 0.1", "variance(times < 0.1").encode(), file="r.yaml")

        (problem,) = [p for p in report.problems if p.severity is Severity.ERROR]
        assert problem.pointer == "/pattern/adaptive_rules/2/condition"
        assert problem.line == 13
        assert 18 <= problem.column <= 40
        assert problem.file == "r.yaml"

    def test_reports_a_typo_in_a_script_where_it_stands(self) -> None:
        text = GOOD.replace("FOREACH runner IN runners", "FOREACH runner IM runners")

        problems = [p for p in check(text.encode()).problems if p.severity is Severity.ERROR]

        assert [(p.line, p.pointer) for p in problems] == [(18, "/dsl")]
        assert problems[0].column >= text.splitlines()[17].index("IM")

    def test_reports_everything_at_once(self) -> None:
        text = (
            GOOD.replace("name: relay", "name: Relay Race")
            .replace("version: 1.0.0", "version: 1.0")
            .replace("action: rest", "actoin: rest")
            .replace("WAIT", "WAIT")
            .replace("RETURN runners", "RETURN (runners")
        )

        problems = found(text)

        assert ("opl.schema.pattern", 2, 7) in problems
        assert ("opl.schema.type", 3, 10) in problems
        assert ("opl.schema.required", 7, 7) in problems
        assert any(line >= 21 for _, line, _ in problems)

    def test_suggests_near_names_without_refusing(self) -> None:
        report = check(GOOD.replace("description:", "descriptoin:").encode())

        (note,) = [p for p in report.problems if p.code == "opl.document.unknown-key"]
        assert report.ok
        assert (note.line, note.column, note.severity) == (4, 1, Severity.NOTE)
        assert "'description'" in note.hint

    @pytest.mark.parametrize(
        ("word", "ours"), [("inputs", "parameters"), ("script", "dsl"), ("steps", "orchestration_flow")]
    )
    def test_knows_the_words_that_others_use(self, word: str, ours: str) -> None:
        report = check(f"{GOOD}{word}: {{}}\n".encode())

        (note,) = [p for p in report.problems if p.code == "opl.document.unknown-key"]
        assert f"'{ours}'" in note.hint

    def test_keeps_unknown_keys_silently(self) -> None:
        assert found(GOOD + "x_colour: red\n") == []

    def test_needs_a_name(self) -> None:
        assert ("opl.schema.required", 1, 1) in found(GOOD.replace("name: relay\n", ""))

    def test_never_raises_for_unreadable_text(self) -> None:
        report = check(b"a: [", file="x.yaml")

        assert not report.ok
        assert report.document is None
        assert report.programs == {}
        assert json.dumps(report.to_json())


class TestClaims:
    @pytest.mark.parametrize(
        "claim",
        [
            "learned_from:\n  - runs: 15\n  - success_rate: 0.85\n",
            "learned_from:\n  - tournament_runs: 15\n  - success_rate: 0.85\n",
            "learned_from: {runs: 15, success_rate: '85%'}\n",
            "performance: {runs: 3, successes: 4}\n",
            "performance: {runs: 10, successes: 6, failures: 5}\n",
            "performance: {runs: 3, success_rate: 0.5}\n",
        ],
    )
    def test_that_cannot_be_are_flagged(self, claim: str) -> None:
        report = check((GOOD + claim).encode())

        (problem,) = [p for p in report.problems if p.code == "claim-impossible"]
        assert problem.severity is Severity.WARNING
        assert problem.line >= 22
        assert report.ok

    @pytest.mark.parametrize(
        "claim",
        [
            "learned_from: [{runs: 15, success_rate: 0.87}]\n",
            "learned_from: [{runs: 15, success_rate: 0.86}]\n",
            "learned_from: [{runs: 20, success_rate: 0.85}]\n",
            "learned_from: [{runs: 3, success_rate: 0.333}]\n",
            "learned_from: [{runs: 1000, success_rate: 0.85}]\n",
            "learned_from: [{runs: 0, success_rate: 0}]\n",
            "learned_from: [{runs: 7, success_rate: 1.0}]\n",
            "learned_from: [{success_rate: 0.85}]\n",
            "learned_from: [a, b]\n",
            "performance: {runs: 10, successes: 6, failures: 4}\n",
        ],
    )
    def test_that_can_be_pass(self, claim: str) -> None:
        assert found(GOOD + claim) == []


class TestWarnings:
    @pytest.mark.parametrize(
        ("extra", "line"),
        [
            ("x: &a 1\n", 22),
            ("x: !!str 1\n", 22),
            ("x: " + "[" * 33 + "]" * 33 + "\n", 1),
        ],
    )
    def test_tell_what_cannot_be_federated(self, extra: str, line: int) -> None:
        report = check((GOOD + extra).encode())

        assert [(p.code, p.line) for p in report.problems] == [("not-federable", line)]
        assert report.ok

    def test_list_dependencies_that_nobody_has(self) -> None:
        text = GOOD + "dependencies: [core/known, core/gone]\n"

        problems = found(text, known={"core/known"})

        assert problems == [("opl.document.unresolved-dependency", 22, 28)]
        assert found(text) == []


class TestParameters:
    @pytest.mark.parametrize(
        ("schema", "pointer"),
        [
            ("{type: object, properties: {a: {$ref: 'https://x.example/s'}}}", "/parameters/properties/a/$ref"),
            ("{type: object, properties: {a: {type: strng}}}", "/parameters/properties/a/type"),
            ("{a: {pattern: '(a'}}", "/parameters/a/pattern"),
            ("{a: {pattern: '(?=a)b'}}", "/parameters/a/pattern"),
        ],
    )
    def test_of_a_stranger_are_held_to_a_safe_part_of_json_schema(self, schema: str, pointer: str) -> None:
        report = check((GOOD + f"parameters: {schema}\n").encode())

        problems = [p for p in report.problems if p.severity is Severity.ERROR]
        assert [(p.code, p.pointer, p.line) for p in problems] == [("opl.document.parameters", pointer, 22)]


class TestCapabilities:
    SPAWNING = GOOD.replace("  RETURN runners", '  EVENT agent:spawn {profile: "x"}\n  RETURN runners')

    def test_default_profile_only_warns(self) -> None:
        assert found(self.SPAWNING) == [("opl.document.capability", 21, 9)]
        assert check(self.SPAWNING.encode()).ok

    def test_a_declared_profile_refuses(self) -> None:
        report = check((self.SPAWNING + "security_profile: dsl_interpreter\n").encode())

        assert not report.ok

    @pytest.mark.parametrize(
        "declared", ["security_profile: orchestrator\n", "capabilities: [agent:spawn]\n", "capabilities: ['agent:*']\n"]
    )
    def test_are_granted_by_profile_or_by_name(self, declared: str) -> None:
        assert found(self.SPAWNING + declared) == []

    def test_events_that_nobody_handles_need_none(self) -> None:
        text = GOOD.replace("  RETURN runners", "  EVENT race:over {by: 1}\n  RETURN runners")

        assert found(text + "security_profile: reporter\n") == [("opl.document.capability", 19, 11)]

    def test_an_unknown_profile_is_told(self) -> None:
        problems = found(GOOD + "security_profile: all_powerful\n")

        assert ("opl.document.unknown-security-profile", 22, 19) in problems


class TestGuided:
    PROSE = """\
type: orchestration
name: lab
version: 1.0.0
orchestration_logic:
  strategy: |
    STATE papers = []
    WHEN papers arrive:
      ANALYZE each of them
"""

    def test_prose_is_no_error_and_the_place_is_told(self) -> None:
        report = check(self.PROSE.encode())

        assert report.ok
        assert report.mode is Mode.GUIDED
        (note,) = report.problems
        assert (note.code, note.line, note.severity) == ("opl.document.guided", 7, Severity.NOTE)

    def test_prose_in_a_condition_is_told(self) -> None:
        report = check(GOOD.replace("laps > 2", "everybody is tired").encode())

        (note,) = report.problems
        assert (note.code, note.line, report.ok) == ("opl.document.prose-condition", 7, True)

    def test_a_declared_script_must_compile(self) -> None:
        assert not check(GOOD.replace("RETURN runners", "WHEN all are done go home").encode()).ok

    def test_a_document_without_scripts_is_guided(self) -> None:
        report = check(b"type: orchestration_pattern\nname: plain\npattern: {description: words}\n")

        assert report.ok
        assert report.mode is Mode.GUIDED


class TestComponents:
    def test_compile_every_fence_at_its_place(self) -> None:
        text = (
            "---\ncomponent_type: behavior\nname: two\nversion: 1.0.0\n---\n# Two\n\n```\n## One: x\nSTATE a = 1\n"
            "RETURN a\n```\n\n```\n## Two: y\nRETURN (1 +\n```\n"
        )

        report = check(text.encode(), file="two.md")

        assert list(report.programs) == ["1"]
        assert report.program("one") is not None
        assert report.program("two") is None
        assert [p.line for p in report.problems if p.severity is Severity.ERROR] == [16]


class TestFlow:
    FLOW = """\
type: orchestration_pattern
name: ladder
pattern:
  orchestration_flow:
    init:
      description: how wide
      spawn: |
        width = min(4, players // 2)
    match:
      algorithm: |
        if spread < 0.2:
          use "swiss"
        else:
          use "robin"
"""

    def test_of_scripts_is_one_program(self) -> None:
        report = check(self.FLOW.encode())

        program = report.program()
        assert report.ok
        assert report.mode is Mode.EXECUTABLE
        assert program is report.programs["/pattern/orchestration_flow"]
        assert set(program["inputs"]) == {"players", "spread"}
        assert program["inputs"]["players"]["line"] == 8
        assert program["inputs"]["spread"]["line"] == 11

    def test_with_a_stage_in_prose_is_guided(self) -> None:
        text = self.FLOW + "    close:\n      steps: [thank everybody, go home]\n"

        report = check(text.encode())

        assert report.ok, report.problems
        assert report.mode is Mode.GUIDED
        assert report.program() is None


class TestBounds:
    def test_too_many_rules_for_too_many_scripts_are_refused_at_once(self) -> None:
        rules = "".join(f"  - {{condition: 'a < {n}', action: b}}\n" for n in range(400))
        scripts = "".join(f"  s{n}: RETURN {n}\n" for n in range(90))

        report = check(f"type: orchestration_pattern\nname: ab\nadaptive_rules:\n{rules}scripts:\n{scripts}".encode())

        assert [p.code for p in report.problems] == ["opl.document.too-many-scripts"]


class TestManual:
    def test_every_document_in_it_passes(self) -> None:
        manual = Path(__file__).parents[2] / "docs" / "documents.md"

        document, _ = read(manual.read_bytes(), file=manual.name)

        assert document is not None
        assert [each.name for each in document.embedded] == ["second_opinion", "strict_judge"]
        for each in document.embedded:
            report = check(each.text.encode())
            assert [str(p) for p in report.problems if p.severity is not Severity.NOTE] == []


class TestSeedsAndCorpus:
    def test_the_five_patterns_compile(self, shared: Path) -> None:
        report = check((shared / "seeds" / "dsl_orchestration_patterns.md").read_bytes(), known=())

        assert report.ok, report.problems
        assert sorted(report.programs) == ["1", "2", "3", "4", "5"]
        assert report.allowance is not None
        assert report.allowance.refused(report.events) == []
        assert sum(p.code == "opl.document.unresolved-dependency" for p in report.problems) == 4

    def test_no_composition_is_refused_but_the_broken_one(self, shared: Path) -> None:
        refused = {}
        for file in sorted((shared / "corpus" / "orchestrations").iterdir()):
            report = check(file.read_bytes(), file=file.name)
            if not report.ok:
                refused[file.name] = [str(p) for p in report.problems if p.severity is Severity.ERROR]

        assert list(refused) == ["prompt_dsl_hybrid_optimization@421dda3.yaml"], refused

    def test_the_known_impossible_claim_is_found(self, shared: Path) -> None:
        seed = (shared / "seeds" / "intelligent_orchestration_patterns.md").read_text()
        block = next(part for part in seed.split("```yaml\n") if part.startswith("type: orchestration_pattern"))

        report = check(block.split("```")[0].encode())

        assert report.ok, report.problems
        assert report.document is not None
        assert report.document.kind is Kind.PATTERN
        assert report.mode is Mode.EXECUTABLE
        program = report.program()
        assert program is not None
        assert set(program["inputs"]) == {"participant_count", "score_variance"}
        assert "claim-impossible" in [p.code for p in report.problems]


@given(st.binary(max_size=200))
def test_any_bytes_give_a_report(data: bytes) -> None:
    report = check(data)

    assert report.ok or any(p.severity is Severity.ERROR for p in report.problems)


@given(st.lists(st.sampled_from(GOOD.splitlines(keepends=True)), max_size=25))
def test_any_lines_of_a_document_give_a_report(lines: list[str]) -> None:
    report = check("".join(lines).encode(), file="x.yaml")

    assert report.ok or any(p.severity is Severity.ERROR for p in report.problems)
