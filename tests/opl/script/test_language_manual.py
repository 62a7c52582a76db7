"""The manual of the language tells the truth."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from opl.document.markdown import fences
from opl.script.builtins.__main__ import table
from opl.script.rehearse import read_agents, rehearse

MANUAL = Path(__file__).resolve().parents[3] / "docs" / "language.md"
TEXT = MANUAL.read_text(encoding="utf-8")
EXAMPLES = [fence for fence in fences(TEXT) if fence.language == "opl"]


class TestManual:
    @pytest.mark.parametrize("fence", EXAMPLES, ids=lambda fence: f"line {fence.first_line}")
    def test_its_examples_can_be_rehearsed(self, fence) -> None:  # type: ignore[no-untyped-def]
        outcome = rehearse(fence.text.encode(), file="example.opl")

        assert not [str(problem) for problem in outcome.problems if problem.severity != "note"]
        assert outcome.to_json()["error"] is None
        assert outcome.exit_status == 0
        assert outcome.to_json()["result"] is not None

    def test_has_examples(self) -> None:
        assert len(EXAMPLES) >= 10

    def test_its_agents_file_can_be_read(self) -> None:
        (example,) = [fence for fence in fences(TEXT) if fence.language == "yaml"]

        script, problems = read_agents(example.text.encode())

        assert script is not None, problems

    def test_lists_the_builtins_as_they_are(self) -> None:
        printed = re.search(r"<!-- builtins: .*? -->\n(.*)<!-- end of builtins -->", TEXT, re.DOTALL)

        assert printed is not None
        assert printed[1].strip() == table().strip(), "run python -m opl.script.builtins --write docs/language.md"

    def test_its_links_lead_somewhere(self) -> None:
        titles = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
        known = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}

        assert set(re.findall(r"\]\(#([^)]*)\)", TEXT)) <= known
