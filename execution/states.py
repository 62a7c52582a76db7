"""
The life of a run, of an effect, of a trial, of its pairs and of message batches, as tables.

``TRANSITIONS[status][event]`` is the status that follows; what is not there is
not possible, and ``move`` raises for it. A terminal status is one with no way
out, computed rather than listed. Completeness (every status has a row, every
target is a status) is checked when this module is imported.

    >>> move(RUN, "waiting", "pause")
    'paused'
    >>> sorted(terminal(EFFECT))
    ['done', 'late']
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

Table = Mapping[str, Mapping[str, str]]


class RunStatus(StrEnum):
    """Where a run stands; the last five are final."""

    QUEUED = "queued"  # something is ready for it and nobody has taken it up yet
    RUNNING = "running"  # agents are at work for it
    WAITING = "waiting"  # for time, a person or another run; holds no worker
    PAUSED = "paused"  # a person stopped it; answers under way are still kept
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TERMINATED = "terminated"  # the script asked for its own end
    CANCELLED = "cancelled"  # a person ended it
    STUCK = "stuck"  # nothing could happen any more, and something still waited


class EffectStatus(StrEnum):
    """Where one thing asked of the world stands."""

    QUEUED = "queued"  # not sent; claimable when it is due
    SENT = "sent"  # an agent, a person or a child run has it
    DONE = "done"  # answered; the answer is stored
    FAILED = "failed"  # no answer in time or after all attempts; the failure is the reply
    IN_DOUBT = "in_doubt"  # sent, and the sender died before an answer was stored
    CANCELLED = "cancelled"  # of no interest any more
    LATE = "late"  # answered after it had failed or was cancelled; kept, and its cost counted


class TrialStatus(StrEnum):
    """Where a trial of a candidate against a control stands."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    DECIDED = "decided"
    CANCELLED = "cancelled"


class PairStatus(StrEnum):
    """Where one pair of a trial stands; that it counts is said by the trial's ``settled``."""

    ENROLLED = "enrolled"  # has its place in the order; nothing was started for it
    RUNNING = "running"  # its first arm was started
    SETTLED = "settled"  # both arms have ended, or it is missing; counts when all before it do
    DROPPED = "dropped"  # the trial ended before it could count


class BatchStatus(StrEnum):
    """Where a message batch of questions stands."""

    QUEUED = "queued"  # its questions are in it; surely not with the provider
    SENDING = "sending"  # on its way; a worker that dies here leaves it in doubt
    DOUBT = "doubt"  # perhaps taken; the provider's batches are searched for its questions
    SENT = "sent"  # taken; its results are there once it has ended
    ENDED = "ended"  # nothing more comes of it


_R, _E, _T, _P, _B = RunStatus, EffectStatus, TrialStatus, PairStatus, BatchStatus

_ENDINGS = {str(status): str(status) for status in (_R.SUCCEEDED, _R.FAILED, _R.TERMINATED, _R.CANCELLED, _R.STUCK)}
_ALIVE = {"advance": _R.RUNNING, "wait": _R.WAITING, "queue": _R.QUEUED, "pause": _R.PAUSED, **_ENDINGS}

RUN: Table = {
    _R.QUEUED: _ALIVE,
    _R.RUNNING: _ALIVE,
    _R.WAITING: _ALIVE,
    _R.PAUSED: {"resume": _R.QUEUED, **_ENDINGS},
    _R.SUCCEEDED: {},
    _R.FAILED: {},
    _R.TERMINATED: {},
    _R.CANCELLED: {},
    _R.STUCK: {},
}

