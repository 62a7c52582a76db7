"""A pattern document begun around a script."""

from __future__ import annotations

from pathlib import Path

import pytest

from opl.check import check
from opl.scaffold import scaffold

SCRIPT = """\
## Relay: Pass It On
STATE runners = ["ann", "bob"]
FOREACH runner IN runners:
  EVENT agent:spawn {profile: runner, prompt: task} AS hand
RETURN runners
"""


class TestScaffold:
    def test_fills_in_what_the_script_shows(self) -> None:
        report = check(scaffold(SCRIPT, author="ada").encode())

        assert report.ok, report.problems
        assert report.document is not None
        assert report.document.name == "relay"
        assert report.document.description == "Relay: Pass It On"
        assert {item.name: item.required for item in report.document.inputs} == {"runners": False, "task": True}
        assert report.document.capabilities == ("agent:spawn",)
        assert report.document.scripts[0].text == SCRIPT

    def test_takes_the_name_it_is_given(self) -> None:
        assert "\nname: other_name\n" in scaffold("RETURN 1", name="other_name")

    def test_names_a_script_without_a_title(self) -> None:
        assert check(scaffold("RETURN 1\r\n").encode()).ok

    def test_keeps_a_script_that_does_not_compile(self) -> None:
        report = check(scaffold("RETURN (1 +").encode())

        assert [problem.pointer for problem in report.problems if problem.code.startswith("opl.syntax")] == ["/dsl"]

    @pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
    def test_makes_a_document_of_each_known_pattern(self, shared: Path, number: int) -> None:
        seed = check((shared / "seeds" / "dsl_orchestration_patterns.md").read_bytes())
        assert seed.document is not None

        report = check(scaffold(seed.document.patterns[number - 1].text).encode())

        assert report.ok, report.problems
