"""
Three nodes as processes, a proxy before each, and a way to see into their databases.

A fleet is made once and used by many schedules: each begins with the
databases as they were after the handshakes. Whatever is judged is read from
the databases with plain SQL, not asked of the code under test.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests import servers
from tests.federation.chaos.proxy import Proxy, Weather

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("north", "east", "west")
START_SECONDS = 150.0
TABLES = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands in one node's database at one moment."""

    statements: frozenset[str]  # ids
    feed: tuple[str, ...]  # ids by number
    numbers: tuple[int, ...]  # of the feed
    releases: frozenset[str]  # digests of the texts
    unfed: frozenset[tuple[str, str]]  # what stands outside the feed: signer and subject digest
    ways: tuple[tuple[str, ...], ...]  # how each statement came
    standing: tuple[tuple[str, str, str, str], ...]  # admitted, not withdrawn: author id, name, version, digest
    withdrawn: frozenset[str]  # digests of versions that are marked as withdrawn here
    told_withdrawn: frozenset[tuple[str, str]]  # author and digest of texts for which a withdrawal is held
    states: tuple[tuple[str, str, str], ...]  # of each release: digest, state in quarantine, reason
    waiting: int  # objects in quarantine that still move by themselves, and announced statements without a number yet
    dead: frozenset[tuple[str, str]]  # dead letters: key, code
    errors: tuple[str, ...]  # last error with each peer


