"""
Starting a run: inputs checked, program pinned, one row and a hint.

    run = starting.start(version=version, inputs={"documents": […]}, user=user, now=timezone.now())

Nothing is carried out here: the run is ``queued``, and a worker takes it up.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from execution.agents import roster
from execution.errors import InputsRefused, NotExecutable, RunRefused
from execution.models import OwnerBudget, Run
from execution.models.fields import dumps
from execution.models.stored import BlobWriter
from execution.services import checking, hints
from execution.services.clock import to_ms
from opl.errors import Problem
from registry.models import Membership, Owner, PatternVersion

DEFAULT_LIMITS: dict[str, int | float] = {
    "tokens": 2_000_000,
    "cost_usd": 20.0,
    "seconds": 86_400,
}
POLICY_NAMES = frozenset({"limits", "attempts", "in_doubt", "agents", "context"})
SEED_BITS = 53


def start(
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
) -> Run:
    """
    Make a run of ``version``.

    Args:
        inputs: name → JSON value; what is left out takes its default.
        backend: alias of an agent backend; "" for the default one.
        seed: 0 to 2**53 - 1; drawn where it is None.
        policy: ``{limits: {tokens, cost_usd, seconds, statements, events, …}, attempts, in_doubt: retry|ask,
            agents (for scripted ones), context}``; unknown names are refused.
        owner: whose budget it uses; the user's own where it is None.
        parent, parent_effect: the run and effect that wait for this one.

    Returns:
        The run, ``queued``.

    Raises:
        NotExecutable: the version has no compiled script.
        InputsRefused: a value does not fit; all problems at once.
        BackendUnknown: no such alias.
    """
    if version.program is None:
        raise NotExecutable(str(version))
    given = checking.checked_inputs(version, inputs or {})
    chosen = checked_policy(policy or {})
    alias = backend or roster.default_backend()
    made_backend = roster.backend(alias, {"agents": chosen["agents"]} if "agents" in chosen else {})
    owner = owner or own_owner(user)
    limits = {**DEFAULT_LIMITS, **chosen.get("limits", {})}
    chosen["limits"] = limits
    if parent is not None or OwnerBudget.objects.filter(owner=owner).exists():
        chosen["chained"] = True
    blobs = BlobWriter()
    program = blobs.put(version.program, always_blob=True)
    run = Run(
        version=version,
        program_hash=program[1:],
        started_by=user if user is not None and user.is_authenticated else None,
        owner=owner,
        is_public=is_public,
        backend=alias,
        simulated=made_backend.capabilities.simulated or (parent is not None and parent.simulated),
        seed=secrets.randbits(SEED_BITS) if seed is None else checked_seed(seed),
        inputs=blobs.put(given),
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
    with transaction.atomic():
        with connection.cursor() as cursor:
            blobs.flush(cursor)
        run.save(force_insert=True)
        transaction.on_commit(after_start(run.pk, blobs))
    return run


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
    return Owner.objects.filter(kind=Owner.Kind.USER, memberships__user=user, memberships__role=Membership.Role.ADMIN).first()


def checked_seed(seed: Any) -> int:
    """A seed that every database and JSON reader can hold."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**SEED_BITS:
        raise InputsRefused([_wrong("seed", "the seed is a whole number from 0 to 2^53 - 1")])
    return seed


def checked_policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    """
    The policy with everything in it understood.

    Raises:
        InputsRefused: lists what is not.
    """
    problems = [_wrong(name, f"the policy has no {name!r}") for name in policy if name not in POLICY_NAMES]
    limits = policy.get("limits", {})
    if not isinstance(limits, Mapping):
        problems.append(_wrong("limits", "limits is an object of names and numbers"))
        limits = {}
    for name, value in limits.items():
        known = name in checking.LIMIT_NAMES
        if not known:
            problems.append(_wrong(f"limits/{name}", f"there is no limit {name!r}"))
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2**53:
            problems.append(_wrong(f"limits/{name}", f"the limit {name} is a number from 0 on"))
    attempts = policy.get("attempts", 4)
    if isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= 20:
        problems.append(_wrong("attempts", "attempts is a whole number from 1 to 20"))
    if policy.get("in_doubt", "retry") not in ("retry", "ask"):
        problems.append(_wrong("in_doubt", "in_doubt is retry or ask"))
    if not _is_script(policy.get("agents", {})):
        problems.append(_wrong("agents", "agents is an object of agent names and lists of replies"))
    if problems:
        raise InputsRefused(problems)
    return {name: value for name, value in policy.items() if value is not None}


def _is_script(agents: Any) -> bool:
    return isinstance(agents, Mapping) and all(
        isinstance(entries, list) and all(isinstance(entry, Mapping) for entry in entries) for entries in agents.values()
    )


def _wrong(pointer: str, message: str) -> Problem:
    return Problem(code="execution.policy", message=message, pointer=f"/policy/{pointer}")


def _whole(value: Any, factor: int = 1) -> int | None:
    return None if value is None else int(value * factor)


__all__ = ["RunRefused", "start"]
