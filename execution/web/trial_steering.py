"""Steering trials: pause, resume, end, adopt. What a click replaces is said before it is done."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from execution.errors import TrialNotPossible
from execution.models import Trial
from execution.models.trial import TrialMode
from execution.services import promoting, trial_plans, verifying
from execution.web.trial_shown import shown_trial
from execution.web.trials import facts_of, find_trial
from registry.errors import NotAllowed
from registry.models import Channel, Via
from registry.web.pages import dialog, person


class EndForm(forms.Form):
    """Why a trial ends without a verdict."""

    reason = forms.CharField(
        label=gettext_lazy("Why"), required=False, max_length=500, help_text=gettext_lazy("Shown on the trial.")
    )


class StopAllForm(forms.Form):
    """Why every trial of the hub ends."""

    reason = forms.CharField(
        label=gettext_lazy("Why"), max_length=500, help_text=gettext_lazy("Shown on every trial that it ends.")
    )


class AdoptForm(forms.Form):
    """How the promoted version is watched."""

    share = forms.FloatField(
        label=gettext_lazy("Percent of real runs that go on running both"),
        min_value=0.1,
        max_value=100,
        help_text=gettext_lazy("An alarm brings the old version back by itself."),
    )


@login_required
@require_POST
def pause(request: HttpRequest, trial_id: int) -> HttpResponse:
    """Start nothing more; what is under way ends, and counts when the trial goes on."""
    trial = find_trial(request, trial_id, control=True)
    verifying.pause(trial=trial, now=timezone.now())
    return redirect(trial.get_absolute_url())


@login_required
@require_POST
def resume(request: HttpRequest, trial_id: int) -> HttpResponse:
    """Go on."""
    trial = find_trial(request, trial_id, control=True)
    verifying.resume(trial=trial, now=timezone.now())
    return redirect(trial.get_absolute_url())


@login_required
def cancel(request: HttpRequest, trial_id: int) -> HttpResponse:
    """The dialog; a POST ends the trial without a verdict."""
    trial = find_trial(request, trial_id, control=True)
    if trial.has_ended:
        raise TrialNotPossible("cancel", trial.status)
    form = EndForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        reason = form.cleaned_data["reason"] or _("ended by %(who)s") % {"who": person(request).get_username()}
        if trial.mode == TrialMode.WATCH:
            # The watch and its trial end together.
            promoting.end_watches(trial.control.pattern_id, timezone.now(), reason)
        else:
            verifying.cancel(trial=trial, now=timezone.now(), reason=reason, kill="kill" in request.POST)
        return redirect(trial.get_absolute_url())
    context = {"title": _("End trial %(n)d") % {"n": trial.pk}, "trial": trial, "form": form}
    return dialog(request, "execution/trial_cancel.html", context, status=422 if form.errors else 200)


@login_required
def stop_all(request: HttpRequest) -> HttpResponse:
    """The kill switch of the hub: a dialog, then every trial that is alive ends; for administrators."""
    if not person(request).is_superuser:
        raise NotAllowed("only administrators of this hub may stop all trials")
    form = StopAllForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        count = verifying.kill_all(now=timezone.now(), reason=form.cleaned_data["reason"])
        said = ngettext("%(n)d trial was stopped.", "%(n)d trials were stopped.", count)
        messages.success(request, said % {"n": count})
        return redirect("execution:trials")
    alive = Trial.objects.alive().count()
    context = {"title": _("Stop all trials"), "form": form, "alive": alive}
    return dialog(request, "execution/trial_stop_all.html", context, status=422 if form.errors else 200)


@login_required
def adopt(request: HttpRequest, trial_id: int) -> HttpResponse:
    """The dialog that says what is replaced; a POST moves ``stable``."""
    trial = find_trial(request, trial_id)
    promoting.check(trial, person(request))
    wish = trial_plans.wishes_of(trial.control).share
    form = AdoptForm(request.POST if request.method == "POST" else None, initial={"share": round(100 * wish, 1)})
    if request.method == "POST" and form.is_valid():
        watch = promoting.adopt(
            trial=trial, user=person(request), now=timezone.now(), share=form.cleaned_data["share"] / 100, via=Via.WEB
        )
        said = _("stable of %(pattern)s is %(version)s now.")
        messages.success(request, said % {"pattern": trial.control.pattern, "version": watch.promoted.version})
        return redirect(trial.get_absolute_url())
    context = {
        "title": _("Adopt %(version)s") % {"version": trial.candidate.version},
        "trial": trial,
        "form": form,
        "stable": trial.control.pattern.channel(Channel.STABLE),
        "shown": shown_trial(facts_of(trial)),
    }
    return dialog(request, "execution/trial_adopt.html", context, status=422 if form.errors else 200)
