"""Message batches over the real SDK: submitting, reading, and finding again what a crash left in doubt."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from execution.agents.base import Answer, Request
from execution.agents.batches import BatchLane, custom_id
from execution.errors import AgentError
from tests.execution.agents.test_claude import MODEL, backend

NOON = "2026-11-21T12:00:00Z"


def batch(name: str, *, status: str = "ended", created_at: str = NOON) -> dict[str, Any]:
    counts = {"processing": 0, "succeeded": 1, "errored": 0, "canceled": 0, "expired": 0}
    return {
        "id": name,
        "type": "message_batch",
        "processing_status": status,
        "request_counts": counts,
        "created_at": created_at,
        "expires_at": "2026-11-22T12:00:00Z",
        "ended_at": created_at if status == "ended" else None,
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": f"https://api.anthropic.com/v1/messages/batches/{name}/results" if status == "ended" else None,
    }


def succeeded(name: str, text: str) -> dict[str, Any]:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 50},
    }
    return {"custom_id": name, "result": {"type": "succeeded", "message": message}}


class Batches:
    """The provider's batches, as data."""

    def __init__(self, **results: list[dict[str, Any]]) -> None:
        self.results, self.listed, self.sent = results, [batch(name) for name in results], []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if request.method == "POST":
            self.sent.append(json.loads(request.content))
            return httpx2.Response(200, json=batch("new", status="in_progress"))
        if path.endswith("/results"):
            lines = "\n".join(json.dumps(line) for line in self.results[path.split("/")[-2]])
            return httpx2.Response(200, content=lines.encode(), headers={"content-type": "application/x-jsonl"})
        if path.endswith("/batches"):
            return httpx2.Response(
                200, json={"data": self.listed, "has_more": False, "first_id": None, "last_id": None}
            )
        (found,) = (entry for entry in self.listed if entry["id"] == path.split("/")[-1])
        return httpx2.Response(200, json=found)


def lane(provider: Batches) -> BatchLane:
    return BatchLane(backend(provider))


def collect(provider: Batches, name: str) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        return {key: value async for key, value in lane(provider).results(name)}

    return asyncio.run(read())


class TestSubmit:
    def test_sends_each_request_under_the_hash_of_its_effect(self) -> None:
        provider = Batches()
        name = custom_id(7, "s3[0]")

        asyncio.run(lane(provider).submit([(name, Request(run_id=7, key="s3[0]", agent_id="a", prompt="?"))]))

        (entry,) = provider.sent[0]["requests"]
        assert (len(entry["custom_id"]), entry["custom_id"]) == (64, name)
        assert entry["params"]["model"] == MODEL

    def test_refuses_an_id_twice(self) -> None:
        request = Request(run_id=7, key="k", agent_id="a", prompt="?")

        with pytest.raises(ValueError, match="each under its own id"):
            asyncio.run(lane(Batches()).submit([("same", request), ("same", request)]))


class TestResults:
    def test_charge_half_the_price(self) -> None:
        answers = collect(Batches(b1=[succeeded("one", "yes")]), "b1")

        assert answers["one"].value == "yes"
        assert answers["one"].usage.cost_micros == (100 * 2 + 50 * 10) // 2
        assert answers["one"].usage.price.endswith("/batch")

    def test_say_why_a_request_has_no_answer(self) -> None:
        failed = {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "too long"},
            "request_id": None,
        }
        lines = [
            {"custom_id": "bad", "result": {"type": "errored", "error": failed}},
            {"custom_id": "late", "result": {"type": "expired"}},
        ]

        answers = collect(Batches(b1=lines), "b1")

        assert (answers["bad"].kind, answers["bad"].retryable) == ("invalid_request", False)
        assert (answers["late"].kind, answers["late"].retryable) == ("agent_error", True)


class TestRematch:
    SINCE = datetime(2026, 11, 21, 11, tzinfo=UTC)

    def search(self, provider: Batches, *wanted: str) -> Any:
        return asyncio.run(lane(provider).rematch(frozenset(wanted), since=self.SINCE))

    def test_finds_an_answer_whose_batch_was_never_stored(self) -> None:
        found = self.search(Batches(b1=[succeeded("other", "x")], b2=[succeeded("lost", "here")]), "lost")

        assert isinstance(found.found["lost"], Answer)
        assert found.settled

    def test_stays_in_doubt_while_a_candidate_runs(self) -> None:
        provider = Batches(b1=[succeeded("other", "x")])
        provider.listed.append(batch("running", status="in_progress"))

        search = self.search(provider, "lost")

        assert (search.found, search.undecided, search.settled) == ({}, ("running",), False)

    def test_is_settled_when_every_candidate_ended_without_it(self) -> None:
        assert self.search(Batches(b1=[succeeded("other", "x")]), "lost").settled

    def test_does_not_look_at_batches_from_before(self) -> None:
        provider = Batches(old=[succeeded("lost", "from before")])
        provider.listed = [batch("old", created_at="2026-11-20T12:00:00Z")]

        assert self.search(provider, "lost").found == {}


class TestErrors:
    def test_of_the_sdk_become_ours(self) -> None:
        async def overloaded(request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(
                529, json={"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
            )

        with pytest.raises(AgentError) as caught:
            asyncio.run(BatchLane(backend(overloaded)).ended("b1"))

        assert caught.value.kind == "overloaded"
