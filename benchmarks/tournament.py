"""
The library's two tournaments on the same simulated players: who finds the better winner?

A wind tunnel, not evidence about any agent. The players are personas of
``execution.agents.psychometrics``, an ordinary model of tests that knows no
pattern; both tournaments meet the same personas for the same seed, while the
answers are drawn apart. What is compared is what only a simulation knows: the
winner's *worth*, what a baseline test of it is worth on average (one that times
out being worth nothing). The best player's worth minus the winner's is the
*regret*.

Each seed gives one pair. "v2's winners are no better" is tested twice: at the
fixed 200 pairs by flipping signs (a permutation test, one-sided, with a bootstrap
interval of the mean difference), and as the hub tests its own trials, by an
e-value that holds at every look and so asks for more (20 refutes it).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random
from statistics import fmean as mean
from typing import Any

from benchmarks.harness import Row
from execution.agents.base import Answer, Profile, Request
from execution.agents.psychometrics import Examinee
from execution.agents.simulated import Persona, SimulatedAgents
from execution.errors import AgentError
from execution.shadow.assessment import Course
from execution.shadow.contrast import RULES, Metric, contrasts_of, difference
from execution.shadow.eprocess import wealth_of
from execution.shadow.evidence import Pair
from execution.shadow.observation import Observation
from execution.shadow.plan import TrialPlan
from execution.shadow.verdict import Outcome
from opl.check import check
from opl.script import machine
from opl.script.effects import completion_result

SEEDS = 200
RESAMPLES = 5000
TRIALS = 10
LIBRARY = Path(__file__).resolve().parent.parent / "library"
AGENTS = SimulatedAgents()
EQUAL_TESTS = 4  # per player: what the plain tournament gives by default
TIME_LIMIT = 60.0  # the patterns' own
Watch = Callable[[Mapping[str, Any]], object]
ODD = 0x9E3779B97F4A  # spreads the seeds of answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Whom the tournaments meet."""

    name: str
    simulation: Mapping[str, Any] = field(default_factory=dict)  # as a profile says it
    players: int = 8
    abilities: Mapping[str, float] = field(default_factory=dict)  # of players who are no draw from the population


POPULATIONS = (
    Population(name="the simulator's own"),
    Population(name="spread wide: ability 0 ± 1", simulation={"ability": {"mean": 0, "deviation": 1}}),
    Population(name="clustered, strong: 1.4 ± 0.4", simulation={"ability": {"mean": 1.4, "deviation": 0.4}}),
    Population(name="clustered, middling: 0 ± 0.4", simulation={"ability": {"mean": 0, "deviation": 0.4}}),
    Population(name="tests too hard: -1.5 ± 1", simulation={"ability": {"mean": -1.5, "deviation": 1}}),
    Population(name="slow: 40 ± 15 s for 60 s", simulation={"latency": {"mean": 40, "deviation": 15}}),
    Population(
        name="guessing: right by luck in 1 of 4", simulation={"ability": {"mean": 1, "deviation": 1}, "guessing": 0.25}
    ),
    Population(name="difficulty unnoticed", simulation={"difficulty_range": 0}),
    Population(name="harder tests tell less", simulation={"blunting": 0.5}),
    Population(name="hard tests tell next to nothing", simulation={"blunting": 1.0}),
    Population(name="two players", players=2),
    Population(name="sixteen players", players=16),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One tournament that ended."""

    worth: float  # of its winner
    regret: float  # the best player's worth minus it
    is_best: bool
    score: float  # the winner's on fresh tests: what the pattern itself reports
    completions: int
    seconds: float  # of all its agents, added
    succeeded: bool  # by the document's own ``success_when``: the score reached the target


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two tournaments on one population, pair by pair."""

    plain: tuple[Played, ...]
    second: tuple[Played, ...]

    @property
    def contrasts(self) -> list[float]:
        """Worth of v2's winner minus that of the plain one, for each seed."""
        return [difference(a.worth, b.worth) for a, b in zip(self.plain, self.second, strict=True)]

    @property
    def evidence(self) -> float:
        """The e-value against "v2's winners are no better"."""
        return wealth_of(Counter(self.contrasts), bound=RULES[Metric.QUALITY].clip, null=0.0).e_value

    @property
    def better(self) -> float:
        """The p-value of "v2's winners are no better"."""
        return chance_of(self.contrasts)

    @property
    def worse(self) -> float:
        """The p-value of "v2's winners are no worse"."""
        return chance_of([-value for value in self.contrasts])


def chance_of(contrasts: Sequence[float]) -> float:
    """
    How often a sum this large comes about if each contrast's sign were a coin's: one-sided, at least 1 in ``RESAMPLES``.

    Source: R. A. Fisher, The Design of Experiments, 1935, section 21.
    """
    rng, total = Random(1), sum(contrasts)
    sizes = [abs(value) for value in contrasts if value]
    as_large = sum(sum(v if rng.random() < 0.5 else -v for v in sizes) >= total - 1e-12 for _ in range(RESAMPLES))
    return (1 + as_large) / (1 + RESAMPLES)


def interval_of(contrasts: Sequence[float]) -> tuple[float, float]:
    """The middle 95 % of means when the pairs are drawn again (percentile bootstrap, Efron 1979)."""
    rng = Random(1)
    means = sorted(mean(rng.choices(contrasts, k=len(contrasts))) for _ in range(RESAMPLES))
    return means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES) - 1]


