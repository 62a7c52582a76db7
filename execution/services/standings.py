"""
Who wins within a family: Bradley–Terry standings from the pairs of trials.

A duel is all that trials found out about two versions: pairs in which exactly
one of them succeeded decide, equal ones are ties. Trials with simulated agents
are kept apart, as are verdicts that other nodes report: a standing says what
was measured here.

Source: registry.ranking.leaderboard
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q

from execution.models import Run, Trial, TrialPair
from registry import ranking
from registry.models import LineageEdge, Pattern, PatternVersion

MOST_TRIALS = 500
MOST_FAMILY = 60  # patterns of one family; the standings of more say little about each


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One version on the board."""

    version: PatternVersion
    standing: ranking.Standing
    in_words: str  # ties said, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One verdict, as a pattern's Verification tab lists it."""

    trial: Trial
    is_candidate: bool  # whether the pattern's version was the one that was tried
    decided_at: datetime | None


def family_of(pattern: Pattern) -> list[int]:
    """The pattern, what it was made from, and what was made from it: pattern ids."""
    digests = set(pattern.versions.values_list("digest", flat=True))
    edges = LineageEdge.objects.filter(Q(parent_digest__in=digests) | Q(child_digest__in=digests))
    near = digests | {digest for edge in edges.values_list("parent_digest", "child_digest") for digest in edge}
    found = PatternVersion.objects.filter(digest__in=list(near)[:900]).values_list("pattern_id", flat=True)
    tried = Trial.objects.of_pattern(pattern).values_list("control__pattern_id", "candidate__pattern_id")[:MOST_TRIALS]
    ids = dict.fromkeys([pattern.pk, *found, *(pk for pair in tried for pk in pair)])
    return list(ids)[:MOST_FAMILY]


def standings(*, pattern: Pattern, user: Any, simulated: bool = False) -> list[Place]:
    """
    The versions of the pattern's family that met in trials, best first.

    Args:
        user: only trials that they may see.
        simulated: those with simulated agents instead; the two are never added.
    """
    family = family_of(pattern)
    trials = Trial.objects.visible_to(user).shown().filter(settled__gt=0)
    trials = trials.filter(control__pattern__in=family, candidate__pattern__in=family)
    wind_tunnel = Run.objects.filter(arms__pair__trial=OuterRef("pk"), simulated=True)
    trials = trials.filter(Exists(wind_tunnel) if simulated else ~Exists(wind_tunnel))
    rows = list(trials.order_by("-pk").values_list("pk", "control_id", "candidate_id", "settled")[:MOST_TRIALS])
    duels = duels_of(rows)
    ids = {int(name) for pair in duels for name in pair}
    versions = PatternVersion.objects.light().select_related("pattern__owner").in_bulk(list(ids))
    found = ranking.leaderboard(duels)
    return [
        Place(version=versions[int(row.name)], standing=row, in_words=in_words(row, versions))
        for row in found
        if int(row.name) in versions
    ]


def duels_of(rows: Iterable[tuple[int, int, int, int]]) -> dict[tuple[str, str], ranking.Duel]:
    """(candidate, control) → their pairs; rows of (trial, control, candidate, settled)."""
    duels: dict[tuple[str, str], ranking.Duel] = {}
    for trial, control, candidate, settled in rows:
        if control == candidate:
            continue
        pairs = TrialPair.objects.filter(trial_id=trial, position__lte=settled, missing="")
        wins = losses = ties = 0
        for contrasts in pairs.values_list("contrasts", flat=True):
            value = contrasts.get("success", 0.0)
            wins, losses, ties = wins + (value > 0), losses + (value < 0), ties + (value == 0)
        key = (str(candidate), str(control))
        before = duels.get(key, ranking.Duel())
        duels[key] = ranking.Duel(wins=before.wins + wins, losses=before.losses + losses, ties=before.ties + ties)
    return duels


def in_words(row: ranking.Standing, versions: Mapping[int, PatternVersion]) -> str:
    """The standing as a person would say it."""
    told = f"{row.wins} won, {row.losses} lost, {row.ties} drawn"
    others = [str(versions[int(name)]) for name in row.tied_with if int(name) in versions]
    return f"{told}; not to be told apart from {', '.join(others)}" if others else told


def verdicts_of(*, pattern: Pattern, user: Any, limit: int = 50) -> list[Summary]:
    """The trials of a pattern, newest first, for its Verification tab."""
    trials = Trial.objects.visible_to(user).of_pattern(pattern).shown().for_list().order_by("-pk")[:limit]
    return [
        Summary(trial=trial, is_candidate=trial.candidate.pattern_id == pattern.pk, decided_at=trial.decided_at)
        for trial in trials
    ]
