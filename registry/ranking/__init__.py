"""
The numbers behind lists, pages and recommendations. Pure: counts in, numbers out.

Three sources of counts are never mixed in one number: *claimed* (the author's),
*measured here* (this node's runs, simulated ones apart) and *attested* (signed
by peers). Every function says in words what its number means, and the page
that shows it links there.

    rates        what k of n tells: Wilson, shrunk mean, lower quantile, Robbins, possible claims
    context      back-off from a context to its category, the pattern, all patterns
    drift        half-life, detected changes, what a new version inherits
    peers        trust by reproduction, and what a claim weighs
    emerging     growth that is not chance
    recommend    a score with its reasons
    learning     when a decision becomes a rule, a version a fork or a merge
    leaderboard  Bradley–Terry within a family, ties shown
    special      incomplete beta and gamma functions
"""

from registry.ranking.context import Posterior, posterior
from registry.ranking.drift import current, decayed, inherited, last_change
from registry.ranking.emerging import Emergence, emergence
from registry.ranking.leaderboard import Duel, Standing, leaderboard
from registry.ranking.learning import Proposal, RuleEvidence, proposal_for, rule_evidence
from registry.ranking.peers import Claim, attested, claim_weight, trust, with_peers
from registry.ranking.rates import (
    LEAST_RATED,
    Counts,
    claim_is_possible,
    lower_quantile,
    rate_in_words,
    rating_mean,
    robbins_interval,
    shrunk_mean,
    total,
    wilson_interval,
)
from registry.ranking.recommend import Option, Recommendation, recommend
from registry.ranking.special import beta_cdf, beta_quantile, gamma_cdf, gamma_quantile, log_beta_binomial

__all__ = [
    "LEAST_RATED",
    "Claim",
    "Counts",
    "Duel",
    "Emergence",
    "Option",
    "Posterior",
    "Proposal",
    "Recommendation",
    "RuleEvidence",
    "Standing",
    "attested",
    "beta_cdf",
    "beta_quantile",
    "claim_is_possible",
    "claim_weight",
    "current",
    "decayed",
    "emergence",
    "gamma_cdf",
    "gamma_quantile",
    "inherited",
    "last_change",
    "leaderboard",
    "log_beta_binomial",
    "lower_quantile",
    "posterior",
    "proposal_for",
    "rate_in_words",
    "rating_mean",
    "recommend",
    "robbins_interval",
    "rule_evidence",
    "shrunk_mean",
    "total",
    "trust",
    "wilson_interval",
    "with_peers",
]
