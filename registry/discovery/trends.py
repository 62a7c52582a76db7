"""
What is on the rise: emerging patterns, and what is used most lately.

Page views are no use; one reporter counts once a day at most. ``refresh`` is
run every hour or so and writes the columns that lists sort by.

Source: docs/spec 4.5
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import Any

from django.db.models import Count, Sum

from registry import ranking
from registry.discovery.search import load
from registry.models import DailyRollup, Pattern, Source

WEEKS = 26  # that are looked at
MOST_CHANGED = 5000  # patterns that one refresh rewrites


def refresh(*, today: date) -> int:
    """Rewrite ``emerging_score`` and ``is_emerging`` of every pattern used lately; returns how many are emerging."""
    since = today - timedelta(weeks=WEEKS)
    weekly, operators = _uses(since, today)
    categories = _category_rates()
    rows = list(
        Pattern.objects.filter(pk__in=list(weekly)[:MOST_CHANGED]).only(
            "pk", "category", "ranked_runs", "ranked_successes", "emerging_score", "is_emerging"
        )
    )
    for pattern in rows:
        judged = ranking.emergence(
            weekly[pattern.pk],
            success=_rate(pattern),
            category_success=categories.get(pattern.category),
            operators=operators[pattern.pk],
        )
        pattern.emerging_score, pattern.is_emerging = judged.statistic, judged.flagged
    Pattern.objects.bulk_update(rows, ["emerging_score", "is_emerging"], batch_size=500)
    quiet = Pattern.objects.filter(emerging_score__gt=0).exclude(pk__in=[row.pk for row in rows][:900])
    if len(rows) <= 900:
        quiet.update(emerging_score=0.0, is_emerging=False)
    return sum(row.is_emerging for row in rows)


def _uses(since: date, today: date) -> tuple[dict[int, list[int]], dict[int, int]]:
    """Uses per week, oldest first, and different users, per pattern; simulated runs are no use."""
    weekly: dict[int, list[int]] = defaultdict(lambda: [0] * WEEKS)
    users: dict[int, set[str]] = defaultdict(set)
    rows = (
        DailyRollup.objects.filter(source=Source.MEASURED, day__gt=since, day__lte=today)
        .order_by()
        .values_list("pattern_id", "day", "reporter_key")
        .annotate(n=Sum("runs"))
    )
    for pattern_id, day, reporter, _ in rows.iterator(chunk_size=5000):
        weekly[pattern_id][min((day - since).days - 1, WEEKS * 7 - 1) // 7] += 1
        users[pattern_id].add(reporter)
    return dict(weekly), {pk: len(names) for pk, names in users.items()}


def _category_rates() -> dict[str, float]:
    rows = Pattern.objects.filter(ranked_runs__gt=0).order_by().values_list("category")
    sums = rows.annotate(n=Sum("ranked_runs"), k=Sum("ranked_successes"))
    return {category: ranking.shrunk_mean(min(k, n), n) for category, n, k in sums}


def _rate(pattern: Pattern) -> float | None:
    if not pattern.ranked_runs:
        return None
    return ranking.shrunk_mean(min(pattern.ranked_successes, pattern.ranked_runs), pattern.ranked_runs)


def emerging(*, user: Any, limit: int = 10) -> list[Pattern]:
    """Patterns flagged as emerging, the strongest first."""
    rows = Pattern.objects.published().visible_to(user).filter(is_emerging=True)
    return list(load(list(rows.order_by("-emerging_score", "-id").values_list("pk", flat=True)[:limit])))


def trending(*, user: Any, today: date, days: int = 28, limit: int = 10) -> list[tuple[Pattern, int]]:
    """Patterns with the most different people running them lately, and how many."""
    visible = Pattern.objects.published().visible_to(user)
    rows = (
        DailyRollup.objects.filter(
            source=Source.MEASURED, day__gt=today - timedelta(days=days), pattern__in=visible.values("pk")
        )
        .order_by()
        .values_list("pattern_id")
        .annotate(people=Count("reporter_key", distinct=True), runs=Sum("runs"))
        .order_by("-people", "-runs", "-pattern_id")[:limit]
    )
    numbers = {pk: people for pk, people, _ in rows}
    return [(pattern, numbers[pattern.pk]) for pattern in load(list(numbers))]


def newest(*, user: Any, limit: int = 10) -> list[Pattern]:
    """Patterns published last, newest first."""
    rows = Pattern.objects.published().visible_to(user).order_by("-updated_at", "-id")
    return list(load(list(rows.values_list("pk", flat=True)[:limit])))
