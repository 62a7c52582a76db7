"""
Server-sent events: a page or a program watches a run while it is alive.

    GET /live/runs/<id>        text/event-stream

A browser is known by its session, a program by the token it shows as it does
below ``/api/v1``.
One tailer a process asks the database every half second for what is new in
all watched subjects together, so a hundred viewers of a hub cost two queries a
second. ``id:`` is the event's sequence in its subject; a browser that
reconnects sends it back as ``Last-Event-ID`` and misses nothing; one that has
seen the end is answered 204, which tells it to stop. A comment
every 15 seconds keeps proxies from closing a quiet stream. Beyond 500 streams
a process answers 503 and the page falls back to asking.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any, Protocol

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
HEARTBEAT_SECONDS = 15.0
STREAMS_PER_PROCESS = 500
BACKLOG = 1000  # messages a slow reader may lag before its stream is closed; it reconnects where it was

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Message(Protocol):
    """One event of a subject."""

    @property
    def sequence(self) -> int:
        """Counts from 1 in its subject, without gaps."""

    @property
    def name(self) -> str:
        """The type of the server-sent event."""

    @property
    def data(self) -> Mapping[str, Any]:
        """What it says."""

    @property
    def last(self) -> bool:
        """Nothing follows: the stream may end."""


class Feed(Protocol):
    """Where the events of one kind of subject come from; its methods run in a thread, with a database."""

    def may_watch(self, user_id: int | None, subject: str) -> bool:
        """Whether this person (None: nobody signed in) may see the subject; False where there is none."""
        ...

    def is_over(self, subject: str, after: int) -> bool:
        """Whether a subject that may be watched has ended and says nothing past this sequence."""
        ...

    def read(self, after: Mapping[str, int]) -> Mapping[str, Sequence[Message]]:
        """For each subject the messages past the given sequence, in order."""
        ...


@dataclass(eq=False, slots=True)
class Viewer:
    """One open stream."""

    feed: str
    subject: str
    after: int  # the last sequence handed over
    queue: asyncio.Queue[Message | None] = field(default_factory=lambda: asyncio.Queue(BACKLOG))

    def offer(self, message: Message) -> None:
        """Hand over what is new to this viewer; one that cannot keep up is let go."""
        if message.sequence <= self.after:
            return
        self.after = message.sequence
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.queue.get_nowait()
            self.queue.put_nowait(None)


class Tailer:
    """Reads what is new for all viewers of this process, while there are any."""

    def __init__(self, feeds: Mapping[str, Feed], poll_seconds: float = POLL_SECONDS) -> None:
        self.feeds, self.poll_seconds = feeds, poll_seconds
        self.viewers: set[Viewer] = set()
        self.task: asyncio.Task[None] | None = None

    def join(self, viewer: Viewer) -> None:
        self.viewers.add(viewer)
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self.run())

    def leave(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)

    async def run(self) -> None:
        """Poll until nobody watches."""
        while self.viewers:
            try:
                await self.poll()
            except Exception:
                log.exception("reading live events failed; trying again")
            await asyncio.sleep(self.poll_seconds)

    async def poll(self) -> None:
        """One round: one read a feed, for all its watched subjects."""
        for name, feed in self.feeds.items():
            watching = [viewer for viewer in self.viewers if viewer.feed == name]
            if not watching:
                continue
            after: dict[str, int] = {}
            for viewer in watching:
                after[viewer.subject] = min(viewer.after, after.get(viewer.subject, viewer.after))
            messages = await sync_to_async(_read, thread_sensitive=False)(feed, after)
            for viewer in watching:
                for message in messages.get(viewer.subject, ()):
                    viewer.offer(message)

    async def close(self) -> None:
        """End every stream; used when the process stops."""
        for viewer in list(self.viewers):
            with contextlib.suppress(asyncio.QueueFull):
                viewer.queue.put_nowait(None)
        if self.task is not None:
            self.task.cancel()


def _read(feed: Feed, after: Mapping[str, int]) -> Mapping[str, Sequence[Message]]:
    close_old_connections()
    try:
        return feed.read(after)
    finally:
        close_old_connections()


def _feeds() -> dict[str, Feed]:
    from execution.services.watching import RunFeed

    return {"runs": RunFeed()}


_tailer: Tailer | None = None


def tailer() -> Tailer:
    """The one tailer of this process."""
    global _tailer
    if _tailer is None:
        _tailer = Tailer(_feeds())
    return _tailer


async def close() -> None:
    """End all streams of this process."""
    if _tailer is not None:
        await _tailer.close()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application below ``/live/``."""
    parts = scope["path"].strip("/").split("/")
    own = tailer()
    if scope["method"] != "GET" or len(parts) != 3 or parts[1] not in own.feeds:
        await _refuse(send, 404, "there is no such stream")
        return
    if len(own.viewers) >= STREAMS_PER_PROCESS:
        await _refuse(send, 503, "too many streams; the page asks instead", retry_after=10)
        return
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    try:
        user_id = await sync_to_async(_user_id, thread_sensitive=False)(headers)
    except UnknownToken:
        await _refuse(send, 401, "this token is unknown, expired or revoked; make a new one on /settings/tokens/")
        return
    if not await sync_to_async(_may_watch, thread_sensitive=False)(own.feeds[parts[1]], user_id, parts[2]):
        await _refuse(send, 404, "there is nothing here that you may see")
        return
    last = headers.get("last-event-id", "")
    after = int(last) if last.isdecimal() and len(last) < 18 else 0
    if after and await sync_to_async(_is_over, thread_sensitive=False)(own.feeds[parts[1]], parts[2], after):
        await send({"type": "http.response.start", "status": 204, "headers": []})  # the browser asks no more
        await send({"type": "http.response.body", "body": b""})
        return
    viewer = Viewer(feed=parts[1], subject=parts[2], after=after)
    own.join(viewer)
    try:
        await _stream(viewer, receive, send)
    finally:
        own.leave(viewer)


