"""
The verification report: a record from which anyone recomputes the verdict.

    {"body": {…}, "digest": "sha256:…", "signatures": [{"keyid", "sig"}, …]}

The body holds no prompt and no answer: digests of both versions, commitments
to seed and inputs, the plan, the contrast of every pair in the order of
enrolment, the missing list, what every test came to, and the verdict. The
digest is over the body's RFC 8785 form; signatures cover ``signed_bytes`` and
stand outside of the body, so that any number of nodes may sign one report.

A report has exactly one spelling as a file (``dump``), so that a changed byte
is a changed report. ``recheck`` reads it back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import rfc8785

from execution.shadow.assessment import Assessment, assess
from execution.shadow.enrolment import commitment_of, first_arm, inputs_commitment
from execution.shadow.errors import MergeRefused
from execution.shadow.evidence import Evidence, Pair, collect
from execution.shadow.judge import Examination
from execution.shadow.plan import TrialPlan
from execution.shadow.verdict import Health

TYPE = "opl-verification-report/1"
SIGNED_CONTEXT = b"opl-verification-report/1\0"
LOG_DECIMALS = 6  # of every ln E in a report

JSON = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One arm's version, as the report names it."""

    name: str  # owner/name@version, or a file's name
    digest: str  # sha256:… of its canonical source


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """All of a trial that is not its pairs."""

    trial: str  # the trial's id on its node
    control: Subject
    candidate: Subject
    plan: TrialPlan
    seed: bytes  # revealed now; committed to before the first pair
    backend: str  # which agents answered: simulated, claude, …
    started_at: str  # RFC 3339, UTC
    ended_at: str  # RFC 3339, UTC
    health: Health = field(default_factory=Health)  # what can have spoiled it
    judge: Examination | None = None  # the judge's examination, where one was asked
    node: str = ""  # who ran it; "" before a node has an identity

    @property
    def same_version(self) -> bool:
        """Whether this is an A/A trial."""
        return self.control.digest == self.candidate.digest


def build(setting: Setting, pairs: Iterable[Pair]) -> dict[str, JSON]:
    """
    The unsigned report of a trial.

    Pairs behind the verdict are left out: they are not evidence.
    """
    ordered = sorted(pairs, key=lambda pair: pair.position)
    found = assess(setting.plan, ordered, setting.health, same_version=setting.same_version)
    body = body_of(setting, ordered[: found.verdict.position], found)
    return {"body": body, "digest": digest_of(body), "signatures": []}


def body_of(setting: Setting, pairs: Sequence[Pair], found: Assessment) -> dict[str, JSON]:
    """The body for pairs that were already assessed."""
    return {
        "type": TYPE,
        "trial": setting.trial,
        "node": setting.node,
        "backend": setting.backend,
        "started_at": setting.started_at,
        "ended_at": setting.ended_at,
        "control": {"name": setting.control.name, "digest": setting.control.digest},
        "candidate": {"name": setting.candidate.name, "digest": setting.candidate.digest},
        "seed": setting.seed.hex(),
        "seed_commitment": commitment_of(setting.seed),
        "inputs_commitment": inputs_commitment(pair.input_id for pair in pairs),
        "plan": plan_to_json(setting.plan),
        "health": _health_to_json(setting),
        "pairs": [_pair_to_json(setting.seed, pair) for pair in pairs],
        "missing": [{"n": pair.position, "reason": pair.missing} for pair in pairs if pair.missing],
        **conclusions(found),
    }


