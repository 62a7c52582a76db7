"""
Message batches: half the price, an answer within a day; for trials.

Each request of a batch carries a ``custom_id``, the sha256 of its effect's
key. The provider shows these ids only in the results of a batch that has
ended, so a crash between sending and storing the batch's name leaves its
effects in doubt until every batch that could hold them has ended:
``rematch`` looks there before anything is sent (and paid) again.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import anthropic
from anthropic.types.messages import MessageBatchIndividualResponse

from execution.agents import messages
from execution.agents.base import Answer, Request
from execution.agents.claude import ClaudeBackend, as_agent_error
from execution.errors import AgentError

MOST_REQUESTS = 10_000
Outcome = Answer | AgentError


def custom_id(run_id: int | str, key: str) -> str:
    """64 hex digits that name one effect, in this batch and in every later search for it."""
    return hashlib.sha256(f"{run_id}:{key}".encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rematch:
    """What a search for requests in doubt found."""

    found: Mapping[str, Outcome]  # custom id to what came of it
    undecided: tuple[str, ...]  # batches that may hold the rest and have not ended

    @property
    def settled(self) -> bool:
        """Whether what was not found was surely never sent."""
        return not self.undecided


class BatchLane:
    """The batch side of a ``ClaudeBackend``: same requests, same prices, halved."""

    def __init__(self, backend: ClaudeBackend) -> None:
        self.backend = backend
        self.batches = backend.client.messages.batches

    async def submit(self, requests: Sequence[tuple[str, Request]]) -> str:
        """
        Send requests under their custom ids; gives the batch's name.

        Raises:
            AgentError: the provider did not take the batch; ``paid`` says whether it may have.
            ValueError: more than 10,000 requests, or an id twice.
        """
        if len(requests) > MOST_REQUESTS or len({name for name, _ in requests}) != len(requests):
            raise ValueError(f"a batch takes up to {MOST_REQUESTS} requests, each under its own id")
        entries = [
            {
                "custom_id": name,
                "params": messages.message_arguments(
                    request, model=self.backend.model, tool_schemas=self.backend.tool_schemas
                ),
            }
            for name, request in requests
        ]
        try:
            batch = await self.batches.create(requests=entries)  # type: ignore[arg-type]  # built as its params say
        except anthropic.AnthropicError as error:
            raise as_agent_error(error) from error
        return batch.id

    async def ended(self, batch_id: str) -> bool:
        """Whether the results can be read."""
        try:
            batch = await self.batches.retrieve(batch_id)
        except anthropic.AnthropicError as error:
            raise as_agent_error(error) from error
        return batch.processing_status == "ended"

    async def results(self, batch_id: str) -> AsyncIterator[tuple[str, Outcome]]:
        """Every custom id of an ended batch with its answer, or with why there is none."""
        try:
            async for entry in await self.batches.results(batch_id):
                yield entry.custom_id, self._outcome(entry)
        except anthropic.AnthropicError as error:
            raise as_agent_error(error) from error

    async def cancel(self, batch_id: str) -> None:
        """Ask for the end of a batch; what was answered already is answered, and paid."""
        try:
            await self.batches.cancel(batch_id)
        except anthropic.AnthropicError as error:
            raise as_agent_error(error) from error

    async def rematch(self, wanted: frozenset[str], *, since: datetime, known: frozenset[str] = frozenset()) -> Rematch:
        """
        Look for requests in doubt in every batch made since a moment before they were sent.

        Args:
            known: batches that are not in doubt; an earlier attempt at the same request is not this one.
        """
        found: dict[str, Outcome] = {}
        undecided: list[str] = []
        try:
            async for batch in self.batches.list(limit=100):
                if batch.created_at < since or len(found) == len(wanted):
                    break
                if batch.id in known:
                    continue
                if batch.processing_status != "ended":
                    undecided.append(batch.id)
                    continue
                found.update({name: outcome async for name, outcome in self.results(batch.id) if name in wanted})
        except anthropic.AnthropicError as error:
            raise as_agent_error(error) from error
        return Rematch(found=found, undecided=() if len(found) == len(wanted) else tuple(undecided))

    def _outcome(self, entry: MessageBatchIndividualResponse) -> Outcome:
        result = entry.result
        if result.type == "succeeded":
            return self._answer(result.message)
        if result.type == "errored":
            said = result.error.error.message
            retryable = result.error.error.type in (
                "api_error",
                "overloaded_error",
                "rate_limit_error",
                "timeout_error",
            )
            return AgentError("agent_error" if retryable else "invalid_request", said, retryable=retryable)
        why = (
            "the batch ran out of its day before this request"
            if result.type == "expired"
            else "the batch was cancelled"
        )
        return AgentError("agent_error", why, retryable=True)

    def _answer(self, message: anthropic.types.Message) -> Outcome:
        try:
            messages.check_stop(message.stop_reason, getattr(message, "stop_details", None))
        except AgentError as refused:
            return refused
        content = [block.model_dump(mode="json", exclude_none=True) for block in message.content]
        return Answer(
            value=messages.answer_value(content),
            usage=self.backend.usage_of(message, batch=True),
            request_id=message.id,
            stop_reason=message.stop_reason or "",
            raw=content,
        )
