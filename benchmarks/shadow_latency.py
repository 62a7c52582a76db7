"""
Does a bad candidate delay anybody? A caller's latency with and without one beside it.

Two workers as `serve` starts them (people's runs, and trials), one database. A
live trial shadows every real run of the control with a candidate that hangs,
that crashes, that floods the hub with questions, asks huge ones, starts
hundreds of child runs, computes without a pause, or emits thousands of events.
Blocks of real runs with and without are interleaved, so that both see the same
machine; the noise is how far two blocks without any candidate lie apart.

    python -m benchmarks.shadow_latency
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import Row, percentile

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = "benchmarks.shadow_settings"
ROUNDS, RUNS = 3, 8  # blocks of each kind, real runs in a block
ANSWER_SECONDS = 0.01
TIME_LIMIT_SECONDS = 600

CONTROL = """
STATE n = 0
LOOP step FROM 1 TO 5:
  EVENT completion:async {agent_id: "steady", prompt: "Step {{step}} of {{n}}"} AS answer
RETURN n
"""
CANDIDATES = {
    "hanging": 'STATE n = 0\nEVENT completion:async {agent_id: "hang", prompt: "{{n}}"} AS answer\nRETURN n',
    "crashing": "STATE n = 0\nSTATE broken = 1 / 0\nRETURN n",
    "flooding": """
STATE n = 0
PARALLEL(limit: 500):
  FOREACH i IN RANGE(2000):
    EVENT completion:async {agent_id: "steady", prompt: "{{i}}"} AS answer
RETURN n
""",
    "swelling": """
STATE n = 0
STATE held = MAP(RANGE(20000), i => RANDOM())
PARALLEL(limit: 4):
  FOREACH i IN RANGE(1000):
    EVENT completion:async {agent_id: "steady", prompt: "{{i}}: {{held}}"} AS answer
RETURN n
""",
    "spawning": """
STATE n = 0
PARALLEL(limit: 500):
  FOREACH i IN RANGE(2000):
    EVENT orchestration:start {pattern: "bench/child", inputs: {n: i}} AS answer
RETURN n
""",
    "spinning": """
STATE n = 0
LOOP i FROM 1 TO 990000:
  UPDATE n = n + 1
RETURN n
""",
    "chattering": """
STATE n = 0
FOREACH i IN RANGE(9900):
  EVENT note:taken {i: i, text: "the same thing said again and again, so that it is a row of some length"}
RETURN n
""",
}
CHILD = """
STATE n = 0
EVENT completion:async {agent_id: "steady", prompt: "{{n}}"} AS answer
RETURN n
"""


class BenchAgents:
    """Answers after ten milliseconds, and never where the agent is called ``hang``."""

    name = "bench"

    def __init__(self) -> None:
        from execution.agents.base import Capabilities

        self.capabilities = Capabilities(structured=True)

    def reserve(self, request: Any) -> Any:
        from execution.agents.base import Reservation

        return Reservation(tokens=1)

    async def complete(self, request: Any) -> Any:
        from execution.agents.base import Answer

        await asyncio.sleep(3600 if request.agent_id == "hang" else ANSWER_SECONDS)
        return Answer(value="done")


def bench_agents() -> BenchAgents:
    """For ``settings.AGENT_BACKENDS``."""
    return BenchAgents()


def measure() -> list[Row]:
    """Medians with a candidate over medians without, and the noise."""
    with tempfile.TemporaryDirectory(prefix="shadow-latency-") as folder:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "DATABASE_URL": f"sqlite:///{folder}/hub.sqlite3",
        }
        command = [sys.executable, "-m", "benchmarks.shadow_latency", "node"]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT_SECONDS, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        blocks: dict[str, list[list[float]]] = json.loads(done.stdout.splitlines()[-1])
    alone = [latency for block in blocks["none"] for latency in block]
    medians = [statistics.median(block) for block in blocks["none"]]
    noise = max(medians) / min(medians)
    rows = [
        Row(name="a caller's run, no candidate beside it", value=statistics.median(alone), unit="ms"),
        Row(name="noise: slowest over fastest block without one", value=noise, unit="×"),
    ]
    for name in CANDIDATES:
        beside = [latency for block in blocks[name] for latency in block]
        rows.append(
            Row(
                name=f"a caller's run beside a {name} candidate, over one without",
                value=statistics.median(beside) / statistics.median(alone),
                unit="×",
                reach=max(noise, 1.1),
                note=f"{statistics.median(beside):.0f} ms, 90 % within {percentile(beside, 0.9):.0f} ms"
                f" (without: {percentile(alone, 0.9):.0f} ms)",
            )
        )
    return rows


# ---------------------------------------------------------------- the hub that is measured


def node() -> None:
    """Set a hub up, start its two workers, run the blocks, print the latencies in milliseconds."""
    import django

    django.setup()
    from django.core.management import call_command

    from tests.execution import factories

    call_command("migrate", verbosity=0, skip_checks=True)
    workers = [_worker("runs"), _worker("trials")]
    blocks: dict[str, list[list[float]]] = {"none": [], **{name: [] for name in CANDIDATES}}
    try:
        factories.make_version(CHILD, owner=factories.make_user("bench").own_owner, name="child")
        warm = factories.make_version(CONTROL)
        _block(warm)
        for _ in range(ROUNDS):
            for kind, found in blocks.items():
                control = factories.make_version(CONTROL)
                trial = None if kind == "none" else _shadow(control, factories.make_version(CANDIDATES[kind]))
                found.append(_block(control))
                if trial is not None:
                    _end(trial)
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(40)  # a soft stop waits for the hanging candidate a while
    print(json.dumps(blocks))


def _worker(queue: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "worker", "--queue", queue], cwd=ROOT, stderr=subprocess.DEVNULL
    )


def _shadow(control: Any, candidate: Any) -> Any:
    from django.utils import timezone

    from execution.services import verifying

    return verifying.start_trial(
        control=control, candidate=candidate, user=None, now=timezone.now(), mode="live", share=1.0
    )


def _end(trial: Any) -> None:
    """Stop it, and wait until nothing of it runs any more: the next block must not pay for this one."""
    from django.utils import timezone

    from execution.errors import TrialNotPossible
    from execution.models import Run
    from execution.services import verifying

    with contextlib.suppress(TrialNotPossible):
        verifying.cancel(trial=trial, now=timezone.now(), kill=True)
    until = time.monotonic() + 30
    while Run.objects.alive().filter(queue="trials").exists() and time.monotonic() < until:
        time.sleep(0.1)


def _block(control: Any) -> list[float]:
    """Real runs one after another; how long each caller waited."""
    from django.utils import timezone

    from execution.models import Run
    from execution.services import starting

    found = []
    for n in range(RUNS):
        started = time.perf_counter()
        run = starting.start(version=control, inputs={"n": n}, now=timezone.now(), backend="bench")
        while not Run.objects.ended().filter(pk=run.pk).exists():
            time.sleep(0.005)
        found.append(1000 * (time.perf_counter() - started))
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["node"]:
        node()
    else:
        from benchmarks.harness import table

        print(table(measure()))
