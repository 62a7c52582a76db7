"""Rating, commenting, reporting."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from registry.errors import RegistryError
from registry.models import Comment, Pattern, Rating
from registry.services import feedback
from registry.web.forms.feedback import CommentForm, RatingForm, ReportForm
from registry.web.pages import blame, find_pattern, find_version, person


def _discussion(pattern: Pattern, anchor: str) -> HttpResponse:
    return redirect(reverse("registry:discussion", args=[pattern.owner.name, pattern.name]) + anchor)


@login_required
def rate(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Give stars; the form stands on the discussion tab, and here alone when something was wrong."""
    pattern = find_pattern(request, owner, name)
    if request.method != "POST":
        return _discussion(pattern, "#rate")
    version = find_version(request, pattern, request.POST.get("version", ""))
    form = RatingForm(request.POST)
    if form.is_valid():
        try:
            feedback.rate(version=version, user=person(request), now=timezone.now(), via="web", **form.cleaned_data)
        except RegistryError as error:
            blame(form, error)
        else:
            messages.success(request, _("Your rating counts from now on."))
            return _discussion(pattern, "#ratings")
    context = {
        "form": form,
        "pattern": pattern,
        "version": version,
        "title": _("Rate %(pattern)s") % {"pattern": pattern},
    }
    return render(request, "registry/feedback_form.html", context, status=422)


@login_required
def comment(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Add to the discussion."""
    pattern = find_pattern(request, owner, name)
    if request.method != "POST":
        return _discussion(pattern, "#comments")
    version = find_version(request, pattern, request.POST.get("version", ""))
    form = CommentForm(request.POST)
    if form.is_valid():
        parent = Comment.objects.filter(pattern=pattern, pk=form.cleaned_data["parent"], is_hidden=False).first()
        try:
            made = feedback.comment(
                pattern=pattern,
                user=person(request),
                text=form.cleaned_data["text"],
                now=timezone.now(),
                version=version,
                parent=parent,
                via="web",
            )
        except RegistryError as error:
            blame(form, error)
        else:
            return _discussion(pattern, f"#comment-{made.pk}")
    context = {
        "form": form,
        "pattern": pattern,
        "version": version,
        "title": _("Comment on %(pattern)s") % {"pattern": pattern},
    }
    return render(request, "registry/feedback_form.html", context, status=422)


@login_required
def report(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Ask the moderators to look at the pattern, or at one rating or comment."""
    pattern = find_pattern(request, owner, name)
    rating = (
        Rating.objects.filter(pattern=pattern, pk=_number(request.GET.get("rating"))).select_related("user").first()
    )
    about = (
        Comment.objects.filter(pattern=pattern, pk=_number(request.GET.get("comment"))).select_related("user").first()
    )
    form = ReportForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            feedback.report(
                pattern=pattern,
                user=person(request),
                reason=form.cleaned_data["reason"],
                now=timezone.now(),
                rating=rating,
                comment=about,
            )
        except RegistryError as error:
            blame(form, error)
        else:
            messages.success(request, _("Thank you. A moderator will look at it."))
            return redirect(pattern.get_absolute_url())
    context = {"form": form, "pattern": pattern, "rating": rating, "comment": about, "title": _("Report")}
    return render(request, "registry/report.html", context, status=422 if form.is_bound and form.errors else 200)


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 16 else 0
