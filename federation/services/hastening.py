"""
What a person asks to happen now instead of later: an exchange, another look at what was refused.

Nothing here waits for the network. An exchange is only made due; the next
round of ``ticking`` carries it out, within seconds.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from federation.errors import Unable
from federation.models import DeadLetter, Peer
from federation.protocol.tiers import Tier
from federation.services import accepting
from registry.models import User
from registry.services import audit

INTRODUCED_AGAIN_AFTER = timedelta(hours=1)  # as ``ticking`` waits between two requests


def hasten(peer: Peer, *, now: datetime, user: User | None = None) -> Peer:
    """
    Make an exchange with a peer due at once, also where it waits after failures.

    Raises:
        Unable: it is not approved, is paused, or has no address.
    """
    if peer.tier < Tier.PROBATION:
        raise Unable(f"{peer} is not approved here; compare its eight words and give it a tier first")
    if peer.is_paused:
        raise Unable(f"{peer} is paused; go on with it first")
    if not peer.base_url:
        raise Unable(f"{peer} has no address; it comes to us")
    Peer.objects.filter(pk=peer.pk).update(next_try_at=now, is_poked=True)
    peer.next_try_at, peer.is_poked = now, True
    audit.record(actor=user, action="peer.sync-asked", subject=peer.node_id, now=now)
    return peer


def tell_of_rotation(*, now: datetime) -> int:
    """
    Let the next round show our new root documents to every peer; answers to how many.

    A peer that is not known to have approved us, and was last asked an hour
    ago, is sent our chain before anything else is asked of it; that is what a
    rotation needs, so the rows are put into that state.
    """
    peers = Peer.objects.trusted().exclude(base_url="")
    return peers.update(approved_there=False, asked_them_at=now - INTRODUCED_AGAIN_AFTER, next_try_at=now)


@transaction.atomic
def retry_dead_letters(*, now: datetime, user: User | None = None) -> tuple[int, int]:
    """Look again at what was refused for want of a key or of a kind; answers how many were tried and accepted."""
    waiting = DeadLetter.objects.filter(code="unknown-key").values_list("waits_for", flat=True)
    outcomes = accepting.retry_waiting(list(waiting), now=now) + accepting.retry_unknown_kinds(now=now)
    accepted = sum(outcome.status == "accepted" for outcome in outcomes)
    audit.record(
        actor=user,
        action="federation.retried",
        subject="dead letters",
        now=now,
        detail={"tried": len(outcomes), "accepted": accepted},
    )
    return len(outcomes), accepted
