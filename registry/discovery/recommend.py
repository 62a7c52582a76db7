"""
What to use: recommendations for a context, and patterns alike.

The formulas stand in ``registry.ranking``; here the counts are gathered. Runs
that do not rank and simulated runs do not enter. Peers' claims do, as far as
our own runs reproduce them and the node's tier reaches, one voice for each: they rank what to
try, and lift nothing over what our own runs say of the incumbent.

Source: docs/spec 4.5
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, Sum

from registry import ranking
from registry.discovery import index, voices
from registry.discovery.search import MAX_CANDIDATES, load
from registry.models import DailyRollup, Pattern, PatternTag, Source
from registry.ranking.context import cell_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One pattern that suits a context."""

    pattern: Pattern
    score: float  # what it is ordered by, about 0 to 1
    expected: float  # posterior mean of success in the context
    reasons: tuple[str, ...]  # in words, strongest first


def recommend(
    *, context: Mapping[str, Any], user: Any, limit: int = 10, explore: bool = False, incumbent: str = ""
) -> list[Recommendation]:
    """
    The patterns most likely to succeed in ``context``.

    Args:
        context: ``task`` (words), ``model`` and ``tags``; any may be missing.
        explore: weigh uncertainty as promise; for shadow runs only.
        incumbent: ``owner/name`` that is used now; nothing clearly worse is offered.
    """
    candidates = _candidates(context, user)
    if incumbent:
        owner, _, name = incumbent.partition("@")[0].partition("/")
        for pk in Pattern.objects.published().visible_to(user).named(owner, name).values_list("pk", flat=True):
            candidates.setdefault(pk, [])
    ids = list(candidates)[:900]
    patterns = {str(pattern): pattern for pattern in load(ids)}
    cell, everything = cell_of(context), _everything()
    counts, told = _counts(ids, cell), _claims(ids, cell)
    options = [
        _option(
            pattern,
            counts.get(pattern.pk, _Counted()),
            told.get(pattern.pk),
            everything,
            incumbent=name == incumbent,
        )
        for name, pattern in patterns.items()
    ]
    found = []
    for item in ranking.recommend(options, explore=explore)[: max(1, min(limit, 50))]:
        pattern = patterns[item.option.name]
        fits = sorted(set(candidates[pattern.pk]))[:5]
        reasons = (*item.reasons, "fits " + ", ".join(fits)) if fits else item.reasons
        found.append(
            Recommendation(pattern=pattern, score=item.score, expected=item.option.posterior.mean, reasons=reasons)
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """What is known of one pattern, of runs that rank."""

    everywhere: ranking.Counts = field(default_factory=ranking.Counts)
    same_task: ranking.Counts = field(default_factory=ranking.Counts)
    here: ranking.Counts = field(default_factory=ranking.Counts)  # in exactly this context cell
    cost_usd: float = 0.0  # of all runs together


def _option(
    pattern: Pattern, counted: _Counted, told: _Counted | None, everything: ranking.Counts, *, incumbent: bool
) -> ranking.Option:
    own = _belief(counted, everything)
    belief = own
    if told is not None:
        belief = _belief(
            _Counted(
                everywhere=ranking.with_peers(counted.everywhere, told.everywhere),
                same_task=ranking.with_peers(counted.same_task, told.same_task),
                here=ranking.with_peers(counted.here, told.here),
            ),
            everything,
        )
    runs = counted.everywhere.runs
    return ranking.Option(
        name=str(pattern),
        posterior=belief,
        context_runs=int(counted.here.runs),
        runs=int(runs),
        cost=counted.cost_usd / runs if runs else None,
        incumbent=incumbent,
        attested_runs=told.everywhere.runs if told is not None else 0.0,
        own=own if told is not None else None,
    )


def _belief(counted: _Counted, everything: ranking.Counts) -> ranking.Posterior:
    return ranking.posterior(
        context=counted.here, category=counted.same_task, pattern=counted.everywhere, everything=everything
    )


def _claims(ids: list[int], cell: str) -> dict[int, _Counted]:
    """{pattern id: what peers claim, each weighed by how our own runs of its cell reproduce it}; 2 queries."""
    rows = DailyRollup.objects.filter(pattern__in=ids).order_by()
    claimed = rows.filter(source=Source.ATTESTED).values_list("pattern_id", "cell", "reporter_key")
    told = list(claimed.annotate(n=Sum("runs"), k=Sum("successes")))
    if not told:
        return {}
    weights = voices.weights({operator for _, _, operator, _, _ in told})
    measured = rows.filter(source=Source.MEASURED, pattern__in={pk for pk, *_ in told})
    own = {
        (pk, where): ranking.Counts(successes=k, runs=n)
        for pk, where, n, k in measured.values_list("pattern_id", "cell").annotate(n=Sum("runs"), k=Sum("successes"))
    }
    task = cell.split(";")[0] if cell.startswith("task=") else None
    found: dict[int, _Counted] = {}
    for pk, where, operator, n, k in told:
        claim = ranking.Claim(operator=operator, successes=min(k, n), runs=n)
        trusted = ranking.trust(claim, own.get((pk, where), ranking.Counts()))
        weight = weights.get(operator, 0.0) * ranking.claim_weight(n, trusted)
        if weight <= 0.0:
            continue
        heard = ranking.Counts(successes=claim.successes, runs=n).weighed(weight)
        before = found.get(pk, _Counted())
        nothing = ranking.Counts()
        found[pk] = _Counted(
            everywhere=before.everywhere + heard,
            same_task=before.same_task + (heard if task is not None and where.split(";")[0] == task else nothing),
            here=before.here + (heard if where == cell else nothing),
        )
    return found


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


def _counts(ids: list[int], cell: str) -> dict[int, _Counted]:
    """{pattern id: what its ranking runs say}; one query."""
    rows = DailyRollup.objects.filter(source=Source.MEASURED, ranks=True, pattern__in=ids).order_by()
    task = cell.split(";")[0] if cell.startswith("task=") else ""
    same_task = Q(cell=task) | Q(cell__startswith=f"{task};") if task else Q(pk__in=[])
    in_cell = Q(cell=cell)
    sums = rows.values_list("pattern_id").annotate(
        n=Sum("runs"),
        k=Sum("successes"),
        tn=Sum("runs", filter=same_task, default=0),
        tk=Sum("successes", filter=same_task, default=0),
        hn=Sum("runs", filter=in_cell, default=0),
        hk=Sum("successes", filter=in_cell, default=0),
        cost=Sum("cost_usd_sum"),
    )
    return {
        pk: _Counted(
            everywhere=ranking.Counts(successes=k, runs=n),
            same_task=ranking.Counts(successes=tk, runs=tn),
            here=ranking.Counts(successes=hk, runs=hn),
            cost_usd=cost,
        )
        for pk, n, k, tn, tk, hn, hk, cost in sums
    }


def _everything() -> ranking.Counts:
    """Runs that rank, of all patterns together."""
    sums = Pattern.objects.filter(ranked_runs__gt=0).aggregate(n=Sum("ranked_runs"), k=Sum("ranked_successes"))
    return ranking.Counts(successes=sums["k"] or 0, runs=sums["n"] or 0)


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
    return list(load([pk for pk, _ in best]))
