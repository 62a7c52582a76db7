"""
Claude through the anthropic SDK: one request is one exchange on the wire.

Always true: the SDK never retries by itself (``max_retries=0``), so every
attempt is one that the deliverer decided on and journaled; an answer that
cannot be used raises ``AgentError`` with whether it was paid for and whether
trying again can help; prices are stamped on every answer.

    backend = ClaudeBackend(api_key=..., http_client=httpx2.AsyncClient(transport=...))
    answer = await backend.complete(request)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import anthropic
import httpx2
from anthropic import APIRequest, AsyncAnthropic, AsyncCallNext
from anthropic.types import Message

from execution.agents import messages
from execution.agents.base import Answer, Capabilities, Request, Reservation, Usage
from execution.agents.pacing import Window
from execution.agents.prices import Price, price_of
from execution.errors import AgentError

DEFAULT_MODEL = "claude-sonnet-5-5"
CONNECTIONS = 600  # ≥ 500 completions under way in one process
PAUSES = 5  # times a paused turn is continued before it counts as cut off
MODELS_KEPT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One exchange with the provider, as the middleware saw it."""

    method: str
    path: str
    status: int  # 0 where no answer came
    request_id: str
    duration_seconds: float
    error: str = ""


def _today() -> date:
    return datetime.now(UTC).date()


