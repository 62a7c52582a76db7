"""The Claude backend over the real SDK, against a transport in this process: what is sent, and what an answer means."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx2
import pytest

from execution.agents.base import Profile, Request
from execution.agents.claude import Attempt, ClaudeBackend
from execution.errors import AgentError

MODEL = "claude-sonnet-5-5"
LONG_PROMPT = "You weigh arguments carefully. " * 200


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


def streamed(
    *blocks: dict[str, Any], stop: str = "end_turn", usage: dict[str, int] | None = None, details: Any = None
) -> bytes:
    """A whole answer as the API streams it."""
    counted = {"input_tokens": 100, "output_tokens": 1, **(usage or {})}
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": []}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**start, "stop_reason": None, "usage": counted}}
    ]
    for index, block in enumerate(blocks):
        if block["type"] == "text":
            opened, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            opened = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        events.append({"type": "content_block_start", "index": index, "content_block": opened})
        events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": stop, "stop_sequence": None, "stop_details": details}
    events.append({"type": "message_delta", "delta": ending, "usage": {"output_tokens": 50}})
    return sse(*events, {"type": "message_stop"})


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": content}


class Provider:
    """The other end of the wire: answers in order, remembers what it was sent."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.sent = list(answers), []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content) if request.content else {}
        self.sent.append((request.url.path, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx2.Response):
            return answer
        if isinstance(answer, dict):
            return httpx2.Response(200, json=answer)
        headers = {"content-type": "text/event-stream", "request-id": "req_1"}
        return httpx2.Response(200, content=answer, headers=headers)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, body in self.sent]


def backend(provider: Callable[..., Any], **options: Any) -> ClaudeBackend:
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(provider))
    return ClaudeBackend(api_key="not-a-key", http_client=client, today=lambda: date(2026, 11, 21), **options)


def ask(provider: Provider, *, claude: ClaudeBackend | None = None, **fields: Any) -> Any:
    request = Request(**{"run_id": 1, "key": "s1", "agent_id": "judge", "prompt": "Approve?", **fields})
    return asyncio.run((claude or backend(provider)).complete(request))


def refused(status: int, kind: str, headers: dict[str, str] | None = None) -> httpx2.Response:
    body = {"type": "error", "error": {"type": kind, "message": f"said {kind}"}}
    return httpx2.Response(status, json=body, headers=headers)


class TestWhatIsSent:
    def test_asks_for_exactly_the_inferred_shape(self) -> None:
        shape = {"type": "object", "properties": {"vote": {"type": "string"}}, "required": ["vote"]}
        provider = Provider(streamed(text('{"vote": "approve"}')))

        answer = ask(provider, shape=shape)

        assert provider.bodies[0]["output_config"] == {"format": {"type": "json_schema", "schema": shape}}
        assert answer.value == {"vote": "approve"}

    def test_marks_a_long_system_prompt_for_the_cache_and_leaves_a_short_one(self) -> None:
        provider = Provider(streamed(text("yes")))

        ask(provider, profile=Profile(system=LONG_PROMPT))
        ask(provider, profile=Profile(system="Be brief."))

        assert provider.bodies[0]["system"][0]["cache_control"] == {"type": "ephemeral"}
        assert "cache_control" not in provider.bodies[1]["system"][0]

    def test_never_sends_a_temperature(self) -> None:
        provider = Provider(streamed(text("yes")))

        ask(provider, data={"temperature": 0.2})

        assert "temperature" not in provider.bodies[0]

    def test_sends_a_conversation_and_the_named_tools(self) -> None:
        tool = {"name": "spawn_agent", "description": "Start an agent.", "input_schema": {"type": "object"}}
        use = {"type": "tool_use", "id": "toolu_1", "name": "spawn_agent", "input": {"profile": "judge"}}
        provider = Provider(streamed(text("I need a judge."), use, stop="tool_use"))
        claude = backend(provider, tool_schemas={"spawn_agent": tool})

        answer = ask(
            provider, claude=claude, data={"messages": [{"role": "user", "content": "go"}], "tools": ["spawn_agent"]}
        )

        assert provider.bodies[0]["tools"] == [tool]
        assert provider.bodies[0]["messages"] == [{"role": "user", "content": "go"}]
        assert answer.value["tool_uses"] == [{"id": "toolu_1", "name": "spawn_agent", "input": {"profile": "judge"}}]
        assert answer.stop_reason == "tool_use"

    def test_refuses_a_tool_that_does_not_exist_before_sending(self) -> None:
        provider = Provider(streamed(text("yes")))

        with pytest.raises(AgentError, match="there is no tool rm_rf"):
            ask(provider, data={"tools": ["rm_rf"]})

        assert provider.sent == []

    def test_refuses_a_model_that_the_provider_does_not_list(self) -> None:
        listing = {"data": [{"id": MODEL, "type": "model", "display_name": "S", "created_at": "2026-01-01T00:00:00Z"}]}
        provider = Provider({**listing, "has_more": False, "first_id": MODEL, "last_id": MODEL})

        with pytest.raises(AgentError, match="no model 'claude-opus-99'"):
            ask(provider, profile=Profile(model="claude-opus-99"))

        assert [path for path, _ in provider.sent] == ["/v1/models"]


