"""
``changes`` with ``wait``: the answer is held until something is new, without holding a thread.

``hub.asgi`` hands requests that ``wants`` recognises to ``application``. The
request is verified in a thread, then waits as a coroutine, without a thread
and without a connection; one task per process looks at the head of the feed
for all who wait. A peer may wait once at a time: its row says so, across
processes.

Source: OPL-Fed/1, "changes".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, connections
from django.db.models import Q
from django.utils import timezone

from federation.api import gate, views
from federation.api.gate import Answer, Call
from federation.models import Peer, ThisNode
from federation.protocol import limits
from federation.protocol.messages import Request
from federation.protocol.problems import Refused
from federation.services import identities, receiving

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Pause = Callable[[float], Coroutine[Any, Any, None]]

log = logging.getLogger(__name__)

PATH = "/fed/v1/changes"
LOOK_SECONDS = 0.25  # between two looks at the head, for all who wait


class Heads:
    """The head of the feed, looked up by one task for everybody in this process who waits."""

    def __init__(self, pause: Pause) -> None:
        self.head = -1
        self._pause = pause
        self._news = asyncio.Condition()
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None

    async def beyond(self, seq: int) -> None:
        """Wait until the head is beyond ``seq``."""
        self._waiting += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            async with self._news:
                await self._news.wait_for(lambda: self.head > seq)
        finally:
            self._waiting -= 1

    async def _look(self) -> None:
        while self._waiting:
            try:
                self.head = await _in_thread(_head)
            except DatabaseError:
                log.exception("the head of the feed was not read; those who wait go on waiting")
            async with self._news:
                self._news.notify_all()
            await self._pause(LOOK_SECONDS)


_heads: WeakKeyDictionary[asyncio.AbstractEventLoop, Heads] = WeakKeyDictionary()


def wants(scope: Scope) -> bool:
    """Whether a request is one that may have to wait."""
    return scope["path"] == PATH and b"wait=" in scope.get("query_string", b"")


async def application(scope: Scope, receive: Receive, send: Send, *, pause: Pause = asyncio.sleep) -> None:
    """
    The ASGI application for ``changes`` with ``wait``.

    Args:
        pause: lets so many seconds pass.
    """
    request, body = _received(scope), await _body(scope, receive)
    peer_pk: int | None = None
    try:
        answer, held = await _in_thread(_begin, request, body, scope)
        if held is not None:
            peer_pk, seq, seconds = held
            await _first_of(_gone(receive), _of_loop(pause).beyond(seq), pause(seconds))
            answer = await _in_thread(_end, request, peer_pk)
        await _send(send, await _in_thread(gate.sign, request, answer))
    finally:
        if peer_pk is not None:
            await _in_thread(_stop_waiting, peer_pk)


async def _first_of(*ways: Coroutine[Any, Any, None]) -> None:
    """Until one of them ends; the others end with it."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _begin(request: Request, body: bytes | Refused, scope: Scope) -> tuple[Answer, tuple[int, int, float] | None]:
    """Verify and look once; what to send, or on whom and how long to wait."""
    held: list[tuple[int, int, float]] = []

    def handler(call: Call) -> Answer:
        asked = receiving.judge_changes(call.query, call.caller, call.node)
        page = receiving.changes(asked, call.caller, call.node, now=call.now)
        if page.lines or not asked.wait_seconds or page.cursor.seq > asked.since.seq:
            return views.page_answer(page)
        _start_waiting(call.caller, asked.wait_seconds)
        held.append((call.caller.pk, page.cursor.seq, float(asked.wait_seconds)))
        return views.page_answer(page)

    address = str((scope.get("client") or ("",))[0])
    answer = gate.answered(handler, "GET", gate.verify_peer, request, body, address, {})
    return answer, held[0] if held else None


def _end(request: Request, peer_pk: int) -> Answer:
    """The page after waiting; the request was verified when it came, the peer's tier is looked at again."""
    try:
        peer, node = Peer.objects.get(pk=peer_pk), identities.node()
        query = gate.query_of(request)
        asked = receiving.judge_changes(query, peer, node)
        if peer.tier < 2 or peer.is_paused or node.is_paused:
            raise Refused("peer-blocked", "this node has stopped talking to you")
        return views.page_answer(receiving.changes(asked, peer, node, now=timezone.now()))
    except Refused as refusal:
        return gate.problem(refusal)


def _start_waiting(peer: Peer, seconds: int) -> None:
    now = timezone.now()
    free = Q(waiting_until__isnull=True) | Q(waiting_until__lt=now)
    longest = now + timedelta(seconds=limits.WAIT_SECONDS + 1)
    free |= Q(waiting_until__gt=longest)  # nobody waits that long: it began under a wrong clock
    until = now + timedelta(seconds=seconds + 1)
    if not Peer.objects.filter(pk=peer.pk).filter(free).update(waiting_until=until):
        raise Refused("quota-exceeded", "one long poll a peer; the other one is still open", seconds)


def _stop_waiting(peer_pk: int) -> None:
    Peer.objects.filter(pk=peer_pk).update(waiting_until=None)


def _head() -> int:
    return ThisNode.objects.filter(pk=1).values_list("head", flat=True).first() or 0


def _of_loop(pause: Pause) -> Heads:
    return _heads.setdefault(asyncio.get_running_loop(), Heads(pause))


async def _in_thread(call: Callable[..., Any], *arguments: Any) -> Any:
    def run() -> Any:
        try:
            return call(*arguments)
        finally:
            # Not kept for the next request, as Django would: this thread may have none for as long as somebody waits.
            connections.close_all()

    return await sync_to_async(run, thread_sensitive=False)()


def _received(scope: Scope) -> Request:
    headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
    path = bytes(scope.get("raw_path") or scope["path"].encode()).split(b"?", 1)[0].decode("ascii", "replace")
    query = scope.get("query_string", b"").decode("ascii", "replace")
    url = str(settings.PUBLIC_URL).rstrip("/") + path + (f"?{query}" if query else "")
    return Request(method=scope["method"], url=url, headers=headers)


async def _body(scope: Scope, receive: Receive) -> bytes | Refused:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    refused = gate.judge_length(
        headers.get("content-length", "0"), headers.get("content-encoding"), headers.get("transfer-encoding")
    )
    if refused is not None:
        return refused
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > limits.PAGE_BYTES:
            return Refused("page-too-large", f"{limits.PAGE_BYTES} bytes are the most")
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return bytes(body)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, response: Any) -> None:
    lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    lines += [(b"content-length", str(len(response.body)).encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": response.status, "headers": lines})
    await send({"type": "http.response.body", "body": response.body})
