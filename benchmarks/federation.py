"""
Two hubs on loopback: a first sync of 10,000 patterns of 3.6 KB, increments, reconciliation, dead peers.

Both hubs are processes with their own SQLite file; the reader verifies every
signature and stores every statement. Git over HTTP and rsync move the same
texts in the same run, without checking any author.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.federation_node import document
from benchmarks.harness import Row, seconds
from federation.protocol import reconcile

ROOT = Path(__file__).resolve().parent.parent
PATTERNS = int(os.environ.get("BENCH_PATTERNS", "10000"))
INCREMENT, INCREMENTS = 100, 7
# Python's CGI server turns itself into nobody, who may not read what this benchmark wrote.
CGI_SERVER = (
    "import http.server as h, os, sys; h.nobody_uid = os.getuid; "
    "h.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), h.CGIHTTPRequestHandler).serve_forever()"
)
DEAD = 50


class Node:
    """A hub in a process of its own, and its web server in another."""

    def __init__(self, folder: Path, *, serves: bool) -> None:
        folder.mkdir()
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "hub.settings", "HUB_DATA": str(folder),
            "HUB_SECRET_KEY": "for a benchmark", "HUB_KEY_ENCRYPTION_KEY": folder.name, "HUB_PUBLIC_URL": self.url,
            "FEDERATION_ALLOW_LOOPBACK": "1",
        }  # fmt: skip
        command = [sys.executable, "-m", "benchmarks.federation_node"]
        self.process = subprocess.Popen(
            command, env=self.environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.told = self.ask("who")
        self.server = self._serve() if serves else None

    def ask(self, do: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def _serve(self) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "hub.asgi:application",
            "--port",
            str(self.port),
            "--log-level",
            "error",
        ]
        server = subprocess.Popen(command, env=self.environment, cwd=ROOT, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            # The first answer takes a second of imports; a peer's requests would not wait for it on a busy machine.
            with contextlib.suppress(OSError), urlopen(f"{self.url}/.well-known/opl-federation", timeout=60):
                return server
            time.sleep(0.1)
        raise RuntimeError("the benchmark's server did not start")

    def close(self) -> None:
        for process in filter(None, (self.process, self.server)):
            process.kill()
            process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-federation-", ignore_cleanup_errors=True) as folder:
        base = Path(folder)
        return [*_sync(base), *_others(base), *_reconcile()]


def _sync(base: Path) -> list[Row]:
    north, south, paging = (Node(base / name, serves=name == "north") for name in ("north", "south", "paging"))
    try:
        north.ask("seed", count=PATTERNS)
        peer = north.told["node_id"]
        paged = _first(north, paging)
        north.ask("cut")
        first = _first(north, south)
        scan = south.ask("scan")
        assert scan["count"] == PATTERNS, scan
        increments = []
        for n in range(INCREMENTS):
            north.ask("seed", count=INCREMENT, first=PATTERNS + n * INCREMENT)
            done = south.ask("sync", node_id=peer)
            assert done["accepted"] == INCREMENT, done
            increments.append(done["seconds"] * 1000)
        return [
            Row(name=f"first sync of {PATTERNS} patterns: received, verified, stored", value=first["seconds"], unit="s", reach=3.0,
                note=f"every author's signature; {first['cpu']:.2f} s of processor in the reader"),
            Row(name="the same from a node that has no segments yet, page by page", value=paged["seconds"], unit="s", reach=3.0,
                note=f"{paged['cpu']:.2f} s of processor in the reader"),
            Row(name="received, verified, stored, scanned and in quarantine", value=first["seconds"] + scan["seconds"], unit="s",
                reach=6.0, note=f"scan alone {scan['seconds']:.2f} s, {scan['cpu']:.2f} s of processor besides its children"),
            Row(name=f"+{INCREMENT} patterns, p50", value=statistics.median(increments), unit="ms", reach=60.0),
            *_dead_peers(south, peer),
        ]  # fmt: skip
    finally:
        for node in (north, south, paging):
            node.close()


def _first(north: Node, reader: Node) -> Any:
    """A reader's first sync of everything."""
    reader.ask("add", url=north.url)
    north.ask("approve", node_id=reader.told["node_id"])
    done = reader.ask("sync", node_id=north.told["node_id"])
    assert not done["error"] and done["accepted"] >= PATTERNS, done
    return done


def _dead_peers(south: Node, peer: str) -> list[Row]:
    alone = statistics.median(south.ask("round", node_id=peer)["seconds"] for _ in range(5))
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(128)  # connections stand, answers never come
        south.ask("dead", url=f"http://127.0.0.1:{silent.getsockname()[1]}", count=DEAD)
        beside = south.ask("round", node_id=peer)
    assert beside["peers"] == DEAD + 1, beside
    return [
        Row(name=f"a live peer's round beside {DEAD} silent ones, times slower", value=beside["seconds"] / alone, unit="×",
            reach=2.0, note=f"{alone * 1000:.0f} ms alone, {beside['seconds'] * 1000:.0f} ms beside them")
    ]  # fmt: skip


