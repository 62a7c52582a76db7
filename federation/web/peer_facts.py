"""
Peers as pages show them: who they are, how far they are trusted, how they are doing, what they used today.

Everything about many peers comes from a fixed number of queries; nothing here
writes or verifies. The eight words follow from the id itself, so a list needs
no key material.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from mnemonic import Mnemonic

from federation.models import DayUse, DeadLetter, Peer, QuarantineItem, ThisNode
from federation.protocol.keys import BITS_PER_WORD, FINGERPRINT_WORDS
from federation.protocol.limits import MIB
from federation.protocol.tiers import RULES, Reannounce, Tier, Trial
from federation.web.pages import OPEN_STATES

REJECTED_DAYS = 7  # how far back refusals are summed up


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What was used of one daily share."""

    used: str  # in words, with the unit
    limit: str  # likewise; "" without a limit
    share: int | None  # percent, at most 100; None without a limit


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFacts:
    """One peer."""

    row: Peer
    words: tuple[str, ...]  # the eight words of its fingerprint
    host: str  # where it lives; "" where nobody knows
    tier: str  # key of the pill
    tier_words: str  # "T3 approved"
    health: str  # key of the pill
    health_words: str
    lag: int | None  # statements of ours that it has not read; None where it reads nothing
    lag_words: str
    objects: Use
    size: Use
    waiting: int  # its objects in quarantine that wait for somebody
    dead: int  # its dead letters
    rejected: tuple[tuple[str, int], ...]  # (code, how often) within a week, most first


def facts_of(peers: Sequence[Peer], *, node: ThisNode | None, now: datetime) -> list[PeerFacts]:
    """The facts of many peers in four queries."""
    keys = [peer.pk for peer in peers]
    since = now.date() - timedelta(days=REJECTED_DAYS - 1)
    days: dict[int, list[DayUse]] = {}
    for day in DayUse.objects.filter(peer__in=keys, day__gte=since):
        days.setdefault(day.peer_id, []).append(day)
    waiting = _counted(QuarantineItem.objects.filter(peer__in=keys, state__in=OPEN_STATES))
    dead = _counted(DeadLetter.objects.filter(peer__in=keys))
    return [
        _facts(peer, days.get(peer.pk, ()), node, now, waiting=waiting.get(peer.pk, 0), dead=dead.get(peer.pk, 0))
        for peer in peers
    ]


def _counted(rows: Any) -> dict[int, int]:
    return dict(rows.order_by().values_list("peer").annotate(Count("pk")))


def _facts(
    peer: Peer, days: Iterable[DayUse], node: ThisNode | None, now: datetime, *, waiting: int, dead: int
) -> PeerFacts:
    rejected: dict[str, int] = {}
    today = DayUse(objects_in=0, bytes_in=0)
    for day in days:
        today = day if day.day == now.date() else today
        for code, count in day.rejected.items():
            rejected[str(code)] = rejected.get(str(code), 0) + int(count)
    rule = RULES[peer.trust]
    lag = max(0, node.head - peer.acked_seq) if node is not None and peer.tier >= Tier.PROBATION else None
    key, words = health_of(peer, now)
    return PeerFacts(
        row=peer,
        words=words_of(peer.node_id),
        host=urlsplit(peer.base_url).netloc,
        tier=f"tier-{int(peer.tier)}",
        tier_words=tier_words(peer.trust),
        health=key,
        health_words=words,
        lag=lag,
        lag_words=_lag_words(lag),
        objects=_use(today.objects_in, rule.objects_per_day, f"{today.objects_in:,}", f"{rule.objects_per_day or 0:,}"),
        size=_use(today.bytes_in, rule.bytes_per_day, size_words(today.bytes_in), size_words(rule.bytes_per_day or 0)),
        waiting=waiting,
        dead=dead,
        rejected=tuple(sorted(rejected.items(), key=lambda pair: (-pair[1], pair[0]))),
    )


def health_of(peer: Peer, now: datetime) -> tuple[str, str]:
    """How a peer does: the key of its pill and the words beside it."""
    if peer.tier == Tier.BLOCKED:
        return "peer-blocked", _("not spoken to")
    if peer.is_paused:
        return "paused", _("paused here")
    if peer.tier == Tier.UNKNOWN:
        return "peer-asks", _("waits for a decision here") if peer.asked_us_at else _("not approved here")
    if peer.is_dead(now):
        return "dead", _("silent for over a week; asked once a day")
    if peer.failures:
        times = ngettext("failed once", "failed %(n)d times in a row", peer.failures) % {"n": peer.failures}
        return "peer-failing", times
    if not peer.base_url:
        return "peer-quiet", _("comes to us only")
    if not peer.approved_there:
        return "peer-waits", _("waits for approval over there")
    return ("ok", _("answers")) if peer.last_sync_at else ("peer-quiet", _("not asked yet"))


