"""
Usage: what peers claim about patterns here, and what this node tells of its own runs.

A claim counts as much as the tier of the node that makes it; all together move
a score by at most R/(R + n + 2). What leaves follows the node's profile:
``org`` exact counts, ``public`` noise that is drawn once per finished period.
Prompts, people, single ratings, exact times and costs never enter here.

Source: OPL-Fed/1, "Statistics and privacy".
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from federation.models import Audience, Peer, PublishedPeriod, Statement, UsageClaim
from federation.protocol import privacy
from federation.protocol import statement as statements
from federation.protocol.kinds import PERIOD_SECONDS, Subject
from federation.protocol.privacy import Cell, Tally
from federation.protocol.tiers import RULES, Tier
from federation.services import identities, storing
from registry.models import DailyRollup, Outcome, PatternVersion, Source

MOST_RUNS_COUNTED = 1_000_000  # of one claim in a sum; its rate is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """What peers say about one text, beside what was measured here."""

    local: Tally
    claims: tuple[tuple[UsageClaim, float], ...]  # with the weight of the node's tier
    blended: float  # 0 to 1, bounded influence


def weight_of(node_id: str) -> float:
    """How much a node's claims count here, 0 to 1."""
    peer = Peer.objects.filter(node_id=node_id).first()
    return RULES[peer.trust].statistics_weight if peer is not None else 0.0


def weights_of(nodes: Iterable[str]) -> dict[str, float]:
    """The same of several at once, for ``registry.services.attested``."""
    peers = Peer.objects.filter(node_id__in=set(nodes)).values_list("node_id", "tier")
    return {node: RULES[Tier(tier)].statistics_weight for node, tier in peers}


def count(claim: UsageClaim) -> None:
    """Put a claim into the sums that the registry shows as attested; a newer revision replaces the older."""
    if claim.is_contradicted or weight_of(claim.node) <= 0.0:
        return
    runs = min(claim.runs, MOST_RUNS_COUNTED)
    success = claim.success if runs == claim.runs else claim.success * runs // max(claim.runs, 1)
    for version in PatternVersion.objects.filter(digest=claim.digest).select_related("pattern"):
        DailyRollup.objects.update_or_create(
            version=version, **_sum_of(claim), defaults={"pattern": version.pattern, "runs": runs, "successes": success}
        )


def _sum_of(claim: UsageClaim) -> dict[str, Any]:
    """Where a claim stands among the sums, whatever the version."""
    return {
        "day": datetime.fromtimestamp(claim.period * PERIOD_SECONDS, tz=UTC).date(),
        "cell": claim.cell[:200],
        "source": Source.ATTESTED,
        "reporter_key": claim.node,
    }


def recount(version: PatternVersion) -> None:
    """Claims that came before the version did."""
    for claim in UsageClaim.objects.filter(digest=version.digest):
        count(claim)


def recount_node(node_id: str) -> None:
    """A node's claims count anew, or no more, once its tier has changed."""
    DailyRollup.objects.filter(source=Source.ATTESTED, reporter_key=node_id).delete()
    for claim in UsageClaim.objects.filter(node=node_id).iterator():
        count(claim)


def distrust(*, node: str, digest: str, cell: str, period: int) -> None:
    """A node said two things about one cell under one revision: that claim is not believed any more."""
    for claim in UsageClaim.objects.filter(node=node, digest=digest, cell=cell[:400], period=period):
        UsageClaim.objects.filter(pk=claim.pk).update(is_contradicted=True)
        DailyRollup.objects.filter(version__digest=digest, **_sum_of(claim)).delete()


def forget(claim: UsageClaim) -> None:
    """A claim that its node erased."""
    DailyRollup.objects.filter(version__digest=claim.digest, **_sum_of(claim)).delete()
    claim.delete()


def attested(digest: str) -> Attested:
    """Everything that is said about a text, weighed."""
    local = Tally(0, 0)
    outcomes = Outcome.objects.filter(version__digest=digest, source=Source.MEASURED)
    local = Tally(outcomes.count(), outcomes.filter(succeeded=True).count())
    rows = UsageClaim.objects.filter(digest=digest, is_contradicted=False)
    claims = tuple((claim, weight_of(claim.node)) for claim in rows)
    told = [(Tally(claim.runs, claim.success), weight) for claim, weight in claims]
    return Attested(local=local, claims=claims, blended=privacy.blended(local, told))


