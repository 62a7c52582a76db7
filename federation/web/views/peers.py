"""Peers: who they are, how they do, and what people here decide about them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from federation.errors import FederationError
from federation.models import DeadLetter, EgressEntry, Peer, QuarantineItem, Statement
from federation.protocol.tiers import Tier
from federation.services import hastening, identities, trusting
from federation.web import peer_facts
from federation.web.forms import AddForm, AddressForm, TierForm
from federation.web.pages import (
    back_to,
    find_peer,
    for_staff,
    sentence,
    show,
    this_node,
    visible_peers,
)
from registry.errors import NotThere, OutgoingRefused
from registry.web.pages import cursor_page, dialog

PAGE_SIZE = 50


def peers(request: HttpRequest) -> HttpResponse:
    """All peers, those that wait for a decision first."""
    node, now = this_node(), timezone.now()
    found = visible_peers(request.user)
    wanted = request.GET.get("tier", "")
    if wanted in {str(int(tier)) for tier in Tier}:
        found = found.filter(tier=int(wanted))
    rows, more = cursor_page(list(found[_offset(request) : _offset(request) + PAGE_SIZE + 1]), PAGE_SIZE)
    facts = peer_facts.facts_of(rows, node=node, now=now)
    asking = [one for one in facts if one.row.tier == Tier.UNKNOWN and one.row.asked_us_at]
    context = {
        "node": node,
        "asking": asking,
        "peers": [one for one in facts if one not in asking],
        "next_cursor": _offset(request) + PAGE_SIZE if more else "",
        "has_cursor": bool(_offset(request)),
        "tier": wanted,
        "tiers": [(str(int(tier)), peer_facts.tier_words(tier)) for tier in reversed(Tier)],
        "now": now,
    }
    return show(request, "federation/peers.html", "peers", context)


def _offset(request: HttpRequest) -> int:
    given = request.GET.get("cursor", "")
    return int(given) if given.isdecimal() and len(given) < 7 else 0


def peer(request: HttpRequest, node_id: str) -> HttpResponse:
    """One peer; what only staff may know is left out for others."""
    row, now = find_peer(request, node_id), timezone.now()
    facts = peer_facts.facts_of([row], node=this_node(), now=now)[0]
    chain = identities.chain_of(row.node_id)
    admitted = QuarantineItem.objects.filter(peer=row, admitted_as__pattern__visibility="public")
    context: dict[str, Any] = {
        "peer": row,
        "facts": facts,
        "chain": chain,
        "admitted": admitted.select_related("admitted_as__pattern__owner", "statement").order_by("-changed_at")[:20],
        "now": now,
        "is_due": row.tier >= Tier.PROBATION and not row.is_paused and row.next_try_at <= now and bool(row.base_url),
    }
    if request.user.is_staff:
        context |= {
            "keys": row.keys.all(),
            "letters": DeadLetter.objects.filter(peer=row).defer("raw")[:10],
            "egress": EgressEntry.objects.filter(peer=row).defer("statement_ids")[:10],
            "came": Statement.objects.filter(peer=row).count(),
            "moves": _moves(row),
        }
    return show(request, "federation/peer.html", "peers", context)


def _moves(row: Peer) -> list[dict[str, Any]]:
    """The tiers that this peer could have, most trusted first."""
    return [
        {"tier": int(tier), "words": peer_facts.tier_words(tier), "is_block": tier is Tier.BLOCKED}
        for tier in (Tier.OWN, Tier.APPROVED, Tier.PROBATION, Tier.UNKNOWN, Tier.BLOCKED)
        if int(tier) != row.tier
    ]


@for_staff
def add(request: HttpRequest) -> HttpResponse:
    """First the address; then the eight words that the node there has, to compare; then the request."""
    if request.method == "POST" and "fingerprint" in request.POST:
        return _confirmed(request)
    form = AddressForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        url = form.cleaned_data["url"]
        try:
            met = trusting.meet(url)
        except (FederationError, OutgoingRefused) as error:
            form.add_error("url", sentence(error))
        else:
            label = (urlsplit(met.base_url).hostname or "")[:100]
            initial = {"url": url, "fingerprint": met.chain.fingerprint, "label": label}
            return _met(request, AddForm(initial=initial), met)
    return show(request, "federation/add.html", "peers", {"form": form}, status=422 if form.errors else 200)


def _met(request: HttpRequest, form: AddForm, met: trusting.Met | None, *, status: int = 200) -> HttpResponse:
    """The words to compare, with the decision beneath."""
    words = str(form["fingerprint"].value() or "").split()[:8]
    known = Peer.objects.filter(node_id=met.chain.id).first() if met is not None else None
    context = {"form": form, "met": met, "words": words, "known": known, "url": form["url"].value()}
    return show(request, "federation/met.html", "peers", context, status=status)


def _confirmed(request: HttpRequest) -> HttpResponse:
    form = AddForm(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        tier = Tier(given["tier"])
        try:
            added = trusting.add(
                url=given["url"],
                now=timezone.now(),
                user=request.user,
                label=given["label"],
                fingerprint=given["fingerprint"],
                tier=tier if tier > Tier.UNKNOWN else None,
                message=given["message"],
            )
        except (FederationError, OutgoingRefused) as error:
            form.add_error(None, sentence(error))
        else:
            messages.success(request, _("%(peer)s is a peer now; our request is on its way.") % {"peer": added})
            return redirect("federation:peer", added.node_id)
    return _met(request, form, None, status=422)


@for_staff
def change_tier(request: HttpRequest, node_id: str) -> HttpResponse:
    """The dialog says what changes; a POST changes it."""
    row = find_peer(request, node_id)
    tier = _tier(request)
    address = reverse("federation:peer", args=[row.node_id])
    form = TierForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        back_to(request, address)
        trusting.set_tier(row, tier, now=timezone.now(), user=request.user, reason=form.cleaned_data["reason"])
        said = {"peer": row, "tier": peer_facts.tier_words(tier)}
        messages.success(request, _("%(peer)s is %(tier)s from now on.") % said)
        return redirect(address)
    context = {
        "title": _("Block this peer") if tier is Tier.BLOCKED else _("Change how far this peer is trusted"),
        "peer": row,
        "words": peer_facts.words_of(row.node_id),
        "before": peer_facts.tier_words(row.trust),
        "after": peer_facts.tier_words(tier),
        "tier": int(tier),
        "is_block": tier is Tier.BLOCKED,
        "is_more": tier > row.trust,
        "changes": [one for one in peer_facts.consequences(row.trust, tier) if one.changes],
        "form": form,
        "back": address,
    }
    return dialog(request, "federation/tier_dialog.html", context, status=422 if form.errors else 200)


def _tier(request: HttpRequest) -> Tier:
    given = request.POST.get("to", request.GET.get("to", ""))
    if given not in {str(int(tier)) for tier in Tier}:
        raise NotThere("tier")
    return Tier(int(given))


@for_staff
@require_POST
def pause(request: HttpRequest, node_id: str) -> HttpResponse:
    """Stop talking to a peer for a while, or go on."""
    row = find_peer(request, node_id)
    is_paused = request.POST.get("paused") == "yes"
    trusting.pause(row, is_paused=is_paused, now=timezone.now(), user=request.user)
    said = _("%(peer)s is paused: nothing is asked of it or given to it.") if is_paused else _("%(peer)s goes on.")
    messages.success(request, said % {"peer": row})
    return redirect("federation:peer", row.node_id)


@for_staff
@require_POST
def sync(request: HttpRequest, node_id: str) -> HttpResponse:
    """Make an exchange due at once."""
    row = find_peer(request, node_id)
    back_to(request, reverse("federation:peer", args=[row.node_id]))
    hastening.hasten(row, now=timezone.now(), user=request.user)
    messages.success(request, _("An exchange with %(peer)s begins within seconds.") % {"peer": row})
    return redirect("federation:peer", row.node_id)
