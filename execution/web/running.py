"""Starting a run in the browser: the form, a rehearsal, and the start."""

from __future__ import annotations

import json
import time
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from execution.errors import BackendLacksTools, BackendUnknown, InputsRefused
from execution.services import starting
from execution.web.forms import RunForm
from opl.script.machine import Limits
from opl.script.rehearse import rehearse_program, told
from registry.models import PatternVersion, Source
from registry.services import analytics
from registry.web.pages import find_pattern, find_version, person

REHEARSAL_CHARACTERS = 40_000
REHEARSAL_SECONDS = 0.6  # between two steps of the machine
REHEARSAL_PROGRAM_BYTES = 600_000
REHEARSAL_LIMITS = Limits(statements=100_000, events=1_000, work=30_000_000)


@login_required
def start(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The form; a POST rehearses or starts."""
    pattern = find_pattern(request, owner, name)
    version = find_version(request, pattern)
    form = RunForm(request.POST or None, version=version)
    context: dict[str, Any] = {"pattern": pattern, "version": version, "form": form}
    if request.method == "POST" and form.is_valid():
        if "rehearse" in request.POST:
            context["story"] = _rehearsed(version, form)
        else:
            try:
                run = starting.start(
                    version=version,
                    inputs=form.given(),
                    user=person(request),
                    now=timezone.now(),
                    backend=form.cleaned_data["backend"],
                    seed=form.cleaned_data["seed"],
                    policy=form.policy(),
                    is_public=form.cleaned_data["public"],
                )
            except InputsRefused as error:
                form.blame(error.problems)
            except (BackendUnknown, BackendLacksTools) as error:
                form.add_error("backend", str(error))
            else:
                return redirect(run.get_absolute_url())
    context["seen"] = _seen(version)
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "execution/start.html", context, status=status)


def _rehearsed(version: PatternVersion, form: RunForm) -> str:
    """
    The story of a rehearsal: on a virtual clock, with made-up answers, nothing stored.

    Somebody waits for the page, and the script comes from anybody: it ends after
    a second, or when it has used what a second's work is.
    """
    program = version.program
    if program is None:
        return _("The strategy of this version is prose: there is no script to rehearse.")
    if len(json.dumps(program)) > REHEARSAL_PROGRAM_BYTES:
        return _("The script is too long to be rehearsed here: save it, and use manage.py rehearse FILE.")
    until = time.monotonic() + REHEARSAL_SECONDS
    outcome = rehearse_program(
        program,
        source=version.text,
        inputs=form.given(),
        seed=form.cleaned_data["seed"] or 0,
        limits=REHEARSAL_LIMITS,
        enough=lambda: time.monotonic() > until,
    )
    story = told(outcome, width=96)
    if len(story) <= REHEARSAL_CHARACTERS:
        return story
    end = REHEARSAL_CHARACTERS // 4  # how it ended matters more than what came before
    return f"{story[: REHEARSAL_CHARACTERS - end]}\n…\n{story[-end:]}"


def _seen(version: PatternVersion) -> dict[str, Any] | None:
    """What a run has taken so far, from the last year's measured runs; None without any."""
    since, until = analytics.default_range(timezone.now().date(), 365)
    days = analytics.series(version.pattern, since=since, until=until, source=Source.MEASURED)
    runs = sum(day.rate.runs for day in days)
    if not runs:
        return None
    return {
        "runs": runs,
        "cost": sum(day.cost_usd * day.rate.runs for day in days) / runs,
        "seconds": sum(day.duration_seconds * day.rate.runs for day in days) / runs,
        "tokens": round(sum(day.tokens * day.rate.runs for day in days) / runs),
    }
