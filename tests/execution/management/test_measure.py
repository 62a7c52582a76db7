"""What a run takes: measured, printed, filled in."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from registry.models import PatternVersion, User
from tests.execution.factories import make_version

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = """
STATE rounds = 2
LOOP n FROM 1 TO rounds:
  EVENT completion:async {agent_id: "solo", prompt: "Task {{n}}"} AS r
RETURN {good: r.success}
"""


@pytest.fixture
def version() -> PatternVersion:
    User.objects.create_superuser("root", password="x")
    return make_version(SCRIPT, success_when="good", score="good ? 1 : 0")


def run(*words: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of a command."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("measure", *words, stdout=out, stderr=err)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


class TestMeasure:
    def test_tells_what_its_runs_took(self, version: PatternVersion) -> None:
        code, out, _ = run(str(version.pattern), "--runs", "3", "--json")

        (seen,) = json.loads(out)["seen"]
        assert code == 0
        assert (seen["completions"], seen["runs"], seen["agents"]) == (2.0, 3, "simulated")
        assert seen["tokens"] > 0 and seen["succeeded"] == 1.0 and seen["score"] == 1.0

    def test_says_the_same_a_second_time(self, version: PatternVersion) -> None:
        words = (str(version.pattern), "--runs", "2", "--json")

        assert run(*words) == run(*words)

    def test_measures_all_patterns_of_an_owner(self, version: PatternVersion) -> None:
        seen = json.loads(run(version.pattern.owner.name, "--runs", "1", "--json")[1])["seen"]

        assert [one["pattern"] for one in seen] == [str(version.pattern)]

    def test_fills_in_the_document_and_keeps_its_formula(self, version: PatternVersion, tmp_path: Path) -> None:
        file = tmp_path / f"{version.pattern.name}.yaml"
        file.write_text('name: x\ncost_seen: {formula: "rounds, at most"}\ndsl: |\n  WAIT 1\n', "utf-8")
        words = (str(version.pattern), "--runs", "2", "--write", str(tmp_path))

        first, second = run(*words), run(*words)

        assert f"wrote {file}" in first[1] and "wrote" not in second[1]
        line = file.read_text("utf-8").splitlines()[1]
        assert line.startswith("cost_seen: {completions: 2, tokens: ")
        assert line.endswith(', runs: 2, agents: simulated, formula: "rounds, at most"}')

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (("nobody",), "nobody has no patterns"),
            (("no/such",), "no/such"),
            (("PATTERN", "--runs", "0"), "at least one run"),
            (("PATTERN", "--backend", "martians"), "martians"),
            (("PATTERN", "--runs", "1", "--write", "nowhere"), "nowhere"),
        ],
    )
    def test_says_what_is_wrong(self, version: PatternVersion, words: tuple[str, ...], told: str) -> None:
        code, _, err = run(*(str(version.pattern) if word == "PATTERN" else word for word in words))

        assert code == 1 and told in err

    def test_needs_a_line_to_fill_in(self, version: PatternVersion, tmp_path: Path) -> None:
        (tmp_path / f"{version.pattern.name}.yaml").write_text("name: x\n", "utf-8")

        code, _, err = run(str(version.pattern), "--runs", "1", "--write", str(tmp_path))

        assert code == 1 and "cost_seen" in err

    def test_counts_a_pattern_that_never_succeeds_as_not_ok(self, version: PatternVersion) -> None:
        hopeless: Any = make_version(SCRIPT, success_when="1 == 2")

        body = json.loads(run(str(hopeless.pattern), "--runs", "1", "--json")[1])

        assert body["ok"] is False and body["seen"][0]["succeeded"] == 0
