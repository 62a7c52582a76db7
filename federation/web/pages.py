"""
What the pages of the federation share: their frame, who may see what, refusals as pages.

Three rings of readers. Everybody sees approved peers, this node's public keys,
statistics and what was withdrawn. Signed-in people see what leaves of their own
patterns. Staff see and decide the rest. What a person may not see is not there:
404, never 403, because the existence of a peer or an object is news in itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from federation.errors import FederationError, ImpossibleStep, Refused, Unable
from federation.models import BlockedAuthor, DeadLetter, Peer, QuarantineItem, ThisNode
from federation.protocol.quarantine import State
from federation.protocol.tiers import Tier
from registry.errors import NotThere
from registry.web.pages import View
from registry.web.pages import page as registry_page

# What waits for a person, or for a trial.
OPEN_STATES = tuple(
    str(state) for state in (State.HELD, State.TRIAL_QUEUED, State.TRIAL_PASSED, State.TRIAL_FAILED, State.INCONCLUSIVE)
)


def page(view: View) -> View:
    """Answer our errors as pages; a refused change leads back to where it was asked for and says why."""

    @registry_page
    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except FederationError as error:
            back = getattr(request, "federation_back", "")
            if request.method == "POST" and back:
                messages.error(request, sentence(error))
                return redirect(back)
            context = {"reason": str(error)}
            return render(request, "registry/refused.html", context, status=status_of(error))

    return answered


def for_staff(view: View) -> View:
    """Only staff; strangers are asked to sign in, others find nothing."""

    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not request.user.is_staff:
            raise NotThere("page")
        return view(request, *args, **kwargs)

    return answered


def back_to(request: HttpRequest, address: str) -> None:
    """Where a refused POST leads back to."""
    request.federation_back = address  # type: ignore[attr-defined]


def status_of(error: FederationError) -> int:
    """The HTTP status of a refusal."""
    if isinstance(error, Unable | Refused):
        return error.status
    return 409 if isinstance(error, ImpossibleStep) else 502


def sentence(error: Exception | str) -> str:
    """An error as a sentence of a page."""
    text = str(error).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def this_node() -> ThisNode | None:
    """This node's row, None before it has an identity."""
    return ThisNode.objects.filter(pk=1).first()


def visible_peers(user: Any) -> Any:
    """All peers for staff; for others those that somebody here approved."""
    peers = Peer.objects.all()
    return peers if user.is_staff else peers.filter(tier__gte=Tier.APPROVED)


def find_peer(request: HttpRequest, node_id: str) -> Peer:
    """The peer of that id, or NotThere where this person may not know it."""
    peer = visible_peers(request.user).filter(node_id=node_id).first()
    if peer is None:
        raise NotThere(f"peer {node_id[:40]}")
    return peer  # type: ignore[no-any-return]


def find_item(item_id: int) -> QuarantineItem:
    """An object in quarantine with its statement and peer; NotThere without one."""
    items = QuarantineItem.objects.select_related("statement", "peer", "admitted_as__pattern__owner", "decided_by")
    item = items.filter(pk=item_id).first() if item_id < 2**63 else None
    if item is None:
        raise NotThere(f"object {item_id}")
    return item


def show(
    request: HttpRequest, template: str, tab: str, context: dict[str, Any] | None = None, *, status: int = 200
) -> HttpResponse:
    """A page with the tabs of the federation and, where it is switched off, the reason at the top."""
    given = context or {}
    node = given.get("node") or this_node()
    frame = {"node": node, "tabs": tabs(request, tab), "is_staff": request.user.is_staff}
    answer = render(request, template, {**frame, **given}, status=status)
    if request.user.is_staff:
        answer["Cache-Control"] = "no-store"
    return answer


def tabs(request: HttpRequest, current: str) -> list[dict[str, Any]]:
    """The tabs that this person has."""
    is_staff = request.user.is_staff
    counted: dict[str, Callable[[], int]] = {
        "blocked": lambda: BlockedAuthor.objects.count(),
        "quarantine": lambda: QuarantineItem.objects.filter(state__in=OPEN_STATES).count(),
        "dead-letters": lambda: DeadLetter.objects.count(),
    }
    found = (
        ("peers", _("Peers"), True),
        ("quarantine", _("Quarantine"), is_staff),
        ("blocked", _("Blocked authors"), is_staff),
        ("why", _("Why?"), request.user.is_authenticated),
        ("outgoing", _("What leaves"), is_staff),
        ("withdrawn", _("Withdrawn"), True),
        ("dead-letters", _("Dead letters"), is_staff),
        ("statistics", _("Statistics"), True),
        ("node", _("This node"), True),
    )
    return [
        {
            "label": label,
            "href": reverse(f"federation:{key}"),
            "is_current": key == current,
            "count": counted[key]() if key in counted else None,
        }
        for key, label, is_shown in found
        if is_shown
    ]