def tier_words(tier: Tier) -> str:
    """``T3 approved``."""
    return f"T{int(tier)} {_tier_names()[tier]}"


def _tier_names() -> Mapping[Tier, str]:
    return {
        Tier.BLOCKED: _("blocked"),
        Tier.UNKNOWN: _("unknown"),
        Tier.PROBATION: _("probation"),
        Tier.APPROVED: _("approved"),
        Tier.OWN: _("own organisation"),
    }


def size_words(size: int) -> str:
    """Bytes for people: ``812 B``, ``3.4 KiB``, ``64 MiB``."""
    if size < 1024:
        return f"{size} B"
    number, unit = (size / MIB, "MiB") if size >= MIB else (size / 1024, "KiB")
    return f"{number:.0f} {unit}" if number >= 10 or number == int(number) else f"{number:.1f} {unit}"


def _use(used: int, limit: int | None, used_words: str, limit_words: str) -> Use:
    if not limit:
        return Use(used=used_words, limit="", share=None)
    return Use(used=used_words, limit=limit_words, share=min(100, round(100 * used / limit)))


def _lag_words(lag: int | None) -> str:
    if lag is None:
        return "–"
    return _("has everything") if not lag else ngettext("%(n)s behind", "%(n)s behind", lag) % {"n": f"{lag:,}"}


@lru_cache(maxsize=2_048)
def words_of(identity: str) -> tuple[str, ...]:
    """
    The eight words of a node or author id.

    An id spells 160 bits of the hash whose first 88 the words carry, so they
    follow from it; a foreign string that is no id has none.
    """
    try:
        raw = base64.b32decode(identity[5:].upper())
    except ValueError:
        return ()
    bits = FINGERPRINT_WORDS * BITS_PER_WORD
    if len(raw) * 8 < bits:
        return ()
    number = int.from_bytes(raw[: bits // 8], "big")
    words = _wordlist()
    return tuple(words[(number >> shift) & 0x7FF] for shift in range(bits - BITS_PER_WORD, -1, -BITS_PER_WORD))


@lru_cache(maxsize=1)
def _wordlist() -> tuple[str, ...]:
    return tuple(Mnemonic("english").wordlist)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """One thing that a tier decides, before and after."""

    name: str
    before: str
    after: str

    @property
    def changes(self) -> bool:
        """Whether the two differ."""
        return self.before != self.after


def consequences(before: Tier, after: Tier) -> list[Consequence]:
    """What changes when a peer moves from one tier to another."""
    old, new = _told(before), _told(after)
    return [Consequence(name=name, before=old[name], after=told) for name, told in new.items()]


def _told(tier: Tier) -> dict[str, str]:
    """What a tier means, in words."""
    rule = RULES[tier]
    objects: Mapping[Trial | None, str] = {
        None: _("are not taken in"),
        Trial.BY_HAND: _("wait in quarantine until you decide"),
        Trial.AUTOMATIC: _("are scanned and tried within a daily budget, then admitted as candidates"),
        Trial.ADVISED: _("are admitted after a clean scan; a trial is advised"),
    }
    passes: Mapping[Reannounce, str] = {
        Reannounce.NEVER: _("never"),
        Reannounce.AFTER_LOCAL_TRIAL: _("after a trial passed here"),
        Reannounce.YES: _("yes"),
    }
    if rule.objects_per_day is None:
        share = _("no limit")
    elif not rule.objects_per_day:
        share = _("nothing")
    else:
        share = _("%(n)s objects, %(size)s") % {
            "n": f"{rule.objects_per_day:,}",
            "size": size_words(rule.bytes_per_day or 0),
        }
    weight = rule.statistics_weight
    return {
        _("Its requests"): _("refused")
        if tier is Tier.BLOCKED
        else _("peer requests only")
        if tier is Tier.UNKNOWN
        else _("answered"),
        _("Its objects"): objects[rule.trial],
        _("Its statistics count"): f"× {weight:g}" if weight else _("not at all"),
        _("Passed on to others"): passes[rule.reannounce],
        _("A day's share"): share,
        _("Sees our patterns"): _("the organisation's and public ones")
        if tier is Tier.OWN
        else _("public ones")
        if tier >= Tier.PROBATION
        else _("none"),
    }
