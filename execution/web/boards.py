"""
Standings within families, as leaderboards and a pattern's Verification tab show them.

Two versions that no trial can tell apart share a rank, and the board says so:
a rank is what is proven, not the order of the numbers. Boards of trials with
simulated agents stand apart and carry their mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Max, Sum
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from execution.models import Trial
from execution.models.trial import TrialQuerySet
from execution.services import standings
from registry.models import Pattern, PatternVersion
from registry.ranking import Standing
from registry.web.charts.svg import element, picture

MOST_FAMILIES = 6
MOST_TRIALS = 300  # looked at to find the families
KEPT_SECONDS = 600
Z_95 = 1.96
WIDTH, HEIGHT = 168.0, 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """One version on a board."""

    place: str  # "1", or "1=" where the rank is shared
    version: PatternVersion
    rating: int  # 1500 is the family's average
    margin: int  # half the width of its 95 % interval
    record: str  # won, lost, drawn
    picture: SafeString


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One family."""

    names: tuple[str, ...]  # its patterns
    simulated: bool
    ranks: tuple[Rank, ...]
    says: str  # whether anything is proven, in a sentence
    pairs: int


def boards_of(pattern: Pattern, user: Any) -> list[Board]:
    """The standings of a pattern's family: measured ones, then simulated ones."""
    return _boards([pattern], user)


def all_boards(user: Any) -> list[Board]:
    """The families with the most pairs that this person may see, measured ones first."""
    boards = _boards(_heads(user), user)
    return sorted(boards, key=lambda board: (board.simulated, -board.pairs))[: 2 * MOST_FAMILIES]


def _boards(patterns: Sequence[Pattern], user: Any) -> list[Board]:
    mark = _mark(user)
    found = (_board(pattern, user, mark, simulated=simulated) for pattern in patterns for simulated in (False, True))
    return [board for board in found if board is not None]


def _counted(user: Any) -> TrialQuerySet:
    """Trials whose pairs make standings."""
    return Trial.objects.visible_to(user).shown().filter(settled__gt=0)


def _heads(user: Any) -> list[Pattern]:
    """One pattern of each family, those with the most pairs first; two queries."""
    rows = _counted(user).order_by("-pk").values_list("control__pattern", "candidate__pattern", "settled")
    family: dict[int, int] = {}
    pairs: dict[int, int] = {}
    for control, candidate, settled in rows[:MOST_TRIALS]:
        one, other = family.setdefault(control, control), family.setdefault(candidate, candidate)
        if one != other:
            family |= {pk: one for pk, head in family.items() if head == other}
            pairs[one] = pairs.get(one, 0) + pairs.pop(other, 0)
        pairs[one] = pairs.get(one, 0) + settled
    heads = sorted(pairs, key=lambda head: -pairs[head])[:MOST_FAMILIES]
    found = Pattern.objects.visible_to(user).select_related("owner").in_bulk(heads)
    return [found[head] for head in heads if head in found]


def _board(pattern: Pattern, user: Any, mark: str, *, simulated: bool) -> Board | None:
    """
    The board of a pattern's family, None where no two versions met.

    The standings walk over all pairs of the family's trials; they are kept
    until one of these trials has come further.
    """
    key = f"execution.board.{pattern.pk}.{getattr(user, 'pk', None)}.{simulated}.{mark}"
    kept = cache.get(key)
    if kept is None:
        kept = standings.standings(pattern=pattern, user=user, simulated=simulated)
        cache.set(key, kept, KEPT_SECONDS)
    if not kept:
        return None
    return shown_board(kept, simulated=simulated)


def _mark(user: Any) -> str:
    """Changes whenever a trial that this person may see has counted a further pair."""
    sums = _counted(user).aggregate(n=Count("pk"), last=Max("pk"), pairs=Sum("settled"))
    return f"{sums['n']}-{sums['last']}-{sums['pairs']}"


def shown_board(places: Sequence[standings.Place], *, simulated: bool = False) -> Board:
    """A board from the standings of one family, best first."""
    reach = max([abs(one.standing.rating - 1500) + Z_95 * one.standing.error for one in places] + [50.0])
    ranks = tuple(
        Rank(
            place=f"{one.standing.rank}=" if one.standing.tied_with else str(one.standing.rank),
            version=one.version,
            rating=round(one.standing.rating),
            margin=round(Z_95 * one.standing.error),
            record=_record(one.standing),
            picture=_interval(one.standing, reach),
        )
        for one in places
    )
    pairs = sum(one.standing.wins + one.standing.losses + one.standing.ties for one in places) // 2
    return Board(
        names=tuple(dict.fromkeys(str(one.version.pattern) for one in places)),
        simulated=simulated,
        ranks=ranks,
        says=_says(places),
        pairs=pairs,
    )


def _record(row: Standing) -> str:
    return _("%(won)d won, %(lost)d lost, %(drawn)d drawn") % {"won": row.wins, "lost": row.losses, "drawn": row.ties}


def _says(places: Sequence[standings.Place]) -> str:
    """What the ranks prove."""
    first = [one for one in places if one.standing.rank == 1]
    if len(first) == len(places):
        return _("Nobody is proven stronger than anybody else so far.")
    if len(first) == 1:
        return _("%(best)s is proven stronger than all others.") % {"best": first[0].version}
    return ngettext(
        "%(n)d version shares the first rank: more pairs would be needed to tell.",
        "%(n)d versions share the first rank: more pairs would be needed to tell them apart.",
        len(first),
    ) % {"n": len(first)}


def _interval(row: Standing, reach: float) -> SafeString:
    """The rating with its 95 % interval, around a line at the family's average."""

    def x(rating: float) -> float:
        return 6 + (rating - 1500 + reach) / (2 * reach) * (WIDTH - 12)

    low, high = row.rating - Z_95 * row.error, row.rating + Z_95 * row.error
    tone = "dot" if low > 1500 else "dot bad" if high < 1500 else "dot accent"
    words = {"rating": round(row.rating), "low": round(low), "high": round(high)}
    return picture(
        element("path", class_="axis", d=f"M{x(1500):.1f} 0V{HEIGHT:.0f}"),
        element("path", class_="whisker", d=f"M{x(low):.1f} 4V12M{x(low):.1f} 8H{x(high):.1f}M{x(high):.1f} 4V12"),
        element("circle", class_=tone, cx=x(row.rating), cy=8.0, r=3.5),
        width=WIDTH,
        height=HEIGHT,
        title=_("Rating"),
        description=_("%(rating)d, between %(low)d and %(high)d at 95 %%") % words,
        class_="difference wide",
    )
