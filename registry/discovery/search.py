"""
Search and browse: at most 1,000 candidates, ordered by relevance tier, then evidence, then freshness.

Tiers: the name itself, words in name or title, words in tags, words anywhere.
Within a tier the number that sorts is in every row. A list costs at most eight
queries at any size; beyond 1,000 matches the answer says that there are more.

    found = search(query=parse("vote tag:consensus"), user=user, sort="best")
    found.patterns[0], found.total, found.facets["tag"]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Prefetch, Q, QuerySet

from registry.discovery import index
from registry.discovery.filters import Query
from registry.models import Pattern, PatternTag, PatternVersion

MAX_CANDIDATES = 1000
FACET_SECONDS = 600  # how old the counts of a big hub's unfiltered list may be
_BIG = 2000  # patterns from which the counts of an unfiltered list are kept for a while

# What a list may be sorted by: the words on the control, and the columns, best first.
SORTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "best": ("success, lower bound", ("-success_floor", "-id")),
    "rating": ("rating, shrunk mean", ("-rating_shrunk", "-id")),
    "used": ("runs measured here", ("-measured_runs", "-id")),
    "emerging": ("growth of use", ("-emerging_score", "-id")),
    "new": ("last publish", ("-updated_at", "-id")),
    "name": ("name", ("name", "id")),
}
FACET_SHOWN = ("category", "mode", "tag", "owner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One page of a list."""

    patterns: tuple[Pattern, ...]  # with owner, versions shown and tags loaded
    total: int  # matches; at most MAX_CANDIDATES are counted one by one
    is_capped: bool  # whether there are more matches than were looked at
    facets: dict[str, list[tuple[str, int]]]  # {facet: [(value, count), …]} among the matches, largest first
    sort: str  # the key of SORTS that ordered it
    offset: int  # of the first pattern
    tiers: dict[int, int] = field(default_factory=dict)  # {pattern id: tier}; empty without words

    @property
    def next_offset(self) -> int | None:
        """Where the next page begins, or None."""
        end = self.offset + len(self.patterns)
        return end if self.patterns and end < self.total else None


def search(
    *, query: Query, user: Any, sort: str = "best", offset: int = 0, limit: int = 20, with_facets: bool = True
) -> Found:
    """
    One page of what matches and ``user`` may see.

    Args:
        sort: a key of ``SORTS``; an unknown one is "best". With words in the
            query the tier comes first, whatever the sort.
        limit: 1 to 100.
    """
    sort = sort if sort in SORTS else "best"
    limit, offset = max(1, min(limit, 100)), max(0, offset)
    base = _filtered(Pattern.objects.published().visible_to(user), query)
    if query.is_empty:
        return _browse(base, user=user, sort=sort, offset=offset, limit=limit, with_facets=with_facets)
    candidates, is_capped = _candidates(base, query, sort)
    return Found(
        patterns=load([one.pk for one in candidates[offset : offset + limit]]),
        total=len(candidates),
        is_capped=is_capped,
        facets=_facets_of(candidates) if with_facets else {},
        sort=sort,
        offset=offset,
        tiers={one.pk: one.tier for one in candidates[offset : offset + limit]},
    )


def _browse(base: QuerySet[Pattern], *, user: Any, sort: str, offset: int, limit: int, with_facets: bool) -> Found:
    """Everything, in order of an index; the counts of a big hub are kept for some seconds."""
    ids = list(base.order_by(*SORTS[sort][1]).values_list("pk", flat=True)[offset : offset + limit])
    total, facets = _whole(base, user=user, with_facets=with_facets)
    return Found(patterns=load(ids), total=total, is_capped=False, facets=facets, sort=sort, offset=offset)


def _whole(base: QuerySet[Pattern], *, user: Any, with_facets: bool) -> tuple[int, dict[str, list[tuple[str, int]]]]:
    """
    How many patterns there are in all, and their facets.

    Of a big hub the public part is counted every ten minutes and kept, since
    counting takes longer than a page may; what only this viewer sees is small
    and is added every time.
    """
    total, facets = _public(with_facets)
    if user is None or not user.is_authenticated:
        return total, facets
    own_total, own_facets = _counted(base.exclude(visibility=Pattern.Visibility.PUBLIC), with_facets)
    if not own_total:
        return total, facets
    merged = {
        name: _ranked((Counter(dict(pairs)) + Counter(dict(own_facets[name]))).items())
        for name, pairs in facets.items()
    }
    return total + own_total, merged


def _public(with_facets: bool) -> tuple[int, dict[str, list[tuple[str, int]]]]:
    key = f"registry:facets:{with_facets}"
    kept = cache.get(key)
    if kept is not None:
        return kept  # type: ignore[no-any-return]
    total, facets = _counted(Pattern.objects.published().filter(visibility=Pattern.Visibility.PUBLIC), with_facets)
    if total >= _BIG:
        cache.set(key, (total, facets), FACET_SECONDS)
    return total, facets


def _counted(base: QuerySet[Pattern], with_facets: bool) -> tuple[int, dict[str, list[tuple[str, int]]]]:
    """How many, and the facets: two queries, one where there is nothing."""
    if not with_facets:
        return base.count(), {}
    rows = base.order_by().values_list("category", "mode", "owner__name").annotate(number=Count("pk"))
    counts: dict[str, Counter[str]] = {"category": Counter(), "mode": Counter(), "owner": Counter()}
    total = 0
    for category, mode, owner, number in rows:
        total += number
        counts["category"][category] += number
        counts["mode"][mode] += number
        counts["owner"][owner] += number
    tags: list[tuple[str, int]] = []
    if total:
        of_these = PatternTag.objects.filter(pattern__in=base.order_by().values("pk"))
        tags = list(of_these.values_list("tag").annotate(number=Count("pk")).order_by("-number")[:50])
    return total, {**{name: _ranked(counter.items()) for name, counter in counts.items()}, "tag": _ranked(tags)}


