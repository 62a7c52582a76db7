"""
From evidence to a verdict: the table of 4.4, read from the top, the first row that holds.

    invalid          > 5 % missing, judge disqualified, or replay fidelity < 95 %
    reject_harm      E_harm(success) ≥ 1/α
    reject_guard     a hard guardrail is proven broken: E ≥ G/α, G guardrails
    promote          not worse on success, better somewhere, every hard guardrail kept, no stratum harmed
    promote_scoped   as promote, outside of the strata with E_harm ≥ S/α
    reject_futile    every primary metric's effect is refuted at 1/β
    inconclusive     the planned pairs are used up
    needs_more       otherwise

Evidence becomes ``Claims`` (what is proven, yes or no) in one of two ways, the
e-process or the planned looks; ``decide`` knows only claims. Harm and broken
guardrails end a trial at once; promotion and futility wait for n_min pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from execution.shadow.contrast import Metric
from execution.shadow.eprocess import Wealth, log_sum_exp
from execution.shadow.evidence import Evidence
from execution.shadow.plan import Mode, Test, TrialPlan, stratum_process
from execution.shadow.scheduled import boundaries, z_value


class Outcome(StrEnum):
    """How a trial stands or ended."""

    INVALID = "invalid"
    REJECT_HARM = "reject_harm"
    REJECT_GUARD = "reject_guard"
    PROMOTE = "promote"
    PROMOTE_SCOPED = "promote_scoped"
    REJECT_FUTILE = "reject_futile"
    INCONCLUSIVE = "inconclusive"
    NEEDS_MORE = "needs_more"

    @property
    def final(self) -> bool:
        """Whether the trial is over."""
        return self is not Outcome.NEEDS_MORE

    @property
    def adopts(self) -> bool:
        """Whether the candidate may take over."""
        return self in (Outcome.PROMOTE, Outcome.PROMOTE_SCOPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What can spoil a trial, beside missing pairs."""

    judge_qualified: bool = True  # False when a judge is used and failed its qualification
    judge_reason: str = ""  # why it failed
    replay_fidelity: float = 1.0  # share of recorded effects that replayed alike; 1 when nothing was replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What the evidence proves, each at its own level; all that ``decide`` looks at."""

    invalid: str = ""  # why the trial is spoiled, "" when it is sound
    harm: bool = False  # worse on success
    broken: tuple[str, ...] = ()  # hard guardrails proven broken
    noninferior: bool = False  # not worse on success by the margin
    superior: bool = False  # better on the mean of the primary metrics
    kept: bool = True  # every hard guardrail proven kept
    vetoes: tuple[str, ...] = ()  # strata proven harmed
    every_stratum: bool = False  # whether the vetoes leave no stratum over
    futile: bool = False  # every primary effect refuted
    enough: bool = False  # n_min pairs are in
    exhausted: bool = False  # n_max pairs are settled
    same_version: bool = False  # an A/A trial: nothing can be adopted


def decide(claims: Claims) -> Outcome:
    """The first row of the table that holds."""
    worthy = claims.enough and claims.noninferior and claims.superior and claims.kept
    rows: tuple[tuple[bool, Outcome], ...] = (
        (bool(claims.invalid), Outcome.INVALID),
        (claims.harm or claims.every_stratum, Outcome.REJECT_HARM),
        (bool(claims.broken), Outcome.REJECT_GUARD),
        # In an A/A trial the rule may still fire, once in a while; that is the noise floor.
        (worthy and claims.same_version, Outcome.INCONCLUSIVE),
        (worthy and not claims.vetoes, Outcome.PROMOTE),
        (worthy, Outcome.PROMOTE_SCOPED),
        (claims.enough and claims.futile, Outcome.REJECT_FUTILE),
        (claims.exhausted, Outcome.INCONCLUSIVE),
    )
    return next((outcome for holds, outcome in rows if holds), Outcome.NEEDS_MORE)


Proof = Callable[[Wealth, float], bool]  # whether a wealth refutes its null at a level


def claims_of(
    plan: TrialPlan, evidence: Evidence, health: Health | None = None, *, same_version: bool = False
) -> Claims:
    """
    What this evidence proves under this plan.

    In scheduled mode nothing is proven between looks, and only the looks'
    number of settled pairs counts as one.
    """
    proof = _proof(plan, evidence)
    rails = plan.hard_rails
    vetoes = tuple(
        name
        for name in plan.strata
        if proof(evidence.wealths[stratum_process(name).name], plan.alpha / len(plan.strata))
    )
    return Claims(
        invalid=_spoiled(plan, evidence, health or Health()),
        harm=proof(evidence.wealth(Metric.SUCCESS, Test.HARM), plan.alpha),
        broken=tuple(
            rail.metric.value
            for rail in rails
            if proof(evidence.wealth(rail.metric, Test.BROKEN), plan.alpha / len(rails))
        ),
        noninferior=proof(evidence.wealth(Metric.SUCCESS, Test.NONINFERIOR), plan.alpha),
        superior=_superior(plan, evidence, proof),
        kept=all(proof(evidence.wealth(rail.metric, Test.NONINFERIOR), plan.alpha) for rail in rails),
        vetoes=vetoes,
        every_stratum=bool(plan.strata) and len(vetoes) == len(plan.strata),
        futile=all(proof(evidence.wealth(metric, Test.EFFECT), plan.beta) for metric in plan.primary),
        enough=evidence.pairs >= plan.n_min,
        exhausted=evidence.settled >= plan.n_max,
        same_version=same_version,
    )


def log_e_superiority(plan: TrialPlan, evidence: Evidence) -> float:
    """ln of the mean of the primary metrics' e-values; a mean of e-values is one, however dependent."""
    logs = [evidence.wealth(metric, Test.SUPERIORITY).log_e for metric in plan.primary]
    return log_sum_exp(logs) - math.log(len(logs))


def _superior(plan: TrialPlan, evidence: Evidence, proof: Proof) -> bool:
    if plan.mode is Mode.ALWAYS:
        return log_e_superiority(plan, evidence) >= -math.log(plan.alpha)
    share = plan.alpha / len(plan.primary)  # Bonferroni: z-values cannot be averaged
    return any(proof(evidence.wealth(metric, Test.SUPERIORITY), share) for metric in plan.primary)


def _proof(plan: TrialPlan, evidence: Evidence) -> Proof:
    """How a null is refuted in this plan's mode, at this number of pairs."""
    if plan.mode is Mode.ALWAYS:
        return lambda wealth, level: wealth.log_e >= -math.log(level)
    if evidence.settled not in plan.looks:
        return lambda wealth, level: False
    look = plan.looks.index(evidence.settled)
    return lambda wealth, level: z_value(wealth) >= boundaries(plan.looks, level)[look]


def _spoiled(plan: TrialPlan, evidence: Evidence, health: Health) -> str:
    """Why the trial is invalid, "" when it is not; the first few pairs count as n_min of them."""
    if evidence.missing > plan.most_missing * max(evidence.settled, plan.n_min):
        return (
            f"{evidence.missing} of {evidence.settled} pairs are missing,"
            f" more than {plan.most_missing:.0%}; mend the infrastructure and start anew"
        )
    if not health.judge_qualified:
        return f"the judge is not qualified: {health.judge_reason or 'it was not examined'}"
    if health.replay_fidelity < plan.least_fidelity:
        return (
            f"only {health.replay_fidelity:.1%} of the recorded effects replay alike,"
            f" less than {plan.least_fidelity:.0%}"
        )
    return ""
