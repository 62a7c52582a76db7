"""Watching runs: lists, the live page and its parts, one effect in detail."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from execution import states
from execution.models import Effect, Run
from execution.models.run import RunQuerySet
from execution.services import watching as watching_service
from execution.web.pages import find_run
from execution.web.shown import shown_run
from registry.errors import NotThere
from registry.web.pages import cursor_page, dialog, find_pattern, find_version, pattern_context

PAGE_SIZE = 40


def runs(request: HttpRequest) -> HttpResponse:
    """Runs that this person may see, newest first; their own unless they ask for all."""
    visible = Run.objects.visible_to(request.user).for_list().of_callers().filter(parent__isnull=True)
    whose = request.GET.get("whose", "mine" if request.user.is_authenticated else "all")
    if whose == "mine" and request.user.is_authenticated:
        visible = visible.filter(started_by=request.user)
    return render(request, "execution/runs.html", {**_listed(request, visible), "whose": whose})


def runs_of_pattern(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The tab of a pattern."""
    pattern = find_pattern(request, owner, name)
    version = find_version(request, pattern)
    visible = Run.objects.visible_to(request.user).for_list().of_callers().filter(version__pattern=pattern)
    context = pattern_context(request, pattern, version, "runs")
    return render(request, "execution/pattern_runs.html", {**context, **_listed(request, visible)})


def _listed(request: HttpRequest, found: RunQuerySet) -> dict[str, Any]:
    """One page of a list, by status where one is chosen."""
    status, before = request.GET.get("status", ""), request.GET.get("cursor", "")
    if status in states.RUN:
        found = found.filter(status=status)
    if before.isdecimal() and len(before) < 19:
        found = found.filter(pk__lt=int(before))
    rows, more = cursor_page(found.order_by("-pk")[: PAGE_SIZE + 1], PAGE_SIZE)
    return {
        "runs": rows,
        "status": status,
        "statuses": [str(one) for one in states.RunStatus],
        "next_cursor": rows[-1].pk if more else "",
        "has_cursor": bool(before),
    }


def run(request: HttpRequest, run_id: int) -> HttpResponse:
    """The page of a run; it draws itself anew while the run is alive."""
    return render(request, "execution/run.html", _run_context(request, run_id))


def parts(request: HttpRequest, run_id: int) -> HttpResponse:
    """The parts of the page that change, for htmx to put in their places."""
    answer = render(request, "execution/run_parts.html", {**_run_context(request, run_id), "out_of_band": True})
    answer["Cache-Control"] = "no-store"
    return answer


def _run_context(request: HttpRequest, run_id: int) -> dict[str, Any]:
    found = find_run(request, run_id)
    return {
        "run": found,
        "shown": shown_run(found),
        "may_control": found.may_control(request.user),
        "checkpoints": found.checkpoints.all(),
        "inputs": found.input_values(),
        "pattern": found.version.pattern,
        "version": found.version,
    }


def effect(request: HttpRequest, run_id: int, seq: int) -> HttpResponse:
    """One question and its answer: what was said, how often it was tried, what it cost."""
    found = find_run(request, run_id)
    row = Effect.objects.filter(run=found, seq=min(seq, 2**31 - 1)).prefetch_related("failed_attempts").first()
    if row is None:
        raise NotThere(f"effect {seq} of run {run_id}")
    told = watching_service.effects_json([row])[0]
    request_data = told["request"] if isinstance(told["request"], dict) else {"data": told["request"]}
    prompt = request_data.pop("prompt", None) or request_data.pop("question", None)
    answer = told["answer"]
    output = answer.get("output") if isinstance(answer, dict) else answer
    context = {
        "title": _("Event %(seq)d of run %(run)d") % {"seq": row.seq, "run": found.pk},
        "run": found,
        "effect": row,
        "told": told,
        "prompt": prompt if isinstance(prompt, str) else _written(prompt),
        "request_rest": _written(request_data) if request_data else "",
        "output": output if isinstance(output, str) else _written(output),
        "answer": _written(answer),
        "attempts": row.failed_attempts.all(),
        "may_control": found.may_control(request.user),
    }
    return dialog(request, "execution/effect.html", context)


def _written(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, indent=2)
