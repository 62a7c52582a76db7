"""
Message batches: questions of trials go out together, at half the price, and come back within a day.

    begin(now) → rows: which questions go together        (one transaction)
    errands(now) → what is to be asked of the provider    (each taken by one worker)
    run(errand) → what it said                            (no database)
    commit(heard, now) → answers, and what follows         (as any answer)

A question of a run in batches is queued without a due time, so that nobody
sends it by itself. The rows are the truth: a worker that dies while a batch is
on its way leaves it in doubt, and before anything is sent again the provider's
batches are searched for its questions. An answer that nobody waits for any
more is kept and its cost counted, as everywhere.

Time: a script's own time-outs stand still while its questions are in a batch;
what bounds them is ``ANSWER_SECONDS``, longer than the provider's day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.db import connection, transaction

from execution import states
from execution.agents import roster
from execution.agents.base import Answer, Reservation
from execution.agents.batches import MOST_REQUESTS, BatchLane, Outcome, custom_id
from execution.agents.claude import ClaudeBackend
from execution.errors import AgentError, BackendUnknown
from execution.models import BatchedQuestion, Effect, MessageBatch
from execution.models.stored import load_many
from execution.services import budgeting, committing, delivering, faults, sessions
from execution.services.asking import Delivery, Reply
from execution.services.clock import to_datetime
from execution.states import BatchStatus

GATHER_MS = 20_000  # the first question waits so long for others to go with it
POLL_MS = 60_000  # between two looks at a batch that the provider has
LEASE_MS = 180_000  # a batch that is on its way longer than that is in doubt
SEARCH_MS = 60_000  # before the provider is asked about one in doubt: what it has just taken may not be listed yet
SKEW = timedelta(minutes=10)  # between the provider's clock and ours
ANSWER_SECONDS = 26 * 3600.0  # after which a question in a batch has timed out
LEAST_RUN_SECONDS = int(ANSWER_SECONDS)  # of a run in batches, at least
RUN_SECONDS = 7 * 86_400  # of a run in batches, unless it is said otherwise
MOST_TRIES = 6  # to send one batch
MOST_GATHERED = 2_000  # questions of one batch; a larger number waits for the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One thing to ask of the provider about one batch."""

    batch: int
    backend: str  # alias
    status: str  # of the batch when the errand was taken: sending, doubt, sent
    name: str = ""  # the provider's
    questions: Sequence[Delivery] = ()  # to be sent, or searched for
    known: frozenset[str] = frozenset()  # batches that are not in doubt
    since: Any = None  # aware time: batches made before cannot be this one
    cancel: bool = False  # nobody waits for it any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came of an errand."""

    errand: Errand
    name: str = ""  # of the batch, once it was taken
    ended: bool = False
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)  # custom id → answer or error
    undecided: bool = False  # whether batches that have not ended may hold the rest
    error: AgentError | None = None


def takes_batches(alias: str) -> bool:
    """Whether agents of this alias can be asked in batches; one that is gone from the settings cannot."""
    try:
        return roster.backend(alias).capabilities.batches
    except BackendUnknown:
        return False


def lane_of(alias: str) -> BatchLane:
    """The batch side of a backend."""
    backend = roster.backend(alias)
    assert isinstance(backend, ClaudeBackend)
    return BatchLane(backend)


