"""
Trust tiers: what a peer may do here, and what its objects must go through.

Trust is given by a person and never follows from a signature. The table is
the whole policy; services look up, they do not decide.

Source: OPL-Fed/1, "Trust and quarantine" and "Requests and answers".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType

from federation.protocol import limits
from federation.protocol.problems import Refused


class Tier(IntEnum):
    """How far a peer is trusted."""

    BLOCKED = 0
    UNKNOWN = 1
    PROBATION = 2
    APPROVED = 3
    OWN = 4  # of the same organisation


class Trial(StrEnum):
    """When an object of such a peer is tried."""

    BY_HAND = "by-hand"
    AUTOMATIC = "automatic"  # under the budget of the peer and the day
    ADVISED = "advised"  # admitted after the scan, a trial is only suggested


class Reannounce(StrEnum):
    """When an object of such a peer is passed on."""

    NEVER = "never"
    AFTER_LOCAL_TRIAL = "after-local-trial"
    YES = "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class TierRule:
    """One row of the table."""

    label: str  # for people
    statistics_weight: float  # how much of its claims counts, 0-1
    trial: Trial | None  # None: nothing of it is taken in
    reannounce: Reannounce
    objects_per_day: int | None  # None: no limit
    bytes_per_day: int | None  # None: no limit


RULES: MappingProxyType[Tier, TierRule] = MappingProxyType(
    {
        Tier.BLOCKED: TierRule(
            label="blocked",
            statistics_weight=0.0,
            trial=None,
            reannounce=Reannounce.NEVER,
            objects_per_day=0,
            bytes_per_day=0,
        ),
        Tier.UNKNOWN: TierRule(
            label="unknown",
            statistics_weight=0.0,
            trial=None,
            reannounce=Reannounce.NEVER,
            objects_per_day=0,
            bytes_per_day=0,
        ),
        Tier.PROBATION: TierRule(
            label="probation",
            statistics_weight=0.0,
            trial=Trial.BY_HAND,
            reannounce=Reannounce.NEVER,
            objects_per_day=1_000,
            bytes_per_day=64 * limits.MIB,
        ),
        Tier.APPROVED: TierRule(
            label="approved",
            statistics_weight=0.25,
            trial=Trial.AUTOMATIC,
            reannounce=Reannounce.AFTER_LOCAL_TRIAL,
            objects_per_day=10_000,
            bytes_per_day=512 * limits.MIB,
        ),
        Tier.OWN: TierRule(
            label="own organisation",
            statistics_weight=1.0,
            trial=Trial.ADVISED,
            reannounce=Reannounce.YES,
            objects_per_day=None,
            bytes_per_day=None,
        ),
    }
)


def judge_access(tier: Tier) -> None:
    """
    That a peer of this tier may use the endpoints that are neither public nor the handshake.

    Raises:
        Refused: ``peer-blocked`` or ``tier-too-low``.
    """
    if tier is Tier.BLOCKED:
        raise Refused("peer-blocked", "this node has blocked you; write to its contact address")
    if tier is Tier.UNKNOWN:
        raise Refused("tier-too-low", "send a peer request and wait until an administrator approves it")


def judge_quota(tier: Tier, *, objects: int, size: int, retry_after: int) -> None:
    """
    That a day's use, with what arrives now, stays within the tier's share.

    Args:
        objects: statements of the day, the arriving ones included.
        size: bytes of the day, likewise.
        retry_after: seconds until the day is over.

    Raises:
        Refused: ``quota-exceeded``.
    """
    rule = RULES[tier]
    for used, allowed, unit in ((objects, rule.objects_per_day, "statements"), (size, rule.bytes_per_day, "bytes")):
        if allowed is not None and used > allowed:
            raise Refused("quota-exceeded", f"{allowed} {unit} a day are the share of this tier", retry_after)
