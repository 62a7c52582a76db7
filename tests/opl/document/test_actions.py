"""What no script shows is told where it stands: actions and parameters, in documents with a script and without."""

from __future__ import annotations

from pathlib import Path

from opl.check import check
from opl.document.actions import GUIDED_NAMES
from opl.document.model import Mode
from opl.errors import Severity
from opl.script.parser import parse
from opl.script.resolver import resolve

GUIDED = """\
type: orchestration_pattern
name: circle
version: 1.0.0
description: Readers discuss a text.
parameters:
  type: object
  properties:
    depth: {type: integer, default: 1}
pattern:
  strategy: |
    WHEN a text arrives: ask two readers and compare what they say.
  adaptive_rules:
    - {condition: "agreement < 0.5", action: deeper, rationale: they differ}
  actions:
    deeper: {set: {depth: "depth + 1"}}
"""


def found(text: str) -> list[tuple[str, int, int, Severity]]:
    """Code, place and weight of all that is worse than a note."""
    report = check(text.encode())
    assert report.mode is Mode.GUIDED
    return [(p.code, p.line, p.column, p.severity) for p in report.problems if p.severity is not Severity.NOTE]


class TestActions:
    def test_that_are_right_are_no_problem(self) -> None:
        assert found(GUIDED) == []

    def test_that_do_not_compile_refuse_a_guided_document(self) -> None:
        ((code, line, column, severity),) = found(GUIDED.replace("depth + 1", "depth +"))

        assert (line, severity) == (15, Severity.ERROR) and code.startswith("opl.syntax.")
        assert 28 <= column <= 36

    def test_that_set_no_expression_refuse_it(self) -> None:
        assert found(GUIDED.replace('"depth + 1"', "[1]")) == [("opl.script.rule-action", 15, 27, Severity.ERROR)]

    def test_that_set_no_variable_refuse_it(self) -> None:
        text = GUIDED.replace('{depth: "depth + 1"}', '{"de pth": "1"}')

        assert found(text) == [("opl.script.rule-action", 15, 30, Severity.ERROR)]

    def test_are_told_once_of_a_document_with_a_script(self) -> None:
        text = GUIDED.replace("depth + 1", "depth +") + "dsl: |\n  RETURN depth\n"

        problems = [p for p in check(text.encode()).problems if p.severity is Severity.ERROR]

        assert [p.line for p in problems] == [15]


class TestParameters:
    def test_with_a_default_that_does_not_fit_warn(self) -> None:
        text = GUIDED.replace("default: 1", "default: one")

        assert found(text) == [("opl.document.parameter", 8, 37, Severity.WARNING)]

    def test_that_guided_mode_uses_itself_warn(self) -> None:
        text = GUIDED.replace("    depth: {type", "    turn: {type").replace('{depth: "depth', '{outcome: "1')

        assert ("opl.document.parameter", 8, 5, Severity.WARNING) in found(text)

    def test_that_a_run_is_started_with_anyway_do_not(self) -> None:
        assert found(GUIDED.replace("    depth: {type: integer, default: 1}", "    task: {type: string}")) == []

    def test_without_a_usable_name_warn(self) -> None:
        text = GUIDED.replace("    depth: {type", "    max-depth: {type")

        assert ("opl.document.parameter", 8, 5, Severity.WARNING) in found(text)

    def test_know_every_name_of_the_guided_program(self) -> None:
        program = Path(__file__).resolve().parents[3] / "execution" / "guided.opl"

        assert resolve(parse(program.read_text(encoding="utf-8")).body).bound == GUIDED_NAMES
