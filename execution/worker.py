"""
Claim and run: the one loop that the embedded worker and the Celery tasks share.

    worker = Worker(); worker.start(); worker.claim_and_run(); …; worker.stop()

``claim_and_run`` commits what agents answered, advances the runs concerned,
claims what is due and sends it. Backends that answer at once are asked right
here; all others in the *lane*, one asyncio loop per process, in which hundreds
of questions wait without holding a thread or a database connection. A worker
beats while it lives; what a dead one leaves behind the others find (reaping).
"""

from __future__ import annotations

import logging
import os
import queue
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import DatabaseError, close_old_connections, connection

from execution.agents import roster
from execution.errors import RunMoved
from execution.lane import Lane
from execution.services import advancing, batching, committing, delivering, faults, hints, observing, reaping, yielding
from execution.services.asking import Delivery, Reply
from execution.services.clock import now_ms
from execution.services.drafting import Claim
from execution.services.isolating import TRIALS

log = logging.getLogger(__name__)

SLICE_MS = 250
BATCHES_MS = 500  # between two looks at message batches
TRIALS_BATCH = 25  # answers or claims of trials in one transaction: people's runs wait for it


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How one worker behaves; durations in seconds."""

    in_flight: int = 500  # questions waiting for an answer at once
    poll_seconds: float = 0.2  # between two looks at the database when nothing hints
    reap_seconds: float = 2.0
    beat_seconds: float = 1.5
    lease_seconds: float = 6.0  # without a beat for so long, a worker counts as gone
    drain_seconds: float = 25.0  # told to stop: how long it waits for the answers under way
    commit_batch: int = 100  # answers committed in one transaction
    queue: str = ""  # "trials": carries out the runs of trials and nothing else
    delivers: bool = True  # False: advances runs only, and leaves questions to other processes


class Worker:
    """Carries runs out. One per process; ``claim_and_run`` may be called by several threads."""

    def __init__(self, settings: WorkerSettings | None = None, *, clock: Callable[[], int] = now_ms) -> None:
        self.settings = settings or WorkerSettings()
        self.clock = clock
        self.worker_id = 0
        self.answers: queue.SimpleQueue[Reply | None] = queue.SimpleQueue()
        self.hinted: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.heard: queue.SimpleQueue[batching.Heard] = queue.SimpleQueue()
        self.backlog: deque[Delivery] = deque()
        self.lane = Lane(self.answers.put, clock)
        self.stopping = threading.Event()
        self.hurried = threading.Event()  # set: a worker that stops waits for no further answer
        self._ended = threading.Event()
        self._beater: threading.Thread | None = None
        self._reaped_at = self._batched_at = 0
        self._pace = yielding.Pace()

    # ------------------------------------------------------------ life

    def start(self) -> None:
        """Register, and beat from now on."""
        name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}:{self.settings.queue or 'runs'}"
        self.worker_id = reaping.register(name, self.clock())
        for event in (self.stopping, self.hurried, self._ended):
            event.clear()
        self._beater = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._beater.start()
        hints.listen(self.hint)

    def stop(self) -> None:
        """
        Stop in good order: wait a while for the answers under way, which are paid for, and give back the rest.

        What was claimed and never sent is as it was before; what was sent and
        stays without an answer is in doubt at once. Nobody else may be in ``claim_and_run`` any more.
        """
        hints.forget(self.hint)
        self.stopping.set()
        delivering.give_back(self.backlog, self.clock())
        self.backlog.clear()
        until = time.monotonic() + self.settings.drain_seconds
        while self.lane.in_flight and time.monotonic() < until and not self.hurried.is_set():
            self._wait()
        self.lane.stop()
        self._go_on(self._commit_answers(self._drain()))
        self._ended.set()
        if self._beater is not None:
            self._beater.join(timeout=5)
        reaping.leave(self.worker_id, self.clock())

    def _beat(self) -> None:
        """Renew the lease; a worker that was fenced meanwhile goes on as a new one."""
        try:
            while not self._ended.wait(self.settings.beat_seconds):
                try:
                    self.beat()
                except DatabaseError:
                    log.exception("no heartbeat; trying again")
                    close_old_connections()
        finally:
            connection.close()

    def beat(self) -> None:
        """Renew the lease of all that was sent."""
        if not reaping.beat(self.worker_id, self.clock()):
            log.warning("worker %s was fenced; registering again", self.worker_id)
            self.worker_id = reaping.register(f"again:{self.worker_id}:{self.settings.queue or 'runs'}", self.clock())

    def hint(self, kind: str, run_id: int) -> None:
        """Something of this run can be done now."""
        self.hinted.put(run_id)
        self.answers.put(None)

    # ------------------------------------------------------------ the loop

    def run_forever(self) -> None:
        """Work until ``stopping`` is set."""
        while not self.stopping.is_set():
            try:
                busy = self.claim_and_run()
            except DatabaseError:
                log.exception("the database refused; trying again")
                close_old_connections()
                busy = 0
                self.stopping.wait(1.0)
            if not busy:
                self._wait()

    def _wait(self) -> None:
        """Sleep until an answer, a hint or the next poll."""
        try:
            first = self.answers.get(timeout=self.settings.poll_seconds)
        except queue.Empty:
            return
        if first is not None:
            self._go_on(self._commit_answers([first, *self._drain()]))
            self._send_backlog()

    def claim_and_run(self, run_id: int | None = None) -> int:
        """
        Do whatever can be done now; how many things were done.

        Args:
            run_id: begin with this run (a hint); all others are looked at too.
        """
        done = self._reap_when_due()
        runs = self._commit_answers(self._drain())
        runs += self._hinted_runs()
        if run_id is not None:
            runs += reaping.of_queue([run_id], self.settings.queue)
        runs += reaping.runs_with_work(self.clock(), queue=self.settings.queue)
        done += self._go_on(runs)
        room = min(self.room, self.batch_size) if self.settings.queue == TRIALS else self.room
        with self._turn():
            self._deliver(
                delivering.claim(worker_id=self.worker_id, room=room, now=self.clock(), queue=self.settings.queue)
            )
        if self.settings.queue == TRIALS:
            with self._turn():
                done += observing.observe(self.clock()) + self._batches()
        return done + self._send_backlog()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One thing done; a worker of trials then lets others write."""
        started = time.monotonic()
        yield
        if self.settings.queue == TRIALS:
            self._pace.give_way(time.monotonic() - started)

    def _go_on(self, runs: Sequence[int]) -> int:
        """Advance these runs, and whatever follows at once from it."""
        done, queued = 0, deque(dict.fromkeys(runs))
        while queued:
            moved, others = self.advance(queued.popleft())
            done += moved
            queued.extend(others)
        return done

    def advance(self, run_id: int) -> tuple[int, Sequence[int]]:
        """Advance one run and take what it asks into the backlog; whether it moved, and which runs can go on now."""
        claim = Claim(worker_id=self.worker_id, room=self.room)
        try:
            with self._turn():
                advanced = advancing.advance(run_id=run_id, now=self.clock(), claim=claim)
        except RunMoved:
            return 0, ()  # others are at it; what they leave is found by the next look
        self._deliver(advanced.deliveries)
        if advanced.again:
            self.hinted.put(run_id)
        return int(advanced.moved), advanced.others

    @property
    def batch_size(self) -> int:
        """Answers that one transaction commits, or questions that it claims."""
        most = self.settings.commit_batch
        return min(most, TRIALS_BATCH) if self.settings.queue == TRIALS else most

    @property
    def room(self) -> int:
        """How many more questions this worker takes."""
        if not self.settings.delivers or self.stopping.is_set():
            return 0
        return self.settings.in_flight - self.lane.in_flight - len(self.backlog)

    def _deliver(self, deliveries: Sequence[Delivery]) -> int:
        """Take what was claimed into the backlog."""
        self.backlog.extend(deliveries)
        return len(deliveries)

    def _send_backlog(self) -> int:
        """Send what was claimed, for a quarter of a second at most: other runs want their turn."""
        until, done = self.clock() + SLICE_MS, 0
        while self.backlog:
            batch = self._batch()
            faults.reach("before-sending")
            immediate = [one for one in batch if is_immediate(one)]
            for delivery in batch:
                if not is_immediate(delivery):
                    self.lane.submit(delivery)
            replies = [delivering.send_now(delivery, self.clock) for delivery in immediate]
            if replies:
                self._go_on(committing.commit(replies, self.clock()))
            done += len(batch)
            if self.clock() > until:
                break
        return done

    def _batch(self) -> list[Delivery]:
        """The next of the backlog; another thread may be taking from it too."""
        batch: list[Delivery] = []
        while len(batch) < self.batch_size:
            try:
                batch.append(self.backlog.popleft())
            except IndexError:
                break
        return batch

    def _drain(self) -> list[Reply]:
        """The answers that have come."""
        replies: list[Reply] = []
        while True:
            try:
                reply = self.answers.get_nowait()
            except queue.Empty:
                return replies
            if reply is not None:
                replies.append(reply)

    def _commit_answers(self, replies: Sequence[Reply]) -> list[int]:
        runs: list[int] = []
        for start in range(0, len(replies), self.batch_size):
            with self._turn():
                runs += committing.commit(replies[start : start + self.batch_size], self.clock())
        return runs

    def _hinted_runs(self) -> list[int]:
        runs: list[int] = []
        while True:
            try:
                runs.append(self.hinted.get_nowait())
            except queue.Empty:
                return reaping.of_queue(list(dict.fromkeys(runs))[:500], self.settings.queue)

    def _batches(self) -> int:
        """Message batches: what was heard is committed, what is due goes out; the lane does the waiting."""
        done = 0
        while not self.heard.empty():
            done += 1
            self._go_on(batching.commit(self.heard.get(), self.clock()))
        now = self.clock()
        if not self.settings.delivers or now - self._batched_at < BATCHES_MS:
            return done
        self._batched_at = now
        done += batching.begin(now)
        for errand in batching.errands(now):
            done += 1
            self.lane.carry(errand, self._hear)
        return done

    def _hear(self, heard: batching.Heard) -> None:
        """In the lane's thread: keep it, and wake the loop."""
        self.heard.put(heard)
        self.answers.put(None)

    def _reap_when_due(self) -> int:
        now = self.clock()
        if now - self._reaped_at < self.settings.reap_seconds * 1000:
            return 0
        self._reaped_at = now
        self.beat()  # before looking for the dead: a worker without a heartbeat of its own is not one of them
        found = reaping.reap(now, int(self.settings.lease_seconds * 1000))
        return self._go_on(reaping.of_queue(found, self.settings.queue))


