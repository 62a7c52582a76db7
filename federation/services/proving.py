"""
Signatures of a large page, checked in a child while this process reads the page.

A proof is a fact of arithmetic: this key signed this message. To whom the key
belongs, and whether it counts today, is judged here afterwards, as ever. What
the child did not prove (it knew no key for it, it died, it took too long, or
there is only one processor) is checked here; nothing is believed without one
of the two.

    with prover() as proofs:
        under_way = proofs.begin(lines)    # the child works from here on
        …                                  # read the page
        under_way()                        # what it proved
        proofs.learn(chains)               # keys that sign what comes next

Source: docs/decisions/0139.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from federation.protocol import envelope, keys, root, statement
from federation.protocol.envelope import Proof
from federation.protocol.feed import BadLine, Line
from federation.protocol.problems import Refused
from federation.protocol.root import Chain, RootDocument
from federation.services import children

PROVED_FROM = 200  # signatures in a page; fewer are checked here before a child has answered
PATIENCE_SECONDS = 2.0  # for one page; a child that takes longer is done without
MOST_KEYS = 10_000  # remembered at once
COMMAND = (sys.executable, "-m", "federation.services.proving")  # starts a child
_KEY = slice(0, 32)
_SIGNATURE = slice(32, 32 + keys.SIGNATURE_BYTES)
_MESSAGE = slice(32 + keys.SIGNATURE_BYTES, None)

Proofs = frozenset[Proof]
UnderWay = Callable[[], Proofs]
NOTHING: Proofs = frozenset()


class Prover:
    """One child, started when there is work for it, and the keys it may meet."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._keys: dict[str, bytes] = {}  # keyid → raw key
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="prove")
        self._child: subprocess.Popen[bytes] | None = None
        self._is_up: Future[bool] | None = None

    def warm(self) -> None:
        """Large pages are to come: let the child start, which takes a moment."""
        if self._child is None:
            self._child = children.start(self._command)
            self._is_up = self._thread.submit(self._greeted, self._child)

    def learn(self, chains: Iterable[Chain | None], *, lines: int) -> None:
        """Remember who signs here; after one large page another is likely."""
        if lines >= PROVED_FROM:
            for chain in chains:
                self._know(chain.latest if chain is not None else None)
            self.warm()

    def begin(self, lines: Sequence[Line | BadLine]) -> UnderWay:
        """Hand out what it can check; the answer waits for what it found."""
        if self._child is None or self._is_up is None or not self._is_up.done() or len(lines) < PROVED_FROM:
            return lambda: NOTHING
        asked = list(self._claims(lines))
        future = self._thread.submit(_asked, self._child, asked)
        return lambda: self._waited(future)

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            children.end(self._child)
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _claims(self, lines: Sequence[Line | BadLine]) -> Iterator[tuple[Proof, bytes]]:
        """What may be true, and the message that would be signed."""
        for line in lines:
            if isinstance(line, Line):
                if line.kind == "root":
                    self._know(_document_in(line))
                for signature in line.envelope.signatures:
                    raw = self._keys.get(signature.keyid)
                    if raw is not None:
                        yield (raw, signature.sig, line.envelope.id), envelope.pae(line.envelope.payload)

    def _know(self, document: RootDocument | None) -> None:
        """Keys that may sign; believed or not, a proof only says that one did."""
        if document is not None and len(self._keys) < MOST_KEYS:
            self._keys.update(document.publish_keys.current)

    def _greeted(self, child: subprocess.Popen[bytes]) -> bool:
        return _asked(child, []) == NOTHING

    def _waited(self, future: Future[Proofs]) -> Proofs:
        try:
            return future.result(timeout=PATIENCE_SECONDS)
        except TimeoutError:
            if self._child is not None:
                children.end(self._child)  # what it had in hand ends with it
            return NOTHING


@contextmanager
def prover() -> Iterator[Prover | None]:
    """What checks signatures for one exchange; None where there is no second processor for it."""
    if children.cores() < 2:
        yield None
        return
    made = Prover(COMMAND)
    try:
        yield made
    finally:
        made.close()


def _document_in(line: Line) -> RootDocument | None:
    """What a root statement names, its signatures not looked at."""
    try:
        return root.read(statement.read(line.envelope, kind="root"))
    except Refused:
        return None


def _asked(child: subprocess.Popen[bytes], asked: Sequence[tuple[Proof, bytes]]) -> Proofs:
    """Those that the child found to be true; none where it is gone or answers something else."""
    assert child.stdin is not None and child.stdout is not None, "it was started with pipes"
    try:
        children.send(child.stdin, *[b"".join((raw, sig, message)) for (raw, sig, _), message in asked])
        (told,) = children.receive(child.stdout)
    except (OSError, EOFError, ValueError):
        return NOTHING
    if len(told) != len(asked):
        return NOTHING
    return frozenset(proof for (proof, _), holds in zip(asked, told, strict=True) if holds == 1)


def check(parts: Sequence[bytes]) -> list[bytes]:
    """The child's work: one byte for each signature, 1 where it holds."""
    return [bytes(keys.verify(part[_KEY], part[_MESSAGE], part[_SIGNATURE]) for part in parts)]


if __name__ == "__main__":
    children.serve(check)
