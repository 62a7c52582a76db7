"""``manage.py check_pattern``: what it prints and how it exits."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.core.management import call_command

GOOD = "type: orchestration_pattern\nname: relay\nversion: 1.0.0\ndsl: |\n  RETURN 1\n"
BAD = GOOD.replace("RETURN 1", "RETURN (1 +")


def run(*args: str) -> tuple[int, str, str]:
    """Exit status, output and errors of the command."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("check_pattern", *args, stdout=out, stderr=err)
    except SystemExit as exit_:
        return int(exit_.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


@pytest.fixture
def good(tmp_path: Path) -> str:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return str(path)


@pytest.fixture
def bad(tmp_path: Path) -> str:
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    return str(path)


class TestCheckPattern:
    def test_says_what_a_good_file_is(self, good: str) -> None:
        status, out, _ = run(good)

        assert status == 0
        assert out == f"{good}: ok: relay 1.0.0, opl pattern, executable; no problems\n"

    def test_shows_each_problem_with_its_line_and_a_caret(self, good: str, bad: str) -> None:
        status, out, _ = run(good, bad)

        assert status == 1
        assert f"{bad}:5:" in out
        assert "      RETURN (1 +\n" in out
        assert "^" in out
        assert f"{bad}: refused: relay 1.0.0" in out

    def test_prints_json(self, good: str, bad: str) -> None:
        status, out, _ = run("--json", good, bad)

        told = json.loads(out)
        assert status == 1
        assert told["ok"] is False
        assert [(file["file"], file["ok"]) for file in told["files"]] == [(good, True), (bad, False)]
        assert {problem["line"] for problem in told["files"][1]["problems"]} == {5}

    def test_names_a_file_that_is_not_there(self, good: str) -> None:
        status, _, err = run(good, "/no/such.yaml")

        assert status == 2
        assert "/no/such.yaml" in err

    def test_quiet_shows_errors_only(self, good: str) -> None:
        assert run("--quiet", good) == (0, "", "")
