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
FACET_SECONDS = 30  # how old the counts of an unfiltered list may be
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
    ids, tiers, is_capped = _candidates(base, query, sort)
    page = load(ids[offset : offset + limit])
    facets = _facets_of(ids, user) if with_facets else {}
    return Found(
        patterns=page,
        total=len(ids),
        is_capped=is_capped,
        facets=facets,
        sort=sort,
        offset=offset,
        tiers=tiers,
    )


def _browse(base: QuerySet[Pattern], *, user: Any, sort: str, offset: int, limit: int, with_facets: bool) -> Found:
    """Everything, in order of an index; the counts of a big hub are kept for some seconds."""
    ids = list(base.order_by(*SORTS[sort][1]).values_list("pk", flat=True)[offset : offset + limit])
    total, facets = _whole(base, user=user, with_facets=with_facets)
    return Found(patterns=load(ids), total=total, is_capped=False, facets=facets, sort=sort, offset=offset)


def _whole(base: QuerySet[Pattern], *, user: Any, with_facets: bool) -> tuple[int, dict[str, list[tuple[str, int]]]]:
    viewer = user.pk if user is not None and user.is_authenticated else 0
    key = f"registry:facets:{viewer}:{with_facets}"
    kept = cache.get(key)
    if kept is not None:
        return kept  # type: ignore[no-any-return]
    total = base.count()
    facets = _facets(base) if with_facets else {}
    if total >= _BIG:
        cache.set(key, (total, facets), FACET_SECONDS)
    return total, facets


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


def _candidates(base: QuerySet[Pattern], query: Query, sort: str) -> tuple[list[int], dict[int, int], bool]:
    """Ids in their final order, the tier of each, and whether there were too many to look at all."""
    if not query.words.strip():
        rows = list(base.order_by(*SORTS[sort][1]).values_list("pk", flat=True)[: MAX_CANDIDATES + 1])
        ids, is_capped = rows[:MAX_CANDIDATES], len(rows) > MAX_CANDIDATES
        return _compared(ids, query), {}, is_capped
    tiers, is_capped = _tiers(base, query)
    keep = _in_order(base, list(tiers), sort)
    ids = sorted(keep, key=lambda pk: tiers[pk])
    return _compared(ids, query), tiers, is_capped


def _tiers(base: QuerySet[Pattern], query: Query) -> tuple[dict[int, int], bool]:
    """{pattern id: 0 the name itself, 1 names, 2 tags, 3 anywhere}, at most MAX_CANDIDATES."""
    exact = query.words.strip().lower()
    owner, _, name = exact.rpartition("/")
    named = base.filter(name=name, owner__name=owner) if owner else base.filter(name=exact)
    tiers: dict[int, int] = dict.fromkeys(named.values_list("pk", flat=True)[:50], 0)
    terms = index.terms_of(query.words)
    is_capped = False
    for tier, where in enumerate((index.Field.NAMES, index.Field.TAGS, index.Field.WORDS), 1):
        room = MAX_CANDIDATES - len(tiers)
        if room <= 0:
            return tiers, True
        found = index.match(terms, where, limit=MAX_CANDIDATES)
        is_capped = is_capped or len(found) >= MAX_CANDIDATES
        for pk in [pk for pk in found if pk not in tiers][:room]:
            tiers[pk] = tier
    return tiers, is_capped


def _in_order(base: QuerySet[Pattern], ids: list[int], sort: str) -> list[int]:
    """Those of ``ids`` that the filters and the viewer allow, in order of ``sort``."""
    columns = SORTS[sort][1]
    if len(ids) <= 900:
        return list(base.filter(pk__in=ids).order_by(*columns).values_list("pk", flat=True))
    rows: list[tuple[Any, ...]] = []
    names = [column.lstrip("-") for column in columns]
    for start in range(0, len(ids), 900):
        rows += base.filter(pk__in=ids[start : start + 900]).values_list("pk", *names)
    for column in reversed(columns):
        place = names.index(column.lstrip("-")) + 1
        rows.sort(key=lambda row, place=place: row[place], reverse=column.startswith("-"))
    return [row[0] for row in rows]


def _compared(ids: list[int], query: Query) -> list[int]:
    """Those whose shown version's document satisfies every comparison; their order is kept."""
    if not query.comparisons:
        return ids
    passing: set[int] = set()
    for start in range(0, len(ids), 500):
        rows = PatternVersion.objects.filter(
            pk__in=Pattern.objects.filter(pk__in=ids[start : start + 500]).values("shown")
        )
        for pattern_id, value in rows.values_list("pattern_id", "value"):
            if all(comparison.holds(value) for comparison in query.comparisons):
                passing.add(pattern_id)
    return [pk for pk in ids if pk in passing]


def load(ids: Sequence[int]) -> tuple[Pattern, ...]:
    """The rows of one page, in the order of ``ids``, with all that a list shows: two queries."""
    tags = Prefetch("tag_rows", PatternTag.objects.order_by("tag"))
    rows = Pattern.objects.for_list().prefetch_related(tags).in_bulk(list(ids))
    return tuple(rows[pk] for pk in ids if pk in rows)


def _facets_of(ids: list[int], user: Any) -> dict[str, list[tuple[str, int]]]:
    """Counts among the candidates: two queries per 900 of them."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in FACET_SHOWN}
    for start in range(0, len(ids), 900):
        part = ids[start : start + 900]
        for category, mode, owner in Pattern.objects.filter(pk__in=part).values_list("category", "mode", "owner__name"):
            counts["category"][category] += 1
            counts["mode"][mode] += 1
            counts["owner"][owner] += 1
        counts["tag"].update(PatternTag.objects.filter(pattern__in=part).values_list("tag", flat=True))
    return {name: _ranked(counter.items()) for name, counter in counts.items()}


def _facets(base: QuerySet[Pattern]) -> dict[str, list[tuple[str, int]]]:
    """Counts over everything, one query per facet."""

    def count(column: str) -> list[tuple[str, int]]:
        rows = base.order_by().values_list(column).annotate(number=Count("pk")).order_by("-number")[:50]
        return _ranked((value, number) for value, number in rows)

    tags = PatternTag.objects.filter(pattern__in=base.order_by().values("pk"))
    tag_rows = tags.values_list("tag").annotate(number=Count("pk")).order_by("-number")[:50]
    return {
        "category": count("category"),
        "mode": count("mode"),
        "tag": _ranked((tag, number) for tag, number in tag_rows),
        "owner": count("owner__name"),
    }


def _ranked(pairs: Any) -> list[tuple[str, int]]:
    """The 30 largest, then by name; what has no value is left out."""
    return sorted(((value, number) for value, number in pairs if value), key=lambda pair: (-pair[1], pair[0]))[:30]
