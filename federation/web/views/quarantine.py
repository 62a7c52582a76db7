"""Quarantine: what came from outside, what was found in it, and what people here decide."""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from federation.models import DayUse, Peer, QuarantineItem
from federation.protocol.quarantine import TRANSITIONS, Event, State
from federation.services import blocking, quarantining, trying
from federation.web import peer_facts
from federation.web import quarantine_facts as facts
from federation.web.forms import ReasonForm
from federation.web.pages import OPEN_STATES, back_to, find_item, for_staff, show, this_node
from registry.web.pages import cursor_page, dialog

PAGE_SIZE = 50


@for_staff
def quarantine(request: HttpRequest) -> HttpResponse:
    """What waits, newest first; other states, one peer, or only what has findings by filter."""
    state, peer, found = request.GET.get("state", "open"), request.GET.get("peer", ""), request.GET.get("found", "")
    counts = dict(_of_peer(peer).order_by().values_list("state").annotate(Count("pk")))
    items = _of_peer(peer).filter(state__in=_states(state))
    if found == "yes":
        items = items.exclude(findings=[])
    before = request.GET.get("cursor", "")
    if before.isdecimal() and len(before) < 19:
        items = items.filter(pk__lt=int(before))
    items = items.select_related("statement", "peer").defer("statement__payload", "statement__signatures")
    rows, more = cursor_page(list(items.order_by("-pk")[: PAGE_SIZE + 1]), PAGE_SIZE)
    context = {
        "rows": facts.rows_of(rows),
        "facets": _facets(request, state, counts),
        "peers": Peer.objects.filter(items__isnull=False).distinct().order_by("label", "node_id")[:200],
        "peer": peer,
        "state": state,
        "found": found,
        "next_cursor": rows[-1].pk if more else "",
        "has_cursor": bool(before),
        "is_filtered": bool(peer or found or state != "open"),
    }
    return show(request, "federation/quarantine.html", "quarantine", context)


def _of_peer(peer: str) -> Any:
    return QuarantineItem.objects.filter(peer__node_id=peer) if peer else QuarantineItem.objects.all()


def _states(chosen: str) -> list[str]:
    if chosen == "all":
        return [str(each) for each in State]
    return [chosen] if chosen in set(State) else list(OPEN_STATES)


def _facets(request: HttpRequest, chosen: str, counts: dict[str, int]) -> list[dict[str, Any]]:
    """Links by state with how many stand behind each."""

    def value(key: str, label: str, count: int) -> dict[str, Any]:
        query = request.GET.copy()
        query.pop("cursor", None)
        query["state"] = key
        is_on = key == chosen or (key == "open" and chosen not in {"all", *State})
        return {"label": label, "count": count, "href": f"?{query.urlencode()}", "is_on": is_on}

    waits = [value("open", _("everything that waits"), sum(counts.get(each, 0) for each in OPEN_STATES))]
    waits += [value(each, facts.state_words(each), counts[each]) for each in OPEN_STATES if counts.get(each)]
    rest = [str(each) for each in State if str(each) not in OPEN_STATES]
    done = [value(each, facts.state_words(each), counts[each]) for each in rest if counts.get(each)]
    done.append(value("all", _("everything"), sum(counts.values())))
    return [
        {"key": "waits", "label": _("Waits"), "values": waits},
        {"key": "rest", "label": _("Decided or on its way"), "values": done},
    ]


@for_staff
def item(request: HttpRequest, item_id: int) -> HttpResponse:
    """One object: what it is, what was found, what it changes, every step it took."""
    row = find_item(item_id)
    predicate = row.statement.predicate
    source = str(predicate.get("source", ""))
    known = facts.places()
    peer, node = row.peer, this_node()
    here = node.node_id if node is not None else ""
    context = {
        "item": row,
        "statement": row.statement,
        "predicate": predicate,
        "created": _time(predicate.get("created")),
        "name": facts.foreign_name(row.statement, known),
        "state": f"object-{row.state}",
        "state_words": facts.state_words(row.state),
        "steps": facts.steps_of(row),
        "problems": facts.as_problems(row.findings, source),
        "difference": facts.difference(row, predicate),
        "source": source,
        "may": facts.possible(row),
        "trial": _trial(row),
        "budget": _budget(row) if peer is not None else None,
        "via": [{"id": each, "label": known.get(each, ""), "is_here": each == here} for each in row.statement.via],
        "origin_label": known.get(str(predicate.get("origin")), ""),
        "tier_words": peer_facts.tier_words(peer.trust) if peer is not None else "",
        "missing": [(sort, ", ".join(map(str, names))) for sort, names in (row.missing or {}).items() if names],
        "is_blocked": blocking.is_blocked(row.statement.signer),
        "others": QuarantineItem.objects.filter(statement__signer=row.statement.signer, state__in=_refusable())
        .exclude(pk=row.pk)
        .count(),
    }
    return show(request, "federation/item.html", "quarantine", context)