@lru_cache(maxsize=8)
def program_of(name: str) -> dict[str, Any]:
    """The compiled script of a library pattern."""
    report = check((LIBRARY / f"{name}.yaml").read_bytes())
    program = report.program()
    assert program is not None, report.problems
    return dict(program)


def question(population: Population, world: int, player: str, **fields: Any) -> Request:
    """A request to one player of a world."""
    own = {"ability": population.abilities[player]} if player in population.abilities else {}
    profile = Profile(name=player, settings={"simulation": {**population.simulation, **own}})
    told = {"key": "", "prompt": "", **fields}
    return Request(run_id=0, agent_id=player, profile=profile, world=world, **told)


def asked(population: Population, world: int, seed: int, effect: Mapping[str, Any]) -> dict[str, Any]:
    """The simulated reply to one completion, its duration being the persona's."""
    data = effect["data"]
    request = question(
        population,
        world,
        data["agent_id"],
        key=effect["key"],
        prompt=data["prompt"],
        shape=effect["shape"],
        data=data,
        seed=seed,
        timeout_seconds=data.get("timeout", TIME_LIMIT),
    )
    waiting = AGENTS.complete(request)
    try:
        waiting.send(None)
    except StopIteration as finished:
        said: Answer = finished.value
        return completion_result(agent_id=request.agent_id, answer=said.value, duration=said.duration_seconds or 0.0)
    except AgentError as error:
        told = {"type": error.kind, "message": error.message}
        return completion_result(agent_id=request.agent_id, error=told, duration=request.timeout_seconds)
    raise AssertionError("simulated agents on no clock answer at once")


def examinee(population: Population, world: int, player: str) -> Examinee:
    """Who a player really is, which no pattern is told."""
    return Persona.of(question(population, world, player)).examinee


def played(
    name: str, population: Population, world: int, seed: int, *, watch: Watch | None = None, **inputs: Any
) -> Played:
    """One tournament, on no clock and no database; ``watch`` is shown each completion before it is answered."""
    program = program_of(name)
    players = [f"player_{number}" for number in range(1, population.players + 1)]
    if population.players != 8:
        inputs = {**inputs, "players": players}
    state = machine.start(program, inputs=inputs, seed=seed)
    waiting: list[Any] = [{"kind": "start", "at": 0}]
    at, completions, seconds = 0, 0, 0.0
    while True:
        state, effects = machine.step(program, state, waiting)
        if effects and effects[-1]["kind"] == "end":
            break
        at += 1000
        waiting = []
        for effect in effects:
            if effect["kind"] == "event" and effect["reply"] != "none":
                if watch is not None:
                    watch(effect)
                reply = asked(population, world, seed, effect)
                completions, seconds = completions + 1, seconds + reply["duration"]
                waiting.append({"kind": "reply", "seq": effect["seq"], "value": reply, "at": at})
        assert waiting, "the tournament waits for nothing"
    assert effects[-1]["status"] == "succeeded", effects[-1]
    result = effects[-1]["result"]
    worths = {player: examinee(population, world, player).worth(limit_seconds=TIME_LIMIT) for player in players}
    best = max(worths.values())
    worth = worths[result["winner"]]
    return Played(
        worth=worth,
        regret=best - worth,
        is_best=worth == best,
        score=result["score"],
        completions=completions,
        seconds=seconds,
        succeeded=result["met_target"],
    )


