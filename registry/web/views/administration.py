"""Pages about the hub itself and an owner's dealings: webhooks, audit, moderation, health."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.db import connection
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from registry.errors import InvalidRequest, NotAllowed
from registry.models import Membership, Owner, Pattern, PatternVersion, Report, Webhook, WebhookDelivery
from registry.services import audit as audit_service
from registry.services import feedback
from registry.services import webhooks as webhook_service
from registry.web.audit_shown import action_words, shown_entries
from registry.web.forms.account import WebhookForm
from registry.web.pages import blame, cursor_page, person

PAGE_SIZE = 50


@login_required
def webhooks(request: HttpRequest) -> HttpResponse:
    """The webhooks of owners this person administers, and their last deliveries."""
    owners = _administered(person(request))
    form = WebhookForm(request.POST or None, owners=owners)
    made = None
    if request.method == "POST" and form.is_valid():
        try:
            made = webhook_service.create(
                user=person(request),
                now=timezone.now(),
                allow_loopback=settings.FEDERATION_ALLOW_LOOPBACK,
                **form.cleaned_data,
            )
            form = WebhookForm(owners=owners)
        except InvalidRequest as error:
            blame(form, error)
    hooks = Webhook.objects.filter(owner__in=owners).select_related("owner")
    deliveries = WebhookDelivery.objects.filter(webhook__owner__in=owners).select_related("webhook")[:PAGE_SIZE]
    context = {"form": form, "made": made, "hooks": hooks, "deliveries": deliveries}
    answer = render(request, "registry/webhooks.html", context, status=422 if form.is_bound and form.errors else 200)
    answer["Cache-Control"] = "no-store"
    return answer


@login_required
@require_POST
def remove_webhook(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """Forget a webhook."""
    webhook_service.remove(webhook_id=webhook_id, user=person(request), now=timezone.now())
    messages.success(request, _("The webhook is gone; nothing more is sent to it."))
    return redirect("registry:webhooks")


@login_required
@require_POST
def approve_webhook(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """Let the hub send to the webhook's host; for its administrators."""
    hook = webhook_service.approve(webhook_id=webhook_id, user=person(request), now=timezone.now())
    messages.success(request, _("This hub now sends to %(url)s.") % {"url": hook.url})
    return redirect("registry:webhooks")


@login_required
@require_POST
def replay_delivery(request: HttpRequest, delivery_id: int) -> HttpResponse:
    """Send a message again, as a new delivery."""
    webhook_service.replay(delivery_id=delivery_id, user=person(request), now=timezone.now())
    messages.success(request, _("The message is queued again, as a new delivery."))
    return redirect("registry:webhooks")


@login_required
def audit(request: HttpRequest) -> HttpResponse:
    """Who did what, newest first; whether the chain of hashes is whole is checked on request."""
    entries = audit_service.readable_by(request.user)
    action, before = request.GET.get("action", ""), request.GET.get("cursor", "")
    if action:
        entries = entries.filter(action=action[:64])
    if before.isdecimal() and len(before) < 16:
        entries = entries.filter(sequence__lt=int(before))
    rows, more = cursor_page(entries.order_by("-sequence")[: PAGE_SIZE + 1], PAGE_SIZE)
    broken: int | bool | None = False
    if request.user.is_staff and "verify" in request.GET:
        broken = audit_service.verify_chain()
    context = {
        "entries": shown_entries(rows),
        "action": action,
        "action_words": action_words(action),
        "next_cursor": rows[-1].sequence if more else "",
        "has_cursor": bool(before),
        "verified": broken is not False,
        "broken_at": broken or None,
    }
    return render(request, "registry/audit.html", context)


def moderation(request: HttpRequest) -> HttpResponse:
    """Reports that wait for a decision, oldest first."""
    _moderator(request)
    status = request.GET.get("status", Report.Status.OPEN)
    if status not in Report.Status.values:
        status = Report.Status.OPEN
    related = ("pattern__owner", "rating__user", "comment__user", "reporter", "resolved_by")
    reports = Report.objects.filter(status=status).select_related(*related)[:PAGE_SIZE]
    counts = dict(Report.objects.values_list("status").annotate(Count("id")))
    tabs = [
        {
            "label": label,
            "href": f"?status={value}",
            "is_current": value == status,
            "count": counts.get(value, 0),
        }
        for value, label in Report.Status.choices
    ]
    return render(request, "registry/moderation.html", {"reports": reports, "tabs": tabs, "status": status})


@require_POST
def resolve_report(request: HttpRequest, report_id: int) -> HttpResponse:
    """Uphold a report (what it is about is hidden) or dismiss it."""
    _moderator(request)
    feedback.resolve(
        report_id=report_id,
        user=person(request),
        uphold=request.POST.get("decision") == "uphold",
        note=request.POST.get("note", "")[:2000],
        now=timezone.now(),
    )
    messages.success(request, _("Decided and noted."))
    return redirect("registry:moderation")


def _moderator(request: HttpRequest) -> None:
    if not person(request).is_staff:
        raise NotAllowed("only moderators of this hub may see and decide reports")


def health(request: HttpRequest) -> HttpResponse:
    """What this hub holds and whether it works; sections of other apps add queues and peers."""
    figures = cache.get_or_set("registry.health.figures", _figures, 30)
    context = {
        "figures": figures,
        "database": connection.vendor,
        "backend": settings.DEFAULT_BACKEND,
        "is_embedded": settings.WORKERS_EMBEDDED,
    }
    return render(request, "registry/health.html", context)


def _figures() -> dict[str, int]:
    """Counts over everything; kept for half a minute, since a health page is polled."""
    return {
        "patterns": Pattern.objects.published().count(),
        "versions": PatternVersion.objects.count(),
        "owners": Owner.objects.count(),
        "waiting_deliveries": WebhookDelivery.objects.filter(status=WebhookDelivery.Status.QUEUED).count(),
        "open_reports": Report.objects.filter(status=Report.Status.OPEN).count(),
    }


def _administered(user: Any) -> Any:
    if user.is_superuser:
        return Owner.objects.exclude(kind=Owner.Kind.REMOTE)
    mine = Membership.objects.filter(user=user, role=Membership.Role.ADMIN)
    return Owner.objects.filter(pk__in=mine.values("owner"))