class TestWhatAnAnswerMeans:
    def test_counts_tokens_and_charges_the_price_of_the_day(self) -> None:
        provider = Provider(
            streamed(text("yes"), usage={"cache_read_input_tokens": 1000, "cache_creation_input_tokens": 200})
        )

        usage = ask(provider).usage

        # 100 fresh at 2, 200 written at 2.5, 1,000 read at 0.2, 50 out at 10 dollars a million
        assert (usage.input_tokens, usage.output_tokens, usage.cost_micros) == (1300, 50, 200 + 500 + 200 + 500)
        assert usage.price == "claude-sonnet-5-5@2026-01-01"

    def test_goes_on_with_a_paused_turn_and_adds_its_cost(self) -> None:
        provider = Provider(streamed(text("one "), stop="pause_turn"), streamed(text("two")))

        answer = ask(provider)

        assert answer.value == "one two"
        assert provider.bodies[1]["messages"][1]["content"][0]["text"] == "one "
        assert answer.usage.output_tokens == 100

    @pytest.mark.parametrize(
        ("stop", "kind"),
        [("refusal", "refused"), ("max_tokens", "truncated"), ("model_context_window_exceeded", "truncated")],
    )
    def test_refuses_an_answer_that_is_not_whole_and_says_it_was_paid(self, stop: str, kind: str) -> None:
        with pytest.raises(AgentError) as caught:
            ask(Provider(streamed(text("half"), stop=stop)))

        assert (caught.value.kind, caught.value.paid, caught.value.retryable) == (kind, True, False)

    def test_shows_the_text_while_it_grows(self) -> None:
        seen: list[str] = []
        provider = Provider(streamed(text("a whole answer")))

        ask(provider, claude=backend(provider, on_text=lambda request, so_far: seen.append(so_far)))

        assert seen[-1] == "a whole answer"


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "kind", "retryable"),
        [
            (400, "invalid_request", False),
            (401, "configuration", False),
            (402, "configuration", False),
            (403, "configuration", False),
            (404, "invalid_request", False),
            (408, "agent_error", True),
            (409, "agent_error", True),
            (413, "invalid_request", False),
            (422, "invalid_request", False),
            (429, "overloaded", True),
            (499, "agent_error", True),
            (500, "agent_error", True),
            (503, "overloaded", True),
            (504, "agent_error", True),
            (529, "overloaded", True),
        ],
    )
    def test_knows_every_status(self, status: int, kind: str, retryable: bool) -> None:
        with pytest.raises(AgentError) as caught:
            ask(Provider(refused(status, "some_error")))

        assert (caught.value.kind, caught.value.retryable) == (kind, retryable)

    def test_sends_once_whatever_happens(self) -> None:
        provider = Provider(refused(529, "overloaded_error"))

        with pytest.raises(AgentError):
            ask(provider)

        assert len(provider.sent) == 1

    def test_takes_the_time_to_wait_from_the_answer(self) -> None:
        with pytest.raises(AgentError) as caught:
            ask(Provider(refused(429, "rate_limit_error", {"retry-after": "7"})))

        assert caught.value.retry_after == 7

    @pytest.mark.parametrize(
        ("cause", "paid"), [(httpx2.ConnectError("refused"), False), (httpx2.ReadError("reset"), True)]
    )
    def test_tells_a_request_that_never_left_from_one_in_doubt(self, cause: Exception, paid: bool) -> None:
        with pytest.raises(AgentError) as caught:
            ask(Provider(cause))

        assert (caught.value.retryable, caught.value.paid) == (True, paid)

    def test_counts_a_time_out_as_possibly_paid(self) -> None:
        with pytest.raises(AgentError) as caught:
            ask(Provider(httpx2.ReadTimeout("slow")))

        assert (caught.value.kind, caught.value.paid) == ("timeout", True)


