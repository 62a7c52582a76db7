"""The KSI backend against a small daemon of our own on a real unix socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from execution.agents.base import Answer, Request
from execution.agents.ksi import KsiBackend, decode, encode
from execution.errors import AgentError

Handler = Callable[[dict[str, Any]], list[dict[str, Any]]]


def push(request: dict[str, Any], text: str) -> dict[str, Any]:
    result = {"response": {"result": text, "usage": {"input_tokens": 7, "output_tokens": 3}}}
    return {"event": "completion:result", "data": {"request_id": request["data"]["request_id"], "result": result}}


def queued(request: dict[str, Any]) -> dict[str, Any]:
    return {"event": "completion:async", "data": {"request_id": request["data"]["request_id"], "status": "queued"}}


def with_daemon(
    tmp_path: Path, handler: Handler, use: Callable[[KsiBackend], Awaitable[Any]], close_after: int = 0
) -> Any:
    """Run ``use`` beside a daemon that answers each line with what ``handler`` returns."""

    async def journey() -> Any:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            read = 0
            while line := await reader.readline():
                read += 1
                if close_after and read >= close_after:
                    break
                for answer in handler(json.loads(line)):
                    writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
            writer.close()

        socket_path = str(tmp_path / "daemon.sock")
        server = await asyncio.start_unix_server(serve, socket_path)
        backend = KsiBackend(socket_path=socket_path)
        try:
            return await use(backend)
        finally:
            await backend.close()
            server.close()

    return asyncio.run(journey())


def request(prompt: str = "Hello", **fields: Any) -> Request:
    return Request(**{"run_id": 1, "key": prompt, "agent_id": "a", "prompt": prompt, "timeout_seconds": 5, **fields})


class TestComplete:
    def test_waits_past_the_acknowledgement_for_the_pushed_result(self, tmp_path: Path) -> None:
        answer: Answer = with_daemon(
            tmp_path, lambda r: [queued(r), push(r, '{"score": 0.5}')], lambda b: b.complete(request())
        )

        assert answer.value == {"score": 0.5}
        assert answer.usage.tokens == 10

    def test_tells_answers_apart_that_come_in_another_order(self, tmp_path: Path) -> None:
        held: list[dict[str, Any]] = []

        def daemon(line: dict[str, Any]) -> list[dict[str, Any]]:
            held.append(line)
            return [push(r, r["data"]["prompt"].upper()) for r in reversed(held)] if len(held) == 2 else []

        async def both(backend: KsiBackend) -> list[Any]:
            answers = await asyncio.gather(backend.complete(request("one")), backend.complete(request("two")))
            return [answer.value for answer in answers]

        assert with_daemon(tmp_path, daemon, both) == ["ONE", "TWO"]

    def test_reads_the_id_where_older_daemons_put_it(self, tmp_path: Path) -> None:
        def daemon(line: dict[str, Any]) -> list[dict[str, Any]]:
            ksi = {"request_id": line["data"]["request_id"]}
            return [{"event": "completion:result", "data": {"result": {"ksi": ksi, "response": {"result": "hi"}}}}]

        assert with_daemon(tmp_path, daemon, lambda b: b.complete(request())).value == "hi"

    def test_times_out_where_the_daemon_says_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(AgentError) as caught:
            with_daemon(tmp_path, lambda r: [queued(r)], lambda b: b.complete(request(timeout_seconds=0.05)))

        assert caught.value.kind == "timeout"

    def test_is_in_doubt_when_the_daemon_leaves(self, tmp_path: Path) -> None:
        with pytest.raises(AgentError) as caught:
            with_daemon(tmp_path, lambda r: [], lambda b: b.complete(request()), close_after=1)

        assert (caught.value.retryable, caught.value.paid) == (True, True)

    def test_says_which_socket_nobody_listens_on(self, tmp_path: Path) -> None:
        backend = KsiBackend(socket_path=str(tmp_path / "nobody.sock"))

        with pytest.raises(AgentError, match=r"no KSI daemon listens on .*nobody\.sock"):
            asyncio.run(backend.complete(request()))

    def test_survives_lines_that_are_no_messages(self, tmp_path: Path) -> None:
        odd: list[Any] = [[], "text", {"event": "x"}, {"event": "completion:result", "data": {"request_id": 7}}]

        answer = with_daemon(tmp_path, lambda r: [*odd, push(r, "fine")], lambda b: b.complete(request()))

        assert answer.value == "fine"


class TestEncode:
    def test_refuses_a_line_that_the_daemon_would_not_read(self) -> None:
        with pytest.raises(AgentError, match="shorten the prompt"):
            encode(request("x" * 70_000), "r1")

    def test_asks_for_the_shape_in_words(self) -> None:
        line = json.loads(encode(request(shape={"type": "object"}), "r1"))

        assert "one JSON object of this schema" in line["data"]["prompt"]


class TestDecode:
    def test_takes_a_reported_failure_for_one(self) -> None:
        with pytest.raises(AgentError, match="out of memory"):
            decode({"request_id": "r", "error": "out of memory"})
