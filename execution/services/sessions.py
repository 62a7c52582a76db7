"""
A run in memory: its state as the machine holds it, between two advances.

``take`` gives the session to one thread, ``keep`` gives it back. A session is
only as good as its ``revision``: whoever writes names it, and a write that
misses throws the session away. Loading costs the newest snapshot and the ticks
after it (at most twenty, or 64 kB of them), never the whole history.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from execution.errors import JournalBroken
from execution.models import Run
from execution.models.stored import decompress, load, load_many
from execution.services import engine
from execution.services.world import RunWorld
from opl.errors import MachineError

KEPT = 256
LOCKS = 64

RUN_COLUMNS = (
    "id, version_id, program_hash, owner_id, backend, simulated, seed, policy, status, revision, tick, clock,"
    " events_count, open_calls, tokens_limit, tokens_used, tokens_reserved, cost_limit, cost_used, cost_reserved,"
    " parent_id, parent_effect, depth, forked_from_id, forked_at_tick, started_at, started_by_id, queue"
)


@dataclass(slots=True)
class Session:
    """One run, loaded."""

    run_id: int
    version_id: int
    program_hash: str
    owner_id: int | None
    backend: str
    simulated: bool
    seed: int
    policy: dict[str, Any]
    status: str
    revision: int
    tick: int
    clock: int  # ms
    events_count: int
    open_calls: int
    tokens_limit: int | None
    tokens_used: int
    tokens_reserved: int
    cost_limit: int | None
    cost_used: int
    cost_reserved: int
    parent_id: int | None
    parent_effect: int | None
    depth: int
    forked_from: int | None
    forked_at_tick: int | None
    started: bool
    started_by: int | None
    queue: str
    state: Any = None  # the machine's; None until it has started
    world: RunWorld = field(default_factory=lambda: RunWorld(0))
    snapshot_tick: int = 0
    snapshot_bytes: int = 0
    bytes_since: int = 0  # of tick inputs since the snapshot
    timers: set[int] | None = None  # those that are set, None where they have not been read
    handed: list[Any] = field(default_factory=list)  # answers committed here since (``drafting.Ready``)
    reuse: dict[str, tuple[str, int]] | None = None  # key → (request hash, effect id) of the run it branched off

    @property
    def program(self) -> Any:
        """The compiled program."""
        return engine.program(self.program_hash)


_kept: OrderedDict[int, Session] = OrderedDict()
_guard = threading.Lock()
_locks = [threading.RLock() for _ in range(LOCKS)]


def lock(run_id: int) -> threading.RLock:
    """Held while this process advances the run, so that its own threads do not race each other."""
    return _locks[run_id % LOCKS]


def take(run_id: int) -> Session | None:
    """
    The run, from memory or from its rows; None where there is no such run.

    Raises:
        JournalBroken: its journal does not replay.
    """
    with _guard:
        session = _kept.pop(run_id, None)
    return session if session is not None else load_session(run_id)


def keep(session: Session) -> None:
    """Keep it for the next advance; the oldest ones make room."""
    with _guard:
        _kept[session.run_id] = session
        while len(_kept) > KEPT:
            _kept.popitem(last=False)


def drop(run_id: int) -> None:
    """Forget it: another process moved on, or nothing more happens."""
    with _guard:
        _kept.pop(run_id, None)


def drop_all() -> None:
    """Forget everything; tests stand for a new process with it."""
    with _guard:
        _kept.clear()


def is_kept(run_id: int) -> bool:
    """Whether the run is in memory."""
    with _guard:
        return run_id in _kept


def revisions(run_ids: Iterable[int]) -> dict[int, int]:
    """The revisions of those that are in memory: to be read before their answers are committed, for ``hand``."""
    with _guard:
        return {run_id: _kept[run_id].revision for run_id in run_ids if run_id in _kept}


def hand(run_id: int, revision: int | None, ready: Sequence[Any]) -> None:
    """
    Give a run in memory the answers that were just committed, so that its next advance need not look for them.

    Nothing is handed where the run is not as it was before they were
    committed: it may have found them itself. Whoever else consumes them moves the
    revision on, which the advance finds out when it writes. Answers that others
    commit meanwhile are theirs to go on with; each who commits advances.
    """
    with _guard:
        session = _kept.get(run_id)
        if session is not None and session.revision == revision:
            session.handed += ready


def load_session(run_id: int) -> Session | None:
    """Read the run and bring its state up to its last tick."""
    session = read_row(run_id)
    if session is not None and session.tick:
        restore(session, session.tick)
    return session


def read_row(run_id: int) -> Session | None:
    """The run's row as a session without a state."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {RUN_COLUMNS} FROM execution_run WHERE id = %s", [run_id])  # noqa: S608  our own names
        row = cursor.fetchone()
    if row is None:
        return None
    values = list(row)
    values[5] = bool(values[5])
    values[7] = json.loads(values[7]) if values[7] else {}
    values[25] = values[25] is not None
    session = Session(*values)
    session.world = RunWorld(run_id, fresh=not session.tick)
    return session


