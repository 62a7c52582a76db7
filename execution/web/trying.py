"""Starting a trial in the browser: from a pattern's page, with what it will take shown before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import ngettext

from execution.errors import BackendUnknown, NotExecutable, TrialRefused
from execution.models import Run, Trial
from execution.services import trial_plans, verifying
from execution.shadow.errors import PlanInvalid
from execution.shadow.plan import PROFILES
from execution.web.trial_forms import DEFAULTS, RECORDED, TrialForm
from registry.models import Channel, Pattern, PatternVersion
from registry.models.version import Mode
from registry.web.pages import find_pattern, find_version, person, wants_fragment

MOST_VERSIONS = 100
MOST_COUNTED = 1000


@login_required
def try_out(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The form; a POST starts the trial, a change of the control asks anew what it would take."""
    pattern = find_pattern(request, owner, name)
    shown = find_version(request, pattern)
    versions = _versions(pattern)
    control, candidate = _arms(pattern, shown, versions, request.GET)
    if wants_fragment(request) and request.method == "GET":
        return render(request, "execution/trial_expected.html", {"expected": _expected(control)})
    earlier = _earlier(request, pattern)
    can_shadow = pattern.owner.can_publish(request.user)
    form = TrialForm(
        request.POST if request.method == "POST" else None,
        request.FILES or None,
        user=person(request),
        versions=versions,
        earlier=earlier,
        may_shadow=can_shadow,
        initial=_initial(control, candidate, earlier),
    )
    if request.method == "POST" and "estimate" not in request.POST and form.is_valid():
        trial = _started(request, form)
        if trial is not None:
            return redirect(trial.get_absolute_url())
    if form.is_bound:
        control = form.versions.get(request.POST.get("control", ""), control)
    form.fields["control"].widget.attrs |= {"hx-get": request.path, "hx-target": "#expected", "hx-trigger": "change"}
    context = {
        "pattern": pattern,
        "version": shown,
        "form": form,
        "expected": _expected(control),
        "can_try": bool(versions),
        "is_same": control is not None and control == candidate,
        "can_shadow": can_shadow,
        "own_success": control.success_when if control else "",
        "example": _example(control),
    }
    estimated = "estimate" in request.POST
    return render(
        request,
        "execution/trial_start.html",
        context,
        status=422 if form.is_bound and form.errors and not estimated else 200,
    )


def _versions(pattern: Pattern) -> list[PatternVersion]:
    """The versions that can be run, newest first."""
    rows = pattern.versions.filter(mode=Mode.EXECUTABLE, yanked_at__isnull=True).exclude(program_hash="")
    found = list(rows.defer("source", "value", "claims").order_by("-pk")[:MOST_VERSIONS])
    for version in found:
        version.pattern = pattern
    return found


def _arms(
    pattern: Pattern, shown: PatternVersion, versions: Sequence[PatternVersion], asked: Any
) -> tuple[PatternVersion | None, PatternVersion | None]:
    """What the page proposes: the stable version, and the one that was looked at or else the newest after it."""
    if not versions:
        return None, None
    by_number = {one.version: one for one in versions}
    stable = pattern.channel(Channel.STABLE)
    known = by_number.get(stable.version.version) if stable else None
    control = by_number.get(asked.get("control", "")) or known or versions[-1]
    candidate = by_number.get(asked.get("candidate", "")) or by_number.get(shown.version)
    if candidate is None or (candidate.pk == control.pk and not asked.get("candidate")):
        candidate = next((one for one in versions if one.pk > control.pk), control)
    return control, candidate


def _earlier(request: HttpRequest, pattern: Pattern) -> int:
    """Runs of the pattern whose inputs may be used again; counted up to a thousand."""
    runs = Run.objects.visible_to(request.user).ended().of_callers().filter(version__pattern=pattern, parent=None)
    return runs.exclude(status="cancelled").order_by()[:MOST_COUNTED].count()


def _initial(control: PatternVersion | None, candidate: PatternVersion | None, earlier: int) -> dict[str, Any]:
    """Simulated agents draw the defaults again and again; real ones need different inputs."""
    if control is None or candidate is None:
        return {}
    from execution.agents import roster

    simulated = roster.backend(roster.default_backend()).capabilities.simulated
    return {
        "control": control.version,
        "candidate": candidate.version,
        "source": RECORDED if earlier and not simulated else DEFAULTS if simulated else "lines",
        "profile": trial_plans.usual_profile(control),
    }


def _expected(control: PatternVersion | None) -> list[dict[str, Any]]:
    """What a trial of each profile would take."""
    if control is None:
        return []
    found = []
    for profile in PROFILES:
        try:
            found.append({"profile": profile, "takes": trial_plans.expectation(control=control, profile=profile)})
        except PlanInvalid as error:
            found.append({"profile": profile, "problem": str(error)})
    return found


def _example(control: PatternVersion | None) -> dict[str, Any]:
    """An input as one line of the text field would say it."""
    if control is None:
        return {}
    items = [item for item in control.inputs if isinstance(item, dict) and item.get("name") and not item.get("initial")]
    return {str(item["name"]): item.get("default") for item in items[:3]}


def _started(request: HttpRequest, form: TrialForm) -> Trial | None:
    try:
        trial = verifying.start_trial(user=person(request), now=timezone.now(), **form.options())
    except TrialRefused as error:
        form.blame(error)
    except BackendUnknown as error:
        form.add_error("backend", str(error))
    except NotExecutable as error:
        form.add_error("candidate", str(error))
    else:
        most, usual = trial.plan["n_max"], PROFILES[trial.profile][1]
        if most < usual:
            said = ngettext(
                "There is %(n)d input, so the trial ends after that many pairs at the latest.",
                "There are %(n)d inputs, so the trial ends after that many pairs at the latest.",
                most,
            )
            messages.warning(request, said % {"n": most})
        return trial
    return None
