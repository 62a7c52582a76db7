"""A run from the command line, and how a script that called it learns how it went."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.execution.factories import make_user, make_version

pytestmark = pytest.mark.django_db(transaction=True)


def run(script: str, *more: str, **fields: str) -> tuple[int, str, str]:
    """The exit status, and what was written to stdout and stderr."""
    version = make_version(script, owner=make_user("ada").own_owner, name="vote", **fields)
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("run", str(version.pattern), "--backend", "simulated", *more, stdout=out, stderr=err)
    except SystemExit as left:
        return int(left.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


class TestExitStatus:
    def test_is_0_for_a_run_that_succeeded(self) -> None:
        status, out, err = run("RETURN 7")

        assert (status, err) == (0, "")
        assert "Result: 7" in out

    def test_is_1_for_a_run_that_failed_and_the_reason_is_on_stderr(self) -> None:
        status, out, err = run("STATE n = 0\nRETURN 1 / n")

        assert status == 1
        assert "failed: division by zero" in err and "line 2" in err
        assert "failed" in out

    def test_is_1_for_a_run_that_ended_and_did_not_succeed(self) -> None:
        status, _, err = run("RETURN {ok: false}", success_when="ok")

        assert status == 1
        assert "success_when is false: ok" in err

    def test_is_1_with_json_too_and_stdout_is_one_object(self) -> None:
        status, out, err = run("STATE n = 0\nRETURN 1 / n", "--json")

        assert (status, json.loads(out)["status"]) == (1, "failed")
        assert "division by zero" in err

    def test_is_0_for_a_run_that_waits_for_a_person(self) -> None:
        status, out, err = run('EVENT human:ask {question: "Go on?"} AS said\nRETURN said')

        assert (status, err) == (0, "")
        assert "waiting" in out and "steer" in out

    def test_is_0_for_a_run_that_is_left_to_a_worker(self) -> None:
        status, out, _ = run("STATE n = 0\nRETURN 1 / n", "--start-only")

        assert status == 0 and "queued" in out

    @pytest.mark.parametrize("more", [["--inputs", "[1]"], ["--inputs", "@/nowhere"], ["--user", "nobody"]])
    def test_is_2_for_arguments_that_are_none(self, more: list[str]) -> None:
        with pytest.raises(CommandError) as refused:
            run("RETURN 7", *more)

        assert refused.value.returncode == 2

    def test_is_1_for_what_cannot_be_started(self) -> None:
        with pytest.raises(CommandError) as refused:
            call_command("run", "ada/nothing")

        assert refused.value.returncode == 1


class TestDistill:
    def test_says_where_it_cannot_write(self, tmp_path: Path) -> None:
        """A folder that is not there is no traceback."""
        from execution.management.commands.distill import Command

        class Made:
            source, version = b"x", "ada/vote@1.1.0"

        with pytest.raises(CommandError, match=r"No such file.*ada/vote@1.1.0 is published all the same"):
            Command().write(Made(), str(tmp_path / "nowhere" / "x.yaml"))  # type: ignore[arg-type]
