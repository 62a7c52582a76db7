"""
The network on a bad day: a proxy before every node, with faults that follow from a seed.

A node is known to its peers by the address of its proxy. Every request is
forwarded, or suffers one ``Fault``; which one is drawn from the seed, the
node and the number of the request, so a schedule can be played again. The
proxy sees who asks by the key id in the signature, and can have a node killed
while half of an answer is on its way.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

_KEYID = re.compile(rb'keyid="([0-9a-f]{32})"')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
UPSTREAM_SECONDS = 8.0
LONGEST_HOLD_SECONDS = 0.25
MOST_LOGGED = 20_000  # lines of one storm


class Fault(StrEnum):
    """What may happen to one request and its answer."""

    NONE = "passes"
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"  # it was carried out, and the sender does not know
    REQUEST_CUT = "request cut in mid-body"
    ANSWER_CUT = "answer cut in mid-body"
    DELAYED = "delayed"
    DUPLICATED = "duplicated"  # arrives twice; the second answer is the one that gets back
    REORDERED = "reordered"  # arrives after one that was sent later
    CORRUPTED = "a bit flipped in the answer"
    SWAPPED = "an older answer given instead"
    CALLER_KILLED = "caller killed in mid-answer"
    CALLEE_KILLED = "node killed in mid-answer"


WEIGHTS: dict[Fault, int] = {
    Fault.NONE: 44, Fault.REQUEST_LOST: 5, Fault.ANSWER_LOST: 6, Fault.REQUEST_CUT: 4, Fault.ANSWER_CUT: 6,
    Fault.DELAYED: 10, Fault.DUPLICATED: 6, Fault.REORDERED: 6, Fault.CORRUPTED: 4, Fault.SWAPPED: 4,
    Fault.CALLER_KILLED: 3, Fault.CALLEE_KILLED: 2,
}  # fmt: skip


@dataclass
class Weather:
    """What all proxies share: the seed, whether it storms, and what happened so far."""

    seed: int = 0
    is_bad: bool = False
    happened: Counter[Fault] = field(default_factory=Counter)  # in this storm; what had no effect is not counted
    passed: int = 0  # requests that any proxy has dealt with
    log: list[str] = field(default_factory=list)  # what moves and proxies did in this storm, in order
    began: float = 0.0  # by the monotonic clock
    _moved: threading.Condition = field(default_factory=threading.Condition)

    def begin(self, seed: int) -> None:
        """A new storm."""
        self.seed, self.is_bad, self.began = seed, True, time.monotonic()
        self.log.clear()
        self.happened.clear()

    def clear(self) -> None:
        """The sun comes out: from now on everything passes."""
        with self._moved:
            self.is_bad = False
        self.tell("the weather clears")

    def strike(self, kill: Callable[[], None]) -> bool:
        """
        Have a node killed, while it is bad; False once it is calm.

        A request that was on its way already when the weather cleared must
        not kill a node that was just found alive: nobody would start it again.
        """
        with self._moved:
            if self.is_bad:
                kill()
            return self.is_bad

    def tell(self, what: str) -> None:
        """Write down what happened, with the seconds since the storm began; what goes on in calm is cut off at some point."""
        if len(self.log) < MOST_LOGGED:
            self.log.append(f"{time.monotonic() - self.began:8.3f} {what}")

    def fault(self, node: str, number: int) -> Fault:
        """What happens to the request of that number to that node."""
        if not self.is_bad:
            return Fault.NONE
        return random.Random(f"{self.seed} {node} {number}").choices(list(WEIGHTS), list(WEIGHTS.values()))[0]

    def count(self, fault: Fault) -> None:
        """A request really suffered it; calm is not counted."""
        with self._moved:
            self.happened[fault] += self.is_bad

    def note(self) -> None:
        """One more request was dealt with."""
        with self._moved:
            self.passed += 1
            self._moved.notify_all()

    def wait(self, requests: int, *, at_most_seconds: float) -> None:
        """Until so many more requests were dealt with; a silent network is not waited for."""
        with self._moved:
            goal = self.passed + requests
            self._moved.wait_for(lambda: self.passed >= goal, at_most_seconds)


@dataclass
class Proxy:
    """What stands before one node."""

    node: str
    upstream: int  # port of the node itself
    weather: Weather
    kill: Callable[[str], None]  # by name of the node
    names: dict[str, str]  # key id → node
    port: int = 0
    number: int = 0  # requests so far in this storm
    older: dict[bytes, bytes] = field(default_factory=dict)  # request line → an answer given before
    _server: socketserver.ThreadingTCPServer | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _overtaken: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Listen on a free port."""
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    proxy.serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 64

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def serve(self, client: socket.socket) -> None:
        """One request of one connection."""
        client.settimeout(UPSTREAM_SECONDS)
        request = read_message(client)
        if request is None:
            return
        with self._lock:
            self.number += 1
            fault = self.weather.fault(self.node, self.number)
        said = f"{self._caller(request)} asks {self.node} #{self.number}: {fault}: {request.partition(b' HTTP/')[0].decode('ascii', 'replace')}"
        self.weather.tell(said)
        try:
            self._suffer(client, request, fault)
        finally:
            self.weather.note()

    def _suffer(self, client: socket.socket, request: bytes, fault: Fault) -> None:
        if fault in (Fault.REQUEST_LOST, Fault.REQUEST_CUT):
            if fault is Fault.REQUEST_CUT:
                self._cut_request(request)
            self.weather.count(fault)
            return reset(client)
        self._hold(fault, request)
        answer = self.forward(request)
        if fault is Fault.DUPLICATED and (second := self.forward(request)) is not None:
            answer = second
            self.weather.count(fault)
        self.weather.tell(f"{self.node} answers {self._caller(request)}: {told(answer)}")
        if answer is None:
            return reset(client)
        if fault is Fault.ANSWER_LOST:
            self.weather.count(fault)
            return reset(client)
        given = self._given(fault, request, answer)
        if fault in (Fault.ANSWER_CUT, Fault.CALLER_KILLED, Fault.CALLEE_KILLED):
            client.sendall(given[: -(len(body_of(given)) + 1) // 2])
            if self._kill(fault, request):
                self.weather.count(fault)
            return reset(client)
        if given != answer or fault is Fault.NONE:
            self.weather.count(fault)
        return client.sendall(given)

    def _given(self, fault: Fault, request: bytes, answer: bytes) -> bytes:
        """What gets back instead of this answer: the same, a bent one, or an older one to the same question."""
        older = self._remember(request, answer)
        if fault is Fault.CORRUPTED:
            return flipped(answer, random.Random(f"{self.weather.seed} {self.number}"))
        return older if fault is Fault.SWAPPED and older is not None else answer

    def _hold(self, fault: Fault, request: bytes) -> None:
        """Let it arrive late: after a while, or after a younger request."""
        if fault is Fault.REORDERED:
            self._overtaken.clear()
            if self._overtaken.wait(LONGEST_HOLD_SECONDS):
                self.weather.count(fault)
        else:
            if fault is Fault.DELAYED:
                chance = random.Random(f"{self.weather.seed} {self.node} {len(request)} {self.number}")
                time.sleep(chance.uniform(0.02, LONGEST_HOLD_SECONDS))
                self.weather.count(fault)
            self._overtaken.set()

    def _cut_request(self, request: bytes) -> None:
        """Half of it arrives, then the line is dead."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.upstream), 2) as upstream:
            upstream.sendall(request[: len(request) - (len(body_of(request)) + 3) // 2])
            reset(upstream)

    def _kill(self, fault: Fault, request: bytes) -> bool:
        """Kill whom the fault says, if it says so; False where that one is not known, or it has become calm."""
        if fault not in (Fault.CALLEE_KILLED, Fault.CALLER_KILLED):
            return True
        victim = self.node if fault is Fault.CALLEE_KILLED else self._caller(request)
        known = victim == self.node or victim in self.names.values()
        return known and self.weather.strike(lambda: self.kill(victim))

    def _caller(self, request: bytes) -> str:
        """The node that signed the request; "somebody" where none did."""
        found = _KEYID.search(request)
        return self.names.get(found[1].decode(), "somebody") if found is not None else "somebody"

    def _remember(self, request: bytes, answer: bytes) -> bytes | None:
        """The last answer to the same request line; this one takes its place."""
        line = request.partition(b"\r\n")[0]
        with self._lock:
            before = self.older.get(line)
            self.older[line] = answer
        return before

    def forward(self, request: bytes) -> bytes | None:
        """The node's whole answer; None where it gives none."""
        head, _, body = request.partition(b"\r\n\r\n")
        head = re.sub(rb"\r\nconnection:[^\r]*", b"", head, flags=re.IGNORECASE) + b"\r\nConnection: close"
        try:
            with socket.create_connection(("127.0.0.1", self.upstream), 2) as upstream:
                upstream.settimeout(UPSTREAM_SECONDS)
                upstream.sendall(head + b"\r\n\r\n" + body)
                return read_message(upstream)
        except OSError:
            return None


def read_message(connection: socket.socket) -> bytes | None:
    """One HTTP message with a stated length; None where the other side goes away before its end."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65_536)
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    stated = _LENGTH.search(head)
    length = int(stated[1]) if stated else 0
    while len(body) < length:
        part = connection.recv(65_536)
        if not part:
            return None
        body += part
    return head + b"\r\n\r\n" + body


def told(answer: bytes | None) -> str:
    """Status, size and cursor of an answer, for the log."""
    if answer is None:
        return "nothing"
    status = answer[9:12].decode("ascii", "replace")
    cursor = re.search(rb"\r\nopl-cursor: *([0-9a-f]{8})[0-9a-f]*(:\d+)", answer, re.IGNORECASE)
    return f"{status}, {len(body_of(answer))} bytes" + (
        f", cursor {(cursor[1] + cursor[2]).decode()}" if cursor else ""
    )


def body_of(message: bytes) -> bytes:
    """What comes after the head."""
    return message.partition(b"\r\n\r\n")[2]


def flipped(answer: bytes, chance: random.Random) -> bytes:
    """The answer with one bit of its body another; a head without a body stays as it is."""
    body = bytearray(body_of(answer))
    if not body:
        return answer
    body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
    return answer[: len(answer) - len(body)] + bytes(body)


def reset(connection: socket.socket) -> None:
    """End a connection as a broken network does: without a farewell."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
