"""Pairs that are lost: nothing that was started for them runs on."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from execution.agents.base import AgentBackend, Answer, Capabilities, Request, Reservation
from execution.errors import AgentError
from execution.models import Run
from execution.services import pairing
from execution.shadow.observation import Arm
from tests.execution.factories import Clock
from tests.execution.trials import carry_out, make_trial, make_version

pytestmark = pytest.mark.django_db(transaction=True)

WAITS = """
STATE n = 0
EVENT completion:async {agent_id: "solo", prompt: "Task {{n}}"} AS r
IF r.success:
  WAIT 86400
RETURN {ok: r.success}
"""
LOST: set[int] = set()


class Overloaded:
    """Agents whose provider is overloaded for the runs of some seeds."""

    name = "overloaded"
    capabilities = Capabilities(immediate=True, structured=True)

    def reserve(self, request: Request) -> Reservation:
        return Reservation()

    async def complete(self, request: Request) -> Answer:
        if request.seed in LOST:
            raise AgentError("overloaded", "come back later")
        return Answer(value="fine")


def make_backend() -> AgentBackend:
    return Overloaded()


class TestMissingPair:
    def test_ends_the_repetitions_that_still_run(self, settings: Any, clock: Clock) -> None:
        settings.AGENT_BACKENDS = {"overloaded": {"backend": "tests.execution.services.test_pairing.make_backend"}}
        clock.now = int(timezone.now().timestamp() * 1000)
        version = make_version(WAITS, success_when="ok")
        trial = make_trial(version, version, 1, backend="overloaded", repeats=2, caps={"seconds": 200_000})
        seed = bytes(trial.seed)
        LOST.update(pairing.seed_of(seed, 1, arm, 0, attempt) for arm in Arm for attempt in (1, 2, 3))

        carry_out(trial, clock=clock)

        pair = trial.pairs.get()
        assert "lost to the infrastructure" in pair.missing and trial.missing == 1
        clock.forward(10)
        carry_out(trial, clock=clock)
        assert not Run.objects.alive().exists()
