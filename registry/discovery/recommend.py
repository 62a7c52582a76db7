"""
What to use: recommendations for a context, and patterns alike.

The score of a pattern is m + z·sd of its Beta posterior in the context (which
backs off to its category and to everything) minus a weight of its cost; peers'
claims and simulated runs do not enter. Each recommendation says why, in words.

Source: docs/spec 4.5
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, Sum

from registry import ranking
from registry.discovery import index
from registry.discovery.search import MAX_CANDIDATES, _load
from registry.models import DailyRollup, Pattern, PatternTag, Source
from registry.services.analytics import cell_of

CAUTIOUS, EXPLORING = 0.5, 1.0  # z


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One pattern that suits a context."""

    pattern: Pattern
    score: float  # what it is ordered by, about 0 to 1
    expected: float  # posterior mean of success in the context
    reasons: tuple[str, ...]  # in words, strongest first


def recommend(
    *, context: Mapping[str, Any], user: Any, limit: int = 10, explore: bool = False, cost_weight: float = 0.05
) -> list[Recommendation]:
    """
    The patterns most likely to succeed in ``context``.

    Args:
        context: ``task`` (words), ``model`` and ``tags``; any may be missing.
        explore: weigh uncertainty as promise; for shadow runs only.
        cost_weight: how much of success one dollar a run is worth.
    """
    candidates = _candidates(context, user)
    if not candidates:
        return []
    counts = _counts(list(candidates), cell_of(context))
    totals = _totals(candidates)
    patterns = {pattern.pk: pattern for pattern in _load(list(candidates))}
    z = EXPLORING if explore else CAUTIOUS
    found = []
    for pk, pattern in patterns.items():
        runs, good, here_runs, here_good, cost = counts.get(pk, (0, 0, 0, 0, 0.0))
        all_runs, all_good, kind_runs, kind_good = totals[pk]
        belief = ranking.context_posterior(
            successes=here_good,
            runs=here_runs,
            category_successes=kind_good,
            category_runs=kind_runs,
            pattern_successes=good,
            pattern_runs=runs,
            all_successes=all_good,
            all_runs=all_runs,
        )
        mean_cost = cost / runs if runs else 0.0
        score = ranking.recommend_score(belief, z=z) - cost_weight * min(mean_cost, 10.0)
        reasons = _reasons(pattern, candidates[pk], runs, good, here_runs, here_good, mean_cost)
        found.append(Recommendation(pattern=pattern, score=score, expected=belief.mean, reasons=reasons))
    found.sort(key=lambda item: (-item.score, item.pattern.pk))
    return found[: max(1, min(limit, 50))]


def _candidates(context: Mapping[str, Any], user: Any) -> dict[int, list[str]]:
    """{pattern id: what it has in common with the context}; everything where nothing fits."""
    visible = Pattern.objects.published().visible_to(user).filter(shown__yanked_at__isnull=True)
    common: dict[int, list[str]] = {}
    raw = context.get("tags") or ()
    tags = [str(tag).strip().lower() for tag in ([raw] if isinstance(raw, str) else raw)][:20]
    rows = PatternTag.objects.filter(tag__in=tags).values_list("pattern_id", "tag")[:MAX_CANDIDATES] if tags else ()
    for pk, tag in rows:
        common.setdefault(pk, []).append(tag)
    for term in index.terms_of(str(context.get("task") or context.get("task_type") or "")):
        if len(term) < 3:
            continue
        for pk in index.match([term], index.Field.WORDS, limit=MAX_CANDIDATES // 4):
            common.setdefault(pk, []).append(term)
    if common:
        most = sorted(common, key=lambda pk: -len(common[pk]))[:MAX_CANDIDATES]
        allowed = set(visible.filter(pk__in=most[:900]).values_list("pk", flat=True))
        if allowed:
            return {pk: common[pk] for pk in most if pk in allowed}
    best = visible.order_by("-success_floor", "-id").values_list("pk", flat=True)[:200]
    return {pk: [] for pk in best}


def _counts(ids: list[int], cell: str) -> dict[int, tuple[int, int, int, int, float]]:
    """{pattern id: (runs, successes, runs in the cell, successes in the cell, cost)} of what ranks."""
    rows = DailyRollup.objects.filter(source=Source.MEASURED, ranks=True, pattern__in=ids[:900]).order_by()
    in_cell = Q(cell=cell)
    sums = rows.values_list("pattern_id").annotate(
        n=Sum("runs"),
        k=Sum("successes"),
        hn=Sum("runs", filter=in_cell, default=0),
        hk=Sum("successes", filter=in_cell, default=0),
        cost=Sum("cost_usd_sum"),
    )
    return {pk: (n, k, hn, hk, cost) for pk, n, k, hn, hk, cost in sums}


def _totals(candidates: Mapping[int, Any]) -> dict[int, tuple[int, int, int, int]]:
    """{pattern id: (runs and successes of everything, then of its category)}."""
    rows = Pattern.objects.filter(ranked_runs__gt=0).order_by().values_list("category")
    sums = {category: (n, k) for category, n, k in rows.annotate(n=Sum("ranked_runs"), k=Sum("ranked_successes"))}
    everything = (sum(n for n, _ in sums.values()), sum(k for _, k in sums.values()))
    categories = dict(Pattern.objects.filter(pk__in=list(candidates)[:900]).values_list("pk", "category"))
    return {pk: (*everything, *sums.get(categories.get(pk, ""), (0, 0))) for pk in candidates}


def _reasons(
    pattern: Pattern, common: list[str], runs: int, good: int, here_runs: int, here_good: int, cost: float
) -> tuple[str, ...]:
    reasons = []
    if here_runs:
        reasons.append(f"{here_good} of {here_runs} runs succeeded in this context")
    if runs > here_runs:
        reasons.append(f"{good} of {runs} runs succeeded in all contexts")
    if common:
        reasons.append("fits " + ", ".join(sorted(set(common))[:5]))
    if pattern.ratings_count:
        reasons.append(f"{pattern.rating_shrunk:.1f} stars from {pattern.ratings_count} people")
    if runs and cost:
        reasons.append(f"about ${cost:.2f} a run")
    return tuple(reasons or ["not tried here yet"])


def similar(*, pattern: Pattern, user: Any, limit: int = 6) -> list[Pattern]:
    """Patterns that share the most tags, then its category, the better ones first."""
    tags = list(pattern.tag_rows.values_list("tag", flat=True))
    counts: dict[int, int] = {}
    for pk in (
        PatternTag.objects.filter(tag__in=tags).exclude(pattern=pattern).values_list("pattern_id", flat=True)[:5000]
    ):
        counts[pk] = counts.get(pk, 0) + 1
    if not counts and pattern.category:
        ids = Pattern.objects.filter(category=pattern.category).exclude(pk=pattern.pk).values_list("pk", flat=True)
        counts = dict.fromkeys(ids[:200], 1)
    likely = sorted(counts, key=lambda pk: -counts[pk])[:200]
    rows = Pattern.objects.published().visible_to(user).filter(pk__in=likely).values_list("pk", "success_floor")
    best = sorted(rows, key=lambda row: (-counts[row[0]], -row[1], row[0]))[:limit]
    return list(_load([pk for pk, _ in best]))
