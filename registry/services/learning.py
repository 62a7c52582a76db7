"""
Learning: the seed's pattern operations, and what repeated decisions suggest.

    load_pattern(reference="library/tournament", user=user)
    adapt_pattern(version=v, context={…}, inputs={"max_rounds": 5}, …)
    record_decision(version=v, decision_type="retry", outcome="…", now=now)
    export_pattern(version=v, …)    a new text out of runs and decisions

Only measured runs and decisions of ended runs teach anything; simulated ones
are kept and ignored here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Q

from registry import ranking
from registry.errors import InvalidRequest, NothingLearned
from registry.models import Decision, LineageEdge, Outcome, Owner, Pattern, PatternVersion, Source, User, Via
from registry.services import analytics, finding, publishing, writing
from registry.services.analytics import Rate


def load_pattern(*, reference: str, user: Any) -> dict[str, Any]:
    """
    A pattern as an orchestrator reads it: source, inputs, rules, insights, and how it has done.

    Raises:
        NotThere: no such version that ``user`` may see.
    """
    version = finding.version(reference, user)
    return {
        "pattern": str(version.pattern),
        "version": version.version,
        "digest": version.digest,
        "mode": version.mode,
        "title": version.title,
        "description": version.description,
        "source": version.text,
        "value": version.value,
        "inputs": version.inputs,
        "events": version.events,
        "adaptive_rules": version.adaptive_rules,
        "discovery_insights": insights_of(version.value),
        "yanked": version.is_yanked,
        "evidence": analytics.evidence_of(version).to_json(),
    }


def insights_of(value: Mapping[str, Any]) -> list[str]:
    """The insights a document states, at its top or under ``pattern``."""
    inner = value.get("pattern")
    found = value.get("discovery_insights") or (inner.get("discovery_insights") if isinstance(inner, Mapping) else None)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def record_decision(
    *,
    decision_type: str,
    now: datetime,
    version: PatternVersion | None = None,
    context: Any = None,
    rationale: str = "",
    outcome: str = "",
    succeeded: bool | None = None,
    confidence: float | None = None,
    made_by: str = "",
    run_key: str = "",
    effect_key: str = "",
    source: str = Source.MEASURED,
) -> Decision:
    """
    Keep one decision. With an ``effect_key`` the same decision of a run is kept once.

    Args:
        context: what it was decided in: a mapping (usual) or a text.
        succeeded: whether it turned out well; None until its run has ended.
    """
    if not decision_type.strip():
        raise InvalidRequest("decision_type", "name what was decided, for example `retry_failed_agent`")
    if confidence is not None and not 0 <= confidence <= 1:
        raise InvalidRequest("confidence", "give a number from 0 to 1")
    context = context if isinstance(context, Mapping) else {"note": str(context)} if context else {}
    values = {
        "pattern_id": version.pattern_id if version else None,
        "version": version,
        "decision_type": decision_type.strip()[:200],
        "context": dict(context),
        "context_key": context_key(context),
        "rationale": str(rationale)[:5000],
        "outcome": str(outcome)[:5000],
        "succeeded": succeeded,
        "confidence": confidence,
        "made_by": made_by[:200],
        "source": source,
        "made_at": now,
    }
    if not effect_key:
        return Decision.objects.create(run_key=run_key, **values)
    try:
        with transaction.atomic():
            return Decision.objects.create(run_key=run_key, effect_key=effect_key, **values)
    except IntegrityError:
        return Decision.objects.get(run_key=run_key, effect_key=effect_key)


def context_key(context: Mapping[str, Any]) -> str:
    """One normal form of a context: its short scalar values, sorted by key; numbers are left out, they never repeat."""
    parts = [
        f"{key}={str(value).strip().lower()[:40]}"
        for key, value in sorted(context.items())
        if isinstance(value, str | bool) and len(str(value)) <= 80
    ]
    return ";".join(parts)[:200]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedRule:
    """A decision that recurs with good outcomes, as a rule with its evidence."""

    condition: str  # an expression over tracked values
    action: str  # the decision
    rationale: str  # the words given most recently
    evidence: Rate  # how often the runs it was made in succeeded
    context: dict[str, Any]  # of the latest such decision

    def to_value(self) -> dict[str, Any]:
        """As it stands in a document."""
        return {
            "condition": self.condition,
            "action": self.action,
            "rationale": self.rationale or f"decided {self.evidence.runs} times, with good outcomes",
            "evidence": {
                "decisions": self.evidence.runs,
                "successes": self.evidence.successes,
                "low": round(self.evidence.low, 3),
            },
        }


def proposed_rules(version: PatternVersion) -> list[ProposedRule]:
    """
    Decisions of the pattern that recur (3 or more in one context) and turn out well
    (Wilson lower bound at least one half), strongest first.
    """
    settled = Decision.objects.filter(pattern_id=version.pattern_id, source=Source.MEASURED, succeeded__isnull=False)
    groups = (
        settled.order_by()
        .values("decision_type", "context_key")
        .annotate(n=Count("pk"), k=Count("pk", filter=Q(succeeded=True)))
        .filter(n__gte=ranking.learning.LEAST_RECURRENCES)
    )
    rules = []
    for group in groups:
        if not ranking.rule_evidence(group["k"], group["n"]).proposed:
            continue
        evidence = analytics.rate_of(group["k"], group["n"])
        latest = settled.filter(decision_type=group["decision_type"], context_key=group["context_key"]).last()
        assert latest is not None
        rules.append(
            ProposedRule(
                condition=condition_of(latest.context),
                action=latest.decision_type,
                rationale=latest.rationale,
                evidence=evidence,
                context=latest.context,
            )
        )
    return sorted(rules, key=lambda rule: (-rule.evidence.low, rule.action))


def condition_of(context: Mapping[str, Any]) -> str:
    """The context as an expression of the language: its own ``condition``, else equality of its short values."""
    stated = context.get("condition")
    if isinstance(stated, str) and stated.strip():
        return stated.strip()
    parts = [
        f"{key} == {json.dumps(value)}"
        for key, value in sorted(context.items())
        if isinstance(value, str | bool) and str(key).isidentifier() and len(str(value)) <= 80
    ]
    return " AND ".join(parts) or "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedDerivation:
    """A version that does better than what it was made from."""

    version: PatternVersion
    parent: PatternVersion
    op: str  # fork or merge
    rate: Rate
    parent_rate: Rate


def proposed_derivations(version: PatternVersion) -> list[ProposedDerivation]:
    """Texts made from ``version`` that clearly beat it in measured runs: worth a fork, or a merge."""
    base = analytics.evidence_of(version).measured
    children = LineageEdge.objects.filter(parent_digest=version.digest).values("child_digest")
    found = []
    for child in PatternVersion.objects.light().filter(digest__in=children).select_related("pattern__owner")[:50]:
        measured = analytics.evidence_of(child).measured
        proposal = ranking.proposal_for(
            ranking.Counts(successes=measured.successes, runs=measured.runs),
            ranking.Counts(successes=base.successes, runs=base.runs),
        )
        if proposal is not None:
            found.append(
                ProposedDerivation(version=child, parent=version, op=proposal, rate=measured, parent_rate=base)
            )
    return found


def adapt_pattern(
    *,
    version: PatternVersion,
    owner: Owner,
    user: User,
    context: Mapping[str, Any],
    now: datetime,
    via: str,
    inputs: Mapping[str, Any] | None = None,
    name: str = "",
) -> publishing.Published:
    """
    A version of its own for another situation: other input values, the context written down.

    Args:
        context: what the situation is; stands in the document as ``context``.
        inputs: new constants of declared inputs, JSON values.

    Raises:
        InvalidRequest: an input that the pattern does not have.
    """
    source = adapted_source(version, context=context, inputs=inputs or {})
    same_owner = owner == version.pattern.owner
    name = name or (f"{version.pattern.name[:56]}-adapted" if same_owner else version.pattern.name)
    target = Pattern.objects.filter(owner=owner, name=name).first()
    source = writing.with_next_version(source, target)
    return publishing.publish(
        owner=owner,
        user=user,
        source=source,
        via=via,
        now=now,
        name=name,
        visibility=publishing.visibility_of_derived(version) if target is None else "",
        parents=((version.digest, LineageEdge.Op.ADAPT),),
        provenance={"adapted_from": str(version), "context": dict(context)},
    )


def adapted_source(version: PatternVersion, *, context: Mapping[str, Any], inputs: Mapping[str, Any]) -> bytes:
    """The text of an adaptation; a bare script stays one while only its constants change."""
    value = writing.as_value(version)
    scripts = {key: text for key, text in _script_places(value).items() if isinstance(text, str)}
    for name, constant in inputs.items():
        hits = 0
        for key, text in scripts.items():
            changed = writing.with_constant(text, name, json.dumps(constant, ensure_ascii=False))
            if changed is not None:
                scripts[key] = changed
                hits += 1
        if not hits:
            parameters = value.get("parameters")
            if not _set_default(parameters, name, constant) and not _set_variable(value, name, constant):
                raise InvalidRequest("inputs", f"{version} has no input {name} whose value can be changed")
    for key, text in scripts.items():
        _set_script(value, key, text)
    if context:
        value["context"] = dict(context)
    return writing.written(version, value)


def _script_places(value: Mapping[str, Any]) -> dict[str, Any]:
    """Texts of scripts in a document by a key that ``_set_script`` knows."""
    places: dict[str, Any] = {"dsl": value.get("dsl")}
    pattern = value.get("pattern")
    if isinstance(pattern, Mapping):
        places["pattern.dsl"] = pattern.get("dsl")
    logic = value.get("orchestration_logic")
    if isinstance(logic, Mapping):
        places |= {f"orchestration_logic.{key}": text for key, text in logic.items()}
    return places


def _set_script(value: dict[str, Any], place: str, text: str) -> None:
    outer, _, inner = place.partition(".")
    if inner:
        value[outer][inner] = text
    else:
        value[outer] = text


def _set_default(parameters: Any, name: str, constant: Any) -> bool:
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    if not isinstance(properties, dict) or not isinstance(properties.get(name), dict):
        return False
    properties[name]["default"] = constant
    return True


def _set_variable(value: dict[str, Any], name: str, constant: Any) -> bool:
    variables = value.get("variables")
    if not isinstance(variables, dict) or name not in variables:
        return False
    declared = variables[name]
    if isinstance(declared, dict) and "default" in declared:
        declared["default"] = constant
    else:
        variables[name] = constant
    return True


def exported_source(version: PatternVersion, *, learnings: Sequence[str] = ()) -> bytes:
    """
    The text of an export: the document with ``learned_from`` from real counts,
    insights, and the rules that its decisions propose.

    Raises:
        NothingLearned: there are neither measured runs nor settled decisions.
    """
    measured = analytics.evidence_of(version).measured
    rules = proposed_rules(version)
    if not measured.runs and not rules:
        raise NothingLearned(str(version))
    value = writing.as_value(version)
    value["learned_from"] = [
        {
            "runs": measured.runs,
            "successes": measured.successes,
            "success_rate": round(measured.rate, 4) if measured.rate is not None else None,
            "version": version.version,
            "digest": version.digest,
        }
    ]
    pattern = value.setdefault("pattern", {})
    home = pattern if isinstance(pattern, dict) else value
    insights = [*insights_of(version.value), *learnings, *_insights(version)]
    home["discovery_insights"] = list(dict.fromkeys(insights))
    known = {(rule.get("condition"), rule.get("action")) for rule in version.adaptive_rules}
    fresh = [rule.to_value() for rule in rules if (rule.condition, rule.action) not in known]
    home["adaptive_rules"] = [*version.adaptive_rules, *fresh]
    return writing.written(version, value)


def _insights(version: PatternVersion) -> list[str]:
    """Sentences that the runs themselves say, with their counts."""
    failures = Outcome.objects.filter(version=version, source=Source.MEASURED, succeeded=False)
    most = failures.order_by().values_list("failure_type").annotate(n=Count("pk")).order_by("-n").first()
    found = []
    if most and most[1] >= ranking.learning.LEAST_RECURRENCES:
        found.append(f"{most[1]} measured runs failed with {most[0]}")
    cells = [pair for pair in analytics.rates_by_context(version.pattern) if pair[0] and pair[1].is_rated]
    if len(cells) >= 2:
        best = max(cells, key=lambda pair: pair[1].low)
        found.append(f"succeeds most in {best[0]}: {best[1].successes} of {best[1].runs} measured runs")
    return found


def export_pattern(
    *,
    version: PatternVersion,
    user: User,
    now: datetime,
    owner: Owner | None = None,
    name: str = "",
    learnings: Sequence[str] = (),
    run_keys: Sequence[str] = (),
) -> publishing.Published:
    """
    Publish what runs and decisions taught, as a new version of the pattern or under ``owner``/``name``.

    Raises:
        NothingLearned: before there is anything to learn from.
    """
    owner, name = owner or version.pattern.owner, name or version.pattern.name
    target = Pattern.objects.filter(owner=owner, name=name).first()
    source = writing.with_next_version(exported_source(version, learnings=learnings), target)
    return publishing.publish(
        owner=owner,
        user=user,
        source=source,
        via=Via.EXPORT,
        now=now,
        name=name,
        visibility=publishing.visibility_of_derived(version) if target is None else "",
        parents=((version.digest, LineageEdge.Op.LEARNED_FROM),),
        provenance={"exported_from": str(version), "runs": list(run_keys)[:200]},
    )
