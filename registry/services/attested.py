"""
What peers attest, weighed: as far as our own runs reproduce a claim, and as far as the node that makes it is trusted.

How far a node is trusted ``registry.discovery.voices`` says. Attested counts are shown beside measured ones and never added.

Source: docs/spec 4.5 ("Peers' claims"); registry.ranking.peers.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet, Sum

from registry import ranking
from registry.discovery import voices
from registry.models import DailyRollup, Source
from registry.ranking import Claim, Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """All claims about something, weighed."""

    counts: Counts  # successes and runs that count
    voices: frozenset[str]  # the nodes whose words count at all

    @property
    def nodes(self) -> int:
        """How many that are."""
        return len(self.voices)


def heard(rollups: QuerySet[DailyRollup]) -> Heard:
    """The claims among these sums, each weighed by trust; 2 queries and those of the weigher."""
    found = by_version(rollups).values()
    counts, nodes = Counts(), set[str]()
    for each in found:
        counts = counts + each.counts
        nodes |= each.voices
    return Heard(counts=counts, voices=frozenset(nodes))


def by_version(rollups: QuerySet[DailyRollup]) -> dict[int, Heard]:
    """The same for each version of which anything is claimed."""
    claims = list(
        rollups.filter(source=Source.ATTESTED)
        .order_by()
        .values_list("version_id", "cell", "day", "reporter_key")
        .annotate(n=Sum("runs"), k=Sum("successes"))
    )
    if not claims:
        return {}
    own = _own(rollups)
    weights = voices.weights({reporter for _, _, _, reporter, _, _ in claims})
    found: dict[int, Heard] = {}
    for version, cell, _, reporter, n, k in claims:
        before = found.setdefault(version, Heard(counts=Counts(), voices=frozenset()))
        weight = weights.get(reporter, 0.0)
        if weight <= 0.0 or not n:
            continue
        trusted = ranking.trust(Claim(operator=reporter, successes=k, runs=n), own.get((version, cell), Counts()))
        counted = Counts(successes=k, runs=n).weighed(weight * ranking.claim_weight(n, trusted))
        found[version] = Heard(counts=before.counts + counted, voices=before.voices | {reporter})
    return found


def _own(rollups: QuerySet[DailyRollup]) -> dict[tuple[int, str], Counts]:
    rows = (
        rollups.filter(source=Source.MEASURED)
        .order_by()
        .values_list("version_id", "cell")
        .annotate(n=Sum("runs"), k=Sum("successes"))
    )
    return {(version, cell): Counts(successes=k, runs=n) for version, cell, n, k in rows}