def _reconcile(count: int = 100_000, differences: int = 100) -> list[Row]:
    rng = random.Random(1)
    ids = [rng.randbytes(32) for _ in range(count)]
    build = seconds(lambda: reconcile.IdSet(ids))
    ours, theirs = reconcile.IdSet(ids[: -differences // 2]), reconcile.IdSet(ids[differences // 2 :])
    sent, trips = [0], [0]

    def compare() -> None:
        client = reconcile.Initiator(ours)
        frame: bytes | None = client.first()
        while frame is not None:
            answer = reconcile.respond(theirs, frame)
            sent[0] += len(frame) + len(answer)
            trips[0] += 1
            frame = client.next(answer)
        assert len(client.need) + len(client.have) == differences

    taken = seconds(compare)
    return [
        Row(name=f"reconcile {count} statements with {differences} differences", value=taken, unit="s", reach=0.5,
            note=f"{trips[0]} round trips, {sent[0] / 1024:.0f} KiB; building a set {build:.2f} s")
    ]  # fmt: skip


# ---------------------------------------------------------------- others, in the same run


def _others(base: Path) -> Iterator[Row]:
    texts = base / "texts"
    texts.mkdir()
    for number in range(PATTERNS):
        place = texts / f"author{number % 20}"
        place.mkdir(exist_ok=True)
        (place / f"pattern-{number}.yaml").write_text(document(number))
    if shutil.which("git"):
        yield from _git(base, texts)
    if shutil.which("rsync"):
        yield from _rsync(base, texts)


def _git(base: Path, texts: Path) -> Iterator[Row]:
    """Git's own HTTP backend behind Python's CGI server."""
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@x", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@x",
           "PATH": os.environ["PATH"], "HOME": str(base), "GIT_CONFIG_NOSYSTEM": "1",
           # No collection of garbage in the background: it would outlive the run, and its folder.
           "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "gc.auto", "GIT_CONFIG_VALUE_0": "0"}  # fmt: skip

    def git(*arguments: str, cwd: Path = base) -> str:
        done = subprocess.run(["git", *arguments], cwd=cwd, env=who, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"git {arguments[0]}: {done.stderr}")
        return done.stdout

    work, port = base / "work", _free_port()
    shutil.copytree(texts, work)
    git("init", "-q", "-b", "main", cwd=work)
    git("add", "-A", cwd=work)
    git("commit", "-q", "-m", "all", cwd=work)
    git("clone", "-q", "--bare", str(work), str(base / "served.git"))
    scripts = base / "cgi-bin"
    scripts.mkdir()
    (scripts / "git").symlink_to(Path(git("--exec-path").strip()) / "git-http-backend")
    environment = {**who, "GIT_PROJECT_ROOT": str(base), "GIT_HTTP_EXPORT_ALL": "1"}
    command = [sys.executable, "-c", CGI_SERVER, str(port)]
    server = subprocess.Popen(command, cwd=base, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        url = f"http://127.0.0.1:{port}/cgi-bin/git/served.git"
        cloned = seconds(lambda: git("clone", "-q", url, str(base / "cloned")))
        for number in range(PATTERNS, PATTERNS + INCREMENT):
            (work / "author0" / f"pattern-{number}.yaml").write_text(document(number))
        git("add", "-A", cwd=work)
        git("commit", "-q", "-m", "more", cwd=work)
        git("push", "-q", str(base / "served.git"), "main", cwd=work)
        fetched = seconds(lambda: git("pull", "-q", cwd=base / "cloned"))
    finally:
        server.kill()
        server.wait()
    yield Row(name="git clone over HTTP, the same texts", value=cloned, unit="s", note="checks no author")
    yield Row(name=f"git pull over HTTP, +{INCREMENT}", value=fetched * 1000, unit="ms", note="checks no author")


def _rsync(base: Path, texts: Path) -> Iterator[Row]:
    port, settings = _free_port(), base / "rsyncd.conf"
    settings.write_text(
        f"use chroot = no\nport = {port}\n[texts]\npath = {texts}\nread only = yes\nuid = {os.getuid()}\ngid = {os.getgid()}\n"
    )
    command = ["rsync", "--daemon", "--no-detach", f"--config={settings}", f"--port={port}", "--address=127.0.0.1"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def pull() -> None:
        subprocess.run(["rsync", "-a", f"rsync://127.0.0.1:{port}/texts/", str(base / "copied")], check=True)

    try:
        _wait(port)
        whole = seconds(pull)
        for number in range(PATTERNS, PATTERNS + INCREMENT):
            (texts / "author0" / f"pattern-{number}.yaml").write_text(document(number))
        more = seconds(pull)
    finally:
        server.kill()
        server.wait()
    yield Row(name="rsync, the same texts", value=whole, unit="s", note="checks no author")
    yield Row(name=f"rsync, +{INCREMENT}", value=more * 1000, unit="ms", note="checks no author")


def _wait(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
