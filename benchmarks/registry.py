"""
The registry over HTTP as it is deployed: two uvicorn processes of four threads each, while a hundred live pages are open.

Pinned fetches, conditional ones, publishing, search at two sizes, the list
page and the analytics page. Percentiles are of requests on one connection
that stays open; the rate is that of eight.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.harness import Row, percentile
from benchmarks.registry_node import COMMON, source

ROOT = Path(__file__).resolve().parent.parent
SIZES = [int(size) for size in os.environ.get("BENCH_SIZES", "10000,100000").split(",")]
LIVE, RUNS, CLIENTS = 100, 1_000_000, 8
REACH_OF_SEARCH = {10_000: 20.0, 100_000: 50.0}


class Hub:
    """Its database in a process that can be asked, its web server in two others."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        environment = {
            "PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "hub.settings", "HUB_DATA": str(folder),
            "HUB_SECRET_KEY": "for a benchmark", "HUB_KEY_ENCRYPTION_KEY": "for a benchmark",
            "HUB_PUBLIC_URL": f"http://127.0.0.1:{self.port}",
        }  # fmt: skip
        command = [sys.executable, "-m", "benchmarks.registry_node"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, env=environment, cwd=ROOT, text=True, **pipes)  # type: ignore[call-overload]
        self.told = self.ask("begin")
        serve = ["uvicorn", "hub.asgi:application", "--port", str(self.port), "--workers", "2", "--log-level", "error"]
        self.server = subprocess.Popen([sys.executable, "-m", *serve], env=environment, cwd=ROOT)
        self._wait()

    def ask(self, do: str, **arguments: Any) -> Any:
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def _wait(self) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), contextlib.closing(self.client()) as client:
                client.request("GET", "/api/v1/search?q=first")
                if client.getresponse().status == 200:
                    return
            time.sleep(0.2)
        raise RuntimeError("the benchmark's server did not start")

    def client(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=60)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """A hundred live pages of one run, open for as long as it takes."""
        ask = f"GET /live/runs/{self.told['run']} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode()
        with contextlib.ExitStack() as stack:
            for _ in range(LIVE):
                stream = stack.enter_context(socket.create_connection(("127.0.0.1", self.port), 10))
                stream.sendall(ask)
                assert b" 200 " in stream.recv(200), "a live page was refused"
            yield

    def close(self) -> None:
        self.server.terminate()
        self.process.kill()
        for process in (self.server, self.process):
            process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-registry-") as folder:
        hub = Hub(Path(folder))
        try:
            hub.ask("fill", count=SIZES[0])
            _rate(hub, _pinned(hub), seconds=1.0)  # both server processes have answered once before anything counts
            with hub.watched():
                rows = [*_fetches(hub), *_publishes(hub)]
            for size in SIZES:
                hub.ask("fill", count=size)
                with hub.watched():
                    rows += [*_searches(hub, size), *_lists(hub, size)]
            hub.ask("runs", count=RUNS)
            with hub.watched():
                rows += [*_analytics(hub)]
            return rows
        finally:
            hub.close()


def _took(client: HTTPConnection, path: str, *, status: int = 200, method: str = "GET", **given: Any) -> float:
    """Milliseconds until the whole answer was read."""
    start = time.perf_counter()
    client.request(method, path, **given)
    answer = client.getresponse()
    body = answer.read()
    taken = (time.perf_counter() - start) * 1000
    assert answer.status == status, (path, answer.status, body[:300])
    return taken


def _pinned(hub: Hub) -> str:
    return f"/api/v1/patterns/{hub.told['owner']}/first/versions/1.0.0"


