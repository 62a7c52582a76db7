"""
The admin: for looking, and for what has no page of its own.

Versions, documents, outcomes, moves and the audit log are read-only here too:
what is immutable in the registry is immutable in the admin.
"""

# mypy: disable-error-code="type-arg"
# Django's own admin classes take no parameters at run time.

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from registry.models import (
    AuditEntry,
    Channel,
    ChannelMove,
    Comment,
    DailyRollup,
    Decision,
    Draft,
    LineageEdge,
    Membership,
    Outcome,
    Owner,
    Pattern,
    PatternVersion,
    Profile,
    Rating,
    Report,
    StoredDocument,
    Token,
    User,
    Webhook,
    WebhookDelivery,
)

admin.site.register(User, UserAdmin)


class ReadOnly(admin.ModelAdmin):
    """Rows that are only ever looked at here."""

    show_full_result_count: ClassVar[bool] = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Made by services."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Immutable."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing that was published is deleted."""
        return False


class MembershipInline(admin.TabularInline):
    """Members of an owner."""

    model = Membership
    extra = 0
    autocomplete_fields = ("user",)


@admin.register(Owner)
class OwnerAdmin(admin.ModelAdmin):
    """Owners and their members."""

    list_display = ("name", "kind", "title", "created_at")
    list_filter = ("kind",)
    search_fields = ("name", "title")
    inlines = (MembershipInline,)


@admin.register(Pattern)
class PatternAdmin(ReadOnly):
    """Patterns; their words are edited on their pages."""

    list_display = ("__str__", "mode", "visibility", "newest", "measured_runs", "ratings_count", "updated_at")
    list_filter = ("visibility", "mode")
    list_select_related = ("owner", "newest__pattern__owner")
    search_fields = ("name", "owner__name", "title")


@admin.register(PatternVersion)
class PatternVersionAdmin(ReadOnly):
    """Versions."""

    list_display = ("__str__", "mode", "envelope", "published_by", "published_via", "published_at", "yanked_at")
    list_filter = ("envelope", "mode", "published_via")
    list_select_related = ("pattern__owner", "published_by")
    search_fields = ("pattern__name", "digest")
    exclude = ("source", "program")


@admin.register(StoredDocument)
class StoredDocumentAdmin(ReadOnly):
    """Documents as they came."""

    list_display = ("name", "version", "envelope", "size_bytes", "digest", "created_at")
    search_fields = ("name", "digest")
    exclude = ("source",)


@admin.register(Webhook)
class WebhookAdmin(admin.ModelAdmin):
    """Webhooks; approving a host happens here or through the API."""

    list_display = ("url", "owner", "is_active", "is_approved", "created_at")
    list_filter = ("is_approved", "is_active")
    readonly_fields = ("owner", "url", "events", "created_at")
    exclude = ("secret",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Made through the API or the page, which show the secret once."""
        return False


@admin.register(Token)
class TokenAdmin(ReadOnly):
    """Tokens; only their prefixes are known."""

    list_display = ("prefix", "user", "name", "scopes", "last_used_at", "expires_at", "revoked_at")
    search_fields = ("prefix", "name", "user__username")
    exclude = ("digest",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    """The audit log."""

    list_display = ("sequence", "at", "actor_name", "action", "subject", "via")
    list_filter = ("action",)
    search_fields = ("subject", "actor_name")


@admin.register(Report)
class ReportAdmin(ReadOnly):
    """Reports; decided on the moderation page."""

    list_display = ("id", "pattern", "reporter", "status", "created_at")
    list_filter = ("status",)
    list_select_related = ("pattern__owner", "reporter")


for model in (
    Channel,
    ChannelMove,
    Comment,
    DailyRollup,
    Decision,
    Draft,
    LineageEdge,
    Outcome,
    Profile,
    Rating,
    WebhookDelivery,
):
    admin.site.register(model, ReadOnly)
