"""Judgement becomes a pattern: a guided control, the script that was distilled from it, and the verdict between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from execution.agents import roster
from execution.models import Effect, Run, Trial
from execution.services import distilling, promoting, starting
from execution.shadow.recheck import recheck
from execution.worker import run_until_idle
from registry.models import AuditEntry, Channel, Decision, Outcome, Pattern, PatternVersion, User
from registry.services import channels
from tests.execution import messages_api
from tests.execution.api.test_runs import client_of
from tests.execution.factories import make_user
from tests.execution.management.test_verify import run as command
from tests.execution.messages_api import Provider, use
from tests.execution.services.test_guiding import PROSE, publish
from tests.execution.trials import carry_out

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.execution.urls")]

TURNS = (
    [use("spawn_agent", profile="reader", purpose="to read")],
    [use("delegate_subtask", agent_id="reader", task="Read it")],
    # Both would reach beyond the run, were it no arm of a trial.
    [use("record_decision", decision="go_deeper", outcome="good")],
    [use("adapt_pattern", pattern="", context={"for": "school"}, inputs={"depth": 2})],
    '{"agreed": true}',
)


class Stage:
    """A guided pattern with a run that went well, and the script made of it."""

    def __init__(self) -> None:
        self.user: User = make_user("ada")
        self.guided = publish(PROSE, self.user)
        adapt = {"type": "tool_use", "name": "adapt_pattern", "input": {**TURNS[3][0]["input"]}}  # type: ignore[index]
        adapt["input"]["pattern"] = str(self.guided.pattern)
        messages_api.provider = Provider(*TURNS[:3], '{"agreed": true}', others='{"agreed": true}')
        first = starting.start(
            version=self.guided, user=self.user, now=timezone.now(), backend="claude-test", policy={"publish": False}
        )
        run_until_idle()
        made = distilling.distil(runs=[Run.objects.get(pk=first.pk)], user=self.user, now=timezone.now())
        assert made.version is not None
        self.script: PatternVersion = made.version
        roster.forget()  # a backend holds on to its provider
        messages_api.provider = Provider(*TURNS[:3], [adapt], '{"agreed": true}', others='{"agreed": true}')
        channels.move(
            pattern=self.guided.pattern, name="stable", version=self.guided, user=self.user, via="t", now=timezone.now()
        )

    @property
    def world(self) -> dict[str, Any]:
        """All that an arm must leave as it is."""
        return {
            "patterns": sorted(Pattern.objects.values_list("name", flat=True)),
            "versions": PatternVersion.objects.count(),
            "decisions": Decision.objects.count(),
            "outcomes": Outcome.objects.count(),
            "channel": Channel.objects.get(pattern=self.guided.pattern, name="stable").version_id,
            "audit": AuditEntry.objects.exclude(action__startswith="trial.").count(),
        }


@pytest.fixture
def stage(settings: Any) -> Iterator[Stage]:
    settings.AGENT_BACKENDS = messages_api.ALIAS
    yield Stage()
    messages_api.provider = None


def tasks(count: int) -> list[dict[str, Any]]:
    return [{"task": f"read chapter {n}", "context": {"n": n}} for n in range(count)]


class TestDistilledScript:
    def test_takes_the_guided_one_s_place_because_it_is_as_good_and_cheaper(self, stage: Stage) -> None:
        api = client_of(stage.user, "verify")
        before = stage.world
        body = {
            "candidate": str(stage.script),
            "control": str(stage.guided),
            "backend": "claude-test",
            "profile": "quick",
            "inputs": tasks(40),
        }
        answer = api.post("/api/v1/trials", body, format="json")
        assert answer.status_code == 201, answer.json()

        trial = carry_out(Trial.objects.get(pk=answer.json()["id"]))

        assert trial.outcome == "promote", trial.sentence
        pair = trial.pairs.get(position=1)
        assert pair.control["success"] == pair.candidate["success"] == 1.0
        assert pair.contrasts["tokens"] > 0.2 and pair.contrasts["cost"] > 0.2
        assert recheck(bytes(trial.report.data)).pairs == trial.settled
        assert stage.world == before
        promoting.adopt(trial=trial, user=stage.user, now=timezone.now())
        assert stage.world["channel"] == stage.script.pk

    def test_is_told_the_answers_of_its_own_writes_only(self, stage: Stage) -> None:
        api = client_of(stage.user, "verify")
        before = stage.world
        body = {
            "candidate": str(stage.guided),
            "control": str(stage.guided),
            "backend": "claude-test",
            "profile": "quick",
            "inputs": tasks(2),
        }
        trial = carry_out(Trial.objects.get(pk=api.post("/api/v1/trials", body, format="json").json()["id"]))

        assert trial.settled == 2
        answers = [one.answer_value() for one in Effect.objects.filter(handler="hub", run__queue="trials")]
        # The orchestrator is told that its adaptation was published; nobody else ever sees it.
        assert len(answers) == 4 and all(answer["version"] for answer in answers)
        assert stage.world == before

    def test_is_tried_by_command_too(self, stage: Stage, tmp_path: Any) -> None:
        stage.user.is_superuser = True
        stage.user.save()
        inputs = tmp_path / "tasks.json"
        inputs.write_text(json.dumps(tasks(3)), "utf-8")
        words = ("verify", str(stage.script), "--against", str(stage.guided), "--inputs", str(inputs))

        code, out, err = command(*words, "--backend", "claude-test", "--profile", "quick", "--json")

        body = json.loads(out)
        assert (code, body["status"], body["pairs"]["settled"]) == (0, "decided", 3), err
        assert body["wins"] == body["losses"] == 0
