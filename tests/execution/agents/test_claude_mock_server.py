"""The Claude backend against a Messages API that somebody else wrote, over real loopback connections."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from execution.agents.base import Answer, Request
from execution.agents.claude import ClaudeBackend
from execution.errors import AgentError
from tests import servers
from tests.conftest import service

TOOL = {
    "name": "spawn_agent",
    "description": "Start an agent.",
    "input_schema": {"type": "object", "properties": {"profile": {"type": "string"}, "purpose": {"type": "string"}}},
}


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    fixtures = Path(__file__).with_name("messages_api.json")
    with service(lambda: servers.messages_api(fixtures)) as url:
        yield url


def ask(base_url: str, prompt: str, **fields: Any) -> Answer:
    async def one() -> Answer:
        backend = ClaudeBackend(api_key="not-a-key", base_url=base_url, tool_schemas={"spawn_agent": TOOL})
        try:
            return await backend.complete(Request(run_id=1, key="k", agent_id="a", prompt=prompt, **fields))
        finally:
            await backend.client.close()

    return asyncio.run(one())


class TestAgainstAnIndependentServer:
    def test_reads_an_answer_in_the_asked_shape(self, base_url: str) -> None:
        shape = {
            "type": "object",
            "properties": {"vote": {"type": "string"}, "reason": {"type": "string"}},
            "required": ["vote", "reason"],
            "additionalProperties": False,
        }

        answer = ask(base_url, "Approve the bridge?", shape=shape)

        assert answer.value == {"vote": "approve", "reason": "it carries"}
        assert answer.usage.price.startswith("claude-sonnet-5-5@")

    def test_reads_a_tool_use(self, base_url: str) -> None:
        answer = ask(base_url, "Find a judge", data={"tools": ["spawn_agent"]})

        (use,) = answer.value["tool_uses"]
        assert (use["name"], use["input"]["profile"]) == ("spawn_agent", "judge")
        assert answer.stop_reason == "tool_use"

    def test_knows_an_overload(self, base_url: str) -> None:
        with pytest.raises(AgentError) as caught:
            ask(base_url, "Overload please")

        assert (caught.value.kind, caught.value.retryable) == ("overloaded", True)

    def test_says_what_the_server_said_about_an_unknown_question(self, base_url: str) -> None:
        with pytest.raises(AgentError):
            ask(base_url, "Something that no fixture answers")