class ClaudeBackend:
    """
    The Messages API.

    Args:
        on_attempt: told about every exchange; the one hook of attempts.
        on_text: told about an answer as it grows, ``(request, text so far)``: for the page, never for the journal.
        tool_schemas: tools that a request may name.
        today: the date that prices are looked up for.
    """

    name = "claude"
    capabilities = Capabilities(structured=True, tools=True, paid=True, batches=True)

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = "",
        model: str = DEFAULT_MODEL,
        http_client: httpx2.AsyncClient | None = None,
        on_attempt: Callable[[Attempt], None] | None = None,
        on_text: Callable[[Request, str], None] | None = None,
        tool_schemas: Mapping[str, Mapping[str, Any]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], date] = _today,
    ) -> None:
        self.model, self.clock, self.today = model, clock, today
        self.on_attempt, self.on_text, self.tool_schemas = on_attempt, on_text, tool_schemas or {}
        limits = httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        self.client = AsyncAnthropic(
            api_key=api_key,
            base_url=base_url or None,
            max_retries=0,
            http_client=http_client or httpx2.AsyncClient(limits=limits),
            middleware=[self._observe],
        )
        self.windows: dict[str, Window] = {}
        self._warming: dict[str, asyncio.Event] = {}
        self._models: tuple[float, frozenset[str]] | None = None

    async def complete(self, request: Request) -> Answer:
        """Answer one request; see ``AgentBackend.complete``."""
        arguments = messages.message_arguments(request, model=self.model, tool_schemas=self.tool_schemas)
        await self._check_model(arguments["model"])
        started, conversation = self.clock(), arguments["messages"]
        content: list[dict[str, Any]] = []
        usage = Usage()
        for _ in range(PAUSES + 1):
            message, request_id = await self._exchange(request, arguments)
            content += [block.model_dump(mode="json", exclude_none=True) for block in message.content]
            usage = _sum(usage, self.usage_of(message))
            if message.stop_reason != "pause_turn":
                break
            # A paused turn goes on where it stopped when its own content is sent back.
            so_far = {"role": "assistant", "content": list(content)}
            arguments = {**arguments, "messages": [*conversation, so_far]}
        else:
            raise AgentError("truncated", f"the turn was paused more than {PAUSES} times", paid=True)
        messages.check_stop(message.stop_reason, getattr(message, "stop_details", None))
        return Answer(
            value=messages.answer_value(content),
            usage=usage,
            duration_seconds=self.clock() - started,
            request_id=request_id or message.id,
            stop_reason=message.stop_reason or "",
            raw=content,
        )

    def reserve(self, request: Request) -> Reservation:
        """The most that the request may take, by the length of what is sent and the longest answer allowed."""
        arguments = messages.message_arguments(request, model=self.model, tool_schemas=self.tool_schemas)
        return self._reservation(arguments, messages.input_estimate(arguments))

    async def count(self, request: Request) -> Reservation:
        """The same with the provider's own count; one call, so only asked where the bound decides."""
        arguments = messages.message_arguments(request, model=self.model, tool_schemas=self.tool_schemas)
        counted = {name: value for name, value in arguments.items() if name not in ("max_tokens",)}
        try:
            answer = await self.client.messages.count_tokens(**counted)
        except anthropic.AnthropicError as error:
            raise as_agent_error(error) from error
        return self._reservation(arguments, answer.input_tokens)

    def _reservation(self, arguments: Mapping[str, Any], input_tokens: int) -> Reservation:
        output = int(arguments["max_tokens"])
        price = price_of(arguments["model"], on=self.today(), input_tokens=input_tokens)
        cost = price.cost_micros(fresh=0, written=input_tokens, output=output)
        return Reservation(tokens=input_tokens + output, cost_micros=cost)

    def usage_of(self, message: Message, *, batch: bool = False) -> Usage:
        """What a message took, at today's price."""
        written = message.usage.cache_creation_input_tokens or 0
        read = message.usage.cache_read_input_tokens or 0
        total = message.usage.input_tokens + written + read
        price: Price = price_of(message.model, on=self.today(), input_tokens=total)
        cost = price.cost_micros(
            fresh=message.usage.input_tokens,
            output=message.usage.output_tokens,
            written=written,
            read=read,
            batch=batch,
        )
        return Usage(
            input_tokens=total,
            output_tokens=message.usage.output_tokens,
            cache_read_tokens=read,
            cache_write_tokens=written,
            cost_micros=cost,
            model=message.model,
            price=price.stamp + ("/batch" if batch else ""),
        )

    async def _exchange(self, request: Request, arguments: dict[str, Any]) -> tuple[Message, str]:
        """One request on the wire, within the window of its model and behind the prefix it shares."""
        window = self.windows.setdefault(arguments["model"], Window(clock=self.clock))
        first = await self._wait_for_prefix(messages.shared_prefix(arguments))
        try:
            async with window.slot() as sent_at:
                try:
                    message, request_id = await self._stream(request, arguments, first)
                except anthropic.AnthropicError as error:
                    problem = as_agent_error(error)
                    if problem.kind == "overloaded":
                        window.overloaded(sent_at=sent_at, retry_after=problem.retry_after)
                    raise problem from error
            window.answered()
            return message, request_id
        finally:
            if first is not None:
                first.set()

    async def _wait_for_prefix(self, prefix: str | None) -> asyncio.Event | None:
        """
        Let the first request with a prefix warm the cache before the others follow.

        A cached prefix can be read once the first answer has begun; requests
        sent before that would each pay to write it. Gives the event to set for the first, None for the rest.
        """
        if prefix is None:
            return None
        warming = self._warming.get(prefix)
        if warming is None:
            self._warming[prefix] = event = asyncio.Event()
            return event
        await warming.wait()
        return None

    async def _stream(
        self, request: Request, arguments: dict[str, Any], first: asyncio.Event | None
    ) -> tuple[Message, str]:
        async with self.client.messages.stream(**arguments, timeout=request.timeout_seconds) as stream:
            async for event in stream:
                if first is not None:
                    first.set()
                if event.type == "text" and self.on_text is not None:
                    self.on_text(request, event.snapshot)
            return await stream.get_final_message(), stream.request_id or ""

    async def _check_model(self, model: str) -> None:
        """Refuse a model that the provider does not list; the list is kept for an hour."""
        if model == self.model:
            return
        if self._models is None or self.clock() - self._models[0] > MODELS_KEPT_SECONDS:
            try:
                names = frozenset([entry.id async for entry in self.client.models.list(limit=1000)])
            except anthropic.AnthropicError as error:
                raise as_agent_error(error) from error
            self._models = (self.clock(), names)
        if model not in self._models[1]:
            known = ", ".join(sorted(self._models[1]))
            raise AgentError("invalid_request", f"there is no model {model!r}; there are {known}")

    async def _observe(self, request: APIRequest, call_next: AsyncCallNext) -> Any:
        """The SDK's middleware: every exchange, also one that got no answer."""
        started = self.clock()
        status, request_id, problem = 0, "", ""
        try:
            response = await call_next(request)
            status, request_id = response.status_code, response.request_id or ""
            return response
        except Exception as error:
            problem = type(error).__name__
            raise
        finally:
            if self.on_attempt is not None:
                self.on_attempt(
                    Attempt(
                        method=request.method,
                        path=request.url,
                        status=status,
                        request_id=request_id,
                        duration_seconds=self.clock() - started,
                        error=problem,
                    )
                )


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cache_read_tokens=one.cache_read_tokens + other.cache_read_tokens,
        cache_write_tokens=one.cache_write_tokens + other.cache_write_tokens,
        cost_micros=one.cost_micros + other.cost_micros,
        model=other.model or one.model,
        price=other.price or one.price,
    )


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds the provider asks to wait, None where it does not say."""
    text = response.headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < 86_400 else None


def as_agent_error(error: anthropic.AnthropicError) -> AgentError:
    """What an error of the SDK means for a run; every class of it has an answer here."""
    if isinstance(error, anthropic.APITimeoutError):
        return AgentError("timeout", "the provider did not answer in time", retryable=True, paid=True)
    if isinstance(error, anthropic.APIStatusError):
        return _status_error(error)
    if isinstance(error, anthropic.APIConnectionError):
        cause = error.__cause__ or error
        sent = not isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout)
        return AgentError("agent_error", f"no connection to the provider: {cause}", retryable=True, paid=sent)
    if isinstance(error, anthropic.APIResponseValidationError):
        return AgentError("agent_error", "the provider's answer cannot be read", retryable=True, paid=True)
    return AgentError("agent_error", str(error) or type(error).__name__)


def _status_error(error: anthropic.APIStatusError) -> AgentError:
    status, said = error.status_code, error.api_message or error.message
    if status in (429, 529, 503):
        return AgentError("overloaded", said, retryable=True, retry_after=retry_after(error.response))
    if status in (408, 409, 499) or status >= 500:
        return AgentError("agent_error", said, retryable=True, retry_after=retry_after(error.response))
    if status in (401, 403):
        return AgentError("configuration", f"the provider refuses this API key: {said}")
    if status == 402:
        return AgentError("configuration", f"the provider's account is not in order: {said}")
    return AgentError("invalid_request", said)