def _time(written: Any) -> datetime | None:
    """A time as a statement writes it; None for what is none, which is then shown as it stands."""
    try:
        return parse_datetime(str(written))
    except ValueError:
        return None


def _refusable() -> list[str]:
    return [str(state) for state, ways in TRANSITIONS.items() if Event.REFUSED in ways]


def _budget(row: QuarantineItem) -> dict[str, str]:
    """What is left today of the budget of its peer; reads only."""
    day = DayUse.objects.filter(peer=row.peer, day=timezone.now().date()).first() or DayUse(trials=0, trial_tokens=0)
    return {
        "trials": f"{max(0, trying.TRIALS_A_DAY - day.trials):,}",
        "tokens": f"{max(0, trying.TOKENS_A_DAY - day.trial_tokens):,}",
    }


def _trial(row: QuarantineItem) -> dict[str, Any] | None:
    """The trial that judges it, with its page where there is one."""
    if not row.trial.isdecimal():
        return None
    models = import_module("execution.models")
    trial = models.Trial.objects.filter(pk=int(row.trial)).first()
    if trial is None:
        return None
    try:
        href = reverse("execution:trial", args=[trial.pk])
    except NoReverseMatch:
        href = ""
    return {"row": trial, "href": href, "outcome": str(trial.outcome).replace("_", " ")}


@for_staff
def decide(request: HttpRequest, item_id: int, what: str) -> HttpResponse:
    """The dialog that says what a decision means; a POST decides."""
    row = find_item(item_id)
    address = reverse("federation:item", args=[row.pk])
    form = ReasonForm(request.POST or None, required=what != "approve")
    if request.method == "POST" and form.is_valid():
        back_to(request, address)
        messages.success(request, _decided(request, row, what, form.cleaned_data["reason"]))
        return redirect(address)
    titles = {
        "approve": _("Admit this object"),
        "reject": _("Reject this object"),
        "block": _("Block this author"),
    }
    waiting = QuarantineItem.objects.filter(statement__signer=row.statement.signer, state__in=_refusable())
    context = {
        "title": titles[what],
        "what": what,
        "item": row,
        "statement": row.statement,
        "name": facts.foreign_name(row.statement, facts.places()),
        "waiting": waiting.count() if what == "block" else 0,
        "form": form,
        "back": address,
    }
    return dialog(request, "federation/decide_dialog.html", context, status=422 if form.errors else 200)


def _decided(request: HttpRequest, row: QuarantineItem, what: str, reason: str) -> str:
    now, user = timezone.now(), request.user
    if what == "approve":
        version = quarantining.approve(row, reason=reason, now=now, actor=user)
        return _("It is admitted as %(version)s, a candidate.") % {"version": version}
    if what == "reject":
        quarantining.reject(row, reason=reason, now=now, actor=user)
        return _("It is rejected; the reason is kept with it.")
    count = quarantining.block_author(row, reason=reason, now=now, actor=user)
    said = ngettext("%(n)d object of this author is refused.", "%(n)d objects of this author are refused.", count)
    return said % {"n": count}


@for_staff
@require_POST
def request_trial(request: HttpRequest, item_id: int) -> HttpResponse:
    """Try it now, within the budget of its peer."""
    row = find_item(item_id)
    address = reverse("federation:item", args=[row.pk])
    back_to(request, address)
    trying.request(row, now=timezone.now(), reason=_("asked for by hand"), actor=request.user)
    messages.info(request, _("Now: %(reason)s.") % {"reason": row.reason})
    return redirect(address)
