"""
Celery tasks of scaled mode: hints that come over a broker.

Each takes an id, makes one call, and may be lost or come twice: the rows say
what is to be done, and ``reap`` finds what nobody was told of. Questions to
agents wait in the asyncio lane of the effects processes, so a ``deliver`` task
is over long before its answer comes.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task, signals
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from execution.services import reaping
from execution.services.clock import now_ms
from execution.services.isolating import TRIALS
from execution.worker import process_worker, stop_process_workers
from registry.services import maintenance

log = logging.getLogger(__name__)

HINTS_PER_REAP = 500


@shared_task(name="execution.tasks.advance", ignore_result=True)
def advance(run_id: int, **_: Any) -> None:
    """Something of this run is ready for the machine."""
    process_worker(delivers=False).claim_and_run(run_id=run_id)


@shared_task(name="execution.tasks.deliver", ignore_result=True)
def deliver(run_id: int, **_: Any) -> None:
    """Questions of this run may be claimed: by the worker of this process, in its own thread and on its connection."""
    process_worker(delivers=True).hint("deliver", run_id)


@shared_task(name="execution.tasks.reap", ignore_result=True, expires=10)
def reap(**_: Any) -> None:
    """Every two seconds: fence the dead, expire the late, wake what was forgotten."""
    now = now_ms()
    for run_id in dict.fromkeys([*reaping.reap(now), *reaping.runs_with_work(now, HINTS_PER_REAP)]):
        hint("advance", run_id)
    for run_id in reaping.runs_with_questions(now, HINTS_PER_REAP):
        hint("deliver", run_id)


@shared_task(name="execution.tasks.observe_trials", ignore_result=True, expires=10)
def observe_trials(run_id: int = 0, **_: Any) -> None:
    """Every two seconds, and when a trial starts: what the processes of the queue ``trials`` do."""
    process_worker(delivers=True, queue=TRIALS).claim_and_run()


@shared_task(name="execution.tasks.webhooks", ignore_result=True, expires=10)
def webhooks(**_: Any) -> None:
    """Every five seconds: deliveries that are due."""
    maintenance.deliver_webhooks(now=timezone.now())


@shared_task(name="execution.tasks.upkeep", ignore_result=True)
def upkeep(**_: Any) -> None:
    """Every hour: what the registry wants done from time to time."""
    maintenance.run(now=timezone.now())


def hint(kind: str, run_id: int) -> None:
    """Send a hint once the transaction is through: who is told sooner finds nothing. (Celery's ``delay_on_commit``.)"""
    transaction.on_commit(lambda: _send(kind, run_id))


def _send(kind: str, run_id: int) -> None:
    """A broker that is away costs promptness, nothing else."""
    task = {"advance": advance, "deliver": deliver, "trial": observe_trials}[kind]
    try:
        task.apply_async((run_id,), retry=False)
    except OperationalError as error:
        log.warning("no broker for a hint about run %s: %s", run_id, error, extra={"run_id": run_id})


@signals.worker_ready.connect
def begin_at_once(sender: Any, **_: Any) -> None:
    """
    A process of the queue ``effects`` works from its start, and not from its first hint.

    Where the last other worker was killed with every question under way, nobody
    hints any more: without this, a process that had no task yet would stand by
    until the advancing process and beat have noticed.
    """
    if "effects" in sender.app.amqp.queues.consume_from:
        process_worker(delivers=True)


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def stop_in_good_order(**_: Any) -> None:
    """Give back at once what this process has."""
    stop_process_workers()
