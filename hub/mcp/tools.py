"""
What an agent may do through MCP: the seed's pattern operations, search, recommend and runs.

Each tool is parse → one service → answer, as the API's views are; a person's
token decides what it may see and do. Errors of the house come back as tool
errors with their own text.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import close_old_connections
from django.utils import timezone
from mcp.server.auth.middleware.auth_context import get_access_token

from execution.models import Run
from execution.models.stored import load
from execution.services import starting
from opl.errors import OplError
from registry.discovery.filters import parse
from registry.discovery.recommend import recommend
from registry.discovery.search import search
from registry.models import Token, User
from registry.services import finding, learning

VIA = "mcp"


class ToolRefused(Exception):
    """What the agent reads when a tool cannot do what it was asked."""


def caller(scope: str) -> User:
    """
    Whose token this is.

    Raises:
        ToolRefused: no token, or one without the scope.
    """
    access = get_access_token()
    if access is None:
        raise ToolRefused("this tool needs a token; make one on /tokens and send it as Authorization: Bearer …")
    if not may(scope):
        raise ToolRefused(f"your token lacks the scope {scope}; make one with it on /tokens")
    return Token.objects.select_related("user").get(pk=int(access.client_id)).user


def may(scope: str) -> bool:
    """Whether the token of this call has a scope."""
    access = get_access_token()
    return access is not None and (scope in access.scopes or "admin" in access.scopes)


def service(tool: Callable[..., Any]) -> Callable[..., Any]:
    """Run a tool with a fresh database connection, and say our errors in words."""

    @wraps(tool)
    def run(*args: Any, **kwargs: Any) -> Any:
        close_old_connections()
        try:
            return tool(*args, **kwargs)
        except Exception as error:
            if isinstance(error, OplError) or hasattr(error, "code"):
                raise ToolRefused(str(error)) from error
            raise
        finally:
            close_old_connections()

    return run


@service
def search_patterns(query: str = "", limit: int = 10) -> dict[str, Any]:
    """Find patterns by words and filters, such as `tag:voting mode:executable` or `performance.avg_score > 0.7`."""
    user = caller("read")
    found = search(query=parse(query), user=user, limit=limit, with_facets=False)
    return {"total": found.total, "patterns": [_summary(pattern) for pattern in found.patterns]}


@service
def recommend_patterns(task: str = "", tags: list[str] | None = None, limit: int = 5) -> dict[str, Any]:
    """The patterns most likely to succeed for a task, with the reasons in words."""
    context = {"task": task, "tags": tags or []}
    options = recommend(context=context, user=caller("read"), limit=limit)
    return {
        "recommendations": [
            {**_summary(option.pattern), "score": option.score, "reasons": list(option.reasons)} for option in options
        ]
    }


@service
def load_pattern(reference: str) -> dict[str, Any]:
    """A pattern's source, inputs, rules and evidence. `reference`: owner/name, owner/name@1.2.0, or a digest."""
    return learning.load_pattern(reference=reference, user=caller("read"))


@service
def adapt_pattern(
    reference: str, context: dict[str, Any], inputs: dict[str, Any] | None = None, name: str = ""
) -> dict[str, Any]:
    """Fork a pattern for your situation: other input values, with the context written down. Published as yours."""
    user = caller("publish")
    published = learning.adapt_pattern(
        version=finding.version(reference, user),
        owner=user.own_owner,
        user=user,
        context=context,
        inputs=inputs,
        name=name,
        now=timezone.now(),
        via=VIA,
    )
    return {"versions": [str(item.version) for item in published.versions]}


@service
def record_decision(
    decision_type: str,
    rationale: str = "",
    outcome: str = "",
    context: dict[str, Any] | None = None,
    pattern: str = "",
    succeeded: bool | None = None,
    confidence: float | None = None,
) -> dict[str, Any]:
    """Write a decision and its outcome into the log that patterns learn from."""
    user = caller("publish")
    decision = learning.record_decision(
        decision_type=decision_type,
        version=finding.version(pattern, user) if pattern else None,
        context=context or {},
        rationale=rationale,
        outcome=outcome,
        succeeded=succeeded,
        confidence=confidence,
        made_by=user.username,
        now=timezone.now(),
    )
    return {"decision": decision.pk}


@service
def export_pattern(reference: str, name: str = "") -> dict[str, Any]:
    """A new version out of what runs and decisions taught: real counts, insights, proposed rules with evidence."""
    user = caller("publish")
    published = learning.export_pattern(
        version=finding.version(reference, user), owner=user.own_owner, user=user, name=name, now=timezone.now()
    )
    return {"versions": [str(item.version) for item in published.versions]}


@service
def start_run(
    pattern: str, inputs: dict[str, Any] | None = None, backend: str = "", seed: int | None = None
) -> dict[str, Any]:
    """Start a run of a pattern; watch it with get_run."""
    user = caller("run")
    run = starting.start(
        version=finding.version(pattern, user),
        inputs=inputs,
        user=user,
        backend=backend,
        seed=seed,
        policy={"publish": may("publish")},
        now=timezone.now(),
    )
    return {"run": run.pk, "status": run.status, "simulated": run.simulated}


@service
def get_run(run: int) -> dict[str, Any]:
    """How a run stands: status, result, error, cost."""
    found = Run.objects.visible_to(caller("read")).filter(pk=run).first()
    if found is None:
        raise ToolRefused(f"there is no run {run} that you may see")
    return {
        "run": found.pk,
        "status": found.status,
        "simulated": found.simulated,
        "result": load(found.result) if found.result is not None else None,
        "error": found.error,
        "tokens": found.tokens_used,
        "cost_usd": found.cost_used / 1_000_000,
    }


def _summary(pattern: Any) -> dict[str, Any]:
    return {
        "pattern": str(pattern),
        "title": pattern.title,
        "description": pattern.description,
        "runs": pattern.ranked_runs,
        "successes": pattern.ranked_successes,
    }


TOOLS: tuple[Callable[..., Any], ...] = (
    search_patterns,
    recommend_patterns,
    load_pattern,
    adapt_pattern,
    record_decision,
    export_pattern,
    start_run,
    get_run,
)