Observer = Callable[[Sequence[Any], Sequence[Any]], None]


def restore(session: Session, upto: int, observer: Observer | None = None) -> None:
    """
    Set the state to that after tick ``upto``: the best snapshot, then the ticks after it.

    Args:
        observer: starts from the first tick instead, and is shown the inputs and effects of every round.
    """
    chain = segments(session.run_id, upto)
    start = _snapshot(chain, upto) if observer is None else None
    done = 0
    if start is not None:
        done, session.state, session.snapshot_bytes = start
        session.snapshot_tick = done
    for run_id, first, last in chain:
        if last > done:
            _replay(session, run_id, max(first, done + 1), last, observer)
    session.tick = upto


def segments(run_id: int, upto: int) -> list[tuple[int, int, int]]:
    """Whose ticks make up the journal: ``(run, first, last)`` from the origin on; a branch shares a prefix."""
    parts: list[tuple[int, int, int]] = []
    current: int | None = run_id
    while current is not None:
        row = Run.objects.filter(pk=current).values_list("forked_from_id", "forked_at_tick").first()
        origin, left_at = row if row is not None else (None, None)
        shared = min(left_at or 0, upto)
        if upto > shared:
            parts.append((current, shared + 1, upto))
        current, upto = (origin, shared) if shared else (None, 0)
    return parts[::-1]


def _snapshot(chain: list[tuple[int, int, int]], upto: int) -> tuple[int, Any, int] | None:
    """The newest usable snapshot of the chain: ``(tick, state, bytes)``."""
    for run_id, _, last in reversed(chain):
        with connection.cursor() as cursor:
            cursor.execute("SELECT tick, size_bytes, data FROM execution_snapshot WHERE run_id = %s", [run_id])
            row = cursor.fetchone()
        if row is not None and row[0] <= min(last, upto):
            return row[0], json.loads(decompress(row[2])), row[1]
    return None


def _replay(session: Session, run_id: int, first: int, last: int, observer: Observer | None) -> None:
    """Feed the ticks ``first`` to ``last`` of one run's journal."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT number, inputs FROM execution_tick WHERE run_id = %s AND number >= %s AND number <= %s"
            " ORDER BY number",
            [run_id, first, last],
        )
        ticks = cursor.fetchall()
        cursor.execute(
            "SELECT seq, answer FROM execution_effect WHERE run_id = %s AND tick >= %s AND tick <= %s",
            [run_id, first, last],
        )
        rows = cursor.fetchall()
    answers = dict(zip((row[0] for row in rows), load_many(row[1] for row in rows), strict=True))
    if [number for number, _ in ticks] != list(range(first, last + 1)):
        raise JournalBroken(run_id, first, "ticks are missing")
    if session.state is None:
        session.state = fresh_state(session)
    for (number, stored), rounds in zip(ticks, load_many(tick[1] for tick in ticks), strict=True):
        session.bytes_since += len(stored)
        for inputs in rounds:
            _feed(session, number, [with_value(given, answers) for given in inputs], observer)


def _feed(session: Session, number: int, inputs: list[Any], observer: Observer | None) -> None:
    try:
        session.state, effects = engine.step(session.program, session.state, inputs)
    except (MachineError, KeyError) as error:
        raise JournalBroken(session.run_id, number, str(error)) from error
    if observer is not None:
        observer(inputs, effects)


def with_value(given: dict[str, Any], answers: dict[int, Any]) -> dict[str, Any]:
    """A journaled input with the answer it stands for."""
    if given["kind"] == "reply" and "value" not in given:
        return {**given, "value": answers[given["seq"]]}
    return given


def fresh_state(session: Session) -> Any:
    """The machine's state before the first input of this run."""
    row = Run.objects.filter(pk=session.run_id).values_list("inputs", flat=True).first()
    return engine.initial(
        session.program,
        inputs=load(row) or {},
        seed=session.seed,
        limits=session.policy.get("limits", {}),
    )
