"""
What was answered before is not asked again.

A branch looks into the journal of the run it left: a finished effect with the
same structural key and the same request gives its answer, at no cost. Failed
ones are asked anew. A branch that goes on from a place in the history asks
people again, and agents too where ``policy["anew"]`` says so: whoever goes back
to before an answer may want another one (docs/decisions/0150).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from execution.models import Effect, Run
from execution.models.effect import Handler
from execution.models.stored import load
from execution.services.sessions import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An answer of an earlier run."""

    effect_id: int | None  # None: nobody was asked, a policy answered
    stored: str  # the column's text, taken over as it is
    duration_seconds: float | None
    value: Any

    def summary(self) -> dict[str, Any]:
        """What an observer is told."""
        return {"reused_from": self.effect_id, "success": True}


EVERYBODY, PEOPLE = "everybody", "people"  # whom a branch asks again: the values of policy["anew"]


def find(session: Session, key: str, request_hash: str, handler: str) -> Found | None:
    """The answer to use again, or None."""
    anew = session.policy.get("anew")
    if session.forked_from is None or anew == EVERYBODY or (anew == PEOPLE and handler == Handler.PERSON):
        return None
    if session.reuse is None:
        session.reuse = finished_effects(session.forked_from)
    known = session.reuse.get(key)
    if known is None or known[0] != request_hash:
        return None
    row = Effect.objects.filter(pk=known[1]).values_list("answer", "duration_seconds").first()
    if row is None or row[0] is None:
        return None
    return Found(effect_id=known[1], stored=row[0], duration_seconds=row[1], value=load(row[0]))


def finished_effects(run_id: int) -> dict[str, tuple[str, int]]:
    """Of a run and all it branched off from: key → (request hash, effect); the nearest run wins."""
    found: dict[str, tuple[str, int]] = {}
    current: int | None = run_id
    while current is not None:
        rows = Effect.objects.filter(run_id=current, status="done").values_list("key", "request_hash", "pk", "answer")
        for key, digest, effect_id, answer in rows.iterator():
            if not _is_failure(answer):
                found.setdefault(key, (digest, effect_id))
        current = Run.objects.filter(pk=current).values_list("forked_from_id", flat=True).first()
    return found


def _is_failure(answer: str | None) -> bool:
    """A stored reply that says it failed; large ones (blobs) hold answers, not failures."""
    if not answer:
        return True
    if answer[0] == "@":
        return False
    value = json.loads(answer)
    return isinstance(value, dict) and value.get("success") is False
