"""
What the word of other nodes is worth.

A claim is k successes in n runs, signed, for one pattern digest and context
cell. It is trusted as far as our own runs reproduce it: the odds 0.7 : 0.3 that
a peer is honest are multiplied by how much better the claim predicts our runs
than knowing nothing would. Claims rank what to try; only local pairs decide
adoption.

Trust is a posterior probability under two models, "our rate is the peer's"
and "the peer's says nothing", with Beta-binomial likelihoods.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from registry.ranking.rates import Counts
from registry.ranking.special import log_beta_binomial

PRIOR_TRUST = 0.7
MOST_PREDICTING = 50  # runs of a claim that predict ours, at most
MOST_COUNTED = 100  # runs of a claim that count in a score, at most
DISCOUNT = 0.5
_LEAST_CAP = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one operator says about one cell in one window."""

    operator: str  # key id of the operator; many nodes of one operator are one voice
    successes: int
    runs: int

    def __post_init__(self) -> None:
        """Refuse counts that nobody can have."""
        if not 0 <= self.successes <= self.runs:
            raise ValueError(f"{self.successes} of {self.runs} is no count of successes")


def trust(claim: Claim, own: Counts) -> float:
    """
    tr = sigmoid(ln(.7/.3) + ln BetaBin(r; s, 1+qk, 1+q(n−k)) − ln BetaBin(r; s, 1, 1)), q = min(n, 50)/n.

    Args:
        claim: k of n.
        own: r of s, our own runs in the same cell; without any, trust is 0.7.
    """
    r, s = round(own.successes), round(own.runs)
    q = min(claim.runs, MOST_PREDICTING) / claim.runs if claim.runs else 0.0
    told = log_beta_binomial(r, s, 1.0 + q * claim.successes, 1.0 + q * (claim.runs - claim.successes))
    odds = math.log(PRIOR_TRUST / (1.0 - PRIOR_TRUST)) + told - log_beta_binomial(r, s, 1.0, 1.0)
    return 1.0 / (1.0 + math.exp(-odds)) if odds >= 0.0 else math.exp(odds) / (1.0 + math.exp(odds))


def claim_weight(runs: int, trusted: float) -> float:
    """What each run of a claim counts: tr · 0.5 · min(n, 100)/n."""
    return trusted * DISCOUNT * min(runs, MOST_COUNTED) / runs if runs else 0.0


def attested(claims: Iterable[Claim], own: Counts) -> Counts:
    """
    All claims for one cell and window, weighed by trust, one voice per operator.

    An operator who says two different things about one cell and window is not
    believed at all; the same thing said twice counts once.
    """
    voices: dict[str, Claim | None] = {}
    for claim in claims:
        before = voices.setdefault(claim.operator, claim)
        if before != claim:
            voices[claim.operator] = None
    heard = Counts()
    for voice in voices.values():
        if voice is not None:
            said = Counts(successes=voice.successes, runs=voice.runs)
            heard = heard + said.weighed(claim_weight(voice.runs, trust(voice, own)))
    return heard


def with_peers(own: Counts, heard: Counts) -> Counts:
    """
    Our runs and the peers' together, the peers' cut to max(20, own runs / 2).

    So all remote claims together move a score by at most R/(R + n + 2).
    """
    most = max(_LEAST_CAP, own.runs / 2.0)
    return own + (heard.weighed(most / heard.runs) if heard.runs > most else heard)
