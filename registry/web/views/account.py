"""Accounts: signing up, tokens, and how the pages look to this person."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from registry.errors import InvalidRequest
from registry.services import tokens as token_service
from registry.web.forms.account import SignUpForm, TokenForm
from registry.web.pages import blame, person

THEMES = ("light", "dark")


def sign_up(request: HttpRequest) -> HttpResponse:
    """Make an account and sign in."""
    if not settings.REGISTRATION_OPEN:
        raise Http404
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = form.save()
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        messages.success(request, _("Your account is ready. You publish as %(name)s.") % {"name": user.username})
        return HttpResponseRedirect(safe_next(request))
    return render(request, "registry/sign_up.html", {"form": form, "next": safe_next(request)}, status=_status(form))


@csrf_exempt  # changes nothing but a colour, and so spares every visitor a cookie
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember light, dark, or as the system has it."""
    answer = HttpResponseRedirect(safe_next(request))
    chosen = request.POST.get("theme", "")
    if chosen in THEMES:
        answer.set_cookie("theme", chosen, max_age=31536000, samesite="Lax", httponly=True, secure=request.is_secure())
    else:
        answer.delete_cookie("theme", samesite="Lax")
    return answer


@login_required
def tokens(request: HttpRequest) -> HttpResponse:
    """The person's tokens; a new one's secret is on the answer to its own POST and nowhere else."""
    form = TokenForm(request.POST or None, user=person(request))
    made = None
    if request.method == "POST" and form.is_valid():
        now = timezone.now()
        days = form.cleaned_data["days"]
        try:
            made = token_service.create(
                user=person(request),
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"],
                now=now,
                expires_at=now + timedelta(days=days) if days else None,
                via="web",
            )
            form = TokenForm(user=person(request))
        except InvalidRequest as error:
            blame(form, error)
    context = {"form": form, "made": made, "tokens": person(request).tokens.all(), "now": timezone.now()}
    answer = render(request, "registry/tokens.html", context, status=_status(form))
    answer["Cache-Control"] = "no-store"
    return answer


@login_required
@require_POST
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    """End a token."""
    token = token_service.revoke(user=person(request), token_id=token_id, now=timezone.now(), via="web")
    messages.success(request, _("%(token)s is revoked; requests with it are refused.") % {"token": token})
    return redirect("registry:tokens")


def safe_next(request: HttpRequest) -> str:
    """Where to go afterwards: ``next``, if it is an address of this hub, else home."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return wanted
    return reverse("home")


def _status(form: object) -> int:
    return 422 if getattr(form, "is_bound", False) and getattr(form, "errors", None) else 200