@dataclass
class Member:
    """One node: its process, its database, and its proxy."""

    name: str
    folder: Path
    port: int
    proxy: Proxy
    launcher: subprocess.Popen[str] | None = None
    pid: int = 0  # of the node; 0 where it is dead
    node_id: str = ""
    kills: int = 0
    logged: int = 0  # bytes of its log that belong to earlier schedules
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def database(self) -> Path:
        return self.folder / "hub.sqlite3"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.proxy.port}"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "DJANGO_SETTINGS_MODULE": "hub.settings",
            "HUB_DATA": str(self.folder),
            "HUB_SECRET_KEY": f"secret of {self.name}, long enough for a test",
            "HUB_KEY_ENCRYPTION_KEY": f"encrypts the keys of {self.name}",
            "HUB_PUBLIC_URL": self.url,
            "FEDERATION_ALLOW_LOOPBACK": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore::UserWarning",
        }

    # --- its processes ---

    def run(self, code: str, *arguments: str) -> None:
        """Python in its environment."""
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr

    def launch(self) -> None:
        """The process that forks nodes."""
        command = [sys.executable, "-m", "tests.federation.chaos.node_process", str(self.port)]
        with (self.folder / "node.log").open("ab") as log:
            self.launcher = subprocess.Popen(
                command,
                env=self.environment,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def _tell(self, **what: Any) -> dict[str, Any]:
        assert self.launcher is not None
        assert self.launcher.stdin is not None
        assert self.launcher.stdout is not None
        self.launcher.stdin.write(json.dumps(what) + "\n")
        self.launcher.stdin.flush()
        answer = self.launcher.stdout.readline()
        assert answer, f"{self.name} is gone:\n{self.last_words()}"
        told: dict[str, Any] = json.loads(answer)
        return told

    def wait_until_loaded(self) -> None:
        assert self.launcher is not None
        assert self.launcher.stdout is not None
        assert json.loads(self.launcher.stdout.readline() or "{}") == {"ready": True}, self.last_words()

    def start(self, *, was_restored: bool = False) -> None:
        """A fresh process on the database as it lies there."""
        with self._lock:
            if self.pid:
                return
            self.pid = self._tell(do="start", was_restored=was_restored)["pid"]
        until(self._answers, f"{self.name} does not start", seconds=START_SECONDS, explain=self.last_words)

    def kill(self) -> None:
        """``kill -9``, in the middle of whatever it does."""
        with self._lock:
            if not self.pid:
                return
            os.kill(self.pid, signal.SIGKILL)
            self._tell(do="reap")
            self.pid = 0
            self.kills += 1

    def close(self) -> None:
        self.kill()
        if self.launcher is not None:
            assert self.launcher.stdin is not None
            assert self.launcher.stdout is not None
            self.launcher.stdin.close()
            self.launcher.wait(20)
            self.launcher.stdout.close()

    def _answers(self) -> bool:
        if not self.pid:
            return True  # killed again before it was up
        with contextlib.suppress(httpx2.HTTPError):
            address = f"http://127.0.0.1:{self.port}/.well-known/opl-federation"
            return bool(httpx2.get(address, trust_env=False, timeout=5).status_code < 500)
        return False

    def last_words(self) -> str:
        return (self.folder / "node.log").read_text("utf-8", "replace")[-3_000:]

    def log_of_this_schedule(self) -> str:
        """What it wrote since the storm began."""
        return (self.folder / "node.log").read_bytes()[self.logged :].decode("utf-8", "replace")

    def control(self, what: str, **arguments: Any) -> Any:
        """Have the running node do something; None where it is dead, or dies meanwhile."""
        try:
            answer = httpx2.post(
                f"http://127.0.0.1:{self.port}/control/{what}", json=arguments, trust_env=False, timeout=30
            )
        except httpx2.HTTPError:
            return None
        assert answer.status_code == 200, f"{self.name}, {what} {arguments}: {answer.text}\n{self.last_words()}"
        return answer.json()

    # --- its database ---

    def copy_database(self, to: Path) -> Path:
        """A consistent copy, also while the node writes."""
        with (
            contextlib.closing(sqlite3.connect(self.database, timeout=20)) as here,
            contextlib.closing(sqlite3.connect(to)) as there,
        ):
            here.backup(there)
        return to

    def put_database(self, copy: Path) -> None:
        """An older database in the place of this one; the node is dead meanwhile."""
        assert not self.pid
        for part in self.folder.glob("hub.sqlite3*"):
            part.unlink()
        shutil.copyfile(copy, self.database)

    def look(self) -> Seen:
        """Everything that is judged, in one read transaction."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=20)) as rows:
            rows.execute("BEGIN")
            statements = rows.execute(
                "SELECT statement_id, seq, kind, subject_digest, via, target, signer, is_announced"
                " FROM federation_statement ORDER BY seq"
            ).fetchall()
            admitted = rows.execute(ADMITTED).fetchall()
            states = rows.execute(STATES).fetchall()
            texts = {each[0]: (each[6], each[3]) for each in statements if each[2] == "release"}
            numbered = [each for each in statements if each[1] is not None]
            return Seen(
                statements=frozenset(each[0] for each in statements),
                feed=tuple(each[0] for each in numbered),
                numbers=tuple(each[1] for each in numbered),
                unfed=frozenset((each[6], each[3]) for each in statements if each[1] is None),
                releases=frozenset(each[3] for each in statements if each[2] == "release"),
                ways=tuple(tuple(json.loads(each[4])) for each in statements),
                standing=tuple(sorted(each[:4] for each in admitted if not each[4])),
                told_withdrawn=frozenset(texts[each[5]] for each in statements if each[5] in texts),
                withdrawn=frozenset(each[3] for each in admitted if each[4]),
                states=tuple(states),
                waiting=sum(each[1] not in ("admitted", "rejected") for each in states)
                + sum(bool(each[7]) and each[1] is None for each in statements),
                dead=frozenset(rows.execute("SELECT key, code FROM federation_deadletter").fetchall()),
                errors=tuple(each[0] for each in rows.execute("SELECT last_error FROM federation_peer") if each[0]),
            )


STATES = """
SELECT statement.subject_digest, item.state, item.reason FROM federation_quarantineitem AS item
JOIN federation_statement AS statement ON statement.id = item.statement_id
"""
ADMITTED = """
SELECT coalesce(author.author_id, owner.authority, ''), pattern.name, version.version, version.digest,
       version.yanked_at IS NOT NULL
FROM registry_patternversion AS version
JOIN registry_pattern AS pattern ON pattern.id = version.pattern_id
JOIN registry_owner AS owner ON owner.id = pattern.owner_id
LEFT JOIN federation_author AS author ON author.owner_id = owner.id
"""


@dataclass
class Fleet:
    """The nodes, and the weather between them."""

    folder: Path
    weather: Weather
    members: dict[str, Member]
    first: dict[str, Path] = field(default_factory=dict)  # databases after the handshakes

    def begin(self, seed: int) -> None:
        """Every node as it was after the handshakes, and a storm of that seed."""
        for member in self.members.values():
            member.kill()
            member.put_database(self.first[member.name])
            (member.folder / "federation-feed.json").unlink(missing_ok=True)
            member.logged = (member.folder / "node.log").stat().st_size
            member.proxy.number = 0
            member.proxy.older.clear()
        for member in self.members.values():
            member.start()
        self.weather.begin(seed)

    def look(self) -> dict[str, Seen]:
        return {name: member.look() for name, member in self.members.items()}


@contextlib.contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """Three nodes that know and trust each other as one organisation, each reached through its proxy."""
    weather = Weather()
    names: dict[str, str] = {}
    members: dict[str, Member] = {}
    whole = Fleet(folder, weather, members)
    for name in NAMES:
        port = servers.free_port()
        proxy = Proxy(name, port, weather, lambda victim: members[victim].kill(), names)
        (folder / name / "static").mkdir(parents=True)
        proxy.start()
        members[name] = Member(name, folder / name, port, proxy)
    try:
        _found(members, names)
        for name, member in members.items():
            whole.first[name] = member.copy_database(folder / f"{name}-first.sqlite3")
        yield whole
    finally:
        for member in members.values():
            member.close()
            member.proxy.stop()


def _found(members: dict[str, Member], names: dict[str, str]) -> None:
    """Tables, people, keys and handshakes."""
    founder, *others = members.values()
    for member in members.values():
        member.launch()
    founder.run(TABLES)
    for other in others:
        other.put_database(founder.copy_database(other.folder / "tables.sqlite3"))
    for member in members.values():
        member.wait_until_loaded()
        member.start()
        found = member.control("found", name=member.name, has_author=member.name != "west")
        member.node_id = found["node_id"]
        names[found["keyid"]] = member.name
    for member in members.values():
        for other in members.values():
            if other is not member:
                member.control("meet", url=other.url, label=other.name)
    for member in members.values():
        member.kill()
        member.kills = 0


def until(
    is_so: Callable[[], bool], otherwise: str, *, seconds: float, explain: Callable[[], str] = str, pause: float = 0.05
) -> None:
    """Wait for a condition; AssertionError, with the explanation, once the time is up."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"{otherwise} within {seconds:g} s\n{explain()}")
        time.sleep(pause)
