"""
How many pairs a trial will take, or still needs.

A wealth that gains g nats per pair reaches 1/α after about (ln(1/α) + the price
of not having known the right bet)/g pairs. Both questions use it: the start
page with an assumed effect, an inconclusive trial with the effect it has seen.
An estimate, not a promise: half of all trials take longer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from execution.shadow.contrast import Metric
from execution.shadow.eprocess import FRACTIONS, LOG_PRIOR, Wealth, log_factors
from execution.shadow.evidence import Evidence
from execution.shadow.plan import Test, TrialPlan


def pairs_to_prove(distribution: Mapping[float, float], *, bound: float, null: float, level: float) -> int | None:
    """
    Expected pairs until E ≥ 1/level when contrasts have this distribution.

    Args:
        distribution: contrast → probability, summing to 1.
        bound: the clip b.
        null: m0 of the test.
        level: α of the test.

    Returns:
        The pairs with the best of the fourteen bets, or None when no bet grows.
    """
    best = math.inf
    per_value = [(share, log_factors(value, bound, null)) for value, share in distribution.items()]
    for k in range(len(FRACTIONS)):
        growth = math.fsum(share * factors[k] for share, factors in per_value)
        if growth > 1e-9:
            best = min(best, (-math.log(level) - LOG_PRIOR[k]) / growth)
    return None if math.isinf(best) else math.ceil(best)


def expected_pairs(plan: TrialPlan, *, control_rate: float = 0.6, effect: float = 0.2, agreement: float = 0.5) -> int:
    """
    What the start page shows: pairs to promotion for a candidate better by ``effect`` on success.

    Args:
        plan: the trial.
        control_rate: the incumbent's success rate, 0–1.
        effect: by how much the candidate's is higher.
        agreement: 0 for arms that fail independently, 1 for arms that fail on
            the same inputs as far as their rates allow.

    Returns:
        Between n_min and n_max.
    """
    wins, losses = discordance(control_rate, min(control_rate + effect, 1.0), agreement)
    shares = {1.0: wins, -1.0: losses, 0.0: 1.0 - wins - losses}
    better = pairs_to_prove(shares, bound=1.0, null=0.0, level=plan.alpha / len(plan.primary))
    safe = pairs_to_prove(shares, bound=1.0, null=-plan.margin, level=plan.alpha)
    if better is None or safe is None:
        return plan.n_max
    return min(max(better, safe, plan.n_min), plan.n_max)


def discordance(control_rate: float, candidate_rate: float, agreement: float) -> tuple[float, float]:
    """P(only the candidate succeeds), P(only the control does), between independent and nested failures."""
    independent = candidate_rate * (1.0 - control_rate)
    nested = max(candidate_rate - control_rate, 0.0)
    wins = independent + agreement * (nested - independent)
    return wins, wins - (candidate_rate - control_rate)


def pairs_still_needed(plan: TrialPlan, evidence: Evidence) -> int | None:
    """
    Further pairs until promotion, if the pairs to come are like those seen.

    None says that no number would do: what has been seen speaks against it.
    """
    better = [
        _remaining(evidence.wealth(metric, Test.SUPERIORITY), plan.alpha / len(plan.primary)) for metric in plan.primary
    ]
    needed = [_remaining(evidence.wealth(Metric.SUCCESS, Test.NONINFERIOR), plan.alpha)]
    needed += [_remaining(evidence.wealth(rail.metric, Test.NONINFERIOR), plan.alpha) for rail in plan.hard_rails]
    needed.append(min((pairs for pairs in better if pairs is not None), default=None))
    known = [pairs for pairs in needed if pairs is not None]
    return max(known) if len(known) == len(needed) else None


def _remaining(wealth: Wealth, level: float) -> int | None:
    """Further pairs until this wealth refutes its null at the growth of its best bet so far."""
    missing = -math.log(level) - wealth.log_e
    if missing <= 0.0:
        return 0
    growth = wealth.best_growth()
    return math.ceil(missing / growth) if growth > 1e-9 else None
