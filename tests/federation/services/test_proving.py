"""Signatures checked in a child: what it proves is what this process would have found, and nothing else is believed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from federation.models import Statement
from federation.protocol import feed, keys
from federation.protocol.envelope import Envelope, Signature
from federation.protocol.feed import Line
from federation.services import accepting, children, proving
from federation.services.proving import NOTHING, Prover
from tests.federation import makers
from tests.federation.conftest import Remote

LYING = (sys.executable, "-m", "tests.federation.services.child_that_lies")


@pytest.fixture(autouse=True)
def from_one_line_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "PROVED_FROM", 1)


def up(command: Sequence[str] = proving.COMMAND) -> Prover:
    """A prover whose child is there."""
    made = Prover(command)
    made.warm()
    assert made._is_up is not None
    made._is_up.result(timeout=60)
    return made


@pytest.fixture
def prover() -> Iterator[Prover]:
    made = up()
    yield made
    made.close()


def page(remote: Remote, *statements: Any) -> list[Line]:
    return [feed.line(each, via=[remote.identity.id]) for each in statements]


def forged(line: Line) -> Line:
    """The same statement under a signature that its author did not make."""
    signature = line.envelope.signatures[0]
    other = makers.secret("somebody else").sign(b"something else")
    envelope = Envelope(line.envelope.id, line.envelope.payload, (Signature(signature.keyid, other),))
    return replace(line, envelope=envelope)


def accept(remote: Remote, lines: Sequence[Line], prover: Prover | None) -> list[tuple[str, str]]:
    with transaction.atomic():
        outcomes = accepting.accept(lines, peer=remote.row, now=timezone.now(), prover=prover)
    return [(outcome.status, outcome.code) for outcome in outcomes]


class TestAProof:
    def test_holds_for_what_was_signed_and_for_nothing_else(self, remote: Remote, prover: Prover) -> None:
        honest = page(remote, remote.release(version="1.0.0"), remote.release(version="2.0.0"))
        lines = [*page(remote, *remote.introduced()), honest[0], forged(honest[1])]

        proofs = prover.begin(lines)()

        raw = bytes.fromhex(remote.author.publish[0].public)
        assert proofs == {(raw, honest[0].envelope.signatures[0].sig, honest[0].envelope.id)}

    def test_needs_a_key_that_was_seen(self, remote: Remote, prover: Prover) -> None:
        lines = page(remote, remote.release())

        assert prover.begin(lines)() == NOTHING
        prover.learn([remote.author.chain], lines=1)
        assert len(prover.begin(lines)()) == 1

    def test_saves_checking_here(self, remote: Remote, prover: Prover, monkeypatch: pytest.MonkeyPatch) -> None:
        accept(remote, page(remote, *remote.introduced()), prover)
        honest, raw, checked = keys.verify, bytes.fromhex(remote.author.publish[0].public), [0]

        def counted(key: bytes, *given: Any) -> bool:
            checked[0] += key == raw
            return honest(key, *given)

        monkeypatch.setattr(keys, "verify", counted)
        outcomes = accept(remote, page(remote, *(remote.release(version=f"1.0.{n}") for n in range(5))), prover)

        assert (outcomes, checked[0]) == ([("accepted", "")] * 5, 0)

    def test_of_another_key_is_none_for_the_author(self, remote: Remote, prover: Prover) -> None:
        accept(remote, page(remote, *remote.introduced()), prover)
        mallory = makers.author("mallory")
        stolen = makers.release(remote.author, remote.identity, signers=mallory.publish)

        # The child proves that Mallory signed; that is no reason to believe it of the author.
        outcomes = accept(remote, page(remote, *mallory.statements, stolen), prover)

        assert outcomes == [("accepted", ""), ("rejected", "bad-signature")]

    def test_of_a_key_that_retired_counts_as_little_as_ever(self, remote: Remote, prover: Prover) -> None:
        accept(remote, page(remote, *remote.introduced()), prover)
        old = remote.author.publish
        accept(remote, page(remote, remote.author.rotate(at=makers.NOON - 60)), prover)
        late = makers.release(remote.author, remote.identity, signers=old)  # says that it was made at noon

        assert accept(remote, page(remote, late), prover) == [("rejected", "bad-signature")]

    def test_changes_no_outcome(self, remote: Remote, prover: Prover) -> None:
        good, bad = page(remote, remote.release(version="1.0.0"), remote.release(version="2.0.0"))
        lines = [*page(remote, *remote.introduced()), good, forged(bad), good]
        sids = [line.envelope.id for line in lines]

        with transaction.atomic():
            plain = accept(remote, lines, None)
            held = set(Statement.objects.filter(statement_id__in=sids).values_list("statement_id", flat=True))
            transaction.set_rollback(True)

        assert accept(remote, lines, prover) == plain
        assert set(Statement.objects.filter(statement_id__in=sids).values_list("statement_id", flat=True)) == held
        assert plain[-3:] == [("accepted", ""), ("rejected", "bad-signature"), ("duplicate", "")]


class TestAChild:
    @pytest.mark.parametrize("how", ["dies", "miscounts", "babbles", "answers twice"])
    def test_that_fails_leaves_the_work_here(self, remote: Remote, how: str) -> None:
        lying = up((*LYING, how))
        try:
            good, bad = page(remote, remote.release(version="1.0.0"), remote.release(version="2.0.0"))
            outcomes = accept(remote, [*page(remote, *remote.introduced()), good, forged(bad)], lying)
            again = accept(remote, page(remote, remote.release(version="3.0.0")), lying)
        finally:
            lying.close()

        assert outcomes[-2:] == [("accepted", ""), ("rejected", "bad-signature")]
        assert again == [("accepted", "")]

    def test_that_hangs_is_not_waited_for(self, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(proving, "PATIENCE_SECONDS", 0.0)
        hanging = up((*LYING, "hangs"))
        try:
            outcomes = accept(remote, page(remote, *remote.introduced(), remote.release()), hanging)
            assert hanging._child is not None
            has_ended = hanging._child.poll() is not None
        finally:
            hanging.close()

        assert outcomes[-1] == ("accepted", "")
        assert has_ended

    def test_that_is_not_up_yet_is_not_waited_for(self, remote: Remote) -> None:
        silent = Prover((sys.executable, "-c", "import sys; sys.stdin.buffer.read()"))  # never greets
        try:
            silent.warm()
            outcomes = accept(remote, page(remote, *remote.introduced(), remote.release()), silent)
        finally:
            silent.close()

        assert outcomes[-1] == ("accepted", "")

    def test_is_started_for_large_pages_only(self, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(proving, "PROVED_FROM", 4)
        made = Prover(proving.COMMAND)
        try:
            accept(remote, page(remote, *remote.introduced(), remote.release()), made)
            before = made._child
            accept(remote, page(remote, *(remote.release(version=f"2.0.{n}") for n in range(4))), made)
            after = made._child
        finally:
            made.close()

        assert before is None
        assert after is not None and after.poll() is not None

    def test_is_none_where_there_is_one_processor(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(children, "cores", lambda: 1)

        with proving.prover() as made:
            assert made is None

    def test_knows_no_django(self) -> None:
        code = "import federation.services.proving, sys; print([m for m in sys.modules if m[:6] == 'django'])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

        assert done.stdout.strip() == "[]"
