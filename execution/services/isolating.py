"""
What keeps the arms of a trial apart from the world.

Every event a script can emit is *pure*, *read* or *write*. A run keeps its
entities and agents in rows of its own, so for the arm of a trial these rows are
the overlay: what it writes lands there, its own reads see it, and nobody else's
do. Whatever would reach beyond the run is not carried out: people are not
asked (a recorded answer to the same question serves, else a policy), decisions
and outcomes enter no log, child runs inherit the isolation, and an event that
nobody here knows is a write that is only noted.

A run is an arm when its policy holds ``shadow``::

    {arm: candidate, trial: 7, criterion: [success_when, score],
     answers_of: [runs whose journal may answer], recorded: true, in_batches: true}
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from execution.models import Effect
from execution.models.effect import Handler
from execution.models.fields import dumps
from execution.models.stored import load
from execution.services.reusing import Found

if TYPE_CHECKING:
    from execution.services.drafting import Asked
    from execution.services.sessions import Session

TRIALS = "trials"  # the queue of trial runs: workers of their own
# What an arm may emit in one advance (bytes, and 200 for each event): with it an advance of a candidate that floods
# holds the database for a few milliseconds, and not for as long as it likes.
TURN_BYTES = 24_000
INHERITED = ("trial", "arm", "world", "answers_of", "recorded", "uncharged", "in_batches")


class Kind(StrEnum):
    """What an event does to the world."""

    PURE = "pure"  # nothing but its answer
    READ = "read"  # sees what others wrote
    WRITE = "write"  # changes what others see


_PURE = ("completion:async", "optimization:async", "judgement:ask")
_READ = (
    "agent:list",
    "state:entity:get",
    "state:entity:query",
    "primitive:list_agents",
    "primitive:query_agent_status",
    "primitive:observe_events",
    "primitive:track_metrics",
    "primitive:load_pattern",
)
_PURE_PRIMITIVES = (
    "primitive:await_responses",
    "primitive:broadcast_task",
    "primitive:delegate_subtask",
    "primitive:evaluate_results",
    "primitive:select_best",
    "primitive:should_continue",
)
KINDS: Mapping[str, Kind] = {
    **dict.fromkeys((*_PURE, *_PURE_PRIMITIVES), Kind.PURE),
    **dict.fromkeys(_READ, Kind.READ),
}
# Writes whose rows are the run's own: carried out there, and nowhere else.
OVERLAID = ("state:entity:", "agent:", "primitive:")


def kind_of(name: str) -> Kind:
    """The kind of an event; one that is not known to be harmless is a write."""
    return KINDS.get(name, Kind.WRITE)


def is_shadow(policy: Mapping[str, Any]) -> bool:
    """Whether a run is an arm of a trial."""
    return "shadow" in policy


def in_batches(policy: Mapping[str, Any]) -> bool:
    """Whether a run's questions to agents go in message batches."""
    return bool(policy.get("shadow", {}).get("in_batches"))


def turn(session: Session) -> int | None:
    """
    How much a run may emit in one advance; None for people's runs, which go on until they wait.

    Runs whose questions go in message batches are not cut up: what one of them asks should go in one batch.
    """
    return TURN_BYTES if session.queue == TRIALS and not in_batches(session.policy) else None


def inherited(policy: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a child run takes over; the criterion is that of the arm, not of its parts."""
    shadow = policy.get("shadow")
    return None if shadow is None else {name: shadow[name] for name in INHERITED if name in shadow}


def captured(policy: Mapping[str, Any], name: str) -> bool:
    """Whether a local event of this run is noted and not carried out."""
    if "shadow" not in policy or kind_of(name) is not Kind.WRITE:
        return False
    return not name.startswith(OVERLAID) and name != "orchestrator:decision"


def answer_of(session: Session, asked: Asked, before: Mapping[int, Asked]) -> Found | None:
    """
    The answer that an arm gets without anybody being asked; None where an agent or a child run is asked.

    Args:
        before: what this advance asked already, ``asked`` included.
    """
    shadow = session.policy.get("shadow")
    if shadow is None:
        return None
    if asked.handler == Handler.AGENT:
        return _recorded(session, shadow, asked, before) if shadow.get("recorded") else None
    if asked.handler == Handler.PERSON:
        return _recorded(session, shadow, asked, before) or by_policy(asked.data)
    return None


def _recorded(session: Session, shadow: Mapping[str, Any], asked: Asked, before: Mapping[int, Asked]) -> Found | None:
    """The answer that another run had to the same question, asked as often before."""
    runs = shadow.get("answers_of") or ()
    if not runs:
        return None
    same = Effect.objects.filter(run_id=session.run_id, request_hash=asked.request_hash).count()
    same += sum(1 for one in before.values() if one.request_hash == asked.request_hash and one is not asked)
    known = Effect.objects.filter(
        run_id__in=runs, request_hash=asked.request_hash, handler=asked.handler, status__in=("done", "failed")
    ).exclude(answer=None)
    rows = known.order_by("run_id", "seq").values_list("pk", "answer", "duration_seconds")
    row = rows[same : same + 1].first() if same else rows.first()
    if row is None or row[1] is None:
        return None
    return Found(effect_id=row[0], stored=row[1], duration_seconds=row[2], value=load(row[1]))


def by_policy(question: Mapping[str, Any]) -> Found:
    """Nobody is asked in a trial: the question's own default, else its first choice, else a refusal."""
    choices = question.get("choices")
    value: Any
    if "default" in question:
        value = question["default"]
    elif isinstance(choices, list) and choices:
        value = choices[0]
    else:
        told = {"type": "refused", "message": "no person is asked in a trial; give the question a `default`"}
        value = {"success": False, "result": None, "error": told}
    return Found(effect_id=None, stored=dumps(value), duration_seconds=0.0, value=value)
