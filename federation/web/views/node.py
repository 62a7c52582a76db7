"""This node: its identity, root documents and keys; rotation, the kill switch, and the first identity."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from federation.models import Author, Peer, RootDocument, SigningKey, Statement
from federation.protocol import keys
from federation.protocol.root import Chain
from federation.protocol.tiers import Tier
from federation.services import hastening, identities, trusting
from federation.web import peer_facts
from federation.web.forms import SwitchForm
from federation.web.pages import back_to, for_staff, show, this_node
from registry.errors import NotAllowed
from registry.web.pages import dialog


def node(request: HttpRequest) -> HttpResponse:
    """Who this node is; everything here is public but the settings, which staff see."""
    row = this_node()
    if row is None:
        return show(request, "federation/node.html", "node")
    chain = identities.chain_of(row.node_id)
    context: dict[str, Any] = {
        "node": row,
        "words": peer_facts.words_of(row.node_id),
        "roots": _roots(chain, row.node_id) if chain is not None else (),
        "base_url": settings.PUBLIC_URL,
    }
    if request.user.is_staff:
        context |= {
            "keys": [
                {"row": key, "keyid": keys.keyid(bytes.fromhex(key.public_key))}
                for key in SigningKey.objects.filter(identity=row.node_id).defer("sealed_seed")
            ],
            "authors": Author.objects.select_related("owner").order_by("owner__name")[:100],
            "authors_count": Author.objects.count(),
            "statements": Statement.objects.count(),
            "may_rotate": request.user.is_superuser,
        }
    return show(request, "federation/node.html", "node", context)


def _roots(chain: Chain, identity: str) -> list[dict[str, Any]]:
    """Root documents, newest first, with when they were pinned."""
    pinned = dict(RootDocument.objects.filter(identity=identity).values_list("version", "pinned_at"))
    return [
        {
            "document": document,
            "pinned_at": pinned.get(document.version),
            "not_after": _time(document.not_after),
            "retired": [(key, _time(at)) for key, at in document.retired.items()],
            "is_newest": document is chain.latest,
        }
        for document in reversed(chain.documents)
    ]


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(min(seconds, 253_000_000_000), tz=UTC)


@for_staff
@require_POST
def create(request: HttpRequest) -> HttpResponse:
    """Make this hub a node."""
    back_to(request, reverse("federation:node"))
    made = identities.create_node(now=timezone.now(), user=request.user)
    messages.success(request, _("This hub is a node now: %(id)s.") % {"id": made.node_id})
    return redirect("federation:node")


@for_staff
def rotate(request: HttpRequest) -> HttpResponse:
    """New keys for every role; for administrators."""
    if not request.user.is_superuser:
        raise NotAllowed("only an administrator of this hub may rotate its keys")
    row = identities.node()
    address = reverse("federation:node")
    if request.method == "POST":
        back_to(request, address)
        now = timezone.now()
        chain = identities.rotate(row.node_id, now=now, user=request.user)
        hastening.tell_of_rotation(now=now)
        said = _("The keys are rotated; root document %(version)d tells the peers.")
        messages.success(request, said % {"version": chain.latest.version})
        return redirect(address)
    newest = RootDocument.objects.filter(identity=row.node_id).order_by("-version").first()
    context = {
        "title": _("Rotate the keys of this node"),
        "version": newest.version if newest is not None else 1,
        "peers": Peer.objects.filter(tier__gte=Tier.PROBATION).count(),
        "back": address,
    }
    return dialog(request, "federation/rotate_dialog.html", context)


@for_staff
def switch(request: HttpRequest) -> HttpResponse:
    """The kill switch: nothing goes out, nothing comes in, until somebody switches it on again."""
    row = identities.node()
    address = reverse("federation:node")
    if request.method == "POST" and row.is_paused:
        trusting.kill_switch(is_on=False, reason="", now=timezone.now(), user=request.user)
        messages.success(request, _("Federation is on again; peers are asked within seconds."))
        return redirect(address)
    form = SwitchForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        reason = form.cleaned_data["reason"]
        trusting.kill_switch(is_on=True, reason=reason, now=timezone.now(), user=request.user)
        messages.success(request, _("Federation is off: nothing leaves and nothing comes in."))
        return redirect(address)
    context = {
        "title": _("Switch federation on again") if row.is_paused else _("Switch federation off"),
        "is_off": row.is_paused,
        "peers": Peer.objects.trusted().count(),
        "form": form,
        "back": address,
    }
    return dialog(request, "federation/switch_dialog.html", context, status=422 if form.errors else 200)
