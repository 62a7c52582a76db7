"""
What a run asks of this hub: patterns read, adapted and exported, channels moved, trials started.

Such an effect is carried out inside the transaction of the advance that asks
for it, and its answer is written with it: it happens exactly once, or not at
all. The machine has the answer in the next advance, like any other.

Whoever started the run is the one who acts. A pattern of somebody else may
not publish in their name unless they said so: ``policy.publish`` decides, and
where it says nothing, only patterns of owners they may publish for, and those
of the library, may write.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import transaction

from execution.errors import MayNotWrite, TrialRefused
from execution.models import Effect, Run
from execution.models.effect import Handler
from execution.models.trial import TrialMode
from execution.services import children, isolating
from execution.services.clock import to_datetime
from execution.services.sessions import Session
from execution.services.trial_inputs import GivenInput
from opl.script.values import to_text
from registry.models import PatternVersion, User, Via
from registry.services import channels, finding, learning
from registry.services.libraries import OWNER as LIBRARY

if TYPE_CHECKING:
    from execution.services import verifying

log = logging.getLogger(__name__)

TRIAL_START = "trial:start"
MOST_TRIALS = 3  # that one run starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts, and where."""

    session: Session
    run: Run
    user: User | None
    version: PatternVersion  # that is being run
    now: datetime

    def writer(self) -> User:
        """The person, who may write; MayNotWrite otherwise."""
        said = self.session.policy.get("publish")
        owner = self.version.pattern.owner
        trusted = self.user is not None and (owner.name == LIBRARY or owner.can_publish(self.user))
        if self.user is None or said is False or (said is None and not trusted):
            raise MayNotWrite(str(self.version.pattern))
        return self.user


def carry_out(session: Session, name: str, data: Mapping[str, Any], at: int) -> Any:
    """The answer to one effect; a refusal is an answer too: ``{success: false, error: {type, message}}``."""
    if isolating.is_shadow(session.policy):
        return _in_overlay(session, name, data, at)
    return _for_good(session, name, data, at)


def _in_overlay(session: Session, name: str, data: Mapping[str, Any], at: int) -> Any:
    """
    What an arm of a trial is answered: in a registry where only its own writes came true, and then nothing did.

    Its earlier writes stand in its journal. They are done again inside of a
    savepoint, so that its own reads see them, and all of it is taken back.
    """
    own = Effect.objects.filter(run_id=session.run_id, handler=Handler.HUB, status="done").order_by("seq")
    with transaction.atomic():
        for effect in own:
            if isolating.kind_of(effect.name) is isolating.Kind.WRITE:
                _for_good(session, effect.name, effect.data(), at)
        answer = _for_good(session, name, data, at)
        transaction.set_rollback(True)
    return answer


def _for_good(session: Session, name: str, data: Mapping[str, Any], at: int) -> Any:
    try:
        with transaction.atomic():
            return _HANDLERS[name](_actor(session, at), data)
    except Exception as error:
        code = getattr(error, "code", None)
        if code is None:
            log.exception("%s of run %s broke", name, session.run_id, extra={"run_id": session.run_id})
        message = str(error) if code is not None else f"a fault of the hub: {error!r}"
        return {"success": False, "error": {"type": str(code or "execution.error"), "message": message[:1000]}}


def write_answer(cursor: Any, run_id: int, seq: int, stored: str, failed: bool, at: int) -> None:
    """Put the answer beside the effect, for the next advance."""
    cursor.execute(
        "UPDATE execution_effect SET status = %s, answer = %s, error_kind = %s, answered_at = %s, unread = %s,"
        " sent_at = %s WHERE run_id = %s AND seq = %s",
        ["failed" if failed else "done", stored, "refused" if failed else "", at, True, at, run_id, seq],
    )


def _actor(session: Session, at: int) -> Actor:
    run = Run.objects.select_related("started_by", "owner").get(pk=session.run_id)
    version = PatternVersion.objects.select_related("pattern__owner").get(pk=session.version_id)
    return Actor(session=session, run=run, user=run.started_by, version=version, now=to_datetime(at))


def reference_of(value: Any) -> str:
    """The reference that a name, or what ``load_pattern`` gave, stands for."""
    if isinstance(value, Mapping):
        pattern, version = to_text(value.get("pattern") or value.get("name")), value.get("version")
        return f"{pattern}@{version}" if version and "@" not in pattern else pattern
    return to_text(value)


def _found(actor: Actor, value: Any) -> PatternVersion:
    return children.find_version(actor.session, reference_of(value))


def _load(actor: Actor, data: Mapping[str, Any]) -> dict[str, Any]:
    version = _found(actor, data.get("name"))
    loaded = learning.load_pattern(reference=str(version), user=actor.user)
    return {"success": True, **loaded}