def halved(wanted: Reservation) -> Reservation:
    """What is held back for a question in a batch: all its tokens, half its price."""
    return replace(wanted, cost_micros=-(-wanted.cost_micros // 2))


# ---------------------------------------------------------------- gathering

_WAITING = (
    "SELECT e.id, e.run_id, e.seq, e.epoch, e.attempts, e.key, e.name, e.agent_id, e.request, e.shape,"
    " e.timeout_seconds, e.expires_at, e.emitted_at, e.answered_at FROM execution_effect e"
    " JOIN execution_run r ON r.id = e.run_id"
    " WHERE r.queue = 'trials' AND r.status IN ('queued', 'running', 'waiting') AND e.handler = 'agent'"
    " AND e.status = 'queued' AND e.due_at IS NULL AND e.closed_tick IS NULL ORDER BY e.id LIMIT %s"
)


def begin(now: int) -> int:
    """Put questions that waited long enough into batches, one for each backend; how many questions."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [MOST_GATHERED])
        rows = cursor.fetchall()
    if not rows or (min(row[12] for row in rows) > now - GATHER_MS and len(rows) < MOST_GATHERED):
        return 0
    refused: list[tuple[Delivery, budgeting.Refusal]] = []
    with transaction.atomic(), connection.cursor() as cursor:
        made = _put_together(cursor, rows, now, refused)
        faults.reach("before-batch-commits")
    for delivery, refusal in refused:
        if not refusal.may_free:
            delivering.end_for_budget(delivery, refusal, now)
    return made


def _put_together(cursor: Any, rows: Sequence[tuple[Any, ...]], now: int, refused: list[Any]) -> int:
    values = load_many([column for row in rows for column in (row[8], row[9])])
    known = {run_id: sessions.read_row(run_id) for run_id in {row[1] for row in rows}}
    chosen: dict[str, list[tuple[int, Delivery]]] = {}
    for place, row in enumerate(rows):
        run = known[row[1]]
        if run is None or not takes_batches(run.backend):
            continue
        claimed = (*row[:3], row[3] + 1, row[4] + 1, *row[5:10], ANSWER_SECONDS, None)
        delivery = replace(delivering.delivery_of(claimed, run, values[2 * place], values[2 * place + 1]), batched=True)
        wanted = halved(roster.backend(run.backend).reserve(delivery.request))
        refusal = budgeting.reserve(cursor, delivery.run_id, wanted)
        if refusal is not None:
            refused.append((delivery, refusal))
        elif _take(cursor, row, wanted, now):
            chosen.setdefault(run.backend, []).append((row[0], delivery))
        else:
            _release(cursor, delivery.run_id, wanted)
    for alias, questions in chosen.items():
        _open(alias, questions, now)
    return sum(map(len, chosen.values()))


def _take(cursor: Any, row: tuple[Any, ...], wanted: Reservation, now: int) -> bool:
    """The question counts as sent from here on; False where somebody was faster."""
    cursor.execute(
        "UPDATE execution_effect SET status = 'sent', worker_id = NULL, epoch = epoch + 1, attempts = attempts + 1,"
        " sent_at = %s, expires_at = %s, timeout_seconds = %s, reserved_tokens = %s, reserved_cost = %s"
        " WHERE id = %s AND epoch = %s AND status = 'queued' AND due_at IS NULL AND closed_tick IS NULL",
        [
            now,
            now + int(ANSWER_SECONDS * 1000),
            ANSWER_SECONDS,
            wanted.tokens,
            wanted.cost_micros,
            row[0],
            row[3],
        ],
    )
    return bool(cursor.rowcount)


def _release(cursor: Any, run_id: int, held: Reservation) -> None:
    for table, row_id in list(budgeting.levels(cursor, run_id)):
        budgeting.add(cursor, table, row_id, reserved_tokens=-held.tokens, reserved_cost=-held.cost_micros)


def _open(alias: str, questions: Sequence[tuple[int, Delivery]], now: int) -> None:
    for start in range(0, len(questions), MOST_REQUESTS):
        part = questions[start : start + MOST_REQUESTS]
        batch = MessageBatch.objects.create(backend=alias, questions=len(part), created_at=now, check_at=now)
        BatchedQuestion.objects.bulk_create(
            BatchedQuestion(
                batch=batch,
                effect_id=effect_id,
                epoch=delivery.epoch,
                custom_id=custom_id(delivery.run_id, delivery.request.key),
            )
            for effect_id, delivery in part
        )


# ---------------------------------------------------------------- errands


def errands(now: int) -> list[Errand]:
    """What is to be asked of the provider now; each is taken by one worker."""
    due = MessageBatch.objects.exclude(status=BatchStatus.ENDED).filter(check_at__lte=now).order_by("check_at")
    return [errand for batch in due[:20] if (errand := _taken(batch, now)) is not None]


def _taken(batch: MessageBatch, now: int) -> Errand | None:
    """Take the next step of a batch; None where somebody was faster, or nothing is to be asked."""
    waited_for = _waited_for(batch)
    if batch.status == BatchStatus.SENDING:
        # Whoever was sending it is gone, or its answer is.
        _move(batch, "lose", now, check_at=now + SEARCH_MS, note="whoever sent it was lost")
        return None
    if batch.status == BatchStatus.QUEUED and not waited_for:
        _move(batch, "drop", now, ended_at=now, note="nobody waits for it any more")
        return None
    if batch.status == BatchStatus.QUEUED:
        if not _move(batch, "send", now, check_at=now + LEASE_MS, sent_at=now, tries=batch.tries + 1):
            return None
        faults.reach("batch-sending")
        wanted = [one for name, one in _questions(batch).items() if name in waited_for]
        return Errand(batch=batch.pk, backend=batch.backend, status=BatchStatus.SENDING, questions=wanted)
    if not _renew(batch, now + POLL_MS):
        return None
    told: dict[str, Any] = {"batch": batch.pk, "backend": batch.backend, "status": batch.status, "name": batch.name}
    if batch.status == BatchStatus.SENT:
        return Errand(**told, cancel=not waited_for and not batch.cancel_asked)
    known = MessageBatch.objects.filter(backend=batch.backend).exclude(name="").values_list("name", flat=True)
    return Errand(
        **told,
        questions=list(_questions(batch).values()),
        known=frozenset(known),
        since=to_datetime(batch.sent_at or batch.created_at) - SKEW,
    )


def _move(batch: MessageBatch, event: str, now: int, **fields: Any) -> bool:
    """Compare and swap the status, as the table has it."""
    target = states.move(states.BATCH, batch.status, event)
    rows = MessageBatch.objects.filter(pk=batch.pk, status=batch.status, check_at=batch.check_at)
    return bool(rows.update(status=target, **fields))


def _renew(batch: MessageBatch, check_at: int) -> bool:
    rows = MessageBatch.objects.filter(pk=batch.pk, status=batch.status, check_at=batch.check_at)
    return bool(rows.update(check_at=check_at))


def _questions(batch: MessageBatch) -> dict[str, Delivery]:
    """The questions of a batch by custom id, as they were asked."""
    entries = list(batch.entries.values_list("effect_id", "epoch", "custom_id"))
    effects = Effect.objects.in_bulk([effect_id for effect_id, _, _ in entries])
    known = {run_id: sessions.read_row(run_id) for run_id in {effect.run_id for effect in effects.values()}}
    values = load_many([column for effect in effects.values() for column in (effect.request, effect.shape)])
    data = {pk: (values[2 * place], values[2 * place + 1]) for place, pk in enumerate(effects)}
    found = {}
    for effect_id, epoch, name in entries:
        effect = effects[effect_id]
        run = known[effect.run_id]
        if run is None:
            continue
        named = (effect.pk, effect.run_id, effect.seq, epoch, effect.attempts, effect.key, effect.name)
        row = (*named, effect.agent_id, None, None, ANSWER_SECONDS, effect.expires_at)
        found[name] = replace(delivering.delivery_of(row, run, *data[effect_id]), batched=True)
    return found


def _waited_for(batch: MessageBatch) -> set[str]:
    """The custom ids of those that somebody still waits for."""
    rows = batch.entries.filter(effect__status="sent").values_list("custom_id", "epoch", "effect__epoch")
    return {name for name, epoch, current in rows if epoch == current}


# ---------------------------------------------------------------- asking the provider


async def run(errand: Errand) -> Heard:
    """Ask the provider; never raises for what it does, and uses no database."""
    lane = lane_of(errand.backend)
    try:
        if errand.status == BatchStatus.SENDING:
            requests = [(custom_id(one.run_id, one.request.key), one.request) for one in errand.questions]
            return Heard(errand=errand, name=await lane.submit(requests))
        if errand.status == BatchStatus.DOUBT:
            wanted = frozenset(custom_id(one.run_id, one.request.key) for one in errand.questions)
            match = await lane.rematch(wanted, since=errand.since, known=errand.known)
            return Heard(errand=errand, outcomes=match.found, undecided=not match.settled)
        if not await lane.ended(errand.name):
            if errand.cancel:
                await lane.cancel(errand.name)
            return Heard(errand=errand)
        outcomes = {name: outcome async for name, outcome in lane.results(errand.name)}
        return Heard(errand=errand, ended=True, outcomes=outcomes)
    except AgentError as error:
        return Heard(errand=errand, error=error)


# ---------------------------------------------------------------- what follows


def commit(heard: Heard, now: int) -> list[int]:
    """Write down what an errand brought; the runs that can go on."""
    batch = MessageBatch.objects.filter(pk=heard.errand.batch, status=heard.errand.status).first()
    if batch is None:
        return []  # somebody took it for lost meanwhile, and looks for it
    follow = {BatchStatus.SENDING: _sent, BatchStatus.DOUBT: _searched, BatchStatus.SENT: _looked}
    return follow[BatchStatus(batch.status)](batch, heard, now)


def _sent(batch: MessageBatch, heard: Heard, now: int) -> list[int]:
    if heard.error is None:
        _move(batch, "accept", now, name=heard.name, check_at=now + POLL_MS, note="")
        return []
    error = heard.error
    if error.paid or error.kind not in ("overloaded", "invalid_request", "configuration"):
        # The provider may have taken it all the same.
        _move(batch, "lose", now, check_at=now + SEARCH_MS, note=str(error)[:500])
        return []
    if error.retryable and batch.tries < MOST_TRIES:
        pause = error.retry_after or 2.0**batch.tries
        _move(batch, "refuse", now, check_at=now + int(1000 * pause), note=str(error)[:500])
        return []
    final = AgentError(error.kind, error.message, retryable=False, paid=False)
    return _finish(batch, "drop", dict.fromkeys(_questions(batch), final), now, note=str(error)[:500])


def _searched(batch: MessageBatch, heard: Heard, now: int) -> list[int]:
    if heard.error is not None:
        MessageBatch.objects.filter(pk=batch.pk).update(note=str(heard.error)[:500])
        return []
    runs = _answer(batch, heard.outcomes, now)
    if heard.undecided:
        return runs  # looked for again at the next poll
    if _waited_for(batch):
        # No batch holds them: they were surely never sent.
        _move(batch, "miss", now, check_at=now, note="the provider never had it; sent again")
    else:
        _move(batch, "find", now, ended_at=now, note="found again after a crash")
    return runs


def _looked(batch: MessageBatch, heard: Heard, now: int) -> list[int]:
    if heard.error is not None:
        MessageBatch.objects.filter(pk=batch.pk).update(note=str(heard.error)[:500])
        return []
    if heard.errand.cancel:
        MessageBatch.objects.filter(pk=batch.pk).update(cancel_asked=True)
    if not heard.ended:
        return []
    lost = AgentError("agent_error", "the batch ended without a result for it", retryable=True)
    outcomes = {name: heard.outcomes.get(name, lost) for name in _questions(batch)}
    return _finish(batch, "end", outcomes, now)


def _finish(batch: MessageBatch, event: str, outcomes: Mapping[str, Outcome], now: int, note: str = "") -> list[int]:
    """Answers first, then the batch is over: a crash between the two finds answers that are there already."""
    runs = _answer(batch, outcomes, now)
    faults.reach("batch-answered")
    _move(batch, event, now, ended_at=now, note=note)
    return runs


def _answer(batch: MessageBatch, outcomes: Mapping[str, Outcome], now: int) -> list[int]:
    questions = _questions(batch)
    replies = [_reply(questions[name], outcome, batch, now) for name, outcome in outcomes.items() if name in questions]
    return committing.commit(_still_news(batch, replies), now)


def _still_news(batch: MessageBatch, replies: Sequence[Reply]) -> list[Reply]:
    """
    Without those that say nothing new: an earlier reading of the same results stored them already.

    An answer to a question that was cancelled, or timed out, is paid all the same: it is kept as late.
    """
    rows = batch.entries.values_list("effect__run_id", "effect__seq", "epoch", "effect__epoch", "effect__status")
    waited = {(run, seq) for run, seq, epoch, current, status in rows if status == "sent" and epoch == current}
    closed = {(run, seq) for run, seq, _, _, status in rows if status in ("failed", "cancelled")}
    return [
        reply
        for reply in replies
        if (where := (reply.delivery.run_id, reply.delivery.seq)) in waited
        or (reply.answer is not None and where in closed)
    ]


def _reply(delivery: Delivery, outcome: Outcome, batch: MessageBatch, now: int) -> Reply:
    answer = outcome if isinstance(outcome, Answer) else None
    error = outcome if isinstance(outcome, AgentError) else None
    return delivering.reply_of(delivery, answer, error, batch.sent_at or batch.created_at, now)


def facts(trial_id: int) -> dict[str, int]:
    """How many questions of a trial wait for a batch, and how many are with the provider."""
    asked = Effect.objects.filter(run__queue="trials", run__arms__pair__trial=trial_id, handler="agent").distinct()
    return {
        "waiting": asked.filter(status="queued", due_at=None, closed_tick=None).count(),
        "out": asked.filter(status="sent", worker=None).count(),
    }
