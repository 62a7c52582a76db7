"""The verdict in a sentence: what was found, how sure it is, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping

from execution.shadow.contrast import RULES, Metric
from execution.shadow.interval import Interval
from execution.shadow.plan import TrialPlan
from execution.shadow.verdict import Claims, Outcome

_RELATIVE_WORDS = {
    Metric.COST: ("cheaper", "dearer"),
    Metric.TOKENS: ("fewer tokens", "more tokens"),
    Metric.LATENCY: ("faster", "slower"),
}


def sentence_of(
    plan: TrialPlan,
    claims: Claims,
    outcome: Outcome,
    *,
    pairs: int,
    means: Mapping[str, float],
    success: Interval,
    needed: int | None,
) -> str:
    """
    The verdict as a person would say it.

    Args:
        plan: for margins and sizes.
        claims: what is proven.
        outcome: the row of the table.
        pairs: pairs that count.
        means: metric → mean contrast, for those measured.
        success: confidence sequence for the difference of success rates.
        needed: further pairs until promotion, None when no number would do.
    """
    seen = f"after {pairs} pair{'' if pairs == 1 else 's'}"
    found = f"{_finding(means)}; the difference in success lies between {_points(success)}"
    if outcome is Outcome.INCONCLUSIVE and claims.same_version and not claims.exhausted:
        return f"Nothing to adopt: {seen} the rule fired on two equal versions; this is your noise floor ({found})."
    words = {
        Outcome.INVALID: f"No verdict: {claims.invalid}.",
        Outcome.REJECT_HARM: f"Keep the control: {seen} the candidate is proven worse on success ({found}).",
        Outcome.REJECT_GUARD: f"Keep the control: {seen} the candidate breaks its limit on"
        f" {_listed(claims.broken)} ({found}).",
        Outcome.PROMOTE: f"Adopt the candidate: {seen} it is better, and not worse elsewhere ({found}).",
        Outcome.PROMOTE_SCOPED: f"Adopt the candidate except for {_listed(claims.vetoes)}, where it is proven"
        f" worse: {seen} it is better elsewhere ({found}).",
        Outcome.REJECT_FUTILE: f"Keep the control: {seen} an effect worth having is ruled out ({found}).",
        Outcome.INCONCLUSIVE: f"Undecided {seen}, as many as were planned: {found}. {_more(needed)}",
        Outcome.NEEDS_MORE: f"Not decided yet, {seen} of at most {plan.n_max}: {found}. {_more(needed)}",
    }
    return words[outcome]


def _finding(means: Mapping[str, float]) -> str:
    parts = [_metric_words(Metric(name), mean) for name, mean in means.items()]
    return ", ".join(part for part in parts if part) or "nothing measured yet"


def _metric_words(metric: Metric, mean: float) -> str:
    """One metric's effect: points for shares, percent for amounts; the ratio is that of typical pairs."""
    if metric is Metric.SUCCESS:
        return f"{mean * 100:+.1f} points of success"
    if not RULES[metric].relative:
        return f"{mean:+.3f} {metric}"
    ratio = (1.0 - mean) / (1.0 + mean)
    better, worse = _RELATIVE_WORDS[metric]
    if abs(1.0 - ratio) < 0.005:
        return f"the same {metric}"
    return f"{abs(1.0 - ratio):.0%} {better if ratio <= 1.0 else worse}"


def _points(interval: Interval) -> str:
    return f"{interval.low * 100:+.1f} and {interval.high * 100:+.1f} points"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


def _more(needed: int | None) -> str:
    if needed is None:
        return "As it looks, no number of further pairs would lead to adoption."
    if needed == 1:
        return "About 1 further pair would decide it, if it is like those seen."
    return f"About {needed} further pairs would decide it, if they are like those seen."
