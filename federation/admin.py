"""The federation in Django's admin: to look at, and to set what a person decides. Keys and statements are never edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from federation import models


class ReadOnly(admin.ModelAdmin):
    """Rows that only the protocol writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(models.ThisNode)
class ThisNodeAdmin(admin.ModelAdmin):
    list_display = ("node_id", "head", "is_paused", "profile")
    readonly_fields = ("node_id", "epoch", "head", "created_at", "ticking_until")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(models.Peer)
class PeerAdmin(admin.ModelAdmin):
    """Tiers are set with ``manage.py peer`` or on the peers page, where the act is audited."""

    list_display = ("__str__", "tier", "is_paused", "failures", "last_sync_at", "last_seen_at")
    list_filter = ("tier", "is_paused")
    search_fields = ("label", "node_id", "base_url")
    fields = ("label", "node_id", "base_url", "contact", "message", "tier", "last_error", "next_try_at")
    readonly_fields = ("node_id", "base_url", "contact", "message", "tier", "last_error", "next_try_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(models.Statement)
class StatementAdmin(ReadOnly):
    list_display = ("seq", "kind", "subject_name", "version", "signer", "is_announced", "is_held_back", "is_advice")
    list_filter = ("kind", "is_announced", "is_held_back")
    search_fields = ("statement_id", "subject_name", "signer")
    exclude = ("payload",)


@admin.register(models.QuarantineItem)
class QuarantineItemAdmin(ReadOnly):
    list_display = ("__str__", "state", "fit", "peer", "received_at")
    list_filter = ("state", "fit")
    list_select_related = ("statement", "peer")


@admin.register(models.DeadLetter)
class DeadLetterAdmin(ReadOnly):
    list_display = ("key", "code", "peer", "created_at")
    list_filter = ("code",)
    exclude = ("raw",)


@admin.register(models.EgressEntry)
class EgressEntryAdmin(ReadOnly):
    list_display = ("at", "peer", "how", "count", "size_bytes")
    list_filter = ("how",)


@admin.register(models.BlockedAuthor)
class BlockedAuthorAdmin(ReadOnly):
    """The list is kept with ``manage.py author`` and the quarantine page, where the act is audited."""

    list_display = ("author_id", "name", "reason", "blocked_by", "blocked_at")
    search_fields = ("author_id", "name")


@admin.register(models.AttestedVerdict)
class AttestedVerdictAdmin(ReadOnly):
    list_display = ("__str__", "candidate", "is_confirmed", "pairs", "problem")
    list_filter = ("is_confirmed", "outcome")
