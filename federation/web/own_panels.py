"""What the pages of the federation add to the registry's pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from federation.models import DeadLetter, Peer, QuarantineItem
from federation.protocol.tiers import Tier
from federation.web import origin_facts
from federation.web.pages import OPEN_STATES, this_node
from registry.web.panels import NavItem, Section, add_navigation, add_section
from registry.web.tags import STATUSES

PILLS = {
    "tier-0": ("bad", "⊘"),
    "tier-1": ("", "?"),
    "tier-2": ("attention", "◔"),
    "tier-3": ("good", "✓"),
    "tier-4": ("good", "★"),
    "peer-blocked": ("", "⊘"),
    "peer-asks": ("attention", "○"),
    "peer-waits": ("attention", "◷"),
    "peer-quiet": ("", "·"),
    "peer-failing": ("bad", "!"),
    "object-received": ("", "◌"),
    "object-signed_ok": ("", "◌"),
    "object-parsed": ("", "◌"),
    "object-scanned": ("", "◌"),
    "object-held": ("attention", "◷"),
    "object-trial_queued": ("live", "◔"),
    "object-trial_passed": ("good", "✓"),
    "object-trial_failed": ("bad", "✗"),
    "object-inconclusive": ("attention", "?"),
    "object-admitted": ("good", "✓"),
    "object-rejected": ("bad", "✗"),
    "object-expired": ("", "⊘"),
    "leaves": ("good", "↗"),
    "stays": ("bad", "⌂"),
    "off": ("bad", "■"),
    "advice": ("attention", "!"),
}


def _health(request: HttpRequest, subject: Any) -> Mapping[str, Any] | None:
    """Peers that answer and that do not, for the health page."""
    node = this_node()
    if node is None:
        return None
    now = timezone.now()
    peers = list(Peer.objects.filter(tier__gte=Tier.PROBATION).only("failures", "failing_since", "next_try_at")[:5_000])
    dead = sum(peer.is_dead(now) for peer in peers)
    failing = sum(bool(peer.failures) for peer in peers) - dead
    return {
        "node": node,
        "answering": len(peers) - failing - dead,
        "failing": failing,
        "dead": dead,
        "waiting": QuarantineItem.objects.filter(state__in=OPEN_STATES).count(),
        "letters": DeadLetter.objects.count(),
    }


def add() -> None:
    """Called when the app is ready."""
    STATUSES.update(PILLS)
    add_navigation(NavItem(key="peers", label=_("Peers"), url_name="federation:peers", order=30))
    add_section(
        Section(
            key="federation-provenance",
            place="provenance",
            template="federation/provenance_section.html",
            context=origin_facts.provenance,
            order=10,
        )
    )
    add_section(
        Section(
            key="federation-aside",
            place="aside",
            template="federation/aside_section.html",
            context=origin_facts.aside,
            order=20,
        )
    )
    add_section(
        Section(
            key="federation-health",
            place="health",
            template="federation/health_section.html",
            context=_health,
            order=60,
        )
    )
