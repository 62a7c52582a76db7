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
    nodes: int  # how many nodes' words count at all


def heard(rollups: QuerySet[DailyRollup]) -> Heard:
    """The claims among these sums, each weighed by trust; 2 queries and those of the weigher."""
    claims = list(
        rollups.filter(source=Source.ATTESTED)
        .order_by()
        .values_list("version_id", "cell", "day", "reporter_key")
        .annotate(n=Sum("runs"), k=Sum("successes"))
    )
    if not claims:
        return Heard(counts=Counts(), nodes=0)
    own = _own(rollups)
    weights = voices.weights({reporter for _, _, _, reporter, _, _ in claims})
    total, nodes = Counts(), set[str]()
    for version, cell, _, reporter, n, k in claims:
        weight = weights.get(reporter, 0.0)
        if weight <= 0.0 or not n:
            continue
        trusted = ranking.trust(Claim(operator=reporter, successes=k, runs=n), own.get((version, cell), Counts()))
        total = total + Counts(successes=k, runs=n).weighed(weight * ranking.claim_weight(n, trusted))
        nodes.add(reporter)
    return Heard(counts=total, nodes=len(nodes))


def _own(rollups: QuerySet[DailyRollup]) -> dict[tuple[int, str], Counts]:
    rows = (
        rollups.filter(source=Source.MEASURED)
        .order_by()
        .values_list("version_id", "cell")
        .annotate(n=Sum("runs"), k=Sum("successes"))
    )
    return {(version, cell): Counts(successes=k, runs=n) for version, cell, n, k in rows}
