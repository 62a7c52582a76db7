"""Server-sent events: resuming, ending, refusing, and one query for many viewers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone

from hub import live
from tests.registry.factories import make_token, make_user


@dataclass(frozen=True)
class Said:
    sequence: int
    name: str = "event"
    data: Any = None
    last: bool = False


class History:
    """A feed held in memory; counts how often it is read."""

    def __init__(self, **subjects: list[Said]) -> None:
        self.subjects, self.reads, self.hidden = subjects, 0, {"secret"}

    def may_watch(self, user_id: int | None, subject: str) -> bool:
        return subject in self.subjects and subject not in self.hidden

    def is_over(self, subject: str, after: int) -> bool:
        told = self.subjects[subject]
        return told[-1].last and after >= told[-1].sequence

    def read(self, after: Mapping[str, int]) -> Mapping[str, Sequence[Said]]:
        self.reads += 1
        return {name: [said for said in self.subjects[name] if said.sequence > at] for name, at in after.items()}


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> History:
    feed = History(one=[Said(1, data={"n": 1}), Said(2, data={"n": 2}, last=True)], open=[Said(1)], secret=[Said(1)])
    monkeypatch.setattr(live, "_tailer", live.Tailer({"runs": feed}, poll_seconds=0))
    return feed


async def get(path: str, *, headers: Mapping[str, str] | None = None, leave_after: int | None = None) -> list[Any]:
    """Everything the application sends for one request; a client may leave after so many messages."""
    sent: list[Any] = []
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if leave_after is not None and len(sent) >= leave_after:
            gone.set()

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    await asyncio.wait_for(
        live.application({"type": "http", "method": "GET", "path": path, "headers": raw}, receive, send), 10
    )
    return sent


def text(sent: Sequence[Any]) -> str:
    return b"".join(message.get("body", b"") for message in sent).decode()


class TestStream:
    def test_tells_everything_in_order_and_ends_with_the_run(self, history: History) -> None:
        sent = asyncio.run(get("/live/runs/one"))

        assert sent[0]["status"] == 200
        assert dict(sent[0]["headers"])[b"content-type"].startswith(b"text/event-stream")
        assert [line for line in text(sent).splitlines() if line.startswith("id:")] == ["id: 1", "id: 2"]
        assert sent[-1]["more_body"] is False

    def test_resumes_after_the_last_event_the_browser_saw(self, history: History) -> None:
        sent = asyncio.run(get("/live/runs/one", headers={"last-event-id": "1"}))

        assert "id: 1" not in text(sent)
        assert "id: 2" in text(sent)

    @pytest.mark.parametrize("seen", ["2", "99"])
    def test_tells_a_browser_that_saw_the_end_to_stop_asking(self, history: History, seen: str) -> None:
        sent = asyncio.run(get("/live/runs/one", headers={"last-event-id": seen}))

        assert sent[0]["status"] == 204  # any other answer, and an EventSource connects again for ever
        assert live.tailer().viewers == set()

    def test_is_not_held_by_a_viewer_that_left(self, history: History) -> None:
        asyncio.run(get("/live/runs/open", leave_after=3))

        assert live.tailer().viewers == set()

    @pytest.mark.parametrize("path", ["/live/runs/secret", "/live/runs/none", "/live/other/one", "/live/runs"])
    def test_answers_404_for_what_is_not_there_or_not_yours(self, history: History, path: str) -> None:
        sent = asyncio.run(get(path))

        assert sent[0]["status"] == 404
        assert json.loads(text(sent))["code"] == "not-found"

    def test_refuses_the_next_stream_when_the_process_is_full(
        self, history: History, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live, "STREAMS_PER_PROCESS", 0)

        sent = asyncio.run(get("/live/runs/one"))

        assert sent[0]["status"] == 503
        assert dict(sent[0]["headers"])[b"retry-after"] == b"10"


class TestTailer:
    def test_reads_once_for_all_viewers_of_a_round(self, history: History) -> None:
        async def round_for_fifty() -> None:
            tailer = live.Tailer({"runs": history})
            tailer.viewers = {live.Viewer(feed="runs", subject="one", after=n % 3) for n in range(50)}
            await tailer.poll()

        asyncio.run(round_for_fifty())

        assert history.reads == 1

    def test_lets_go_of_a_reader_that_cannot_keep_up(self) -> None:
        async def flood() -> Any:
            viewer = live.Viewer(feed="runs", subject="one", after=0, queue=asyncio.Queue(2))
            for number in range(1, 4):
                viewer.offer(Said(number))
            return [viewer.queue.get_nowait() for _ in range(2)]

        assert asyncio.run(flood())[-1] is None


@pytest.mark.django_db(transaction=True)
class TestWhoWatches:
    """A program shows its token as it does below ``/api``; a person's browser its session."""

    @pytest.fixture
    def asked_for(self, history: History, monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
        asked: list[int | None] = []

        def may_watch(user_id: int | None, subject: str) -> bool:
            asked.append(user_id)
            return user_id is not None

        monkeypatch.setattr(history, "may_watch", may_watch)
        return asked

    @pytest.mark.parametrize("scheme", ["Bearer", "token"])
    def test_a_token_watches_what_its_person_may(self, asked_for: list[int | None], scheme: str) -> None:
        user = make_user()
        secret = make_token(user, "run", now=timezone.now())

        sent = asyncio.run(get("/live/runs/one", headers={"authorization": f"{scheme} {secret}"}))

        assert (sent[0]["status"], asked_for) == (200, [user.pk])

    @pytest.mark.parametrize("secret", ["oplt_nobody", "", "ä"])
    def test_a_token_that_is_none_is_told_so(self, asked_for: list[int | None], secret: str) -> None:
        sent = asyncio.run(get("/live/runs/one", headers={"authorization": f"Bearer {secret}"}))

        assert (sent[0]["status"], asked_for) == (401, [])
        assert dict(sent[0]["headers"])[b"www-authenticate"].startswith(b"Bearer")
        assert json.loads(text(sent))["code"] == "authentication-failed"

    def test_another_scheme_is_somebody_elses_business(self, asked_for: list[int | None]) -> None:
        sent = asyncio.run(get("/live/runs/one", headers={"authorization": "Basic eA=="}))

        assert (sent[0]["status"], asked_for) == (404, [None])
