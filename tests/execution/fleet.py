"""
A hub of several worker processes that are killed with -9 while they work; both modes.

    with open_fleet("scaled", folder, seed=7) as fleet:
        outcome = fleet.survive(runs=60, kills=6)

``outcome`` says what the rows and the agents' own log say: how many runs ended,
which questions were asked although their answer stood in the journal, and how
long it took after each kill until others had taken over what the dead had under
way. The test asserts on it; ``python -m benchmarks chaos`` measures with it.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests import servers

ROOT = Path(__file__).resolve().parents[2]
LOOK_SECONDS = 0.1
GAP_SECONDS = 0.5  # between two kills, at least

EMBEDDED = {f"worker-{n}": [sys.executable, "manage.py", "worker"] for n in (1, 2)}
_CELERY = [sys.executable, "-m", "celery", "-A", "hub"]
_WORKER = [*_CELERY, "worker", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
SCALED = {
    "advance": [*_WORKER, "-Q", "advance", "-c", "1", "-n", "advance@%h"],
    "effects-1": [*_WORKER, "-Q", "effects", "-P", "threads", "-n", "effects1@%h"],
    "effects-2": [*_WORKER, "-Q", "effects", "-P", "threads", "-n", "effects2@%h"],
    "beat": [*_CELERY, "beat", "--loglevel", "WARNING"],
}


@dataclass(slots=True, kw_only=True)
class Kill:
    """One kill, and what the dead process had under way."""

    name: str
    at: float  # seconds, monotonic
    left: set[tuple[int, int]]  # (effect, epoch) sent and not answered
    fenced_seconds: float | None = None  # until nothing counted as sent by the dead process any more
    recovered_seconds: float | None = None  # until others had asked all of it again, or had done with it
    load: float = 0.0  # of the machine in the minute before


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What was found when it was over."""

    runs: int
    statuses: Counter[str]
    kills: list[Kill]
    completions: int
    asked_again: list[str]  # questions asked although their answer was committed
    unaccounted: list[str]  # asked more often than their rows say
    repaid: int  # asked again because no answer had been committed
    seconds: float

    @property
    def recovery_seconds(self) -> float:
        """The slowest recovery."""
        return max((kill.recovered_seconds or 0.0 for kill in self.kills), default=0.0)

    @property
    def unended(self) -> int:
        """Runs that did not end."""
        return sum(count for status, count in self.statuses.items() if status not in ("succeeded", "failed"))


