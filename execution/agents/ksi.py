"""
A KSI daemon as an agent backend: NDJSON over a unix socket.

One connection carries all requests of a process. A request is a line

    {"event": "completion:async", "data": {"request_id", "agent_id", "prompt", …}}

which the daemon acknowledges at once (``status: queued``); the answer comes
later as a push,

    {"event": "completion:result", "data": {"request_id", "result": {"response": {"result": "…"}}}}

Older daemons put the id under ``result.ksi.request_id``; both are read. A
line holds 64 KiB at most, so a longer prompt is refused before it is sent. A
daemon says nothing about events that it does not know, so silence ends in a
time-out, never in waiting for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any

from execution.agents.base import Answer, Capabilities, Request, Reservation, Usage, estimate_tokens, parse_answer
from execution.errors import AgentError

LINE_BYTES = 64 * 1024


class KsiBackend:
    """Answers through the daemon listening on ``socket_path``."""

    name = "ksi"
    capabilities = Capabilities()

    def __init__(self, *, socket_path: str) -> None:
        self.socket_path = socket_path
        self._waiting: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    async def complete(self, request: Request) -> Answer:
        """Answer one request; see ``AgentBackend.complete``."""
        request_id = request.idempotency_key or f"{request.run_id}:{request.key}:{request.attempt}"
        line = encode(request, request_id)
        writer = await self._connected()
        answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        try:
            writer.write(line)
            await writer.drain()
            data = await asyncio.wait_for(answer, request.timeout_seconds)
        except TimeoutError as error:
            message = f"the daemon did not answer within {request.timeout_seconds:g} seconds"
            raise AgentError("timeout", message, retryable=True, paid=True) from error
        except OSError as error:
            raise AgentError("agent_error", f"the daemon went away: {error}", retryable=True, paid=True) from error
        finally:
            self._waiting.pop(request_id, None)
        return decode(data)

    def reserve(self, request: Request) -> Reservation:
        """A daemon names no prices; tokens are guessed from the prompt."""
        return Reservation(tokens=2 * estimate_tokens(request.prompt))

    async def close(self) -> None:
        """Leave the daemon."""
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if (
                self._writer is not None
                and not self._writer.is_closing()
                and self._reading
                and not self._reading.done()
            ):
                return self._writer
            try:
                reader, writer = await asyncio.open_unix_connection(self.socket_path, limit=LINE_BYTES)
            except OSError as error:
                message = f"no KSI daemon listens on {self.socket_path}: {error.strerror or error}"
                raise AgentError("agent_error", message, retryable=True) from error
            self._writer = writer
            self._reading = asyncio.create_task(self._read(reader))
            return writer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Hand each answer to whoever waits for it; when the daemon leaves, everybody is told."""
        problem: Exception = ConnectionResetError("the connection was closed")
        try:
            while line := await reader.readline():
                self._hand_over(line)
        except ValueError:
            problem = ConnectionResetError(f"a line was longer than {LINE_BYTES // 1024} KiB")
        except OSError as error:
            problem = error
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(problem)
            if self._writer is not None:
                self._writer.close()

    def _hand_over(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            return
        data = message.get("data") if isinstance(message, dict) else None
        if not isinstance(data, dict):
            return
        future = self._waiting.get(request_id_of(data))
        if future is None or future.done():
            return
        refused = message.get("event") == "completion:async" and (data.get("error") or data.get("status") == "failed")
        if message.get("event") in ("completion:result", "completion:error") or refused:
            future.set_result(data)


def encode(request: Request, request_id: str) -> bytes:
    """
    The line that asks for a completion.

    Raises:
        AgentError: the line would be longer than the daemon reads.
    """
    data: dict[str, Any] = {"request_id": request_id, "agent_id": request.agent_id, "prompt": request.prompt}
    data["timeout"] = request.timeout_seconds
    if request.profile.model:
        data["model"] = request.profile.model
    if request.profile.system:
        data["system_prompt"] = request.profile.system
    if request.shape is not None:
        data["prompt"] += "\n\nAnswer with one JSON object of this schema only: " + json.dumps(request.shape)
    line = json.dumps({"event": "completion:async", "data": data}, ensure_ascii=False).encode() + b"\n"
    if len(line) > LINE_BYTES:
        message = f"the request has {len(line):,} bytes, a KSI daemon reads lines of {LINE_BYTES:,}; shorten the prompt"
        raise AgentError("invalid_request", message)
    return line


def request_id_of(data: Mapping[str, Any]) -> str:
    """The id a message speaks of, wherever the daemon's version puts it; "" where there is none."""
    result = data.get("result")
    inner = result.get("ksi") if isinstance(result, dict) else None
    found = data.get("request_id") or (inner.get("request_id") if isinstance(inner, dict) else None)
    return found if isinstance(found, str) else ""


def decode(data: Mapping[str, Any]) -> Answer:
    """
    The answer in a ``completion:result``.

    Raises:
        AgentError: the daemon reports a failure.
    """
    result = data.get("result", data)
    response = result.get("response", result) if isinstance(result, dict) else result
    error = data.get("error") or (result.get("error") if isinstance(result, dict) else None)
    if error or data.get("status") == "failed" or (isinstance(response, dict) and response.get("is_error")):
        raise AgentError("agent_error", str(error or "the daemon reports a failure"), retryable=True, paid=True)
    text = response.get("result", response.get("content", "")) if isinstance(response, dict) else response
    usage = response.get("usage", {}) if isinstance(response, dict) else {}
    return Answer(value=parse_answer(text) if isinstance(text, str) else text, usage=_usage(usage))


def _usage(usage: Any) -> Usage:
    counts = usage if isinstance(usage, dict) else {}
    numbers = [counts.get(name, 0) for name in ("input_tokens", "output_tokens")]
    own_input, output = (number if isinstance(number, int) and number >= 0 else 0 for number in numbers)
    return Usage(input_tokens=own_input, output_tokens=output)