class TestAttempts:
    def test_are_seen_by_the_middleware_also_when_they_fail(self) -> None:
        seen: list[Attempt] = []
        provider = Provider(refused(500, "api_error"), streamed(text("yes")))
        claude = backend(provider, on_attempt=seen.append)

        with pytest.raises(AgentError):
            ask(provider, claude=claude)
        ask(provider, claude=claude)

        assert [attempt.status for attempt in seen] == [500, 200]
        assert seen[1].request_id == "req_1"


class TestPacing:
    def test_halves_once_for_a_round_of_overloads_and_widens_with_answers(self) -> None:
        provider = Provider(refused(529, "overloaded_error"))
        claude = backend(provider)

        async def round_of(count: int) -> None:
            requests = [Request(run_id=1, key=str(n), agent_id="a", prompt="?") for n in range(count)]
            await asyncio.gather(*(claude.complete(request) for request in requests), return_exceptions=True)

        asyncio.run(round_of(8))
        after_overload = claude.windows[MODEL].size
        provider.answers = [streamed(text("yes"))]
        asyncio.run(round_of(8))

        assert after_overload == 8.0
        assert 8.0 < claude.windows[MODEL].size <= 9.1

    def test_lets_the_first_of_a_shared_prefix_go_ahead(self) -> None:
        begun: list[str] = []
        release = asyncio.Event()

        async def provider(request: httpx2.Request) -> httpx2.Response:
            begun.append(json.loads(request.content)["messages"][0]["content"])
            if len(begun) == 1:
                await release.wait()
            return httpx2.Response(200, content=streamed(text("yes")), headers={"content-type": "text/event-stream"})

        async def journey() -> list[str]:
            claude = backend(provider)
            profile = Profile(system=LONG_PROMPT)
            asks = [
                asyncio.ensure_future(
                    claude.complete(Request(run_id=1, key=str(n), agent_id="a", prompt=f"p{n}", profile=profile))
                )
                for n in range(3)
            ]
            for _ in range(50):
                await asyncio.sleep(0)
            before = list(begun)
            release.set()
            await asyncio.gather(*asks)
            return before

        assert asyncio.run(journey()) == ["p0"]
        assert len(begun) == 3


class TestReserve:
    def test_is_an_upper_bound_of_what_the_answer_took(self) -> None:
        provider = Provider(streamed(text("yes")))
        claude = backend(provider)
        request = Request(run_id=1, key="k", agent_id="a", prompt="word " * 200)

        reserved = claude.reserve(request)
        usage = asyncio.run(claude.complete(request)).usage

        assert reserved.tokens >= usage.tokens
        assert reserved.cost_micros >= usage.cost_micros

    def test_counts_with_the_provider_where_asked(self) -> None:
        provider = Provider({"input_tokens": 321})

        reservation = asyncio.run(
            backend(provider).count(Request(run_id=1, key="k", agent_id="a", prompt="?", data={"max_tokens": 10}))
        )

        assert reservation.tokens == 331
        assert provider.sent[0][0] == "/v1/messages/count_tokens"
