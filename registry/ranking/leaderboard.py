"""
Who wins within a family of patterns, from pairs of runs on the same inputs.

Bradley & Terry's model gives each version a strength such that i beats j with
probability s_i/(s_i + s_j). A drawn pair is half a win for each. One drawn pair
against an imagined average version keeps an unbeaten version finite. Versions
that cannot be told apart share a rank, and the table says how often they drew.

Source: Bradley & Terry, Biometrika 39 (1952); Hunter, "MM algorithms for
generalized Bradley–Terry models", Ann. Stat. 32 (2004), eq. (3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from registry.ranking.rates import Z_95

_MOST_ROUNDS = 10_000
_CLOSE_ENOUGH = 1e-12
_PER_RATING = 400.0 / math.log(10.0)  # rating points per unit of log-strength, as in chess


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """All pairs between two versions."""

    wins: int = 0  # of the first
    losses: int = 0  # of the first
    ties: int = 0  # neither won

    @property
    def pairs(self) -> int:
        """How many pairs there were."""
        return self.wins + self.losses + self.ties


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One row of the leaderboard."""

    rank: int  # counts from 1; shared by versions that cannot be told apart from the best of their group
    name: str
    rating: float  # 1500 is the family's average; 400 points are odds of ten to one
    error: float  # standard error of the rating against the family's average
    wins: int
    losses: int
    ties: int
    tied_with: tuple[str, ...]  # others of the same rank


def leaderboard(duels: Mapping[tuple[str, str], Duel]) -> list[Standing]:
    """
    The standings, best first.

    Args:
        duels: (first, second) → their pairs, wins counted for the first. A
            pair of names may occur in both orders; a version against itself is
            left out.
    """
    record = _merged(duels)
    names = sorted({name for pair in record for name in pair})
    if not names:
        return []
    strengths = _strengths(names, record)
    covariance = _covariance(names, record, strengths)
    order = sorted(names, key=lambda name: (-strengths[name], name))
    ranks = _ranks(order, names, strengths, covariance)
    return [
        Standing(
            rank=ranks[name],
            name=name,
            rating=1500.0 + _PER_RATING * strengths[name],
            error=_PER_RATING * math.sqrt(max(covariance[names.index(name)][names.index(name)], 0.0)),
            tied_with=tuple(other for other in order if other != name and ranks[other] == ranks[name]),
            **_tally(name, record),
        )
        for name in order
    ]


def _merged(duels: Mapping[tuple[str, str], Duel]) -> dict[tuple[str, str], Duel]:
    """Each two names once, in alphabetical order."""
    found: dict[tuple[str, str], Duel] = {}
    for (first, second), duel in duels.items():
        if first == second or not duel.pairs:
            continue
        flip = first > second
        key = (second, first) if flip else (first, second)
        wins, losses = (duel.losses, duel.wins) if flip else (duel.wins, duel.losses)
        before = found.get(key, Duel())
        found[key] = Duel(wins=before.wins + wins, losses=before.losses + losses, ties=before.ties + duel.ties)
    return found


def _strengths(names: list[str], record: Mapping[tuple[str, str], Duel]) -> dict[str, float]:
    """Log-strengths with mean 0, by Hunter's MM steps."""
    won = dict.fromkeys(names, 0.5)  # half a win against the imagined average version
    met: dict[str, list[tuple[str, int]]] = {name: [] for name in names}
    for (first, second), duel in record.items():
        won[first] += duel.wins + duel.ties / 2.0
        won[second] += duel.losses + duel.ties / 2.0
        met[first].append((second, duel.pairs))
        met[second].append((first, duel.pairs))
    strength = dict.fromkeys(names, 1.0)
    for _ in range(_MOST_ROUNDS):
        after = {
            name: won[name]
            / math.fsum(
                [1.0 / (strength[name] + 1.0)]
                + [pairs / (strength[name] + strength[other]) for other, pairs in met[name]]
            )
            for name in names
        }
        moved = max(abs(math.log(after[name] / strength[name])) for name in names)
        strength = after
        if moved < _CLOSE_ENOUGH:
            break
    logs = {name: math.log(strength[name]) for name in names}
    centre = math.fsum(logs.values()) / len(names)
    return {name: value - centre for name, value in logs.items()}


def _covariance(
    names: list[str], record: Mapping[tuple[str, str], Duel], strengths: Mapping[str, float]
) -> list[list[float]]:
    """The inverse of the Fisher information, the imagined pair included, which makes it invertible."""
    place = {name: index for index, name in enumerate(names)}
    information = [[0.0] * len(names) for _ in names]
    for name, index in place.items():
        information[index][index] += _spread(strengths[name])
    for (first, second), duel in record.items():
        weight = duel.pairs * _spread(strengths[first] - strengths[second])
        i, j = place[first], place[second]
        information[i][i] += weight
        information[j][j] += weight
        information[i][j] -= weight
        information[j][i] -= weight
    return _inverse(information)


def _spread(gap: float) -> float:
    """p(1 − p) for log-odds ``gap``."""
    return 1.0 / (2.0 + math.exp(gap) + math.exp(-gap)) if abs(gap) < 700.0 else 0.0


def _inverse(matrix: list[list[float]]) -> list[list[float]]:
    """Gauss–Jordan with pivoting; the matrix is positive definite, and as small as a family."""
    size = len(matrix)
    rows = [[*row, *(float(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda index: abs(rows[index][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        scale = rows[column][column]
        rows[column] = [value / scale for value in rows[column]]
        for index in range(size):
            factor = rows[index][column]
            if index != column and factor:
                rows[index] = [value - factor * base for value, base in zip(rows[index], rows[column], strict=True)]
    return [row[size:] for row in rows]


def _ranks(
    order: list[str], names: list[str], strengths: Mapping[str, float], covariance: list[list[float]]
) -> dict[str, int]:
    """A version opens a new rank only when the best of the rank before is proven stronger (95 %)."""
    place = {name: index for index, name in enumerate(names)}
    ranks: dict[str, int] = {}
    best = order[0]
    for number, name in enumerate(order, 1):
        i, j = place[best], place[name]
        variance = covariance[i][i] + covariance[j][j] - 2.0 * covariance[i][j]
        if strengths[best] - strengths[name] > Z_95 * math.sqrt(max(variance, 0.0)):
            best = name
            ranks[name] = number
        else:
            ranks[name] = ranks.get(best, number)
    return ranks


def _tally(name: str, record: Mapping[tuple[str, str], Duel]) -> dict[str, int]:
    """Wins, losses and ties of one version over all its duels."""
    found = {"wins": 0, "losses": 0, "ties": 0}
    for (first, second), duel in record.items():
        if name in (first, second):
            wins, losses = (duel.wins, duel.losses) if name == first else (duel.losses, duel.wins)
            found["wins"] += wins
            found["losses"] += losses
            found["ties"] += duel.ties
    return found
