"""
Starting a run: inputs checked, program pinned, one row and a hint.

    run = starting.start(version=version, inputs={"documents": […]}, user=user, now=timezone.now())

Nothing is carried out here: the run is ``queued``, and a worker takes it up.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from execution.agents import roster
from execution.errors import BackendLacksTools
from execution.models import OwnerBudget, Run
from execution.models.stored import BlobWriter
from execution.services import checking, guiding, hints
from execution.services.clock import to_ms
from registry.models import Membership, Owner, PatternVersion

DEFAULT_LIMITS: dict[str, int | float] = {
    "tokens": 2_000_000,
    "cost_usd": 20.0,
    "seconds": 86_400,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that has no row yet."""

    run: Run
    blobs: BlobWriter  # what its row points to


def start(**asked: Any) -> Run:
    """Make a run: takes and raises what ``prepare`` does, and gives the run, ``queued``."""
    prepared = prepare(**asked)
    with transaction.atomic():
        return write(prepared)


def write(prepared: Prepared) -> Run:
    """Its row, inside the caller's transaction; workers hear of it after the commit."""
    with connection.cursor() as cursor:
        prepared.blobs.flush(cursor)
    prepared.run.save(force_insert=True)
    transaction.on_commit(after_start(prepared.run.pk, prepared.blobs))
    return prepared.run


def prepare(
    *,
    version: PatternVersion,
    inputs: Mapping[str, Any] | None = None,
    user: Any = None,
    now: datetime,
    backend: str = "",
    seed: int | None = None,
    policy: Mapping[str, Any] | None = None,
    owner: Owner | None = None,
    parent: Run | None = None,
    parent_effect: int | None = None,
    is_public: bool = False,
    queue: str = "",
    shadow: Mapping[str, Any] | None = None,
    planned: guiding.Plan | None = None,
    strategy: str = "",
) -> Prepared:
    """
    A run of ``version``, checked and put together, so that only its row is left to be written.

    Args:
        inputs: name → JSON value; what is left out takes its default.
        backend: alias of an agent backend; "" for the default one.
        seed: 0 to 2**53 - 1; drawn where it is None.
        policy: ``{limits: {tokens, cost_usd, seconds, statements, events, …}, attempts, in_doubt: retry|ask,
            agents (for scripted ones), context}``; unknown names are refused.
        owner: whose budget it uses; the user's own where it is None.
        parent, parent_effect: the run and effect that wait for this one.
        queue: which workers carry it out, "" for the ordinary ones.
        shadow: an arm of a trial, kept apart from the world as ``isolating`` says.
        planned: what it executes instead of the version's own program, the inputs included: judges of trials, and
            a strategy of the version's own document.
        strategy: the name of that strategy.

    Raises:
        NotExecutable: the version has neither a script nor a text to be guided by.
        InputsRefused: a value does not fit; all problems at once.
        BackendUnknown: no such alias.
        BackendLacksTools: a guided pattern, and agents that cannot use tools.
    """
    planned = planned or guiding.plan(version, inputs or {})
    chosen = checking.checked_policy(policy or {})
    alias = backend or roster.default_backend()
    made_backend = roster.backend(alias, {"agents": chosen["agents"]} if "agents" in chosen else {})
    if planned.tools and not made_backend.capabilities.tools:
        raise BackendLacksTools(alias)
    owner = owner or (None if (shadow or {}).get("uncharged") else own_owner(user))
    limits = {**DEFAULT_LIMITS, **chosen.get("limits", {})}
    chosen["limits"] = limits
    if shadow is not None:
        chosen["shadow"] = dict(shadow)
    if strategy:
        chosen["strategy"] = strategy
    if parent is not None or OwnerBudget.objects.filter(owner=owner).exists():
        chosen["chained"] = True
    blobs = BlobWriter()
    program = blobs.put(planned.program, always_blob=True)
    run = Run(
        version=version,
        program_hash=program[1:],
        started_by=user if user is not None and user.is_authenticated else None,
        owner=owner,
        is_public=is_public,
        queue=queue,
        backend=alias,
        simulated=made_backend.capabilities.simulated or (parent is not None and parent.simulated),
        seed=secrets.randbits(checking.SEED_BITS) if seed is None else checking.checked_seed(seed),
        inputs=blobs.put(planned.inputs),
        policy=chosen,
        tokens_limit=_whole(limits.get("tokens")),
        cost_limit=_whole(limits.get("cost_usd"), 1_000_000),
        deadline_at=to_ms(now) + int(float(limits["seconds"]) * 1000) if limits.get("seconds") is not None else None,
        parent=parent,
        parent_effect=parent_effect,
        depth=parent.depth + 1 if parent is not None else 0,
        created_at=now,
        clock=to_ms(now),
    )
    return Prepared(run=run, blobs=blobs)


def after_start(run_id: int, blobs: BlobWriter) -> Callable[[], None]:
    """What follows the commit: remember the blobs, tell a worker."""

    def done() -> None:
        blobs.committed()
        hints.run_ready(run_id)

    return done


def own_owner(user: Any) -> Owner | None:
    """The owner of the person's own name, None for nobody."""
    if user is None or not user.is_authenticated:
        return None
    return Owner.objects.filter(
        kind=Owner.Kind.USER, memberships__user=user, memberships__role=Membership.Role.ADMIN
    ).first()


def _whole(value: Any, factor: int = 1) -> int | None:
    return None if value is None else int(value * factor)
