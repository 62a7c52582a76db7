"""
Which pattern to use in a context, with the reasons in words.

The score is m + z·sd − cost weight · log2(cost / incumbent's cost), of the Beta
posterior in the context: z = 0.5 prefers what is not yet well known a little,
z = 1 explores (in shadow only). Nothing is recommended whose mean lies below
the incumbent's by more than the margin.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from registry.ranking.context import Posterior

Z_USE = 0.5
Z_EXPLORE = 1.0
COST_WEIGHT = 0.03
MARGIN = 0.10
_MOST_DOUBLINGS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One pattern that could be used."""

    name: str  # owner/name@version
    posterior: Posterior  # of its success in the context
    context_runs: int = 0  # own runs in exactly this context
    runs: int = 0  # own runs at all
    attested_runs: float = 0.0  # weight of the peers' runs in the posterior
    own: Posterior | None = None  # the same without the peers; None where they say nothing
    cost: float | None = None  # mean cost of a run, None where unknown
    incumbent: bool = False  # whether it is what the caller uses now


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """An option, how it ranks and why."""

    option: Option
    score: float
    reasons: tuple[str, ...]


def recommend(
    options: Iterable[Option],
    *,
    explore: bool = False,
    margin: float = MARGIN,
    cost_weight: float = COST_WEIGHT,
) -> list[Recommendation]:
    """
    The options worth using, best first; ties in score go by name.

    Args:
        options: at most one of them is the incumbent; without one, nothing is excluded.
        explore: whether the choice only runs in shadow, so that more may be tried.
        margin: how far below the incumbent's expected success is still offered.
        cost_weight: how much of the success rate one doubling of the cost is worth.
    """
    every = list(options)
    incumbent = next((option for option in every if option.incumbent), None)
    # What peers say ranks what to try; it lifts nothing over the floor that our own runs put below it.
    floor = (incumbent.own or incumbent.posterior).mean - margin if incumbent else -math.inf
    z = Z_EXPLORE if explore else Z_USE
    usual = incumbent.cost if incumbent else _median([option.cost for option in every if option.cost])
    found = [
        Recommendation(
            option=option,
            score=option.posterior.mean + z * option.posterior.sd - cost_weight * _doublings(option.cost, usual),
            reasons=_reasons(option, incumbent, usual, explore),
        )
        for option in every
        if option.incumbent or (option.own or option.posterior).mean >= floor
    ]
    return sorted(found, key=lambda item: (-item.score, item.option.name))


def _doublings(cost: float | None, usual: float | None) -> float:
    """How many times dearer by two; 0 where either cost is unknown or nothing."""
    if not cost or not usual:
        return 0.0
    return min(max(math.log2(cost / usual), -_MOST_DOUBLINGS), _MOST_DOUBLINGS)


def _median(costs: Sequence[float]) -> float | None:
    return sorted(costs)[len(costs) // 2] if costs else None


def _reasons(option: Option, incumbent: Option | None, usual: float | None, explore: bool) -> tuple[str, ...]:
    posterior = option.posterior
    low, high = posterior.quantile(0.05), posterior.quantile(0.95)
    found = [
        f"succeeds in about {posterior.mean:.0%} of runs like this ({low * 100:.0f} to {high * 100:.0f} %)",
        _basis(option),
    ]
    if option.incumbent:
        found.append("it is what you use now")
    elif incumbent is not None:
        gap = (posterior.mean - incumbent.posterior.mean) * 100.0
        found.append(f"{abs(gap):.0f} points {'above' if gap >= 0.0 else 'below'} {incumbent.name}")
    if option.cost is not None and usual:
        ratio = option.cost / usual
        if abs(ratio - 1.0) >= 0.05:
            found.append(f"costs {abs(ratio - 1.0):.0%} {'more' if ratio > 1.0 else 'less'} than usual")
    if explore and posterior.sd >= 0.08:
        found.append("little is known of it yet, so a trial in shadow would tell much")
    return tuple(found)


def _basis(option: Option) -> str:
    """What the number rests on; own runs and attested ones are never added up."""
    if option.context_runs:
        basis = f"from {option.context_runs} runs of yours in this context"
    elif option.runs:
        basis = f"from {option.runs} runs of yours in other contexts, none in this one"
    else:
        basis = "no runs of yours yet; assumed to be like other patterns"
    return f"{basis}, and peers' reports" if option.attested_runs >= 1.0 else basis
