"""What the pages of runs and trials add to the registry's pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Count
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from execution.models import Effect, Run
from execution.web import boards
from registry.web.panels import Action, NavItem, Section, Tab, add_action, add_navigation, add_section, add_tab


def _can_run(request: HttpRequest, version: Any) -> bool:
    return bool(version.program_hash) or not version.is_executable


def _latest(request: HttpRequest, subject: Any) -> Mapping[str, Any] | None:
    """The person's runs that are alive or ended last, for the start page."""
    if not request.user.is_authenticated:
        return None
    runs = list(
        Run.objects.of_callers().filter(started_by=request.user, parent__isnull=True).for_list().order_by("-pk")[:5]
    )
    return {"runs": runs} if runs else None


def _queues(request: HttpRequest, subject: Any) -> Mapping[str, Any]:
    """How much is waiting, for the health page."""
    effects = Effect.objects.filter(status__in=("queued", "sent", "in_doubt")).order_by()
    return {
        "alive": Run.objects.alive().order_by().values("status").annotate(n=Count("pk")),
        "effects": effects.values("status").annotate(n=Count("pk")),
    }


def _boards(request: HttpRequest, subject: Any) -> Mapping[str, Any] | None:
    """Standings of the families whose trials this person may see."""
    found = boards.all_boards(request.user)
    return {"boards": found} if found else None


def _nothing(request: HttpRequest, subject: Any) -> Mapping[str, Any]:
    """For a section that is only words."""
    return {}


def add() -> None:
    """Called when the app is ready."""
    add_tab(Tab(key="runs", label=_("Runs"), url_name="execution:pattern-runs", order=60))
    add_action(
        Action(key="run", label=_("Run"), url_name="execution:start", order=0, is_primary=True, is_offered=_can_run)
    )
    add_navigation(NavItem(key="runs", label=_("Runs"), url_name="execution:runs", order=10))
    add_tab(Tab(key="verification", label=_("Verification"), url_name="execution:pattern-trials", order=50))
    add_action(Action(key="verify", label=_("Verify"), url_name="execution:try", order=10, is_offered=_can_run))
    add_navigation(NavItem(key="trials", label=_("Trials"), url_name="execution:trials", order=20))
    add_section(Section(key="runs", place="home", template="execution/home_section.html", context=_latest, order=10))
    add_section(Section(key="trials", place="leaderboards", template="execution/boards_section.html", context=_boards))
    add_section(Section(key="trials", place="counting", template="execution/counting_section.html", context=_nothing))
    add_section(Section(key="runs", place="health", template="execution/health_section.html", context=_queues))
