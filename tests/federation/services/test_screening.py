"""Many waiting objects are read in children, and whatever happens to a child stays with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from federation.models import QuarantineItem, QuarantineStep, ThisNode
from federation.protocol import feed
from federation.protocol.quarantine import Event, State
from federation.protocol.statement import Statement
from federation.services import accepting, examining, quarantining, screening
from tests.federation import makers
from tests.federation.conftest import Remote
from tests.registry import factories

DYING = (sys.executable, "-m", "tests.federation.services.child_that_dies")
SECRET = "ghp_" + "a1B2" * 10


def releases(remote: Remote, *texts: str) -> list[Statement]:
    sources = [makers.SOURCE + f"# {number} {text}\n" for number, text in enumerate(texts)]
    return [remote.release(source=source, version=f"1.0.{n}") for n, source in enumerate(sources)]


def arrive(remote: Remote, *statements: Statement) -> None:
    lines = [feed.line(each, via=[remote.identity.id]) for each in (*remote.introduced(), *statements)]
    with transaction.atomic():
        accepting.accept(lines, peer=remote.row, now=timezone.now())


def examined(payloads: Sequence[bytes]) -> list[examining.Examined]:
    with examining.examiner(waiting=10**6) as begin:
        return list(begin(payloads)())


class TestChildren:
    def test_find_what_this_process_finds(self, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(examining, "CHUNK", 2)
        payloads = [each.envelope.payload for each in releases(remote, "plain", SECRET, "more", "last", "end")]

        found = examined(payloads)

        assert found == [examining.examine(payload) for payload in payloads]
        assert [each.looked is not None and each.looked.holds for each in found] == [False, True, False, False, False]

    @pytest.mark.parametrize("text", ["kills its reader", "takes for ever"])
    def test_that_die_over_a_text_refuse_it_and_no_other(
        self, remote: Remote, text: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(examining, "COMMAND", DYING)
        payloads = [each.envelope.payload for each in releases(remote, "before", text, "after", "later")]

        found = examined(payloads)

        assert [each.refused for each in found] == ["", examining.FATAL, "", ""]

    def test_know_neither_django_nor_any_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HUB_KEY_ENCRYPTION_KEY", "the key of keys")
        children = examining._Children(1, (sys.executable, "-c", "import os; print(sorted(os.environ), flush=True)"))
        child = children._idle.get()
        assert child.stdout is not None

        told = child.stdout.readline().decode()
        children._idle.put(child)
        children.close()

        assert "HUB_" not in told
        code = "import federation.services.examining, sys; print([m for m in sys.modules if m[:6] == 'django'])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"

    def test_end_with_the_process_that_started_them(self) -> None:
        child = subprocess.Popen(examining.COMMAND, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert child.stdin is not None

        child.stdin.close()

        assert child.wait(timeout=30) == 0


class TestScanWaiting:
    def test_a_text_that_ends_its_reader_does_not_stop_the_feed(
        self, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arrive(remote, *releases(remote, "before", "kills its reader", "after"))
        monkeypatch.setattr(examining, "CHILDREN_FROM", 1)
        monkeypatch.setattr(examining, "COMMAND", DYING)

        assert screening.scan_waiting(now=timezone.now(), most=100) == 3

        states = dict(QuarantineItem.objects.values_list("statement__version", "state"))
        assert states["1.0.1"] == str(State.REJECTED)
        assert str(State.REJECTED) not in (states["1.0.0"], states["1.0.2"])
        step = QuarantineStep.objects.get(item__statement__version="1.0.1", event=str(Event.REFUSED))
        assert step.reason == examining.FATAL

    def test_leaves_alone_what_somebody_decided_meanwhile(
        self, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arrive(remote, *releases(remote, "one", "two"))
        item = QuarantineItem.objects.get(statement__version="1.0.0")
        honest = examining.examine

        def decided_while_it_is_read(payload: bytes) -> examining.Examined:
            item.refresh_from_db()
            if item.current is State.SIGNED_OK:
                quarantining.reject(item, reason="no", now=timezone.now(), actor=factories.make_user())
            return honest(payload)

        monkeypatch.setattr(examining, "examine", decided_while_it_is_read)
        screening.scan_waiting(now=timezone.now(), most=100)

        item.refresh_from_db()
        assert (item.current, item.reason) == (State.REJECTED, "no")
        assert QuarantineItem.objects.get(statement__version="1.0.1").current is not State.SIGNED_OK

    def test_is_bounded_in_bytes_too(self, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
        arrive(remote, *releases(remote, "one", "two", "three"))
        monkeypatch.setattr(screening, "SCANNED_BYTES", 10)

        batches = list(screening._batches(QuarantineItem.objects.order_by("pk"), most=2))

        assert [len(batch) for batch in batches] == [1, 1]


class TestAccepting:
    def test_asks_the_database_as_often_for_many_as_for_one(self, remote: Remote, node: ThisNode) -> None:
        def queries(*statements: Statement) -> int:
            with CaptureQueriesContext(connection) as captured:
                arrive(remote, *statements)
            return len(captured)

        queries(remote.release(version="0.0.1"))
        one = queries(remote.release(version="0.0.2"))

        assert queries(*releases(remote, *(str(n) for n in range(40)))) == one