def publish(*, now: datetime) -> int:
    """Tell this node's usage as its profile allows; answers how many claims were signed."""
    profile = identities.node().profile
    period = privacy.period_of(int(now.timestamp()))
    if profile == "org":
        return _publish(privacy.org(counts(period)), period, "org", now=now, renew=True)
    if profile == "public" and not PublishedPeriod.objects.filter(period=period - 1, profile="public").exists():
        # Noise is drawn once, for a period that is over: every further draw would spend epsilon anew.
        told = privacy.public(counts(period - 1), below=secrets.randbelow)
        return _publish(told, period - 1, "public", now=now, renew=False)
    return 0


def counts(period: int) -> Mapping[str, Mapping[Cell, Tally]]:
    """
    principal → cell → runs and successes of a period; principals never leave.

    Of public patterns only, and without those that carry a private topic, as
    a tag or as a tag of the runs' context.
    """
    private = frozenset(identities.node().private_topics)
    start = datetime.fromtimestamp(period * PERIOD_SECONDS, tz=UTC)
    end = datetime.fromtimestamp((period + 1) * PERIOD_SECONDS, tz=UTC)
    rows = Outcome.objects.filter(
        source=Source.MEASURED, ended_at__gte=start, ended_at__lt=end, version__pattern__visibility="public"
    ).exclude(version__pattern__tag_rows__tag__in=private)
    told = rows.values_list("reporter_id", "version__digest", "cell", "succeeded")
    found: dict[str, dict[Cell, Tally]] = defaultdict(dict)
    for reporter, digest, cell, succeeded in told.iterator():
        if private and not private.isdisjoint(_tags_of(cell)):
            continue
        key, at = str(reporter or "nobody"), Cell(digest, cell)
        found[key][at] = found[key].get(at, privacy.NOTHING).plus(Tally(1, int(succeeded)))
    return found


def _tags_of(cell: str) -> list[str]:
    """The words of a context cell: ``task=review;model=opus;tags=code,python``."""
    return [word for part in cell.split(";") for word in part.partition("=")[2].split(",")]


@transaction.atomic
def _publish(told: list[privacy.Published], period: int, profile: str, *, now: datetime, renew: bool) -> int:
    node = identities.node().node_id
    row, _ = PublishedPeriod.objects.get_or_create(
        period=period, profile=profile, defaults={"published_at": now, "epsilon": told[0].epsilon if told else None}
    )
    changed = [each for each in told if _is_news(node, each, period)]
    if not changed and (renew or row.revision):
        return 0
    row.revision, row.cells, row.published_at = row.revision + 1, len(told), now
    if profile == "public":
        row.epsilon = float(privacy.PUBLIC_EPSILON)
    row.save()
    for each in changed:
        _sign(node, each, period, row.revision, now=now)
    return len(changed)


def _is_news(node: str, told: privacy.Published, period: int) -> bool:
    known = UsageClaim.objects.filter(
        node=node, digest=told.cell.digest, cell=told.cell.context[:400], period=period
    ).first()
    return known is None or (known.runs, known.success) != (told.tally.runs, told.tally.success)


def _sign(node: str, told: privacy.Published, period: int, revision: int, *, now: datetime) -> Statement:
    predicate = {
        "node": node,
        "digest": told.cell.digest,
        "cell": told.cell.context,
        "period": period,
        "revision": revision,
        "runs": told.tally.runs,
        "success": told.tally.success,
        "profile": told.profile,
        "epsilon": told.epsilon,
    }
    subject = Subject(f"usage of {told.cell.digest[:12]}", told.cell.digest)
    signed = statements.sign("usage", predicate, subject=subject, signers=identities.publish_keys(node)[:1])
    audience = Audience.ORGANISATION if told.profile == "org" else Audience.PUBLIC
    row = storing.store_own(signed, now=now, audience=audience)
    UsageClaim.objects.update_or_create(
        node=node,
        digest=told.cell.digest,
        cell=told.cell.context[:400],
        period=period,
        defaults={
            "statement": row,
            "revision": revision,
            "runs": told.tally.runs,
            "success": told.tally.success,
            "profile": told.profile,
            "epsilon": told.epsilon,
        },
    )
    return row


def tier_weights() -> dict[str, float]:
    """What each tier's statistics weigh, for the page that explains it."""
    return {rule.label: rule.statistics_weight for tier, rule in RULES.items() if tier is not Tier.BLOCKED}
