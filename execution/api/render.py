"""Runs as the API shows them."""

from __future__ import annotations

from typing import Any

from execution.models import Run
from execution.services import controlling


def run_json(run: Run) -> dict[str, Any]:
    """A row of a list."""
    version = run.version
    return {
        "id": run.pk,
        "pattern": str(version.pattern),
        "version": version.version,
        "digest": version.digest,
        "status": run.status,
        "succeeded": run.succeeded,
        "score": run.score,
        "simulated": run.simulated,
        "backend": run.backend,
        "seed": run.seed,
        "started_by": run.started_by.username if run.started_by else None,
        "public": run.is_public,
        "tick": run.tick,
        "events": run.events_count,
        "tokens": run.tokens_used,
        "cost_usd": run.cost_usd,
        "possibly_paid_twice": run.repaid,
        "duration_seconds": run.duration_seconds,
        "parent": run.parent_id,
        "forked_from": run.forked_from_id,
        "forked_at_tick": run.forked_at_tick,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "url": f"/runs/{run.pk}",
    }


def run_detail(run: Run) -> dict[str, Any]:
    """A run by itself."""
    return {
        **run_json(run),
        "inputs": run.input_values(),
        "policy": {name: value for name, value in run.policy.items() if name not in ("chained", "anew")},
        "result": run.result_value(),
        "error": run.error,
        "questions": [
            {"seq": effect.seq, "question": effect.data(), "asked_at": effect.emitted_at}
            for effect in controlling.open_questions(run.pk)
        ],
        "children": list(run.children.order_by("pk").values_list("pk", flat=True)),
    }