EFFECT: Table = {
    _E.QUEUED: {
        "claim": _E.SENT,
        "reuse": _E.DONE,
        "expire": _E.FAILED,
        "refuse": _E.FAILED,
        "cancel": _E.CANCELLED,
    },
    _E.SENT: {
        "answer": _E.DONE,
        "fail": _E.FAILED,
        "retry": _E.QUEUED,
        "lose": _E.IN_DOUBT,
        "release": _E.QUEUED,
        "expire": _E.FAILED,
        "cancel": _E.CANCELLED,
    },
    _E.IN_DOUBT: {
        "claim": _E.SENT,
        "answer": _E.DONE,
        "retry": _E.QUEUED,
        "fail": _E.FAILED,
        "expire": _E.FAILED,
        "cancel": _E.CANCELLED,
    },
    _E.FAILED: {"answer": _E.LATE},
    _E.CANCELLED: {"answer": _E.LATE},
    _E.DONE: {},
    _E.LATE: {},
}

TRIAL: Table = {
    _T.DRAFT: {"start": _T.RUNNING, "cancel": _T.CANCELLED},
    _T.RUNNING: {"pause": _T.PAUSED, "decide": _T.DECIDED, "cancel": _T.CANCELLED},
    _T.PAUSED: {"resume": _T.RUNNING, "cancel": _T.CANCELLED},
    _T.DECIDED: {},
    _T.CANCELLED: {},
}


PAIR: Table = {
    _P.ENROLLED: {"start": _P.RUNNING, "drop": _P.DROPPED},
    _P.RUNNING: {"settle": _P.SETTLED, "drop": _P.DROPPED},
    _P.SETTLED: {},
    _P.DROPPED: {},
}


BATCH: Table = {
    _B.QUEUED: {"send": _B.SENDING, "drop": _B.ENDED},
    _B.SENDING: {"accept": _B.SENT, "refuse": _B.QUEUED, "lose": _B.DOUBT, "drop": _B.ENDED},
    _B.DOUBT: {"find": _B.ENDED, "miss": _B.QUEUED},
    _B.SENT: {"end": _B.ENDED},
    _B.ENDED: {},
}


class ImpossibleMove(Exception):
    """The table has no such transition."""

    code = "execution.impossible-move"

    def __init__(self, status: str, event: str) -> None:
        super().__init__(status, event)
        self.status, self.event = status, event

    def __str__(self) -> str:
        return f"nothing that is {self.status} can {self.event}"


def move(table: Table, status: str, event: str) -> str:
    """
    The status after ``event``.

    Raises:
        ImpossibleMove: the table has no such transition.
    """
    try:
        return str(table[status][event])
    except KeyError:
        raise ImpossibleMove(status, event) from None


def terminal(table: Table) -> frozenset[str]:
    """The statuses with no way out."""
    return frozenset(str(status) for status, moves in table.items() if not moves)


def sources(table: Table, event: str) -> frozenset[str]:
    """The statuses in which ``event`` is possible; what a guarded UPDATE asks for."""
    return frozenset(str(status) for status, moves in table.items() if event in moves)


def mermaid(table: Table) -> str:
    """The table as a Mermaid state diagram, for docs/states.md."""
    lines = ["stateDiagram-v2"]
    for status, moves in table.items():
        for event, target in moves.items():
            lines.append(f"    {status} --> {target}: {event}")
    lines += [f"    {status} --> [*]" for status in sorted(terminal(table))]
    return "\n".join(lines) + "\n"


def check(table: Table, statuses: type[StrEnum]) -> None:
    """Raise ValueError unless every status has a row and every target is a status."""
    names = {str(status) for status in statuses}
    if {str(status) for status in table} != names:
        raise ValueError(f"the table of {statuses.__name__} does not have one row for each status")
    targets = {str(target) for moves in table.values() for target in moves.values()}
    if not targets <= names:
        raise ValueError(f"the table of {statuses.__name__} leads to {targets - names}")


_ALL = ((RUN, RunStatus), (EFFECT, EffectStatus), (TRIAL, TrialStatus), (PAIR, PairStatus), (BATCH, BatchStatus))
for _table, _statuses in _ALL:
    check(_table, _statuses)

RUN_ENDED = terminal(RUN)
RUN_ALIVE = frozenset(str(status) for status in RunStatus) - RUN_ENDED
EFFECT_OPEN = frozenset({str(_E.QUEUED), str(_E.SENT), str(_E.IN_DOUBT)})