async def _stream(viewer: Viewer, receive: Receive, send: Send) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-store"),
                (b"x-accel-buffering", b"no"),
            ],
        }
    )
    await _write(send, f"retry: {int(POLL_SECONDS * 4000)}\n\n")
    gone = asyncio.ensure_future(_gone(receive))
    try:
        while not gone.done():
            message = await _next(viewer, gone)
            if message is _QUIET:
                await _write(send, ": still here\n\n")
                continue
            if message is None:
                break
            await _write(send, encode(message))
            if message.last:
                break
    finally:
        gone.cancel()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


_QUIET = object()


async def _next(viewer: Viewer, gone: asyncio.Future[None]) -> Any:
    """The next message, ``_QUIET`` after a heartbeat's time, or None when the stream should end."""
    getter = asyncio.ensure_future(viewer.queue.get())
    both: set[asyncio.Future[Any]] = {getter, gone}
    done, _ = await asyncio.wait(both, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if getter in done:
        return getter.result()
    getter.cancel()
    return None if gone in done else _QUIET


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def encode(message: Message) -> str:
    """One event in the wire format of HTML's server-sent events (section 9.2)."""
    data = json.dumps(message.data, ensure_ascii=False, separators=(",", ":"))
    return f"id: {message.sequence}\nevent: {message.name}\ndata: {data}\n\n"


async def _write(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _refuse(send: Send, status: int, detail: str, retry_after: int | None = None) -> None:
    from hub.problems import CONTENT_TYPE, body

    code = {401: "authentication-failed", 404: "not-found", 503: "too-many-streams"}[status]
    content = json.dumps(body(status=status, code=code, detail=detail)).encode()
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", str(len(content)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="hub"'))
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _is_over(feed: Feed, subject: str, after: int) -> bool:
    close_old_connections()
    try:
        return feed.is_over(subject, after)
    finally:
        close_old_connections()


def _may_watch(feed: Feed, user_id: int | None, subject: str) -> bool:
    close_old_connections()
    try:
        return feed.may_watch(user_id, subject)
    finally:
        close_old_connections()


class UnknownToken(Exception):
    """A request shows a token that opens nothing."""


def _user_id(headers: Mapping[str, str]) -> int | None:
    """Who is asking, None for nobody in particular; raises UnknownToken."""
    close_old_connections()
    try:
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.lower() in ("bearer", "token"):
            return _by_token(secret.strip())
        return _by_session(headers.get("cookie", ""))
    finally:
        close_old_connections()


def _by_token(secret: str) -> int:
    from django.utils import timezone

    from registry.services import tokens

    found = tokens.find(secret=secret, now=timezone.now())
    if found is None:
        raise UnknownToken
    return found.user_id


def _by_session(cookie_header: str) -> int | None:
    """Who is signed in, by the session cookie; the session's own hash check included."""
    try:
        cookie = SimpleCookie(cookie_header).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return None
    if cookie is None:
        return None
    from django.contrib.auth import get_user
    from django.http import HttpRequest

    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(cookie.value)
    user = get_user(request)
    return user.pk if user.is_authenticated else None
