"""A long poll ends with news, with its time or with its caller, and holds nothing until then."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections
from django.db.backends.signals import connection_created
from django.utils import timezone

from federation.api import longpoll
from federation.models import EgressEntry, Peer, ThisNode
from federation.protocol.tiers import Tier
from federation.services import identities, storing, trusting
from tests.federation import makers
from tests.federation.conftest import Remote
from tests.federation.services.test_exchange import publish, share

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_SECONDS = 60  # for what a thread is doing; nothing here waits for time to pass


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[tuple[float, float, asyncio.Future[None]]] = []  # until, seconds, who waits
        self._asked = asyncio.Condition()

    async def pause(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        async with self._asked:
            self.pauses.append((self.now + seconds, seconds, future))
            self._asked.notify_all()
        await future

    async def asked_for(self, seconds: float, *, times: int = 1) -> None:
        """Until somebody asked for so long a pause, so often."""

        def seen() -> bool:
            return sum(asked == seconds for _, asked, _ in self.pauses) >= times

        async with asyncio.timeout(PATIENCE_SECONDS), self._asked:
            await self._asked.wait_for(seen)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for until, _, future in self.pauses:
            if until <= self.now and not future.done():
                future.set_result(None)


@dataclass
class Poll:
    """One request under way."""

    clock: Clock
    task: asyncio.Task[None]
    gone: asyncio.Event  # set it to hang up
    sent: list[Any] = field(default_factory=list)

    @classmethod
    def begin(cls, remote: Remote, query: str, clock: Clock, **signed: Any) -> Poll:
        request = remote.request("GET", f"/fed/v1/changes?{query}", **signed)
        scope = {
            "type": "http", "method": "GET", "path": "/fed/v1/changes", "raw_path": b"/fed/v1/changes",
            "query_string": query.encode(), "headers": [(n.encode(), v.encode()) for n, v in request.headers],
        }  # fmt: skip
        assert longpoll.wants(scope)
        messages = iter([{"type": "http.request", "body": b"", "more_body": False}])
        gone, sent = asyncio.Event(), []

        async def receive() -> Any:
            for message in messages:
                return message
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        task = asyncio.ensure_future(longpoll.application(scope, receive, send, pause=clock.pause))
        return cls(clock, task, gone, sent)

    async def answer(self) -> tuple[int, bytes]:
        await asyncio.wait_for(self.task, PATIENCE_SECONDS)
        return self.sent[0]["status"], self.sent[1]["body"]

    async def code(self) -> tuple[int, str]:
        status, body = await self.answer()
        return status, json.loads(body)["code"]


async def waiting(remotes: Sequence[Remote], query: str, clock: Clock) -> list[Poll]:
    """A poll of each, begun one after the other: a database in memory has no patience with two writers."""
    polls = []
    for number, remote in enumerate(remotes, start=1):
        polls.append(Poll.begin(remote, query, clock))
        await clock.asked_for(30.0, times=number)
        await clock.asked_for(longpoll.LOOK_SECONDS)
    return polls


async def hung_up(polls: Sequence[Poll]) -> list[tuple[int, bytes]]:
    """All of them at their end, one after the other."""
    answers = []
    for poll in polls:
        poll.gone.set()
        answers.append(await poll.answer())
    return answers


Story = Callable[[Clock], Awaitable[Any]]


def told(story: Story) -> Any:
    """Run a story with a clock of its own."""

    async def run() -> Any:
        return await story(Clock())

    return asyncio.run(run())


async def apart(call: Callable[[], Any]) -> Any:
    """Something that asks the database, in a thread, its connection closed afterwards."""

    def run() -> Any:
        try:
            return call()
        finally:
            connection.close()

    return await asyncio.to_thread(run)


@pytest.fixture
def here(remote: Remote) -> str:
    """The query of a reader that has everything."""
    storing.number()
    node = identities.node()
    return f"since={node.epoch}:{node.head}"


class TestAPoll:
    def test_ends_at_once_when_something_has_a_number(self, remote: Remote, here: str) -> None:
        async def story(clock: Clock) -> tuple[int, bytes]:
            poll = Poll.begin(remote, f"{here}&wait=30", clock)
            await clock.asked_for(30.0)
            await clock.asked_for(longpoll.LOOK_SECONDS)
            await apart(lambda: share(publish("news")))
            clock.advance(longpoll.LOOK_SECONDS)
            return await poll.answer()

        status, body = told(story)

        assert status == 200
        assert b"news" in body
        assert Peer.objects.get().waiting_until is None

    def test_goes_on_while_nothing_is_new(self, remote: Remote, here: str) -> None:
        async def story(clock: Clock) -> bool:
            poll = Poll.begin(remote, f"{here}&wait=30", clock)
            for look in range(1, 5):
                await clock.asked_for(longpoll.LOOK_SECONDS, times=look)
                clock.advance(longpoll.LOOK_SECONDS)
            went_on = not poll.task.done()
            clock.advance(30)
            await poll.answer()
            return went_on

        assert told(story)

    def test_ends_at_its_time_with_an_empty_page(self, remote: Remote, here: str) -> None:
        async def story(clock: Clock) -> tuple[bool, tuple[int, bytes]]:
            poll = Poll.begin(remote, f"{here}&wait=7", clock)
            await clock.asked_for(7.0)
            await clock.asked_for(longpoll.LOOK_SECONDS)
            clock.advance(6.9)
            await clock.asked_for(longpoll.LOOK_SECONDS, times=2)
            before = poll.task.done()
            clock.advance(0.1)
            return before, await poll.answer()

        assert told(story) == (False, (200, b""))
        assert Peer.objects.get().waiting_until is None

    def test_does_not_wait_where_there_is_news_already(self, remote: Remote, here: str) -> None:
        share(publish("news"))

        async def story(clock: Clock) -> tuple[tuple[int, bytes], int]:
            return await Poll.begin(remote, f"{here}&wait=30", clock).answer(), len(clock.pauses)

        (status, body), pauses = told(story)

        assert (status, pauses) == (200, 0)
        assert b"news" in body

    def test_ends_with_its_caller(self, remote: Remote, here: str) -> None:
        async def story(clock: Clock) -> None:
            poll = Poll.begin(remote, f"{here}&wait=30", clock)
            await clock.asked_for(30.0)
            poll.gone.set()
            await poll.answer()

        told(story)

        assert Peer.objects.get().waiting_until is None

    def test_outlives_a_look_that_failed(
        self, remote: Remote, here: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        honest, looks = longpoll._head, iter([DatabaseError("the database is locked")])

        def head() -> int:
            for error in looks:
                raise error
            return honest()

        monkeypatch.setattr(longpoll, "_head", head)

        async def story(clock: Clock) -> tuple[int, bytes]:
            poll = Poll.begin(remote, f"{here}&wait=30", clock)
            await clock.asked_for(30.0)
            await clock.asked_for(longpoll.LOOK_SECONDS)
            await apart(lambda: share(publish("news")))
            clock.advance(longpoll.LOOK_SECONDS)
            return await poll.answer()

        status, body = told(story)

        assert (status, b"news" in body) == (200, True)
        assert "the head of the feed was not read" in caplog.text


class TestPlaces:
    @pytest.fixture
    def opened(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
        """Every connection that is opened, where Django would keep them for ever."""
        monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", None)
        # Django closes no database in memory, as it would be gone; here this thread keeps it.
        kept = connections["default"]
        monkeypatch.setattr(type(kept), "is_in_memory_db", lambda each: each is kept, raising=False)
        seen: list[Any] = []

        def note(sender: Any, connection: Any, **_: Any) -> None:
            seen.append(connection)

        connection_created.connect(note)
        yield seen
        connection_created.disconnect(note)

    def test_of_those_who_wait_are_no_connections(self, make_remote: Callable[..., Remote], opened: list[Any]) -> None:
        remotes = [make_remote(f"peer{n}") for n in range(5)]
        storing.number()
        node = identities.node()
        opened.clear()

        async def story(clock: Clock) -> tuple[int, int]:
            polls = await waiting(remotes, f"since={node.epoch}:{node.head}&wait=30", clock)
            held = sum(each.connection is not None for each in opened)
            assert await hung_up(polls) == [(200, b"")] * len(remotes)
            return len(opened), held

        asked, held = told(story)

        assert asked > 0
        assert held == 0

    def test_share_one_look_at_the_head(
        self, make_remote: Callable[..., Remote], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remotes = [make_remote(f"peer{n}") for n in range(4)]
        storing.number()
        node = identities.node()
        honest, looks = longpoll._head, [0]

        def head() -> int:
            looks[0] += 1
            return honest()

        monkeypatch.setattr(longpoll, "_head", head)

        async def story(clock: Clock) -> int:
            polls = await waiting(remotes, f"since={node.epoch}:{node.head}&wait=30", clock)
            before = looks[0]
            clock.advance(longpoll.LOOK_SECONDS)
            await clock.asked_for(longpoll.LOOK_SECONDS, times=2)
            one_round = looks[0] - before
            await hung_up(polls)
            return one_round

        assert told(story) == 1

    def test_are_one_for_each_peer(self, remote: Remote, here: str) -> None:
        async def story(clock: Clock) -> tuple[tuple[int, str], bool, tuple[int, bytes]]:
            first = Poll.begin(remote, f"{here}&wait=30", clock)
            await clock.asked_for(30.0)
            second = await Poll.begin(remote, f"{here}&wait=5", clock).code()
            still_waits = not first.task.done()
            clock.advance(30)
            return second, still_waits, await first.answer()

        assert told(story) == ((429, "quota-exceeded"), True, (200, b""))

    def test_of_a_second_one_leave_the_first_its_own(self, remote: Remote, here: str) -> None:
        Peer.objects.update(waiting_until=timezone.now() + timedelta(seconds=20))

        async def story(clock: Clock) -> tuple[int, str]:
            return await Poll.begin(remote, f"{here}&wait=5", clock).code()

        assert told(story) == (429, "quota-exceeded")
        assert Peer.objects.get().waiting_until is not None

    def test_of_a_process_that_died_are_free_when_their_time_is_over(self, remote: Remote, here: str) -> None:
        Peer.objects.update(waiting_until=timezone.now() - timedelta(seconds=1))

        async def story(clock: Clock) -> tuple[int, bytes]:
            poll = Poll.begin(remote, f"{here}&wait=3", clock)
            await clock.asked_for(3.0)
            clock.advance(3)
            return await poll.answer()

        assert told(story) == (200, b"")


class TestACaller:
    def refused(self, remote: Remote, query: str, **signed: Any) -> tuple[int, str]:
        """How it is refused, without a moment of waiting and without a place."""

        async def story(clock: Clock) -> tuple[tuple[int, str], int]:
            return await Poll.begin(remote, query, clock, **signed).code(), len(clock.pauses)

        code, pauses = told(story)
        assert pauses == 0
        assert not Peer.objects.exclude(waiting_until=None).exists()
        assert not EgressEntry.objects.exists()
        return code

    def test_whose_key_was_never_seen_is_refused(self, node: ThisNode) -> None:
        assert self.refused(Remote(makers.node("nobody")), "wait=30") == (401, "unknown-key")

    def test_who_is_not_approved_is_refused(self, make_remote: Callable[..., Remote]) -> None:
        assert self.refused(make_remote(tier=Tier.UNKNOWN), "wait=30") == (403, "tier-too-low")

    def test_who_is_blocked_is_refused(self, make_remote: Callable[..., Remote]) -> None:
        assert self.refused(make_remote(tier=Tier.BLOCKED), "wait=30") == (403, "peer-blocked")

    def test_who_signs_with_another_key_is_refused(self, remote: Remote, here: str) -> None:
        stranger = makers.secret("a stranger")

        assert self.refused(remote, f"{here}&wait=30", key=stranger) == (401, "unknown-key")

    @pytest.mark.parametrize("wait", ["31", "-1", "soon"])
    def test_who_would_wait_too_long_is_refused(self, remote: Remote, here: str, wait: str) -> None:
        assert self.refused(remote, f"{here}&wait={wait}") == (422, "schema-invalid")

    def test_who_is_blocked_while_it_waits_gets_nothing(self, remote: Remote, here: str) -> None:
        async def story(clock: Clock) -> tuple[int, str]:
            poll = Poll.begin(remote, f"{here}&wait=30", clock)
            await clock.asked_for(30.0)
            await apart(lambda: trusting.set_tier(remote.row, Tier.BLOCKED, now=timezone.now()))
            await apart(lambda: share(publish("news")))
            clock.advance(30)
            return await poll.code()

        assert told(story) == (403, "peer-blocked")
