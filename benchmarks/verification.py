"""
Does the verdict keep its promises? 20,000 simulated trials, looked at after every pair.

Each scenario draws pairs (success of both arms, cost, latency), feeds all of
them through the rules of ``execution.shadow`` (vectorised here; a test holds
the two together) and counts how the trials end. The last scenario counts pairs
in the order in which they finish, to show what the enrolment order is for.

    python -m benchmarks.verification [trials]
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.harness import Row
from execution.shadow.contrast import Metric
from execution.shadow.eprocess import FRACTIONS, LOG_PRIOR
from execution.shadow.plan import Process, Test, TrialPlan

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

TRIALS = 20_000
BATCH = 2_000
SEED = 20_250_611
OUTCOMES = ("promote", "reject_harm", "reject_guard", "reject_futile", "inconclusive")
_PRIOR = np.exp(np.array(LOG_PRIOR))
_BETS = np.array(FRACTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A population of pairs and what its trials must show."""

    name: str
    control_rate: float  # success rate of the control
    candidate_rate: float
    shared: float = 0.3  # chance that both arms draw the same luck on an input
    cost_ratio: float = 1.0  # the candidate's mean cost over the control's
    noise: float = 0.35  # log-sd of cost and latency within a pair
    workers: int = 0  # 0 counts pairs as enrolled; else as they finish, so many at once, failures slow
    promise: str = ""  # what the specification asks for


SCENARIOS = (
    Scenario(name="A/A", control_rate=0.7, candidate_rate=0.7, promise="promoted ≤ 2 %"),
    Scenario(
        name="worse by the margin, 30 % cheaper",
        control_rate=0.7,
        candidate_rate=0.6,
        cost_ratio=0.7,
        promise="promoted ≤ 5 %",
    ),
    Scenario(
        name="+20 points",
        control_rate=0.6,
        candidate_rate=0.8,
        promise="promoted ≥ 99 % within 400, mean ≤ 90 pairs",
    ),
    Scenario(
        name="A/A, counted as pairs finish",
        control_rate=0.7,
        candidate_rate=0.7,
        workers=40,
        promise="breaks: shows why enrolment order counts",
    ),
)


def draw(scenario: Scenario, plan: TrialPlan, trials: int, rng: np.random.Generator) -> dict[Metric, Floats]:
    """Contrasts by metric, each trials × n_max, in the order in which they will count."""
    shape = (trials, plan.n_max)
    luck = rng.random(shape)
    own = np.where(rng.random(shape) < scenario.shared, luck, rng.random(shape))
    control, candidate = luck < scenario.control_rate, own < scenario.candidate_rate
    success = candidate.astype(float) - control.astype(float)
    cost = _saving(rng.normal(math.log(scenario.cost_ratio), scenario.noise, shape))
    latency = _saving(rng.normal(0.0, scenario.noise, shape))
    found = {Metric.SUCCESS: success, Metric.COST: cost, Metric.LATENCY: latency}
    if scenario.workers:
        # A candidate that fails hangs until its cap, ten times a normal run.
        seconds = rng.gamma(4.0, 0.25, shape) + np.where(candidate, 0.0, 10.0)
        order = np.argsort(finishing_times(seconds, scenario.workers), axis=1)
        found = {metric: np.take_along_axis(values, order, axis=1) for metric, values in found.items()}
    return found


def finishing_times(seconds: Floats, workers: int) -> Floats:
    """When each pair ends if so many run at once, each free worker taking the next in order."""
    rows = np.arange(len(seconds))
    free = np.zeros((len(seconds), workers))
    ends = np.empty_like(seconds)
    for n in range(seconds.shape[1]):
        worker = free.argmin(axis=1)
        free[rows, worker] += seconds[:, n]
        ends[:, n] = free[rows, worker]
    return ends


def _saving(log_ratio: Floats) -> Floats:
    """(a − b)/(a + b) from ln(b/a)."""
    return -np.tanh(log_ratio / 2.0)


class Stake:
    """The fourteen wealths of one test, of many trials at once; 400 pairs neither over- nor underflow."""

    def __init__(self, test: Process, trials: int) -> None:
        self.test = test
        self.wealth = np.ones((trials, len(_BETS)))

    def observe(self, contrasts: Floats) -> None:
        """One pair of every trial."""
        values = contrasts
        if self.test.tolerance:
            up = (1.0 + self.test.tolerance) * (1.0 + contrasts)
            values = (up - (1.0 - contrasts)) / (up + (1.0 - contrasts))
        values = np.clip(self.test.sign * values, -self.test.bound, self.test.bound)
        gain = (values - self.test.null) / (self.test.bound + self.test.null)
        self.wealth *= 1.0 + gain[:, None] * _BETS[None, :]

    def keep(self, alive: Flags) -> None:
        """Forget the trials that ended."""
        self.wealth = self.wealth[alive]

    @property
    def e(self) -> Floats:
        """The e-value of every trial."""
        return self.wealth @ _PRIOR


