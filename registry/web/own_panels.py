"""The registry's own tabs, actions and links, added in the way that higher apps add theirs."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from registry.web.panels import Action, NavItem, Tab, add_action, add_navigation, add_tab


def _versions(pattern: Any) -> int:
    return int(pattern.versions.count())


def _ratings(pattern: Any) -> int | None:
    return pattern.ratings_count or None


def add() -> None:
    """Called once the models are there."""
    for tab in (
        Tab(key="overview", label=_("Overview"), url_name="registry:pattern", order=0),
        Tab(key="source", label=_("Source"), url_name="registry:source", order=10),
        Tab(key="versions", label=_("Versions"), url_name="registry:versions", order=20, count=_versions),
        Tab(key="lineage", label=_("Lineage"), url_name="registry:lineage", order=30),
        Tab(key="analytics", label=_("Analytics"), url_name="registry:analytics", order=40),
        Tab(key="discussion", label=_("Discussion"), url_name="registry:discussion", order=80, count=_ratings),
        Tab(key="provenance", label=_("Provenance"), url_name="registry:provenance", order=90),
    ):
        add_tab(tab)
    add_action(Action(key="fork", label=_("Fork"), url_name="registry:fork", order=20))
    add_action(Action(key="rate", label=_("Rate"), url_name="registry:rate", order=30))
    add_navigation(
        NavItem(key="patterns", label=_("Patterns"), url_name="registry:patterns", order=0, prefixes=("/owners/",))
    )
