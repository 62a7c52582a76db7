"""What publishers change of a pattern: its words, where its channels point, which versions are advised against."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from registry.errors import NotAllowed, RegistryError
from registry.models import Channel, Pattern, PatternVersion
from registry.services import channels, editing, yanking
from registry.web.forms.publishing import EditForm, PromoteForm, YankForm
from registry.web.pages import blame, dialog, find_pattern, find_version, person


def _publisher(request: HttpRequest, pattern: Pattern) -> None:
    if not pattern.owner.can_publish(request.user):
        raise NotAllowed(f"only publishers of {pattern.owner} may do that")


def _to_versions(pattern: Pattern) -> HttpResponse:
    return redirect("registry:versions", pattern.owner.name, pattern.name)


@login_required
def edit(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Title, description, tags and visibility."""
    pattern = find_pattern(request, owner, name)
    _publisher(request, pattern)
    initial = {
        "title": pattern.title,
        "description": pattern.description,
        "tags": ", ".join(pattern.tags),
        "visibility": pattern.visibility,
    }
    form = EditForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            editing.edit_pattern(pattern=pattern, user=person(request), now=timezone.now(), **form.cleaned_data)
        except RegistryError as error:
            blame(form, error)
        else:
            messages.success(request, _("Saved. Versions stay as they were published."))
            return redirect(pattern.get_absolute_url())
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "registry/edit.html", {"form": form, "pattern": pattern}, status=status)


@login_required
def promote(request: HttpRequest, owner: str, name: str, version: str) -> HttpResponse:
    """Point a channel at a version; the dialog says what each channel points at now."""
    pattern = find_pattern(request, owner, name)
    _publisher(request, pattern)
    row = find_version(request, pattern, version)
    current = list(pattern.channels.exclude(name="latest").select_related("version").order_by("name"))
    form = PromoteForm(request.POST or None, initial={"channel": _next_channel(row, current)})
    if request.method == "POST" and form.is_valid():
        try:
            channels.move(
                pattern=pattern,
                name=form.cleaned_data["channel"],
                version=row,
                user=person(request),
                via="web",
                now=timezone.now(),
                reason=form.cleaned_data["reason"],
            )
        except RegistryError as error:
            blame(form, error)
        else:
            said = _("%(channel)s now points at %(version)s.") % {
                "channel": form.cleaned_data["channel"],
                "version": row.version,
            }
            messages.success(request, said)
            return _to_versions(pattern)
    context = {
        "title": _("Promote %(version)s") % {"version": row.version},
        "form": form,
        "pattern": pattern,
        "version": row,
        "channels": [channel for channel in current if channel.version_id != row.pk],
        "back": reverse("registry:versions", args=[pattern.owner.name, pattern.name]),
    }
    return dialog(request, "registry/promote.html", context, status=422 if form.is_bound and form.errors else 200)


def _next_channel(version: PatternVersion, current: list[Channel]) -> str:
    """What one most likely wants: stable for a candidate, else candidate where there is a stable one."""
    names = {channel.name: channel.version_id for channel in current}
    return "stable" if names.get("candidate") == version.pk or "stable" not in names else "candidate"


@login_required
@require_POST
def protect(request: HttpRequest, owner: str, name: str, channel: str) -> HttpResponse:
    """Protect a channel, or free it."""
    pattern = find_pattern(request, owner, name)
    wanted = request.POST.get("protected") == "yes"
    channels.protect(pattern=pattern, name=channel, is_protected=wanted, user=person(request), now=timezone.now())
    said = _("%(channel)s is protected.") if wanted else _("%(channel)s is free to be moved.")
    messages.success(request, said % {"channel": channel})
    return _to_versions(pattern)


@login_required
def yank(request: HttpRequest, owner: str, name: str, version: str) -> HttpResponse:
    """Advise against a version; the dialog says what happens to those who use it."""
    pattern = find_pattern(request, owner, name)
    _publisher(request, pattern)
    row = find_version(request, pattern, version)
    form = YankForm(request.POST or None, initial={"reason": row.yank_reason})
    if request.method == "POST" and form.is_valid():
        try:
            yanking.yank(version=row, user=person(request), now=timezone.now(), via="web", **form.cleaned_data)
        except RegistryError as error:
            blame(form, error)
        else:
            messages.success(
                request, _("%(version)s is yanked; it can still be fetched by its number.") % {"version": row}
            )
            return _to_versions(pattern)
    context = {
        "title": _("Yank %(version)s") % {"version": row.version},
        "form": form,
        "pattern": pattern,
        "version": row,
        "pointing": list(pattern.channels.filter(version=row).order_by("name")),
        "back": reverse("registry:versions", args=[pattern.owner.name, pattern.name]),
    }
    return dialog(request, "registry/yank.html", context, status=422 if form.is_bound and form.errors else 200)
