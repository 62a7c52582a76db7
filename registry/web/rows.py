"""A pattern as a row of a list: what is compared, and the number that the list is sorted by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from registry.models import Mode, Pattern
from registry.web.marks import Evidence
from registry.web.proof import evidence_of_row


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    """One way to sort a list."""

    key: str  # of registry.discovery.search.SORTS
    label: Any  # on the control
    number: Any  # what the number is called in the row; "" where the row shows it anyway
    value: Callable[[Pattern], str]


SORTS: tuple[Sort, ...] = (
    Sort(
        key="best",
        label=_("success, at least"),
        number=_("success, at least"),
        value=lambda row: f"{round(100 * row.success_floor)} %" if row.ranked_runs else "",
    ),
    Sort(
        key="rating",
        label=_("rating"),
        number=_("rating, shrunk mean"),
        value=lambda row: f"{row.rating_shrunk:.2f}" if row.ratings_count else "",
    ),
    Sort(
        key="used",
        label=_("runs measured here"),
        number=_("runs measured here"),
        value=lambda row: f"{row.measured_runs:,}",
    ),
    Sort(
        key="emerging",
        label=_("growing use"),
        number=_("evidence of growth"),
        value=lambda row: f"{row.emerging_score:,.1f}",
    ),
    Sort(
        key="new",
        label=_("last published"),
        number=_("published"),
        value=lambda row: date_format(row.updated_at, "j M Y"),
    ),
    Sort(key="name", label=_("name"), number="", value=lambda row: row.name),
)


def sort_named(key: str) -> Sort:
    """The sort of that key; the first one for an unknown key."""
    return next((sort for sort in SORTS if sort.key == key), SORTS[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a row shows."""

    href: str
    owner: str
    name: str
    says: str
    version: str
    channel: str  # "stable" where the version shown is a stable one that is not merely the newest
    tags: tuple[str, ...]
    forks: int
    is_emerging: bool
    is_guided: bool
    visibility: str
    visibility_words: Any
    updated_at: datetime
    evidence: tuple[Evidence, ...]
    ratings: int
    rating: float
    sorted_by: Any
    sorted_value: str


def rows_of(patterns: Iterable[Pattern], sort: Sort | None = None) -> list[Row]:
    """Rows for patterns loaded with ``for_list`` and their tags; no query."""
    return [_row(pattern, sort) for pattern in patterns]


def _row(pattern: Pattern, sort: Sort | None) -> Row:
    shown = pattern.shown or pattern.newest
    return Row(
        href=pattern.get_absolute_url(),
        owner=pattern.owner.name,
        name=pattern.name,
        says=" ".join((pattern.description or pattern.title).split())[:400],
        version=shown.version if shown else "",
        channel="stable" if shown and pattern.shown_id and pattern.shown_id != pattern.newest_id else "",
        tags=tuple(pattern.tags),
        forks=pattern.forks_count,
        is_emerging=pattern.is_emerging,
        is_guided=pattern.mode == Mode.GUIDED,
        visibility=pattern.visibility,
        visibility_words=pattern.get_visibility_display(),
        updated_at=pattern.updated_at,
        evidence=tuple(evidence_of_row(pattern)),
        ratings=pattern.ratings_count if sort is None or sort.key != "rating" else 0,
        rating=pattern.rating_shrunk,
        sorted_by=sort.number if sort else "",
        sorted_value=sort.value(pattern) if sort and sort.number else "",
    )
