"""``manage.py rehearse``: arguments, what is printed, exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "ask.opl"
    path.write_text(
        'STATE who = "anna"\nEVENT completion:async {agent_id: who, prompt: "Well?"} AS r\nRETURN r.output\n'
    )
    return path


def run(*arguments: object) -> tuple[int, str]:
    """Exit status and output."""
    out = StringIO()
    try:
        call_command("rehearse", *map(str, arguments), stdout=out)
    except SystemExit as left:
        return int(left.code or 0), out.getvalue()
    return 0, out.getvalue()


class TestRehearse:
    def test_prints_a_story(self, script: Path) -> None:
        status, text = run(script)

        assert status == 0
        assert "succeeded" in text
        assert "→ anna" in text

    def test_prints_one_object(self, script: Path, tmp_path: Path) -> None:
        agents = tmp_path / "agents.yaml"
        agents.write_text("agents: {boris: [{reply: fine, latency: 3}]}")

        status, text = run(script, "--json", "--agents", agents, "--inputs", '{"who": "boris"}')

        assert status == 0
        found = json.loads(text)
        assert (found["result"], found["elapsed"]) == ("fine", 3)

    def test_reads_inputs_from_a_file(self, script: Path, tmp_path: Path) -> None:
        (tmp_path / "in.json").write_text('{"who": "carla"}')

        _, text = run(script, "--json", "--inputs", f"@{tmp_path / 'in.json'}")

        assert json.loads(text)["events"][0]["data"]["agent_id"] == "carla"

    def test_leaves_with_1_for_a_failed_run(self, tmp_path: Path) -> None:
        path = tmp_path / "x.opl"
        path.write_text("RETURN 1 / 0")

        status, text = run(path)

        assert status == 1
        assert "^" in text

    @pytest.mark.parametrize(
        "arguments",
        [
            ["missing.opl"],
            ["{script}", "--inputs", "{"],
            ["{script}", "--inputs", "[]"],
            ["{script}", "--inputs", "@missing.json"],
            ["{script}", "--inputs", '{"whom": 1}'],
            ["{script}", "--agents", "missing.yaml"],
            ["{script}", "--agents", "{script}"],
            ["{script}", "--script", "2"],
        ],
    )
    def test_leaves_with_2_for_bad_arguments(self, script: Path, arguments: list[str]) -> None:
        status, text = run(*[each.replace("{script}", str(script)) for each in arguments], "--json")

        assert status == 2
        assert json.loads(text)["diagnostics"][0]["message"]

    def test_refuses_unknown_options(self, script: Path) -> None:
        with pytest.raises((CommandError, SystemExit, TypeError)):
            run(script, "--sed", "1")

    def test_needs_no_database_and_prints_the_same_bytes(self, script: Path) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), "rehearse", str(script), "--json", "--seed", "5"]
        environment = {"PATH": "/usr/bin", "DATABASE_URL": "sqlite:////nowhere/at/all.sqlite3", "LC_ALL": "C"}

        one, other = (subprocess.run(command, capture_output=True, env=environment, cwd=ROOT) for _ in "ab")

        assert one.returncode == 0, one.stderr
        assert one.stdout == other.stdout
        assert json.loads(one.stdout)["status"] == "succeeded"

    def test_leaves_with_2_for_options_it_does_not_know(self, script: Path) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), "rehearse", str(script), "--sed", "1"]

        done = subprocess.run(command, capture_output=True, cwd=ROOT)

        assert done.returncode == 2
