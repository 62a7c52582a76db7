"""
Which versions a trial may be started with, and which the page proposes.

A choice names a version: ``1.1.0`` of the pattern whose page it is, or
``owner/name@version`` of a relative. Relatives are what lineage or an earlier
trial connects with the pattern, what goes by the same name with another
ending (``tournament`` and ``tournament_v2``), and what is like it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from execution.services.standings import family_of
from registry.discovery.recommend import similar
from registry.models import Channel, Mode, Pattern, PatternVersion

MOST_VERSIONS = 100
MOST_RELATIVES = 12
# What makes a name another edition of the same: tournament_v2, tournament-2, tournament2.
EDITION = re.compile(r"[_-]?v?(\d{1,4})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """The versions there are to choose from."""

    own: Mapping[str, PatternVersion]  # number → version of the pattern itself, newest first
    relatives: Mapping[str, PatternVersion]  # owner/name@version → version of another pattern

    def find(self, name: str) -> PatternVersion | None:
        """The version that a choice names."""
        return self.own.get(name) or self.relatives.get(name)

    def name_of(self, version: PatternVersion) -> str:
        """How the choices name it."""
        return version.version if self.own.get(version.version) == version else str(version)

    def choices(self) -> list[Any]:
        """For a select: the pattern's own versions, then those of relatives under their own heading."""
        own = [(number, number) for number in self.own]
        if not self.relatives:
            return own
        others = [(name, name) for name in self.relatives]
        return [(_("this pattern"), own), (_("patterns like it"), others)] if own else [(_("patterns like it"), others)]


def arms_of(pattern: Pattern, user: Any) -> Arms:
    """The versions of a pattern that can be run, and one version of each of its relatives."""
    relatives = _shown_versions(_relatives(pattern, user))
    return Arms(own={one.version: one for one in _versions(pattern)}, relatives={str(one): one for one in relatives})


def proposed(
    pattern: Pattern, shown: PatternVersion, arms: Arms, asked: Mapping[str, str]
) -> tuple[PatternVersion | None, PatternVersion | None]:
    """
    What the page proposes: (control, candidate).

    The control is the stable version, the candidate the one that was looked at
    or the newest after it. A pattern without another version meets the edition
    of the same name before or after it; without that, itself.

    Args:
        asked: ``control`` and ``candidate`` of the address, "" or absent for no wish.
    """
    wanted = arms.find(asked.get("control", "")), arms.find(asked.get("candidate", ""))
    versions = list(arms.own.values())
    if not versions:
        return wanted
    stable = pattern.channel(Channel.STABLE)
    known = arms.own.get(stable.version.version) if stable else None
    control = wanted[0] or known or versions[-1]
    candidate = wanted[1] or arms.own.get(shown.version)
    if candidate is None or (candidate.pk == control.pk and wanted[1] is None):
        candidate = next((one for one in versions if one.pk > control.pk), control)
    if candidate.pk == control.pk and wanted == (None, None) and len(versions) == 1:
        return _editions(control, arms.relatives.values())
    return control, candidate


def _editions(version: PatternVersion, relatives: Iterable[PatternVersion]) -> tuple[PatternVersion, PatternVersion]:
    """The version and the nearest edition of the same name, the earlier one first; the version twice without one."""
    stem, number = edition_of(version.pattern.name)
    named = [(edition_of(one.pattern.name), one) for one in relatives]
    same = [(abs(there - number), there, one) for (name, there), one in named if name == stem and there != number]
    if not same:
        return version, version
    _distance, there, other = min(same, key=lambda one: one[:2])
    return (other, version) if there < number else (version, other)


def edition_of(name: str) -> tuple[str, int]:
    """``tournament_v2`` → ("tournament", 2); a name without a number is the first edition."""
    found = EDITION.search(name)
    return (name[: found.start()], int(found[1])) if found and found.start() else (name, 1)


def _versions(pattern: Pattern) -> list[PatternVersion]:
    """The versions that can be run, newest first."""
    rows = pattern.versions.filter(mode=Mode.EXECUTABLE, yanked_at__isnull=True).exclude(program_hash="")
    found = list(rows.defer("source", "value", "claims").order_by("-pk")[:MOST_VERSIONS])
    for version in found:
        version.pattern = pattern
    return found


def _relatives(pattern: Pattern, user: Any) -> list[Pattern]:
    """Other patterns that a person would compare it with, the nearest first."""
    visible = Pattern.objects.published().visible_to(user).select_related("owner").exclude(pk=pattern.pk)
    family = visible.filter(pk__in=family_of(pattern))
    stem, _number = edition_of(pattern.name)
    editions = visible.filter(name__startswith=stem).order_by("name")[:50]
    near = [*family, *(one for one in editions if edition_of(one.name)[0] == stem)]
    found = {one.pk: one for one in [*near, *similar(pattern=pattern, user=user)]}
    return list(found.values())[:MOST_RELATIVES]


def _shown_versions(patterns: Sequence[Pattern]) -> list[PatternVersion]:
    """The version that each pattern's page shows, where it can be run; one query."""
    by_id = {one.shown_id or one.newest_id: one for one in patterns}
    rows = PatternVersion.objects.filter(pk__in=[pk for pk in by_id if pk], mode=Mode.EXECUTABLE)
    rows = rows.filter(yanked_at__isnull=True).exclude(program_hash="").defer("source", "value", "claims")
    found = {row.pk: row for row in rows}
    for pk, pattern in by_id.items():
        if pk in found:
            found[pk].pattern = pattern
    return [found[pk] for pk in by_id if pk in found]
