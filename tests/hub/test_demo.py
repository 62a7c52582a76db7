"""The parts of the demo: its patterns are sound, its hands tell errors from answers, a failed step is an exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from hub.management import demo_nodes
from hub.management.commands import demo
from hub.management.demo_nodes import DemoNode, StepFailed, done
from opl.check import check


class TestItsPattern:
    def test_has_no_problems(self) -> None:
        assert not [problem for problem in check(demo.PATTERN.encode()).problems if problem.severity == "error"]

    def test_holds_what_the_steps_replace(self) -> None:
        """Else a second version or a fork would be the first one again, under another number."""
        for found in ("version: 1.0.0", "a chair decides", "name: harbour_review", '["captain", "bookkeeper"]'):
            assert demo.PATTERN.count(found) == 1, found


@pytest.mark.django_db
class TestItsHands:
    def test_give_what_a_command_prints(self) -> None:
        from django.utils import timezone

        from federation.services import identities

        node = identities.create_node(now=timezone.now())

        assert done(["node"])["answer"]["node_id"] == node.node_id

    def test_give_the_error_of_a_command_that_refuses(self) -> None:
        from django.utils import timezone

        from federation.services import identities

        identities.create_node(now=timezone.now())

        assert "nobody" in done(["pull", "nobody/ada/vote"])["error"]

    def test_give_the_error_of_a_command_line_that_is_wrong(self) -> None:
        assert done(["node", "dance"])["error"]

    def test_answer_each_line_with_one_line(self, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        monkeypatch.setattr(sys, "stdin", [json.dumps(["node", "dance"]) + "\n"] * 2)

        demo_nodes.be_hands()

        assert len(capsys.readouterr().out.strip().splitlines()) == 2


@pytest.fixture
def node(tmp_path: Path) -> Any:
    made = DemoNode("ada", tmp_path)
    yield made
    made.stop()


class TestANode:
    def test_keeps_nothing_of_the_settings_around_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("DATABASE_URL", "ANTHROPIC_API_KEY", "CELERY_BROKER_URL", "HUB_SECRET_KEY"):
            monkeypatch.setenv(name, "of the house")

        made = DemoNode("ada", tmp_path)
        made.client.close()

        assert "of the house" not in made.environment.values()
        assert made.environment["HUB_DATA"] == str(tmp_path)

    def test_whose_hands_are_gone_fails_the_step(self, node: DemoNode) -> None:
        node.hands = subprocess.Popen(
            [sys.executable, "-c", ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        node.hands.wait()

        with pytest.raises(StepFailed, match=r"manage\.py peer list on ada"):
            node.command("peer", "list")

    def test_that_does_not_answer_fails_the_step(self, node: DemoNode) -> None:
        (node.folder / "serve.log").write_text("the port is taken")

        with pytest.raises(StepFailed, match="the port is taken"):
            node.ask("GET", "/patterns")

    def test_that_ends_while_it_starts_fails_the_step(self, node: DemoNode) -> None:
        (node.folder / "serve.log").write_text("no space left")
        node.server = subprocess.Popen([sys.executable, "-c", ""])
        node.server.wait()

        with pytest.raises(StepFailed, match="no space left"):
            node.wait_until_up()


class Bob:
    """A node whose quarantine says what a test wants, one state after the other."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)

    def command(self, *arguments: str) -> Any:
        if arguments[0] == "node":
            return {}
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        pairs = {"settled": 3, "planned": 20}
        return {"item": {"state": state, "reason": "because", "pairs": pairs, "admitted_as": "ada-at-ada/x@1.0.0"}}


class TestTheTrial:
    @pytest.fixture
    def command(self, monkeypatch: pytest.MonkeyPatch) -> demo.Command:
        monkeypatch.setattr(demo, "POLL_SECONDS", 0)
        made = demo.Command()
        made.started = 0.0
        return made

    def test_is_waited_for(self, command: demo.Command) -> None:
        bob = Bob("trial_queued", "trial_queued", "trial_queued", "admitted")

        assert command.pull_and_try(bob, "harbour_review") == "ada-at-ada/x"  # type: ignore[arg-type]

    @pytest.mark.parametrize("end", ["inconclusive", "trial_failed", "held", "rejected"])
    def test_that_does_not_admit_fails_the_demo(self, command: demo.Command, end: str) -> None:
        with pytest.raises(StepFailed, match=end):
            command.pull_and_try(Bob("trial_queued", end), "harbour_review")  # type: ignore[arg-type]

    def test_that_never_ends_fails_the_demo(self, command: demo.Command, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(demo, "PATIENCE_SECONDS", 0.05)

        with pytest.raises(StepFailed, match="did not end"):
            command.pull_and_try(Bob("trial_queued"), "harbour_review")  # type: ignore[arg-type]


class TestAFailedStep:
    def test_is_an_error_of_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Which `manage.py` turns into exit code 1; the folder is gone all the same."""
        folders: list[Path] = []

        def fail(self: demo.Command, folder: Path, stack: Any) -> None:
            folders.append(folder)
            raise StepFailed("bob is ill")

        monkeypatch.setattr(demo.Command, "journey", fail)

        with pytest.raises(StepFailed) as failed:
            call_command("demo")

        assert failed.value.returncode == 1
        assert not folders[0].exists()