def _fetches(hub: Hub) -> Iterator[Row]:
    path = _pinned(hub)
    with contextlib.closing(hub.client()) as client:
        client.request("GET", path)
        answer = client.getresponse()
        answer.read()
        known = {"If-None-Match": answer.headers["ETag"]}
        fetched = [_took(client, path) for _ in range(1_000)]
        unchanged = [_took(client, path, status=304, headers=known) for _ in range(1_000)]
    yield Row(name="pinned fetch, p50", value=statistics.median(fetched), unit="ms", reach=2.0,
              note=f"p95 {percentile(fetched, 0.95):.2f} ms; {LIVE} live pages open")  # fmt: skip
    yield Row(name="pinned fetch that finds 304, p50", value=statistics.median(unchanged), unit="ms", reach=1.5)
    yield Row(
        name=f"pinned fetches by {CLIENTS} clients",
        value=_rate(hub, path),
        unit="1/s",
        reach=800.0,
        higher_is_better=True,
    )


def _rate(hub: Hub, path: str, *, seconds: float = 5.0) -> float:
    """Requests a second of eight connections; the clients share the machine with the server."""
    ask = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\n\r\n".encode()
    counts, until = [0] * CLIENTS, time.perf_counter() + seconds

    def client(number: int) -> None:
        with socket.create_connection(("127.0.0.1", hub.port), 60) as stream:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.perf_counter() < until:
                stream.sendall(ask)
                assert _whole(stream).startswith(b"HTTP/1.1 200")
                counts[number] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - start)


def _whole(stream: socket.socket) -> bytes:
    """One answer with a Content-Length."""
    data = stream.recv(65_536)
    while b"\r\n\r\n" not in data:
        data += stream.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    missing = length - len(body)
    while missing > 0:
        missing -= len(stream.recv(65_536))
    return data


def _publishes(hub: Hub) -> Iterator[Row]:
    headers = {"Authorization": f"Bearer {hub.told['token']}", "Content-Type": "application/json"}
    taken = []
    with contextlib.closing(hub.client()) as client:
        for number in range(110):
            body = json.dumps({"source": source(f"new-{number}", parts=20)})
            taken.append(_took(client, "/api/v1/patterns", method="POST", status=201, headers=headers, body=body))
    yield Row(name="publish with token, validation and compile, p50", value=statistics.median(taken[10:]), unit="ms", reach=10.0,
              note=f"{len(source('new-1', parts=20))} bytes; p95 {percentile(taken[10:], 0.95):.1f} ms")  # fmt: skip


def _searches(hub: Hub, size: int) -> Iterator[Row]:
    rng = random.Random(size)
    rare, common = ([f"rare{rng.randrange(size // 20)}x" for _ in range(100)], [rng.choice(COMMON) for _ in range(100)])
    with contextlib.closing(hub.client()) as client:

        def ask(words: Sequence[str]) -> list[float]:
            return [_took(client, f"/api/v1/search?q={quote(word)}") for word in words]

        ask([rare[0], common[0]])
        seldom, often = ask(rare), ask(common)
    yield Row(name=f"search at {size} patterns, p95", value=percentile([*seldom, *often], 0.95), unit="ms",
              reach=REACH_OF_SEARCH.get(size),
              note=f"half rare terms (p50 {statistics.median(seldom):.1f} ms), half common ones (p50 {statistics.median(often):.1f} ms)")  # fmt: skip


def _lists(hub: Hub, size: int) -> Iterator[Row]:
    queries = hub.ask("queries", path="/patterns/")["queries"]
    with contextlib.closing(hub.client()) as client:
        taken = [_took(client, "/patterns/") for _ in range(60)][10:]
    is_largest = size == SIZES[-1]
    yield Row(name=f"list page at {size} patterns, p50", value=statistics.median(taken), unit="ms",
              reach=40.0 if is_largest else None)  # fmt: skip
    yield Row(name=f"list page at {size} patterns, queries", value=queries, unit="queries", reach=8.0)


def _analytics(hub: Hub) -> Iterator[Row]:
    path = f"/patterns/{hub.told['owner']}/first/analytics/"
    queries = hub.ask("queries", path=path)["queries"]
    with contextlib.closing(hub.client()) as client:
        taken = [_took(client, path) for _ in range(40)][10:]
    yield Row(name=f"analytics page at {RUNS} runs, p50", value=statistics.median(taken), unit="ms", reach=50.0,
              note=f"{queries} queries over {RUNS // 25} roll-ups")  # fmt: skip
