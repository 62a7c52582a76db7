"""
Leaderboards: patterns of one context, best first by what can be shown rather than by luck.

The number that ranks is the lower bound that lists use (few runs stay low),
each reporter counts for at most so many runs, and the owner's own runs count
for nothing. A context is shown from two rated patterns on: one alone is first
among none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet, Sum

from registry import ranking
from registry.models import DailyRollup, Pattern
from registry.services.analytics import REPORTER_CAP
from registry.web.marks import FEWEST_RUNS, Evidence

MOST_BOARDS, MOST_PLACES = 12, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place on a board."""

    pattern: Pattern
    evidence: Evidence
    floor: float  # what ranks it, 0 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One context with its best."""

    cell: str  # "task=review;model=opus"; "" for runs that named no context
    runs: int
    places: tuple[Place, ...]


def boards(rollups: QuerySet[DailyRollup], user: Any) -> list[Board]:
    """The boards with the most runs, from roll-ups that rank; two queries."""
    grouped = (
        rollups.order_by()
        .values_list("cell", "pattern_id", "reporter_key")
        .annotate(n=Sum("runs"), k=Sum("successes"))
        .order_by("-n")[:20_000]
    )
    sums: dict[str, dict[int, tuple[float, float]]] = {}
    for cell, pattern_id, _reporter, n, k in grouped:
        share = min(n, REPORTER_CAP) / n if n else 0.0
        before = sums.setdefault(cell, {}).get(pattern_id, (0.0, 0.0))
        sums[cell][pattern_id] = (before[0] + n * share, before[1] + k * share)
    ids = {pattern_id for cell in sums.values() for pattern_id in cell}
    visible = Pattern.objects.published().visible_to(user).filter(pk__in=list(ids)[:5000])
    patterns = visible.select_related("owner").in_bulk()
    found = [_board(cell, rows, patterns) for cell, rows in sums.items()]
    shown = [board for board in found if len(board.places) > 1]
    return sorted(shown, key=lambda board: (-board.runs, board.cell))[:MOST_BOARDS]


def _board(cell: str, rows: dict[int, tuple[float, float]], patterns: dict[int, Pattern]) -> Board:
    places = [
        _place(patterns[pk], round(n), round(k))
        for pk, (n, k) in rows.items()
        if pk in patterns and round(n) >= FEWEST_RUNS
    ]
    ordered = sorted(places, key=lambda place: (-place.floor, str(place.pattern)))
    runs = sum(place.evidence.runs or 0 for place in places)
    return Board(cell=cell, runs=runs, places=tuple(ordered[:MOST_PLACES]))


def _place(pattern: Pattern, runs: int, successes: int) -> Place:
    low, high = ranking.wilson_interval(successes, runs)
    evidence = Evidence(kind="measured", runs=runs, rate=successes / runs, low=low, high=high)
    return Place(pattern=pattern, evidence=evidence, floor=ranking.lower_quantile(successes, runs))
