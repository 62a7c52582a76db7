"""Runs in Django's admin: to look, not to change; history is never rewritten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin

from execution.models import (
    Attempt,
    Checkpoint,
    Effect,
    Event,
    OwnerBudget,
    Run,
    RunAgent,
    ShadowShare,
    Tick,
    Trial,
    VerificationReport,
    WorkerLease,
)

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class ReadOnly(ModelAdmin):
    """Nobody adds, changes or deletes these by hand."""

    def has_add_permission(self, request: Any) -> bool:
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return False


@admin.register(Run)
class RunAdmin(ReadOnly):
    """All runs."""

    list_display = ("id", "version", "status", "backend", "started_by", "tick", "tokens_used", "created_at")
    list_filter = ("status", "backend", "simulated")
    list_select_related = ("version__pattern__owner", "started_by")
    show_full_result_count = False


@admin.register(Effect)
class EffectAdmin(ReadOnly):
    """What runs asked."""

    list_display = ("id", "run", "seq", "name", "agent_id", "status", "attempts", "doubts", "tokens")
    list_filter = ("status", "handler")
    list_select_related = ("run",)
    raw_id_fields = ("run", "worker")
    show_full_result_count = False


@admin.register(OwnerBudget)
class OwnerBudgetAdmin(ModelAdmin):
    """What owners may spend; the only thing here that people set."""

    list_display = ("owner", "tokens_limit", "tokens_used", "cost_limit", "cost_used")
    readonly_fields = ("tokens_used", "tokens_reserved", "cost_used", "cost_reserved")


@admin.register(Trial)
class TrialAdmin(ReadOnly):
    """All trials; steering them is the page's and the API's business."""

    list_display = ("id", "control", "candidate", "mode", "status", "outcome", "settled", "missing", "created_at")
    list_filter = ("mode", "status", "outcome")
    list_select_related = ("control__pattern__owner", "candidate__pattern__owner")
    exclude = ("seed", "salt")
    show_full_result_count = False


for model in (Tick, Event, Attempt, Checkpoint, RunAgent, ShadowShare, VerificationReport, WorkerLease):
    admin.site.register(model, ReadOnly)