def run(scenario: Scenario, plan: TrialPlan, trials: int, rng: np.random.Generator) -> Iterator[tuple[str, int]]:
    """How each trial ended and after how many pairs."""
    pairs = draw(scenario, plan, trials, rng)
    decisive = {rail.metric for rail in plan.hard_rails}
    tests = [t for t in plan.processes() if t.metric in plan.primary or t.metric in decisive]
    stakes = {test.name: Stake(test, trials) for test in tests}
    for n in range(plan.n_max):
        for stake in stakes.values():
            stake.observe(pairs[stake.test.metric][:, n])
        ended = look(plan, stakes, n + 1)
        over = np.zeros(len(next(iter(ended.values()))), dtype=bool)
        for outcome, holds in ended.items():
            for _ in range(int((holds & ~over).sum())):
                yield outcome, n + 1
            over |= holds
        if over.any():
            for stake in stakes.values():
                stake.keep(~over)
            pairs = {metric: values[~over] for metric, values in pairs.items()}
        if over.all():
            return


def look(plan: TrialPlan, stakes: dict[str, Stake], n: int) -> dict[str, Flags]:
    """Which rows of the verdict table hold, in the order of the table."""
    e = {name: stake.e for name, stake in stakes.items()}
    rails = plan.hard_rails
    never = np.zeros(len(next(iter(e.values()))), dtype=bool)
    superior = np.mean([e[f"{metric}/{Test.SUPERIORITY}"] for metric in plan.primary], axis=0)
    worthy = (superior >= 1 / plan.alpha) & (e["success/noninferior"] >= 1 / plan.alpha)
    broken, futile = never.copy(), ~never
    for rail in rails:
        worthy = worthy & (e[f"{rail.metric}/{Test.NONINFERIOR}"] >= 1 / plan.alpha)
        broken = broken | (e[f"{rail.metric}/{Test.BROKEN}"] >= len(rails) / plan.alpha)
    for metric in plan.primary:
        futile = futile & (e[f"{metric}/{Test.EFFECT}"] >= 1 / plan.beta)
    enough = n >= plan.n_min
    return {
        "reject_harm": e["success/harm"] >= 1 / plan.alpha,
        "reject_guard": broken,
        "promote": worthy & enough,
        "reject_futile": futile & enough,
        "inconclusive": never | (n == plan.n_max),
    }


def simulate(trials: int = TRIALS, scenarios: tuple[Scenario, ...] = SCENARIOS) -> dict[str, dict[str, Any]]:
    """
    Simulate every scenario with the standard profile.

    Returns:
        Scenario name → share of each outcome, mean pairs of promotions and
        of all trials, and the promise. The same for the same ``trials``.
    """
    plan = TrialPlan.of_profile("standard")
    found: dict[str, dict[str, Any]] = {}
    for number, scenario in enumerate(scenarios):
        rng = np.random.default_rng((SEED, number))
        ends: list[tuple[str, int]] = []
        for start in range(0, trials, BATCH):
            ends.extend(run(scenario, plan, min(BATCH, trials - start), rng))
        promoted = [n for outcome, n in ends if outcome == "promote"]
        found[scenario.name] = {
            **{outcome: sum(1 for end, _ in ends if end == outcome) / trials for outcome in OUTCOMES},
            "pairs_to_promotion": sum(promoted) / len(promoted) if promoted else None,
            "pairs": sum(n for _, n in ends) / trials,
            "trials": trials,
            "promise": scenario.promise,
        }
    return found


def table(found: dict[str, dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [
        "| scenario | promise | promoted | harm | guardrail | futile | undecided | pairs to promotion |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in found.items():
        shares = " | ".join(f"{row[outcome]:.2%}" for outcome in OUTCOMES)
        mean = "–" if row["pairs_to_promotion"] is None else f"{row['pairs_to_promotion']:.1f}"
        lines.append(f"| {name} | {row['promise']} | {shares} | {mean} |")
    return "\n".join(lines)


def measure() -> list[Row]:
    """The promises as rows of the common table."""
    equal, worse, better, finished = simulate().values()
    note = f"{TRIALS:,} trials, a look after every pair"
    return [
        Row(name="A/A trials promoted", value=equal["promote"] * 100, unit="%", reach=2.0, note=note),
        Row(
            name="worse by the margin but cheaper, promoted",
            value=worse["promote"] * 100,
            unit="%",
            reach=5.0,
            note=note,
        ),
        Row(
            name="+20 points of success, promoted within 400 pairs",
            value=better["promote"] * 100,
            unit="%",
            reach=99.0,
            higher_is_better=True,
            note=note,
        ),
        Row(
            name="pairs until +20 points are promoted, mean",
            value=better["pairs_to_promotion"],
            unit="pairs",
            reach=90.0,
            note=note,
        ),
        Row(
            name="A/A trials promoted if pairs counted as they finish",
            value=finished["promote"] * 100,
            unit="%",
            higher_is_better=True,
            note="the mistake that enrolment order prevents: 40 at once, failures ten times slower",
        ),
    ]


def main(trials: int = TRIALS) -> dict[str, dict[str, Any]]:
    """Print the table; return what it shows."""
    began = time.perf_counter()
    found = simulate(trials)
    print(table(found))
    print(f"\n{trials:,} trials each, a look after every pair; {time.perf_counter() - began:.0f} s")
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS)
