"""
Going back: a branch is a new run that shares the journal up to a tick.

History is never rewritten. With the same program and inputs the branch goes on
from the state after that tick; with other inputs or another version it starts
from the beginning. In both, what was answered is used again where key and
request are the same, so nothing finished is paid twice, unless that is wanted:
people are asked again what they answered after the tick, and a rollback asks
everybody (docs/decisions/0150).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Min

from execution.errors import NotPossible, RunFinished, TickUnknown
from execution.models import Effect, Run
from execution.models.effect import Handler
from execution.models.fields import dumps
from execution.models.stored import BlobWriter, compress
from execution.services import (
    asking,
    checking,
    children,
    controlling,
    guiding,
    journal,
    operating,
    reusing,
    rows,
    sessions,
    starting,
)
from execution.services.clock import to_ms
from execution.services.drafting import Asked, Draft
from execution.services.world import RunWorld
from registry.models import PatternVersion


@dataclass(slots=True)
class Rebuilt:
    """What a replay from the first tick shows: world, open questions and timers."""

    world: RunWorld
    open: dict[int, dict[str, Any]] = field(default_factory=dict)  # seq → event effect
    timers: dict[int, int] = field(default_factory=dict)  # id → due, ms
    events: int = 0

    def observe(self, inputs: Sequence[Any], effects: Sequence[Any]) -> None:
        """One round of the journal."""
        for given in inputs:
            if given["kind"] == "reply":
                self.open.pop(given["seq"], None)
            elif given["kind"] == "timer":
                self.timers.pop(given["id"], None)
        for effect in effects:
            self._effect(effect)

    def _effect(self, effect: Any) -> None:
        kind = effect["kind"]
        if kind == "event":
            self.world.replayed(effect["name"], effect["data"], effect["at"])
            if effect["name"] in asking.HANDLERS:
                self.open[effect["seq"]] = effect
        elif kind == "cancel":
            self.open.pop(effect["seq"], None)
        elif kind == "timer":
            self.timers[effect["id"]] = effect["due"]
        elif kind == "cancel_timer":
            self.timers.pop(effect["id"], None)


def branch(
    *,
    run: Run,
    now: datetime,
    user: Any = None,
    tick: int | None = None,
    inputs: Mapping[str, Any] | None = None,
    version: PatternVersion | None = None,
    backend: str = "",
    policy: Mapping[str, Any] | None = None,
    anew: bool | None = False,
) -> Run:
    """
    A new run out of ``run``.

    Args:
        tick: go on after this one; the last usable one where it is None. Ignored with other
            inputs or another version, which start from the beginning.
        inputs: replace the run's inputs, those that are named.
        policy: replaces the run's policy.
        anew: ask agents again, too, what was answered after the tick; None asks nobody again,
            people neither. With other inputs or another version: ask everybody everything.

    Raises:
        TickUnknown: the run has no such tick.
        NotPossible: it has not begun.
        NotExecutable, InputsRefused, BackendUnknown: as starting.
    """
    told = dict(policy) if policy is not None else {k: v for k, v in run.policy.items() if k in checking.POLICY_NAMES}
    before = guiding.given_of(run)
    changed = (inputs is not None and {**before, **inputs} != before) or (
        version is not None and version.pk != run.version_id
    )
    fresh: dict[str, Any] = {
        "version": version or run.version,
        "inputs": {**before, **(inputs or {})},
        "user": user if user is not None else run.started_by,
        "now": now,
        "backend": backend or run.backend,
        "seed": run.seed,
        "policy": told,
    }
    with transaction.atomic():
        made = starting.start(**fresh)
        made.forked_from, made.forked_at_tick = run, 0
        if anew or (anew is False and not changed):
            made.policy = {**made.policy, "anew": reusing.EVERYBODY if anew else reusing.PEOPLE}
            made.save(update_fields=["policy"])
        if not changed:
            made.inputs = run.inputs  # a guided run's were fixed when it was started
            _share(run, made, usable_tick(run, tick), to_ms(now))
        made.save()
    return made


def usable_tick(run: Run, tick: int | None) -> int:
    """The tick to go on from; a run that has ended is not gone on from its end."""
    last = run.tick - 1 if run.has_ended else run.tick
    if tick is None:
        tick = last
    if run.tick == 0:
        raise NotPossible("branch off", run.status)
    if not 0 <= tick <= run.tick:
        raise TickUnknown(run.pk, tick, last)
    return min(tick, last)


def retry(*, run: Run, now: datetime, user: Any = None, policy: Mapping[str, Any] | None = None) -> Run:
    """
    Branch off from before the first answer that failed (or the end, where none did), and ask that anew.

    Raises:
        NotPossible: the run has not ended.
    """
    if not run.has_ended:
        raise NotPossible("try again", run.status)
    first = Effect.objects.filter(run=run, status="failed", tick__isnull=False).aggregate(first=Min("tick"))["first"]
    return branch(run=run, now=now, user=user, tick=first - 1 if first else None, policy=policy, anew=None)


def rollback(*, run: Run, tick: int, now: datetime, user: Any = None) -> Run:
    """Branch off at ``tick``, throw away what was answered after it, and cancel the run where it is still alive."""
    made = branch(run=run, now=now, user=user, tick=tick, anew=True)
    with contextlib.suppress(RunFinished):
        controlling.cancel(run_id=run.pk, now=to_ms(now), reason=f"rolled back to tick {tick} as run {made.pk}")
    return made


def _share(run: Run, made: Run, tick: int, now: int) -> None:
    """Give the new run the state after ``tick``, and whatever was open then."""
    if tick == 0:
        return
    session = sessions.read_row(run.pk)
    assert session is not None
    rebuilt = Rebuilt(RunWorld(made.pk, fresh=True))
    sessions.restore(session, tick, rebuilt.observe)
    at = _clock_at(run.pk, tick)
    made.program_hash = run.program_hash
    made.forked_at_tick, made.tick, made.clock = tick, tick, max(now, at)
    blobs = BlobWriter()
    with connection.cursor() as cursor:
        text = dumps(session.state)
        cursor.execute(
            "INSERT INTO execution_snapshot (run_id, tick, size_bytes, data) VALUES (%s, %s, %s, %s)",
            [made.pk, tick, len(text), compress(text)],
        )
        rebuilt.world.write(cursor, blobs, now, tick)
        made.open_calls = _copy_open(cursor, made, rebuilt, tick, now, blobs)
        for number, due in rebuilt.timers.items():
            cursor.execute(
                "INSERT INTO execution_timer (run_id, number, due_at) VALUES (%s, %s, %s)",
                [made.pk, number, now + max(due - at, 0)],
            )
        blobs.flush(cursor)


def _clock_at(run_id: int, tick: int) -> int:
    """When a tick was, in the run or in the one it shares it with."""
    from execution.models import Tick

    for owner, first, last in sessions.segments(run_id, tick):
        if first <= tick <= last:
            return Tick.objects.values_list("at", flat=True).get(run_id=owner, number=tick)
    return 0


def _copy_open(cursor: Any, made: Run, rebuilt: Rebuilt, tick: int, now: int, blobs: BlobWriter) -> int:
    """Questions open at the tick, asked anew or answered from the journal; how many go to agents."""
    shadow = sessions.read_row(made.pk)
    assert shadow is not None
    shadow.forked_from = made.forked_from_id
    draft = Draft(shadow, now, None)
    draft.at = now
    for seq, effect in sorted(rebuilt.open.items()):
        asked = asked_again(shadow, effect)
        cursor.execute(journal.INSERT_EFFECT, rows.effect_row(draft, asked, tick, blobs, False))
        if asked.reused is not None:
            # Not had by this run's machine yet: the first advance hands it over.
            cursor.execute(
                "UPDATE execution_effect SET unread = %s, tick = NULL WHERE run_id = %s AND seq = %s",
                [True, made.pk, seq],
            )
        elif asked.child is not None:
            children.begin(shadow, children.prepare(shadow, {seq: asked.child}, now), now)
        elif asked.handler == Handler.HUB:
            value = operating.carry_out(shadow, asked.name, asked.data, now)
            failed = value.get("success") is False
            operating.write_answer(cursor, made.pk, seq, blobs.put(value), failed, now)
    return sum(1 for effect in rebuilt.open.values() if asking.HANDLERS[effect["name"]] == Handler.AGENT)


def asked_again(session: sessions.Session, effect: dict[str, Any]) -> Asked:
    """An open question of the journal as a new effect."""
    name, data, shape = effect["name"], effect["data"], effect.get("shape")
    handler = asking.HANDLERS[name]
    asked = Asked(
        seq=effect["seq"],
        key=effect["key"],
        request_hash=asking.request_hash(name, data, shape),
        name=name,
        handler=handler,
        agent_id=asking.question_of(name, data).agent_id if handler == Handler.AGENT else "",
        data=data,
        shape=shape,
        line=effect["line"],
        timeout=effect["timeout"],
        replies=effect["reply"] != "none",
    )
    asked.reused = reusing.find(session, asked.key, asked.request_hash, handler)
    if asked.reused is None and handler == Handler.CHILD:
        planned = children.plan(session, data)
        asked.child = planned if isinstance(planned, children.Plan) else None
        asked.failed = None if asked.child is not None else {"success": False, "error": planned}
    return asked
