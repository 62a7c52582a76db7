"""The other end of the Messages API for guided runs: turns written as a script, spoken over the real SDK."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import httpx2

from execution.agents.claude import ClaudeBackend
from execution.primitives import tool_schemas
from tests.execution.agents.test_claude import streamed, text

ALIAS = {"claude-test": {"backend": "tests.execution.messages_api.make_backend"}}


def use(name: str, /, **given: Any) -> dict[str, Any]:
    """One tool use of a turn."""
    return {"type": "tool_use", "name": name, "input": given}


class Provider:
    """
    Answers the orchestrator turn by turn and everybody else with ``others``.

    It holds no state of the conversation: which turn it is stands in the
    messages, as it does for the real API, so a request that is sent again gets
    the same answer.
    """

    def __init__(self, *turns: list[dict[str, Any]] | str, others: Any = "done") -> None:
        self.turns, self.others = turns, others
        self.sent: list[dict[str, Any]] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        self.sent.append(body)
        headers = {"content-type": "text/event-stream", "request-id": f"req_{len(self.sent)}"}
        return httpx2.Response(200, content=self.answer(body), headers=headers)

    def answer(self, body: dict[str, Any]) -> bytes:
        if not body.get("tools"):
            prompt = str(body["messages"][0]["content"])
            return streamed(text(self.others(prompt) if callable(self.others) else self.others))
        done = sum(message["role"] == "assistant" for message in body["messages"])
        move = self.turns[min(done, len(self.turns) - 1)]
        if isinstance(move, str):
            return streamed(text(move))
        blocks = [{**block, "id": f"toolu_{done}_{place}"} for place, block in enumerate(move)]
        return streamed(text(f"turn {done + 1}"), *blocks, stop="tool_use")

    @property
    def turns_sent(self) -> list[int]:
        """Which turns of the orchestrator were asked for, in order, from 1."""
        return [1 + sum(m["role"] == "assistant" for m in body["messages"]) for body in self.sent if body.get("tools")]

    def results(self) -> dict[str, Any]:
        """What the tools answered, by tool use id, as the last request tells it."""
        bodies = [body for body in self.sent if body.get("tools")]
        found = {}
        for message in bodies[-1]["messages"]:
            for block in message["content"] if isinstance(message["content"], list) else ():
                if block["type"] == "tool_result":
                    found[block["tool_use_id"]] = json.loads(block["content"])
        return found

    def told(self) -> str:
        """All that the orchestrator was told beside tool results."""
        bodies = [body for body in self.sent if body.get("tools")]
        parts = [message["content"] for message in bodies[-1]["messages"] if message["role"] == "user"]
        flat = [block for part in parts for block in (part if isinstance(part, list) else [{"text": part}])]
        return "\n".join(str(block.get("text", "")) for block in flat)


provider: Provider | None = None


def make_backend(**_options: Any) -> ClaudeBackend:
    """What the roster makes of the alias: the real SDK, with the provider at its other end."""
    assert provider is not None
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(provider))
    return ClaudeBackend(
        api_key="not-a-key", http_client=client, today=lambda: date(2026, 11, 21), tool_schemas=tool_schemas()
    )