def _adapt(actor: Actor, data: Mapping[str, Any]) -> dict[str, Any]:
    user, version = actor.writer(), _found(actor, data.get("pattern"))
    context, inputs = data.get("context"), data.get("inputs")
    made = learning.adapt_pattern(
        version=finding.version(str(version), user),
        owner=actor.run.owner or user.own_owner,
        user=user,
        context=context if isinstance(context, Mapping) else {"note": to_text(context)} if context else {},
        inputs=inputs if isinstance(inputs, Mapping) else {},
        now=actor.now,
        via=Via.EXPORT,
        name=to_text(data.get("as")),
    )
    return _published(made)


def _export(actor: Actor, data: Mapping[str, Any]) -> dict[str, Any]:
    user = actor.writer()
    own = actor.version.pattern.owner.can_publish(user)
    made = learning.export_pattern(
        version=finding.version(str(actor.version), user),
        user=user,
        now=actor.now,
        owner=None if own else actor.run.owner or user.own_owner,
        name=to_text(data.get("name")),
        learnings=[to_text(each) for each in data.get("learnings") or [] if each],
        run_keys=[str(actor.run.pk)],
    )
    return _published(made)


def _published(made: Any) -> dict[str, Any]:
    version = made.versions[0].version
    return {
        "success": True,
        "pattern": str(version.pattern),
        "version": version.version,
        "reference": str(version),
        "digest": version.digest,
    }


def _move_channel(actor: Actor, data: Mapping[str, Any]) -> dict[str, Any]:
    """``channel:move {pattern, channel?, reason?}``: a version becomes what a channel stands for."""
    user, version = actor.writer(), _found(actor, data.get("pattern"))
    channel = channels.move(
        pattern=version.pattern,
        name=to_text(data.get("channel")) or "candidate",
        version=finding.version(str(version), user),
        user=user,
        via="run",
        now=actor.now,
        reason=to_text(data.get("reason")) or f"run {actor.run.pk}",
    )
    return {"success": True, "channel": str(channel), "version": version.version, "reference": str(version)}


def _start_trial(actor: Actor, data: Mapping[str, Any]) -> dict[str, Any]:
    """
    ``trial:start {candidate, against, inputs?, mode?, profile?, share?}``: a candidate in the shadow of what it would replace.

    With ``inputs`` a batch on them, without a live trial beside real runs. All
    its runs together may spend what is left of the budget of the run that
    asks; a run starts few, since that holds for each of them.
    """
    from execution.services import verifying

    user, session = actor.writer(), actor.session
    candidate, control = (
        finding.version(str(_found(actor, data.get(name))), user) for name in ("candidate", "against")
    )
    if Effect.objects.filter(run_id=session.run_id, name=TRIAL_START, status="done").count() >= MOST_TRIALS:
        raise TrialRefused("candidate", f"a run starts at most {MOST_TRIALS} trials")
    inputs = _inputs(data.get("inputs"))
    share = data.get("share", verifying.DEFAULT_SHARE)
    trial = verifying.start_trial(
        control=control,
        candidate=candidate,
        user=user,
        now=actor.now,
        mode=to_text(data.get("mode")) or (TrialMode.BATCH if inputs else TrialMode.LIVE),
        inputs=inputs,
        profile=to_text(data.get("profile")),
        share=share if isinstance(share, int | float) else 0.0,
        backend=session.backend,
        budget=_left(session, verifying.LIVE_BUDGET),
    )
    told = {"trial": trial.pk, "mode": str(trial.mode), "profile": trial.profile}
    return {"success": True, **told, "candidate": str(candidate), "against": str(control)}


def _inputs(given: Any) -> list[GivenInput]:
    if not given:
        return []
    if not isinstance(given, list) or not all(isinstance(each, Mapping) for each in given):
        raise TrialRefused("inputs", "give a list of objects, each the inputs of one pair")
    return [GivenInput(values=each) for each in given]


def _left(session: Session, daily: verifying.Budget) -> verifying.Budget:
    """What the run has not spent, for the trial as a whole; the daily bounds of live trials stay."""
    tokens, cost = session.tokens_limit, session.cost_limit
    return replace(
        daily,
        tokens=max(tokens - session.tokens_used - session.tokens_reserved, 0) if tokens is not None else None,
        cost_usd=max(cost - session.cost_used - session.cost_reserved, 0) / 1_000_000 if cost is not None else None,
    )


_HANDLERS: dict[str, Callable[[Actor, Mapping[str, Any]], dict[str, Any]]] = {
    "primitive:load_pattern": _load,
    "primitive:adapt_pattern": _adapt,
    "primitive:export_pattern": _export,
    "channel:move": _move_channel,
    TRIAL_START: _start_trial,
}
OPERATIONS = frozenset(_HANDLERS)
