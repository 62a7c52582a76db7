"""The five patterns of the seed, published as they are and run durably with simulated agents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from execution.models import Effect, Run
from execution.services import sessions, starting
from execution.worker import run_until_idle
from registry.services import publishing
from tests.execution.factories import NOW, Clock, make_user

pytestmark = pytest.mark.django_db(transaction=True)

INPUTS: dict[int, dict[str, Any]] = {
    1: {"pipeline_stages": ["collection", "reporting"]},
}


class TestSeedPatterns:
    @pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
    def test_run_durably_with_simulated_agents(self, number: int, shared: Path, clock: Clock) -> None:
        user = make_user()
        source = (shared / "seeds" / "dsl_orchestration_patterns.md").read_bytes()
        published = publishing.publish(owner=user.own_owner, user=user, source=source, via="web", now=NOW)
        version = published.versions[number - 1].version
        run = starting.start(
            version=version, inputs=INPUTS.get(number), user=user, now=NOW, backend="simulated", seed=number
        )

        for _ in range(200):
            run_until_idle(clock=clock)
            run.refresh_from_db()
            if run.has_ended:
                break
            clock.forward(30)

        assert run.status == "succeeded", (run.status, run.error)
        assert Effect.objects.filter(run=run).exists()
        one = sessions.load_session(run.pk).state
        run.snapshot.delete() if hasattr(run, "snapshot") else None
        assert sessions.load_session(run.pk).state == one
        assert Run.objects.get(pk=run.pk).simulated