def _filtered(patterns: QuerySet[Pattern], query: Query) -> QuerySet[Pattern]:
    for key, value in query.facets:
        patterns = patterns.filter(_condition(key, value))
    for key, value in query.without:
        patterns = patterns.exclude(_condition(key, value))
    return patterns


def _condition(key: str, value: str) -> Q:
    if key == "tag":
        return Q(pk__in=PatternTag.objects.filter(tag=value.lower()).values("pattern"))
    if key == "owner":
        return Q(owner__name=value)
    if key in ("mode", "category"):
        return Q(**{f"{key}__iexact" if key == "mode" else key: value})
    if key == "author":
        return Q(shown__author_name__iexact=value)
    if key == "envelope":
        return Q(shown__envelope=value.lower())
    # Lists in JSON: the quoted name occurs in the stored text, on both databases.
    column = {"event": "shown__events", "profile": "shown__requires_profiles"}[key]
    return Q(**{f"{column}__icontains": f'"{value}"'})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """One match, with what orders it and what it counts for."""

    pk: int
    tier: int  # 0 the name itself, 1 name or title, 2 tags, 3 anywhere; 0 without words
    category: str
    mode: str
    owner: str


def _candidates(base: QuerySet[Pattern], query: Query, sort: str) -> tuple[list[_Candidate], bool]:
    """The matches in their final order, and whether there were too many to look at all."""
    rows = base.order_by(*SORTS[sort][1])
    tiers: dict[int, int] = {}
    is_capped = False
    if query.words.strip():
        tiers, is_capped = _tiers(base, query)
        rows = rows.filter(pk__in=list(tiers))
    found = [
        _Candidate(pk=pk, tier=tiers.get(pk, 0), category=category, mode=mode, owner=owner)
        for pk, category, mode, owner in rows.values_list("pk", "category", "mode", "owner__name")[: MAX_CANDIDATES + 1]
    ]
    is_capped = is_capped or len(found) > MAX_CANDIDATES
    found = _compared(found[:MAX_CANDIDATES], query)
    return sorted(found, key=lambda one: one.tier), is_capped


def _tiers(base: QuerySet[Pattern], query: Query) -> tuple[dict[int, int], bool]:
    """{pattern id: tier}, at most MAX_CANDIDATES, and whether any field had more; two queries."""
    exact = query.words.strip().lower()
    owner, _, name = exact.rpartition("/")
    named = base.filter(name=name, owner__name=owner) if owner else base.filter(name=exact)
    tiers: dict[int, int] = dict.fromkeys(named.order_by().values_list("pk", flat=True)[:50], 0)
    fields = (index.Field.NAMES, index.Field.TAGS, index.Field.WORDS)
    matches = index.match_tiers(index.terms_of(query.words), fields, limit=MAX_CANDIDATES)
    per_field = Counter(place for _, place in matches)
    for pk, place in sorted(matches, key=lambda match: match[1]):
        if len(tiers) >= MAX_CANDIDATES:
            break
        tiers.setdefault(pk, place + 1)
    return tiers, any(count >= MAX_CANDIDATES for count in per_field.values())


def _compared(candidates: list[_Candidate], query: Query) -> list[_Candidate]:
    """Those whose shown version's document satisfies every comparison; their order is kept."""
    if not query.comparisons or not candidates:
        return candidates
    shown = Pattern.objects.filter(pk__in=[one.pk for one in candidates]).values("shown")
    rows = PatternVersion.objects.filter(pk__in=shown).values_list("pattern_id", "value")
    passing = {
        pattern_id
        for pattern_id, value in rows.iterator(chunk_size=200)
        if all(comparison.holds(value) for comparison in query.comparisons)
    }
    return [one for one in candidates if one.pk in passing]


def load(ids: Sequence[int]) -> tuple[Pattern, ...]:
    """The rows of one page, in the order of ``ids``, with all that a list shows: two queries."""
    tags = Prefetch("tag_rows", PatternTag.objects.order_by("tag"))
    rows = Pattern.objects.for_list().prefetch_related(tags).in_bulk(list(ids))
    return tuple(rows[pk] for pk in ids if pk in rows)


def _facets_of(candidates: list[_Candidate]) -> dict[str, list[tuple[str, int]]]:
    """Counts among the candidates; one query, for the tags."""
    tags = PatternTag.objects.filter(pattern__in=[one.pk for one in candidates]).order_by()
    return {
        "category": _ranked(Counter(one.category for one in candidates).items()),
        "mode": _ranked(Counter(one.mode for one in candidates).items()),
        "tag": _ranked(Counter(tags.values_list("tag", flat=True)).items()),
        "owner": _ranked(Counter(one.owner for one in candidates).items()),
    }


def _ranked(pairs: Any) -> list[tuple[str, int]]:
    """The 30 largest, then by name; what has no value is left out."""
    return sorted(((value, number) for value, number in pairs if value), key=lambda pair: (-pair[1], pair[0]))[:30]
