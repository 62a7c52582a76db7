"""Reconciling with negentropy as others wrote it: our client with their server, their client with ours."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from federation.protocol import limits, reconcile
from federation.protocol.reconcile import IdSet, Initiator
from tests import servers
from tests.conftest import refuse

ELEMENTS = 10_000
REFERENCE, OTHER = "reference", "nostr-tools"


class Foreign:
    """Somebody else's implementation, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, **what: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert "error" not in told, told
        return told

    def load(self, ids: set[bytes], *, library: str, frame_bytes: int) -> None:
        self.ask(do="load", library=library, ids=[each.hex() for each in ids], frame=frame_bytes)


@pytest.fixture(scope="module")
def foreign() -> Iterator[Foreign]:
    try:
        command = servers.negentropy_peer()
    except servers.MissingService as missing:
        refuse(missing)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    yield Foreign(process)
    with contextlib.closing(process.stdout):
        process.stdin.close()
        process.wait(10)


def ids(*numbers: int) -> set[bytes]:
    return {sha256(f"statement {number}".encode()).digest() for number in numbers}


def drawn(seed: int, *, ours: int, theirs: int) -> tuple[set[bytes], set[bytes]]:
    """Two sets that share all but so many elements each."""
    common = ids(*range(seed * 1_000_000, seed * 1_000_000 + ELEMENTS))
    chance = random.Random(seed)
    spread = sorted(common)
    chance.shuffle(spread)
    return common - set(spread[:theirs]), common - set(spread[theirs : theirs + ours])


DIFFERENCES = {
    "nothing": (0, 0),
    "one of ours": (1, 0),
    "one of theirs": (0, 1),
    "a hundred": (50, 50),
    "half of everything": (2_500, 2_500),
    "everything": (5_000, 5_000),
}
FRAMES = {"whole frames": limits.FRAME_BYTES, "small frames": 4_096}


@pytest.mark.parametrize("frame_bytes", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize(("ours", "theirs"), DIFFERENCES.values(), ids=DIFFERENCES)
class TestReconciling:
    def test_our_client_understands_their_server(
        self, foreign: Foreign, ours: int, theirs: int, frame_bytes: int
    ) -> None:
        own, other = drawn(1, ours=ours, theirs=theirs)
        foreign.load(other, library=REFERENCE, frame_bytes=frame_bytes)
        client = Initiator(IdSet(own), frame_bytes=frame_bytes)

        frame: bytes | None = client.first()
        while frame is not None:
            answer = bytes.fromhex(foreign.ask(do="reconcile", frame=frame.hex())["frame"])
            assert len(frame) <= frame_bytes
            frame = client.next(answer)

        assert client.have == own - other
        assert client.need == other - own

    @pytest.mark.parametrize("library", [REFERENCE, OTHER])
    def test_their_client_understands_our_server(
        self, foreign: Foreign, ours: int, theirs: int, frame_bytes: int, library: str
    ) -> None:
        own, other = drawn(2, ours=ours, theirs=theirs)
        server = IdSet(own)

        foreign.load(other, library=library, frame_bytes=frame_bytes)
        have: set[str] = set()
        need: set[str] = set()

        frame: str | None = foreign.ask(do="initiate")["frame"]
        while frame is not None:
            answer = reconcile.respond(server, bytes.fromhex(frame), frame_bytes=frame_bytes)
            told = foreign.ask(do="reconcile", frame=answer.hex())
            frame, have, need = told["frame"], have | set(told["have"]), need | set(told["need"])

        assert {bytes.fromhex(each) for each in have} == other - own
        assert {bytes.fromhex(each) for each in need} == own - other