def conclusions(found: Assessment) -> dict[str, JSON]:
    """What follows from the rest of a body; ``recheck`` recomputes exactly this."""
    verdict = found.verdict
    return {
        "curve": [
            {
                "n": point.position,
                "superiority": _log(point.superiority),
                "noninferior": _log(point.noninferior),
                "harm": _log(point.harm),
                "kept": _log(point.kept),
                "effect": _log(point.effect),
            }
            for point in found.curve
        ],
        "e_values": {name: _log(value) for name, value in found.evidence.log_e().items()},
        "estimates": {
            name: {
                "mean": _log(estimate.mean),
                "low": _log(estimate.interval.low),
                "high": _log(estimate.interval.high),
                "pairs": estimate.pairs,
            }
            for name, estimate in found.estimates.items()
        },
        "verdict": {
            "outcome": verdict.outcome.value,
            "sentence": verdict.sentence,
            "n": verdict.position,
            "pairs": verdict.pairs,
            "missing": verdict.missing,
            "broken": list(verdict.broken),
            "excluded": list(verdict.excluded),
            "pairs_needed": verdict.pairs_needed,
        },
    }


def plan_to_json(plan: TrialPlan) -> dict[str, JSON]:
    """A plan as the report and the API spell it; ``recheck.plan_from_json`` is its inverse."""
    return {
        "profile": plan.profile,
        "margin": plan.margin,
        "n_min": plan.n_min,
        "n_max": plan.n_max,
        "alpha": plan.alpha,
        "beta": plan.beta,
        "mode": plan.mode.value,
        "looks": list(plan.looks),
        "metrics": [metric.value for metric in plan.metrics],
        "primary": [metric.value for metric in plan.primary],
        "guardrails": [{"metric": rail.metric.value, "margin": rail.margin, "hard": rail.hard} for rail in plan.rails],
        "effects": dict(plan.effects),
        "strata": list(plan.strata),
        "most_missing": plan.most_missing,
        "least_fidelity": plan.least_fidelity,
    }


def _health_to_json(setting: Setting) -> dict[str, JSON]:
    judge = setting.judge
    return {
        "judge_qualified": setting.health.judge_qualified,
        "judge_reason": setting.health.judge_reason,
        "replay_fidelity": setting.health.replay_fidelity,
        "judge": None
        if judge is None
        else {
            "pairs": judge.pairs,
            "consistency": judge.consistency,
            "leans_first": judge.leans_first,
            "leans_second": judge.leans_second,
        },
    }


def _pair_to_json(seed: bytes, pair: Pair) -> dict[str, JSON]:
    return {
        "n": pair.position,
        "input": pair.input_id,
        "first": first_arm(seed, pair.position).value,
        "stratum": pair.stratum,
        "contrasts": {} if pair.missing else dict(pair.contrasts),
    }


def _log(value: float) -> float:
    # Six decimals are more than anyone reads, and fewer than two mathematics libraries disagree in.
    return round(value, LOG_DECIMALS) + 0.0


def digest_of(body: Mapping[str, JSON]) -> str:
    """``sha256:`` and the hash of the body's RFC 8785 form."""
    return "sha256:" + hashlib.sha256(rfc8785.dumps(dict(body))).hexdigest()


def signed_bytes(report: Mapping[str, JSON]) -> bytes:
    """The bytes a node signs: a context and the digest, so that no other message can pass for a report."""
    return SIGNED_CONTEXT + str(report["digest"]).encode()


def dump(report: Mapping[str, JSON]) -> bytes:
    """The one spelling of a report as a file: RFC 8785 and a line end."""
    return rfc8785.dumps(dict(report)) + b"\n"


def pool(plan: TrialPlan, parts: Iterable[Sequence[Pair]]) -> Evidence:
    """
    The evidence of several trials of the same two versions under one plan, by addition.

    Raises:
        MergeRefused: an input is in two parts, or in one part twice; or a
            part does not name its inputs.
    """
    total, seen = Evidence.empty(plan), set[str]()
    for pairs in parts:
        names = [pair.input_id for pair in pairs]
        if not all(names):
            raise MergeRefused("a pair without the name of its input cannot be pooled; it might count twice")
        if len(set(names)) != len(names) or seen.intersection(names):
            raise MergeRefused("an input occurs in two parts; evidence adds only over disjoint inputs")
        seen.update(names)
        total = total + collect(plan, pairs)
    return total
