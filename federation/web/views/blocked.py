"""Blocked authors: who they are, why, what was refused since, and the way back."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from federation.models import BlockedAuthor, QuarantineItem
from federation.protocol.quarantine import State
from federation.services import blocking
from federation.web import quarantine_facts
from federation.web.forms import BlockForm
from federation.web.pages import back_to, for_staff, show
from registry.errors import NotThere
from registry.web.pages import cursor_page, dialog

PAGE_SIZE = 50


@for_staff
def blocked(request: HttpRequest) -> HttpResponse:
    """The list, newest first."""
    rows = BlockedAuthor.objects.select_related("blocked_by").order_by("-pk")
    before = request.GET.get("cursor", "")
    if before.isdecimal() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    shown, more = cursor_page(list(rows[: PAGE_SIZE + 1]), PAGE_SIZE)
    context = {"rows": _facts(shown), "next_cursor": shown[-1].pk if more else "", "has_cursor": bool(before)}
    return show(request, "federation/blocked.html", "blocked", context)


def _facts(rows: list[BlockedAuthor]) -> list[dict[str, Any]]:
    """Each with its name, what was refused since, and what stands here from before; two queries."""
    ids = [row.author_id for row in rows]
    refused = blocking.refused_since(ids)
    items = QuarantineItem.objects.filter(statement__signer__in=ids, state=str(State.ADMITTED)).order_by()
    admitted = dict(items.values_list("statement__signer").annotate(Count("pk")))
    return [
        {
            "row": row,
            "name": quarantine_facts.legible(row.name),
            "refused": refused.get(row.author_id, 0),
            "admitted": admitted.get(row.author_id, 0),
        }
        for row in rows
    ]


@for_staff
def block(request: HttpRequest) -> HttpResponse:
    """Block an author by id: also one of whom nothing is here yet."""
    address = reverse("federation:blocked")
    form = BlockForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        back_to(request, address)
        given = form.cleaned_data
        count = blocking.block(given["author_id"], reason=given["reason"], now=timezone.now(), actor=request.user)
        said = ngettext("Blocked; %(n)d object that waited is refused.", "Blocked; %(n)d objects that waited are refused.", count)  # fmt: skip
        messages.success(request, said % {"n": count})
        return redirect(address)
    context = {"title": _("Block an author"), "form": form, "back": address}
    return dialog(request, "federation/block_dialog.html", context, status=422 if form.errors else 200)


@for_staff
def unblock(request: HttpRequest, author_id: str) -> HttpResponse:
    """The dialog that says what comes back; a POST takes the author off the list."""
    row = BlockedAuthor.objects.filter(author_id=author_id).first()
    if row is None:
        raise NotThere(f"blocked author {author_id[:40]}")
    address = reverse("federation:blocked")
    if request.method == "POST":
        back_to(request, address)
        count = blocking.unblock(author_id, now=timezone.now(), actor=request.user)
        said = ngettext("Unblocked; %(n)d statement is accepted now.", "Unblocked; %(n)d statements are accepted now.", count)  # fmt: skip
        messages.success(request, said % {"n": count})
        return redirect(address)
    context = {
        "title": _("Unblock this author"),
        "one": _facts([row])[0],
        "back": address,
    }
    return dialog(request, "federation/unblock_dialog.html", context)
