"""Steering runs: cancel, pause, resume, answer, decide about a doubt, mark, branch off, try again."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from execution.errors import AnswerRefused
from execution.services import branching, controlling
from execution.services.clock import to_ms
from execution.web.pages import find_run
from registry.errors import InvalidRequest
from registry.web.pages import person


def _now() -> int:
    return to_ms(timezone.now())


@login_required
@require_POST
def cancel(request: HttpRequest, run_id: int) -> HttpResponse:
    """End a run and its child runs; everything they have is kept."""
    run = find_run(request, run_id, control=True)
    controlling.cancel(run_id=run.pk, now=_now(), reason=request.POST.get("reason", "")[:1000])
    return redirect(run.get_absolute_url())


@login_required
@require_POST
def pause(request: HttpRequest, run_id: int) -> HttpResponse:
    """Stop feeding and sending."""
    run = find_run(request, run_id, control=True)
    controlling.pause(run_id=run.pk, now=_now())
    return redirect(run.get_absolute_url())


@login_required
@require_POST
def resume(request: HttpRequest, run_id: int) -> HttpResponse:
    """Go on."""
    run = find_run(request, run_id, control=True)
    controlling.resume(run_id=run.pk, now=_now())
    return redirect(run.get_absolute_url())


@login_required
@require_POST
def answer(request: HttpRequest, run_id: int, seq: int) -> HttpResponse:
    """Answer what the run asks."""
    run = find_run(request, run_id, control=True)
    value = _answered(request.POST.get("answer", ""), request.POST.get("kind", "text"))
    controlling.answer(run_id=run.pk, seq=seq, value=value, now=_now(), by=person(request).get_username())
    messages.success(request, _("Your answer is on its way; the run goes on."))
    return redirect(run.get_absolute_url())


def _answered(text: str, kind: str) -> Any:
    """The answer as a value: a choice, a number or JSON is read, text stays text."""
    if kind == "text":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        wanted = _("a number") if kind == "number" else "JSON"
        raise AnswerRefused(_("write %(wanted)s as the answer") % {"wanted": wanted}) from None


@login_required
@require_POST
def resolve(request: HttpRequest, run_id: int, seq: int) -> HttpResponse:
    """Decide about something that was sent and never answered."""
    run = find_run(request, run_id, control=True)
    controlling.resolve(run_id=run.pk, seq=seq, retry=request.POST.get("action") == "retry", now=_now())
    return redirect(run.get_absolute_url())


@login_required
@require_POST
def mark(request: HttpRequest, run_id: int) -> HttpResponse:
    """Name the present place, to come back to it."""
    run = find_run(request, run_id, control=True)
    controlling.mark(run_id=run.pk, now=_now(), label=request.POST.get("label", "").strip()[:200])
    messages.success(request, _("The checkpoint is set."))
    return redirect(run.get_absolute_url())


@login_required
@require_POST
def branch(request: HttpRequest, run_id: int) -> HttpResponse:
    """A new run that shares the history up to a place; ``back`` also ends the old one."""
    run = find_run(request, run_id, control=True)
    text = request.POST.get("tick", "")
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise InvalidRequest("tick", _("choose a place in the history of the run"))
    now = timezone.now()
    if request.POST.get("back"):
        made = branching.rollback(run=run, tick=int(text), now=now, user=person(request))
        told = _("A new run goes on from there, and asks again what was answered after it.")
    else:
        anew = bool(request.POST.get("anew"))
        made = branching.branch(run=run, tick=int(text), now=now, user=person(request), anew=anew)
        told = _("A new run shares the history up to there.")
    messages.success(request, told)
    return redirect(made.get_absolute_url())


@login_required
@require_POST
def retry(request: HttpRequest, run_id: int) -> HttpResponse:
    """Branch off before the first answer that failed, and ask that anew."""
    made = branching.retry(run=find_run(request, run_id, control=True), now=timezone.now(), user=person(request))
    return redirect(made.get_absolute_url())
