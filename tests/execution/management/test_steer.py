"""Runs steered from the command line: the same services that pages and the API call."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from execution.models import Run
from execution.worker import run_until_idle
from tests.execution.factories import make_run

pytestmark = pytest.mark.django_db(transaction=True)

ASK = (
    'STATE rounds = 1\nEVENT human:ask {question: "Go on?", choices: ["yes", "no"]} AS choice\nRETURN [choice, rounds]'
)


def steer(run: Run, action: str, *more: str, **options: Any) -> dict[str, Any]:
    out = io.StringIO()
    call_command("steer", str(run.pk), action, *more, "--json", stdout=out, **options)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


@pytest.fixture
def asking() -> Run:
    run = make_run(ASK, now=timezone.now())
    run_until_idle()
    return run


class TestSteer:
    def test_answers_the_only_open_question(self, asking: Run) -> None:
        assert steer(asking, "show")["status"] == "waiting"
        assert steer(asking, "answer", "yes")["result"] == ["yes", 1]

    def test_refuses_what_is_no_choice_and_what_nobody_asked(self, asking: Run) -> None:
        with pytest.raises(CommandError, match="one of: yes, no"):
            steer(asking, "answer", "maybe")
        steer(asking, "answer", "no")
        with pytest.raises(CommandError, match="asks nobody"):
            steer(asking, "answer", "no")

    def test_pauses_resumes_and_cancels(self, asking: Run) -> None:
        assert steer(asking, "pause")["status"] == "paused"
        with pytest.raises(CommandError):
            steer(asking, "pause")
        steer(asking, "resume")
        assert steer(asking, "cancel", "--reason", "enough")["status"] == "cancelled"
        with pytest.raises(CommandError):
            steer(asking, "cancel")

    def test_branches_with_other_inputs(self, asking: Run) -> None:
        made = steer(asking, "branch", "--inputs", '{"rounds": 5}')
        run_until_idle()

        again = Run.objects.get(pk=made["id"])
        assert again.forked_from_id == asking.pk
        assert steer(again, "answer", '"yes"')["result"] == ["yes", 5]

    def test_goes_back_and_leaves_the_run_itself_cancelled(self, asking: Run) -> None:
        made = steer(asking, "rollback", "--tick", "1")

        assert made["id"] != asking.pk and Run.objects.get(pk=asking.pk).status == "cancelled"
        with pytest.raises(CommandError, match="--tick"):
            steer(asking, "rollback")

    def test_tries_again(self) -> None:
        run = make_run("RETURN 1 / 0", now=timezone.now())
        run_until_idle()

        assert steer(run, "retry")["id"] != run.pk

    def test_marks_a_place(self, asking: Run) -> None:
        steer(asking, "checkpoint", "--label", "here")

        assert asking.checkpoints.get().label == "here"

    def test_says_what_it_asks_in_words(self, asking: Run, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("steer", str(asking.pk), "show")

        assert "It asks (--seq 1): Go on? (yes, no)" in capsys.readouterr().out

    def test_knows_no_other_run(self) -> None:
        with pytest.raises(CommandError, match="there is no run 999"):
            call_command("steer", "999", "show")
