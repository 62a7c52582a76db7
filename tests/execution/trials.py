"""Trials for tests: patterns whose success follows from their input alone, and a worker of trials that stands by."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from execution.agents.base import AgentBackend, Answer, Capabilities, Request, Reservation, Usage
from execution.models import Trial
from execution.services import verifying
from execution.services.clock import now_ms
from execution.services.trial_inputs import GivenInput
from execution.worker import WorkerSettings, run_until_idle
from opl.script.compiler import compile_script, program_hash
from registry.models import PatternVersion
from tests.execution.factories import make_version

# Succeeds on as many of every ten inputs as the name says.
GOOD_ON = "STATE n = 0\nRETURN {{ok: (n * 7) % 10 < {share}}}"
ASKING = """
STATE n = 0
EVENT completion:async {agent_id: "solo", prompt: "Task {{n}}"} AS r
RETURN {ok: r.success}
"""


def good_on(share: int, **fields: Any) -> PatternVersion:
    """A version that succeeds on ``share`` of every ten inputs."""
    return make_version(GOOD_ON.format(share=share), success_when="ok", **fields)


def next_version(before: PatternVersion, script: str, number: str = "1.1.0", **fields: Any) -> PatternVersion:
    """Another version of the same pattern."""
    compiled = compile_script(script)
    assert compiled.program is not None
    copied = {name: getattr(before, name) for name in ("document", "envelope", "mode", "success_when", "score")}
    return PatternVersion.objects.create(
        pattern=before.pattern,
        version=number,
        source=script.encode(),
        semantic_digest="1" * 64,
        program=compiled.program,
        program_hash=program_hash(compiled.program),
        published_via="cli",
        published_at=timezone.now(),
        **{**copied, **fields},
    )


def numbers(count: int, start: int = 0) -> list[GivenInput]:
    """Different inputs."""
    return [GivenInput(values={"n": n}) for n in range(start, start + count)]


def make_trial(control: PatternVersion, candidate: PatternVersion, count: int = 200, **options: Any) -> Trial:
    """A running batch trial on ``count`` inputs, quick profile, simulated agents."""
    known: dict[str, Any] = {"user": None, "now": timezone.now(), "profile": "quick", "backend": "simulated", **options}
    return verifying.start_trial(control=control, candidate=candidate, inputs=numbers(count), **known)


def carry_out(trial: Trial, clock: Any = now_ms) -> Trial:
    """Do all that can be done for trials now."""
    run_until_idle(settings=WorkerSettings(queue="trials"), clock=clock)
    trial.refresh_from_db()
    return trial


class PlainAgents:
    """Agents that count as real: their runs count in rates, and inputs are not drawn twice."""

    name = "plain"
    capabilities = Capabilities(immediate=True, structured=True)

    def reserve(self, request: Request) -> Reservation:
        return Reservation(tokens=10)

    async def complete(self, request: Request) -> Answer:
        return Answer(value=f"answer to {request.prompt}", usage=Usage(input_tokens=5, cost_micros=100))


def plain_agents() -> AgentBackend:
    """For ``settings.AGENT_BACKENDS``."""
    return PlainAgents()


PLAIN = {"plain": {"backend": "tests.execution.trials.plain_agents"}}