@dataclass(slots=True)
class Fleet:
    """The processes of one hub."""

    commands: dict[str, list[str]]
    environment: dict[str, str]
    folder: Path
    random: random.Random
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    kills: list[Kill] = field(default_factory=list)

    # ------------------------------------------------------------ processes

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self.commands[name], cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """Kill -9, with its children: as when the machine goes away."""
        process = self.processes.pop(name)
        leases = tuple(row[0] for row in self.ask("SELECT id, name FROM execution_workerlease WHERE NOT gone")
                       if self._belongs(str(row[1]), process.pid))  # fmt: skip
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.kills.append(Kill(name=name, at=time.monotonic(), left=self._left(leases), load=os.getloadavg()[0]))

    @staticmethod
    def _belongs(lease: str, group: int) -> bool:
        """Whether a lease ``host:pid:random`` is of this process group."""
        with contextlib.suppress(ProcessLookupError, ValueError, IndexError):
            return os.getpgid(int(lease.split(":")[1])) == group
        return False

    def _left(self, leases: tuple[int, ...]) -> set[tuple[int, int]]:
        if not leases:
            return set()
        held = ", ".join(map(str, leases))
        return set(self.ask(f"SELECT id, epoch FROM execution_effect WHERE status = 'sent' AND worker_id IN ({held})"))

    def stop(self) -> None:
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()

    # ------------------------------------------------------------ rows

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Read rows, beside everybody else."""
        url = self.environment["DATABASE_URL"]
        if url.startswith("sqlite"):
            import sqlite3

            with contextlib.closing(sqlite3.connect(urlsplit(url).path[1:], timeout=20)) as own:
                return own.execute(query).fetchall()
        import psycopg

        with psycopg.connect(url.replace("postgres://", "postgresql://")) as other:
            return other.execute(query).fetchall()  # type: ignore[arg-type]

    def ended(self) -> int:
        rows = self.ask("SELECT COUNT(*) FROM execution_run WHERE ended_at IS NOT NULL AND parent_id IS NULL")
        return int(rows[0][0])

    def look(self) -> None:
        """Note which kills have been recovered from: nothing of the dead is still waiting for them."""
        waiting = [kill for kill in self.kills if kill.recovered_seconds is None]
        if not waiting:
            return
        sent = set(self.ask("SELECT id, epoch FROM execution_effect WHERE status IN ('sent', 'in_doubt')"))
        in_doubt = {row[0] for row in self.ask("SELECT id FROM execution_effect WHERE status = 'in_doubt'")}
        for kill in waiting:
            if kill.fenced_seconds is None and not kill.left & sent:
                kill.fenced_seconds = time.monotonic() - kill.at
            if not (kill.left & sent) and not any(effect in in_doubt for effect, _ in kill.left):
                kill.recovered_seconds = time.monotonic() - kill.at

    # ------------------------------------------------------------ the test

    def survive(self, *, runs: int, kills: int, alive: int = 40, patience_seconds: float = 100.0) -> Outcome:
        """Carry out ``runs`` runs while ``kills`` processes are killed; each is started again at once."""
        began = time.monotonic()
        self.feeder(runs, alive)
        for name in self.commands:
            self.start(name)
        due = [runs * (number + 0.5) / (kills + 1) for number in range(kills)]
        while (ended := self.ended()) < runs or any(kill.recovered_seconds is None for kill in self.kills):
            assert time.monotonic() - began < patience_seconds, f"{ended} of {runs} runs ended\n{self.logs()}"
            self.look()
            if len(self.kills) < kills and ended >= due[len(self.kills)] and self._rested():
                name = self.random.choice(sorted(self.commands))
                self.kill(name)
                self.start(name)
            time.sleep(LOOK_SECONDS)
        return self.outcome(runs, time.monotonic() - began)

    def _rested(self) -> bool:
        return not self.kills or time.monotonic() - self.kills[-1].at > GAP_SECONDS

    def feeder(self, runs: int, alive: int) -> None:
        """Start the process that starts the runs; returns once the tables are there."""
        self.commands.setdefault("feeder", [sys.executable, "-m", "tests.execution.feeding", str(runs), str(alive)])
        self.start("feeder")
        del self.commands["feeder"]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.processes["feeder"].poll() in (None, 0):
            with contextlib.suppress(Exception):  # the table is not there yet
                if self.ask("SELECT COUNT(*) FROM execution_run")[0][0]:
                    return
            time.sleep(0.2)
        raise AssertionError(f"no run was started\n{self.logs()}")

    def logs(self) -> str:
        """The last lines of every process."""
        texts = {path.name: path.read_text(errors="replace")[-1500:] for path in sorted(self.folder.glob("*.log"))}
        return "\n".join(f"--- {name}\n{text}" for name, text in texts.items() if name != "asked.log")

    def outcome(self, runs: int, seconds: float) -> Outcome:
        effects = self.ask(
            "SELECT e.run_id, e.key, e.attempts, e.doubts, e.answered_at, COUNT(a.id) FROM execution_effect e"
            " LEFT JOIN execution_attempt a ON a.effect_id = e.id AND a.outcome = 'failed'"
            " WHERE e.handler = 'agent' GROUP BY e.id, e.run_id, e.key, e.attempts, e.doubts, e.answered_at"
        )
        asked = [line.split("\t") for line in (self.folder / "asked.log").read_text().splitlines()]
        times = Counter((int(run), key) for run, key, _ in asked)
        answered = {(run, key): at for run, key, _, _, at, _ in effects if at is not None}
        again = [f"{run} {key}" for run, key, at in asked if int(at) > answered.get((int(run), key), 2**62)]
        odd = [
            f"{run} {key}: {attempts} attempts, {doubts} doubts, {failed} failed, asked {times[run, key]} times"
            for run, key, attempts, doubts, at, failed in effects
            if times[run, key] > attempts or (at is not None and attempts != 1 + doubts + failed)
        ]
        statuses = Counter(dict(self.ask("SELECT status, COUNT(*) FROM execution_run GROUP BY status")))
        return Outcome(
            runs=runs,
            statuses=statuses,
            kills=self.kills,
            completions=len(answered),
            asked_again=again,
            unaccounted=odd,
            repaid=sum(row[3] for row in effects),
            seconds=seconds,
        )


@contextlib.contextmanager
def open_fleet(mode: str, folder: Path, *, seed: int, scale: float = 0.15) -> Iterator[Fleet]:
    """A fleet with servers of its own; ``mode`` is ``embedded`` (SQLite) or ``scaled`` (Celery, Redis, PostgreSQL)."""
    with contextlib.ExitStack() as stack:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.execution.chaos_settings",
            "HUB_DATA": str(folder),
            "CHAOS_LOG": str(folder / "asked.log"),
            "CHAOS_SCALE": str(scale),
            "DATABASE_URL": f"sqlite:///{folder / 'hub.sqlite3'}",
        }
        if mode == "scaled":
            environment["DATABASE_URL"] = stack.enter_context(servers.postgres())
            environment["CHAOS_BROKER"] = stack.enter_context(servers.redis())
        fleet = Fleet(dict(SCALED if mode == "scaled" else EMBEDDED), environment, folder, random.Random(seed))
        stack.callback(fleet.stop)
        yield fleet
