"""The batch side of the Messages API, in this process: what was sent, what is out, what has ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import httpx2

from execution.agents.claude import ClaudeBackend
from execution.primitives import tool_schemas
from tests.execution.factories import Clock

ALIAS = {"claude-batches": {"backend": "tests.execution.batches_api.make_backend"}}
MODEL = "claude-sonnet-5-5"


class BatchProvider:
    """
    Takes batches, and ends them when it is told to.

    ``answer`` makes the text of an answer from the first message's content;
    ``refusals`` are answered before anything is taken, ``broken`` lets the next
    batch in and then loses the connection.
    """

    def __init__(self, clock: Clock, answer: Callable[[str], str] = lambda prompt: "done") -> None:
        self.clock, self.answer = clock, answer
        self.batches: dict[str, dict[str, Any]] = {}
        self.sent: list[list[dict[str, Any]]] = []  # requests of each batch that came, in order
        self.refusals: list[httpx2.Response] = []
        self.broken = False
        self.hold = False  # whether batches stay in progress
        self.result_type = "succeeded"
        self.cancelled: list[str] = []
        self.single = 0  # requests that came by themselves, at full price

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path.endswith("/cancel"):
            return self._cancel(path.split("/")[-2])
        if request.method == "POST" and path.endswith("/batches"):
            return self._take(json.loads(request.content)["requests"])
        if path.endswith("/results"):
            return self._results(path.split("/")[-2])
        if path.endswith("/batches"):
            newest = [self._shown(name) for name in reversed(self.batches)]
            return httpx2.Response(200, json={"data": newest, "has_more": False, "first_id": None, "last_id": None})
        if "/batches/" in path:
            return httpx2.Response(200, json=self._shown(path.split("/")[-1]))
        self.single += 1
        return httpx2.Response(500, json={"type": "error", "error": {"type": "api_error", "message": "not by itself"}})

    def _take(self, requests: list[dict[str, Any]]) -> httpx2.Response:
        if self.refusals:
            return self.refusals.pop(0)
        self.sent.append(requests)
        name = f"msgbatch_{len(self.sent)}"
        self.batches[name] = {"requests": requests, "at": self.clock.now, "type": self.result_type}
        if self.broken:
            self.broken = False
            raise httpx2.ReadError("the connection broke after the batch was taken")
        return httpx2.Response(200, json=self._shown(name, "in_progress"))

    def _cancel(self, name: str) -> httpx2.Response:
        self.cancelled.append(name)
        return httpx2.Response(200, json=self._shown(name, "canceling"))

    def _shown(self, name: str, status: str = "") -> dict[str, Any]:
        batch = self.batches[name]
        status = status or ("in_progress" if self.hold else "ended")
        at = datetime.fromtimestamp(batch["at"] / 1000, UTC).isoformat().replace("+00:00", "Z")
        return {
            "id": name,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": {"processing": 0, "succeeded": 1, "errored": 0, "canceled": 0, "expired": 0},
            "created_at": at,
            "expires_at": at,
            "ended_at": at if status == "ended" else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"https://api.anthropic.com/v1/messages/batches/{name}/results",
        }

    def _results(self, name: str) -> httpx2.Response:
        batch = self.batches[name]
        lines = [
            json.dumps({"custom_id": one["custom_id"], "result": self._result(one, batch["type"])})
            for one in batch["requests"]
        ]
        # Results come in any order.
        body = "\n".join(reversed(lines)).encode()
        return httpx2.Response(200, content=body, headers={"content-type": "application/x-jsonl"})

    def _result(self, request: dict[str, Any], kind: str) -> dict[str, Any]:
        if kind != "succeeded":
            return {"type": kind}
        prompt = request["params"]["messages"][0]["content"]
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": MODEL,
            "content": [{"type": "text", "text": self.answer(prompt)}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1000, "output_tokens": 100},
        }
        return {"type": "succeeded", "message": message}


provider: BatchProvider | None = None


def make_backend(**_options: Any) -> ClaudeBackend:
    """What the roster makes of the alias: the real SDK, with the provider at its other end."""
    assert provider is not None
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(provider))
    return ClaudeBackend(
        api_key="not-a-key", http_client=client, today=lambda: date(2026, 11, 21), tool_schemas=tool_schemas()
    )
