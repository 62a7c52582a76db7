"""Starting a trial in the browser: from a pattern's page, with what it will take shown before."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import ngettext

from execution.agents import roster
from execution.errors import BackendUnknown, NotExecutable, TrialRefused
from execution.models import Run, Trial
from execution.services import trial_plans, verifying
from execution.shadow.errors import PlanInvalid
from execution.shadow.plan import PROFILES
from execution.web.trial_arms import Arms, arms_of, proposed
from execution.web.trial_forms import DEFAULTS, EVERYONE, LINES, MYSELF, RECORDED, TrialForm, profile_words
from registry.models import Pattern, PatternVersion
from registry.web.pages import find_pattern, find_version, person, wants_fragment

MOST_COUNTED = 1000
EFFECT = 0.2  # gain in success that the expected numbers of pairs are computed for


@login_required
def try_out(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The form; a POST starts the trial, a change of the control asks anew what it would take."""
    pattern = find_pattern(request, owner, name)
    shown = find_version(request, pattern)
    arms = arms_of(pattern, request.user)
    asked = request.POST if request.method == "POST" else request.GET
    control, candidate = proposed(pattern, shown, arms, asked)
    simulated = _is_simulated(asked.get("backend", ""))
    if wants_fragment(request) and request.method == "GET":
        expected = {"expected": _expected(control, simulated), "profile": request.GET.get("profile", "")}
        return render(request, "execution/trial_expected.html", expected)
    earlier = _earlier(request, control)
    can_shadow = control is not None and control.pattern.owner.can_publish(request.user)
    form = TrialForm(
        request.POST if request.method == "POST" else None,
        request.FILES or None,
        user=person(request),
        arms=arms,
        earlier=earlier,
        may_shadow=can_shadow,
        initial=_initial(arms, control, candidate, earlier),
    )
    if request.method == "POST" and "estimate" not in request.POST and form.is_valid():
        trial = _started(request, form)
        if trial is not None:
            return redirect(trial.get_absolute_url())
    anew = {"hx-get": request.path, "hx-target": "#expected", "hx-trigger": "change"}
    form.fields["control"].widget.attrs |= {**anew, "hx-include": "#expected, [name=backend]"}
    form.fields["backend"].widget.attrs |= {**anew, "hx-include": "#expected, [name=control]"}
    context: dict[str, Any] = {
        "pattern": pattern,
        "version": shown,
        "form": form,
        "can_try": bool(arms.own),
        "can_shadow": can_shadow,
        **_about(control, candidate),
        "expected": _expected(control, simulated),
        "profile": form["profile"].value(),
    }
    is_refused = form.is_bound and form.errors and "estimate" not in request.POST
    return render(request, "execution/trial_start.html", context, status=422 if is_refused else 200)


def _about(control: PatternVersion | None, candidate: PatternVersion | None) -> dict[str, Any]:
    """What the form says about the two versions."""
    if control is None or candidate is None:
        return {"example": {}}
    return {
        "is_same": control == candidate,
        "is_other": control.pattern_id != candidate.pattern_id,
        "own_success": control.success_when,
        "example": _example(control),
    }


def _earlier(request: HttpRequest, control: PatternVersion | None) -> int:
    """Runs of the control's pattern whose inputs may be used again; counted up to a thousand."""
    if control is None:
        return 0
    runs = Run.objects.visible_to(request.user).ended().of_callers()
    runs = runs.filter(version__pattern=control.pattern_id, parent=None)
    return runs.exclude(status="cancelled").order_by()[:MOST_COUNTED].count()


def _initial(
    arms: Arms, control: PatternVersion | None, candidate: PatternVersion | None, earlier: int
) -> dict[str, Any]:
    """Simulated agents draw the defaults again and again; real ones need different inputs."""
    if control is None or candidate is None:
        return {}
    public = all(one.pattern.visibility == Pattern.Visibility.PUBLIC for one in (control, candidate))
    simulated = roster.backend(roster.default_backend()).capabilities.simulated
    return {
        "control": arms.name_of(control),
        "candidate": arms.name_of(candidate),
        "source": RECORDED if earlier and not simulated else DEFAULTS if simulated else LINES,
        "profile": trial_plans.usual_profile(control),
        "judge": trial_plans.wishes_of(control).judge,
        "visibility": EVERYONE if public else MYSELF,
    }


def _is_simulated(backend: str) -> bool:
    """Whether the chosen agents, else the usual ones, are simulated."""
    known = {one.alias: one.capabilities.simulated for one in roster.listed()}
    return known.get(backend or roster.default_backend(), False)


def _expected(control: PatternVersion | None, simulated: bool) -> list[dict[str, Any]]:
    """The profiles with what a trial of each would take."""
    found: list[dict[str, Any]] = []
    for profile, (margin, most) in PROFILES.items():
        row: dict[str, Any] = {
            "value": profile,
            "name": profile_words(profile),
            "points": round(margin * 100),
            "most": most,
        }
        if control is not None:
            try:
                row["takes"] = trial_plans.expectation(
                    control=control, profile=profile, effect=EFFECT, simulated=simulated
                )
            except PlanInvalid as error:
                row["problem"] = str(error)
        found.append(row)
    return found


def _example(control: PatternVersion) -> dict[str, Any]:
    """An input as one line of the text field would say it."""
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
