"""
Foreign releases read and scanned: in this process, or in children where many wait.

    with examiner(waiting=10_000) as begin:
        under_way = begin([payload, …])       # children work on them from here on
        for examined in under_way():          # one for each payload, in their order
            …

A child has no Django, no connection, no key and no environment: it reads
payloads from a pipe and answers JSON. One that dies over a document, or takes
a minute, ends nothing but itself; what it had in hand is read again one at a
time, and the document that does it again is refused.

Source: OPL-Fed/1, "Trust and quarantine"; docs/decisions/0126.
"""

from __future__ import annotations

import queue
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from federation.protocol import strictjson
from federation.protocol.problems import Refused
from federation.services import children, scanning
from federation.services.scanning import Looked

CHILDREN_FROM = 1_000  # payloads waiting; for fewer a child takes longer to begin than to read
MOST_CHILDREN = 4
CHUNK = 50  # payloads handed over at once
CHUNK_SECONDS = 60  # after which a child ends itself
FATAL = "unsafe-document: reading it ended the process that read it"
COMMAND = (sys.executable, "-m", "federation.services.examining")  # starts a child


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What was found in one release."""

    name: str  # handle/name, as it will be shown
    requires: Mapping[str, Any]  # of its predicate
    read_as: str = ""  # "opl, 3600 characters"
    looked: Looked | None = None  # None where it was refused
    refused: str = ""  # why it cannot be read; "" where it can


UnderWay = Callable[[], Iterator[Examined]]
Begin = Callable[[Sequence[bytes]], UnderWay]


def examine(payload: bytes) -> Examined:
    """Read and scan the release in a payload that was judged when it came."""
    try:
        predicate = strictjson.loads(payload)["predicate"]
    except Refused:
        return Examined(name="", requires={}, refused="unsafe-document: its text was erased")
    found: dict[str, Any] = {"name": predicate["name"], "requires": predicate["requires"]}
    try:
        document = scanning.open_release(predicate)
    except Refused as refusal:
        return Examined(**found, refused=str(refusal))
    read_as = f"{document.envelope}, {len(predicate['source'])} characters"
    return Examined(**found, read_as=read_as, looked=scanning.look(document, display_name=predicate["name"]))


@contextmanager
def examiner(*, waiting: int) -> Iterator[Begin]:
    """
    What examines payloads, for as long as it is needed.

    Args:
        waiting: how many payloads there are about; decides whether children are worth it.
    """
    count = children.cores()
    if waiting < CHILDREN_FROM or count < 2:
        yield lambda payloads: lambda: map(examine, payloads)
        return
    several = _Children(min(count, MOST_CHILDREN), COMMAND)
    try:
        yield several.begin
    finally:
        several.close()


class _Children:
    """Processes that examine, each asked by a thread of its own, replaced where they die."""

    def __init__(self, count: int, command: Sequence[str]) -> None:
        self._command = command
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="examine")
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._count = count
        for _ in range(count):
            self._idle.put(children.start(self._command))

    def begin(self, payloads: Sequence[bytes]) -> UnderWay:
        """Hand the payloads out; the answer collects what was found, in their order."""
        chunks = (payloads[start : start + CHUNK] for start in range(0, len(payloads), CHUNK))
        futures: list[Future[list[Examined]]] = [self._threads.submit(self._examined, chunk) for chunk in chunks]
        return lambda: (examined for future in futures for examined in future.result())

    def close(self) -> None:
        """End the processes; what was not begun is dropped."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for _ in range(self._count):
            children.end(self._idle.get())

    def _examined(self, payloads: Sequence[bytes]) -> list[Examined]:
        child = self._idle.get()
        try:
            found = _asked(child, payloads)
            if found is None:
                found = []
                for payload in payloads:
                    child = self._replaced(child)
                    alone = _asked(child, [payload])
                    found += alone if alone is not None else [_fatal(payload)]
            return found
        finally:
            self._idle.put(self._replaced(child))

    def _replaced(self, child: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """The same child, or another one where it is dead."""
        if child.poll() is None:
            return child
        children.end(child)
        return children.start(self._command)


def _asked(child: subprocess.Popen[bytes], payloads: Sequence[bytes]) -> list[Examined] | None:
    """What a child found; None, and the child is dead, where it did not answer or not sensibly."""
    assert child.stdin is not None and child.stdout is not None, "it was started with pipes"
    try:
        children.send(child.stdin, *payloads)
        (told,) = children.receive(child.stdout)
        found = [_opened(each) for each in orjson.loads(told)]
        if len(found) == len(payloads):
            return found
    except (OSError, EOFError, ValueError, TypeError, KeyError):
        pass
    child.kill()
    child.wait()
    return None


def _opened(told: dict[str, Any]) -> Examined:
    looked = told.pop("looked")
    if looked is not None:
        findings, asks = tuple(looked["findings"]), tuple(looked["capabilities"])
        looked = Looked(findings=findings, capabilities=asks, holds=bool(looked["holds"]))
    return Examined(**told, looked=looked)


def _fatal(payload: bytes) -> Examined:
    predicate = strictjson.loads(payload)["predicate"]
    return Examined(name=predicate["name"], requires=predicate["requires"], refused=FATAL)


def main(work: Callable[[bytes], Examined] = examine) -> None:
    """The child: examine what comes."""
    children.serve(
        lambda payloads: [orjson.dumps([asdict(work(payload)) for payload in payloads])], seconds=CHUNK_SECONDS
    )


if __name__ == "__main__":
    main()
