"""
When experience becomes a proposal.

A decision that recurs in a context with a good outcome becomes a proposed
``adaptive_rule``; a version that clearly beats its parent is proposed for a
fork or a merge. Proposals are for people; nothing is changed by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from registry.ranking.rates import Counts, wilson_interval

LEAST_RECURRENCES = 3
LEAST_LOWER_BOUND = 0.5
LEAST_RUNS = 3
LEAST_IMPROVEMENT = 0.15
FORK_RATE = 0.85
MERGE_RATE = 0.90


class Proposal(StrEnum):
    """What to do with a version that beats its parent."""

    FORK = "fork"  # keep it as a pattern of its own
    MERGE = "merge"  # take it back into its parent


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEvidence:
    """How well a recurring decision has gone."""

    recurrences: int  # times it was taken in this context with a known outcome
    good: int  # of those, how often the outcome was good
    lower_bound: float  # Wilson, 95 %
    proposed: bool  # whether it is worth an adaptive rule


def rule_evidence(good: int, recurrences: int) -> RuleEvidence:
    """Whether a decision is worth an adaptive rule: at least 3 times, Wilson lower bound at least 0.5."""
    lower, _ = wilson_interval(good, recurrences)
    return RuleEvidence(
        recurrences=recurrences,
        good=good,
        lower_bound=lower,
        proposed=recurrences >= LEAST_RECURRENCES and lower >= LEAST_LOWER_BOUND,
    )


def proposal_for(version: Counts, parent: Counts) -> Proposal | None:
    """
    What to propose for a version after its runs, None for nothing.

    It must beat its parent's rate by 15 % of it, over at least three runs of
    each; then a rate of 0.90 is good enough to merge and 0.85 to fork.
    """
    if min(version.runs, parent.runs) < LEAST_RUNS or version.rate is None or parent.rate is None:
        return None
    # A hair of tolerance, so that exactly 15 % is not lost to rounding.
    if version.rate + 1e-9 < parent.rate * (1.0 + LEAST_IMPROVEMENT):
        return None
    if version.rate + 1e-9 >= MERGE_RATE:
        return Proposal.MERGE
    return Proposal.FORK if version.rate + 1e-9 >= FORK_RATE else None
