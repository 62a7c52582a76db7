"""
A run that would exceed its token budget is refused before the request is sent, with everything kept.

Seen from outside: a person starts runs through the API or a command, Claude is
asked over the real SDK, and what counts is which requests reached the provider.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from execution.agents.base import Request, Reservation
from execution.agents.claude import ClaudeBackend
from execution.models import Run
from execution.worker import run_until_idle
from tests.execution import messages_api
from tests.execution.api.test_runs import client_of
from tests.execution.factories import Clock, make_user, make_version
from tests.execution.messages_api import Provider, use
from tests.execution.services.test_guiding import PROSE, publish

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.execution.urls")]

TWO = """
STATE kept = []
FOREACH n IN [1, 2]:
  EVENT state:entity:create {type: "note", id: "n{{n}}", properties: {}}
  EVENT completion:async {agent_id: "writer", prompt: "Part {{n}}"} AS part
  APPEND kept part.output
RETURN kept
"""
PARENT = """
EVENT orchestration:start {pattern: "two"} AS child
RETURN {code: child.error.code, status: child.status, success: child.success}
"""


class Hub:
    """A person with a token, patterns, and a provider at the other end of ``claude-test``."""

    def __init__(self, reserved: list[int]) -> None:
        self.reserved = reserved  # tokens held back for each request, in order
        self.user = make_user()
        self.client: APIClient = client_of(self.user)
        make_version(TWO, owner=self.user.own_owner, name="two")
        make_version(PARENT, owner=self.user.own_owner, name="parent")
        self.provider = messages_api.provider = Provider("done", others="said")

    def for_one(self, name: str = "two") -> int:
        """A budget that the first request of a pattern fits into, and the second does not: found by a rehearsal of it."""
        self.reserved.clear()
        assert self.start(name, tokens=10**7)["status"] == "succeeded"
        self.provider.sent.clear()
        return self.reserved[0] + 5

    def work(self) -> None:
        """Carry out whatever there is, for some minutes of a clock of its own."""
        clock = Clock(timezone.now())
        for _ in range(6):
            run_until_idle(clock=clock)
            clock.forward(1)

    def start(self, name: str, tokens: int, **body: Any) -> dict[str, Any]:
        """Start a run through the API, carry it out, and read it there."""
        policy = {"limits": {"tokens": tokens}}
        given = {"pattern": f"{self.user.username}/{name}", "backend": "claude-test", "policy": policy, **body}
        made = self.client.post("/api/v1/runs", given, format="json")
        assert made.status_code == 201, made.json()
        self.work()
        found: dict[str, Any] = self.client.get(made.headers["Location"]).json()
        return found


@pytest.fixture
def hub(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    settings.AGENT_BACKENDS = messages_api.ALIAS
    reserved: list[int] = []
    reserve = ClaudeBackend.reserve

    def noted(backend: ClaudeBackend, request: Request) -> Reservation:
        found = reserve(backend, request)
        reserved.append(found.tokens)
        return found

    monkeypatch.setattr(ClaudeBackend, "reserve", noted)
    yield Hub(reserved)
    messages_api.provider = None


class TestOverTheApi:
    def test_nothing_is_sent_where_nothing_fits(self, hub: Hub) -> None:
        found = hub.start("two", tokens=50)

        assert found["status"] == "failed" and found["error"]["code"] == "opl.limit.tokens"
        assert hub.provider.sent == [] and found["tokens"] == 0
        said, line = found["error"]["message"], found["error"]["line"]
        assert said.startswith("the budget of 50 tokens of this run has 50 left, and the next request (event 2)")
        assert f"may take {hub.reserved[0]:,}" in said and "was not sent" in said
        assert (
            line
            == TWO.splitlines().index('  EVENT completion:async {agent_id: "writer", prompt: "Part {{n}}"} AS part') + 1
        )

    def test_the_request_that_would_exceed_is_not_sent_and_the_rest_is_kept(self, hub: Hub) -> None:
        limit = hub.for_one()
        found = hub.start("two", tokens=limit)

        assert found["status"] == "failed" and found["error"]["code"] == "opl.limit.tokens"
        assert f"{limit:,} tokens" in found["error"]["message"]
        assert len(hub.provider.sent) == 1 and 0 < found["tokens"] <= limit
        events = hub.client.get(f"/api/v1/runs/{found['id']}/events").json()["results"]
        names = [event["name"] for event in events]
        assert names.count("state:entity:create") == 2 and names.count("completion:async") == 2
        run = Run.objects.get(pk=found["id"])
        assert run.effects.get(status="done").answer_value()["output"] == "said" and run.tokens_reserved == 0

    def test_a_branch_with_a_larger_budget_pays_nothing_again(self, hub: Hub) -> None:
        found = hub.start("two", tokens=hub.for_one())
        body = {"tick": 1, "policy": {"limits": {"tokens": 10**7}}}

        made = hub.client.post(f"/api/v1/runs/{found['id']}/branch", body, format="json")

        assert made.status_code == 201, made.json()
        hub.work()
        again = hub.client.get(made.headers["Location"]).json()
        assert again["status"] == "succeeded" and again["result"] == ["said", "said"]
        assert len(hub.provider.sent) == 2  # one before, one now

    def test_guided_turns_are_refused_alike(self, hub: Hub) -> None:
        publish(PROSE, hub.user)
        hub.provider.turns = ([use("list_agents")], [use("list_agents")], "done")
        limit = hub.for_one("reading_circle")

        found = hub.start("reading_circle", tokens=limit)

        assert found["status"] == "failed" and found["error"]["code"] == "opl.limit.tokens"
        assert hub.provider.turns_sent == [1] and 0 < found["tokens"] <= limit
        names = [e["name"] for e in hub.client.get(f"/api/v1/runs/{found['id']}/events").json()["results"]]
        assert "primitive:call" in names  # what the first turn asked for was done, and stands in the journal

    def test_child_runs_are_held_to_the_budget_of_their_parent(self, hub: Hub) -> None:
        limit = hub.for_one()
        found = hub.start("parent", tokens=limit)

        assert len(hub.provider.sent) == 1 and found["tokens"] <= limit
        assert found["status"] in ("succeeded", "failed")
        child = Run.objects.get(parent_id=found["id"])
        assert child.status == "failed" and child.error["code"] == "opl.limit.tokens"
        assert f"of run {found['id']} above it" in child.error["message"]
        assert child.effects.filter(status="done").count() == 1


class TestOnTheCommandLine:
    def test_says_what_was_kept_and_sends_nothing(self, hub: Hub) -> None:
        out = io.StringIO()
        reference = f"{hub.user.username}/two"

        with pytest.raises(SystemExit) as ended:
            call_command(
                "run", reference, "--user", hub.user.username, "--backend", "claude-test",
                "--limits", '{"tokens": 50}', "--json", stdout=out, stderr=io.StringIO(),
            )  # fmt: skip

        assert ended.value.code == 1
        found = json.loads(out.getvalue())
        assert found["status"] == "failed" and found["error"]["code"] == "opl.limit.tokens"
        assert hub.provider.sent == []
        assert Run.objects.get(pk=found["id"]).events_count > 0
