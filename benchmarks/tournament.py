"""
The library's two tournaments on the same simulated players, over 200 seeds.

A wind tunnel, not evidence: the players are seeded personas. Both versions
meet the same personas for the same seed, and the winner of each is judged
alike, by its score on fresh tests; beside it stands the winner's true quality,
which a simulation knows and a real hub does not.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.harness import Row
from execution.agents.base import Profile, Request
from execution.agents.simulated import Persona, SimulatedAgents
from opl.check import check
from opl.script import machine
from opl.script.effects import completion_result

SEEDS = 200
PLAYERS = [f"player_{number}" for number in range(1, 9)]
AGENTS = SimulatedAgents()


def program_of(name: str) -> dict[str, Any]:
    """The compiled script of a library pattern."""
    report = check(Path("library", f"{name}.yaml").read_bytes())
    program = report.program()
    assert program is not None, report.problems
    return dict(program)


def asked(effect: dict[str, Any], seed: int) -> dict[str, Any]:
    """The simulated reply to one completion."""
    data = effect["data"]
    request = Request(
        run_id=seed,
        key=effect["key"],
        agent_id=data["agent_id"],
        prompt=data["prompt"],
        profile=Profile(name=data["agent_id"]),
        shape=effect["shape"],
        data=data,
        seed=seed,
    )
    answer = asyncio.run(AGENTS.complete(request))
    return completion_result(agent_id=data["agent_id"], answer=answer.value)


def played(program: dict[str, Any], seed: int, **inputs: Any) -> tuple[dict[str, Any], int]:
    """(result, completions asked) of one tournament, on no clock and no database."""
    state = machine.start(program, inputs={"players": PLAYERS, **inputs}, seed=seed)
    waiting: list[Any] = [{"kind": "start", "at": 0}]
    at, completions = 0, 0
    while waiting:
        state, effects = machine.step(program, state, waiting)
        if effects and effects[-1]["kind"] == "end":
            assert effects[-1]["status"] == "succeeded", effects[-1]
            return dict(effects[-1]["result"]), completions
        at += 1000
        waiting = []
        for effect in effects:
            if effect["kind"] == "event" and effect["reply"] != "none":
                is_completion = effect["name"] == "completion:async"
                completions += is_completion
                value = asked(effect, seed) if is_completion else {"status": "emitted"}
                waiting.append({"kind": "reply", "seq": effect["seq"], "value": value, "at": at})
    raise AssertionError("the tournament waits for nothing")


def true_quality(player: str, seed: int) -> float:
    """What the persona of a player really is."""
    return Persona.of(Request(run_id=seed, key="", agent_id=player, prompt="", seed=seed)).quality


def series(name: str, **inputs: Any) -> dict[str, float]:
    """Means over all seeds."""
    program = program_of(name)
    scores, qualities, best, costs = [], [], [], []
    for seed in range(SEEDS):
        result, completions = played(program, seed, **inputs)
        scores.append(result["score"])
        qualities.append(true_quality(result["winner"], seed))
        best.append(result["winner"] == max(PLAYERS, key=lambda player, seed=seed: true_quality(player, seed)))
        costs.append(completions)
    return {"score": mean(scores), "quality": mean(qualities), "best": mean(best), "completions": mean(costs)}


def measure() -> list[Row]:
    """Rows of both tournaments, at about the same number of completions."""
    plain = series("tournament", tests_each=4)
    second = series("tournament_v2", baseline_tests=2, rounds=5, group_size=3)
    note = f"plain {plain['score']:.3f}; {SEEDS} seeds, {len(PLAYERS)} simulated players"
    return [
        Row(
            name="tournament v2: winner's mean score",
            value=second["score"],
            unit="",
            reach=0.75,
            higher_is_better=True,
            note=note,
        ),
        Row(
            name="tournament v2: winner's true quality over plain's",
            value=second["quality"] / plain["quality"],
            unit="×",
            reach=1.0,
            higher_is_better=True,
            note=f"{second['quality']:.3f} against {plain['quality']:.3f}",
        ),
        Row(
            name="tournament v2: finds the best player",
            value=second["best"] * 100,
            unit="%",
            reach=plain["best"] * 100,
            higher_is_better=True,
            note=f"plain {plain['best'] * 100:.0f} %",
        ),
        Row(
            name="tournament v2: completions",
            value=second["completions"],
            unit="",
            note=f"plain {plain['completions']:.0f}",
        ),
    ]