_shared: dict[tuple[bool, str], Worker] = {}
_threads: dict[tuple[bool, str], threading.Thread] = {}
JOIN_SECONDS = 10.0
_shared_guard = threading.Lock()


def process_worker(*, delivers: bool, queue: str = "") -> Worker:
    """
    The worker of this process in scaled mode, started when it is first needed: after a fork, never before.

    One that delivers has a thread of its own, which commits answers as they come.
    """
    with _shared_guard:
        worker = _shared.get((delivers, queue))
        if worker is None:
            settings = WorkerSettings(delivers=delivers, queue=queue, poll_seconds=1.0)
            worker = _shared[delivers, queue] = Worker(settings)
            worker.start()
            if delivers:
                thread = _threads[delivers, queue] = threading.Thread(target=worker.run_forever, daemon=True)
                thread.start()
        return worker


def stop_process_workers() -> None:
    """Stop in good order: all of them together, so that they wait for their answers at the same time."""
    with _shared_guard:
        for worker in _shared.values():
            worker.stopping.set()
            worker.answers.put(None)
        for thread in _threads.values():
            thread.join(timeout=JOIN_SECONDS)
        for worker in _shared.values():
            worker.stop()
        _shared.clear()
        _threads.clear()


def is_immediate(delivery: Delivery) -> bool:
    """Whether its backend answers without waiting for anything."""
    return roster.backend(delivery.backend, delivery.options).capabilities.immediate


def run_until_idle(*, clock: Callable[[], int] = now_ms, settings: WorkerSettings | None = None) -> int:
    """Carry out everything that can be done now, without threads of its own where backends are immediate; tests, demos."""
    worker = Worker(settings, clock=clock)
    worker.worker_id = reaping.register(f"once:{os.getpid()}:{secrets.token_hex(3)}", clock())
    total = 0
    try:
        while done := worker.claim_and_run() or _settle(worker):
            total += done
    finally:
        worker.lane.stop()
        worker._commit_answers(worker._drain())
        reaping.leave(worker.worker_id, clock())
    return total


def _settle(worker: Worker) -> int:
    """Wait for what is in flight; 0 when nothing is."""
    if not worker.lane.in_flight and worker.answers.empty() and worker.heard.empty():
        return 0
    worker._wait()
    return 1