def compared(population: Population, *, tests_each: int | None = EQUAL_TESTS, seeds: int = SEEDS) -> Comparison:
    """Both tournaments in each world; ``tests_each`` None leaves each its own default."""
    inputs = {} if tests_each is None else {"tests_each": tests_each}
    return Comparison(
        plain=tuple(played("tournament", population, world, world, **inputs) for world in range(seeds)),
        second=tuple(played("tournament_v2", population, world, world ^ ODD, **inputs) for world in range(seeds)),
    )


def measure() -> list[Row]:
    """The pattern's target, then each population at as many tests, and by the patterns' own defaults."""
    usual = POPULATIONS[0]
    equal, defaults = compared(usual), compared(usual, tests_each=None)
    target = Row(
        name="v2 at its defaults: winner's mean score",
        value=mean(p.score for p in defaults.second),
        unit="",
        reach=0.75,
        higher_is_better=True,
        note=f"{SEEDS} seeds, simulated players",
    )
    rows = [target, *rows_of(usual.name, equal), *rows_of(f"{usual.name}, each at its defaults", defaults)]
    for population in POPULATIONS[1:]:
        rows += rows_of(population.name, compared(population))
    return rows + trial_rows()


def trial(candidate: str, number: int) -> tuple[Outcome, int]:
    """A shadow trial against the plain tournament, each at its defaults: its verdict, and after how many pairs."""
    metrics = (Metric.SUCCESS, Metric.QUALITY, Metric.COST, Metric.TOKENS, Metric.LATENCY)
    plan = TrialPlan.of_profile("standard", metrics=metrics)
    course = Course(plan, same_version=candidate == "tournament")
    for position in range(1, plan.n_max + 1):
        world = (number + 1) * 1_000_003 + position
        control = played("tournament", POPULATIONS[0], world, world)
        other = played(candidate, POPULATIONS[0], world, world ^ ODD)
        course.feed(Pair(position=position, contrasts=contrasts_of(observed(control), observed(other))))
        if course.outcome.final:
            return course.outcome, position
    return course.outcome, plan.n_max


def observed(one: Played) -> Observation:
    """A tournament as an arm of a trial; simulated agents cost no money."""
    return Observation(success=float(one.succeeded), quality=one.score, seconds=one.seconds)


def trial_rows() -> list[Row]:
    """How many shadow trials promote v2, and how many the plain tournament against itself."""
    found = [trial("tournament_v2", number) for number in range(TRIALS)]
    same = [trial("tournament", number) for number in range(TRIALS)]
    promoted = sum(outcome.adopts for outcome, _ in found)
    told = ", ".join(f"{count} {outcome}" for outcome, count in Counter(str(outcome) for outcome, _ in found).items())
    against_itself = sum(outcome.adopts for outcome, _ in same)
    return [
        Row(
            name=f"shadow trials that promote v2, of {TRIALS}",
            value=promoted,
            unit="",
            note=f"{told}; {mean(pairs for _, pairs in found):.0f} pairs on average",
        ),
        Row(
            name=f"shadow trials that promote the plain one against itself, of {TRIALS}",
            value=against_itself,
            unit="",
            reach=0,
        ),
    ]


def rows_of(name: str, found: Comparison) -> list[Row]:
    """What the winner lacks, and what the pattern itself reports; what it is compared with stands in the note."""
    plain, second = found.plain, found.second
    low, high = interval_of(found.contrasts)
    test = f"p = {found.better:.2g}" if mean(found.contrasts) >= 0 else f"worse: p = {found.worse:.2g}"
    spent = f"{mean(p.completions for p in second):.1f} completions, plain {mean(p.completions for p in plain):.1f}"
    best = f"best found {_share(second)} %, plain {_share(plain)} %"
    score = f"score {mean(p.score for p in second):.3f}, plain {mean(p.score for p in plain):.3f}"
    difference_seen = f"worth {mean(found.contrasts):+.4f} [{low:+.4f}, {high:+.4f}], {test}, e = {found.evidence:.2g}"
    return [
        Row(
            name=f"{name}: regret of v2",
            value=mean(p.regret for p in second),
            unit="",
            reach=mean(p.regret for p in plain),
            note="; ".join((difference_seen, best, spent, score)),
        )
    ]


def _share(tournaments: Sequence[Played]) -> str:
    return f"{100 * mean(p.is_best for p in tournaments):.1f}"
