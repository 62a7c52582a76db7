"""
What higher apps add to the registry's pages: tabs, actions, navigation, sections.

Nothing in the registry knows of runs, trials or peers. An app above adds what
it has in its ``AppConfig.ready``; adding the same key again replaces it, so a
second ``ready`` (tests) does no harm.

    add_tab(Tab(key="runs", label=gettext_lazy("Runs"), url_name="execution:pattern-runs", order=60))

A tab's and an action's address is reversed with the owner's and the pattern's
name; the version that the page shows is kept as ``?version=``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

Text = Any  # a str, or a lazy translation of one


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One tab of a pattern's page."""

    key: str  # names it in ``current_tab``
    label: Text
    url_name: str  # reversed with (owner, name)
    order: int  # Overview is 0, Source 10, Versions 20, Lineage 30, Analytics 40, Discussion 80, Provenance 90
    count: Callable[[Any], int | None] | None = None  # given the pattern, how many things stand behind it


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One button beside a pattern's name."""

    key: str
    label: Text
    url_name: str  # reversed with (owner, name)
    order: int  # Run 0, Verify 10, Fork 20, Rate 30
    is_primary: bool = False
    is_offered: Callable[[HttpRequest, Any], bool] = lambda request, version: True  # the version shown


@dataclass(frozen=True, slots=True, kw_only=True)
class NavItem:
    """One link at the top of every page."""

    key: str
    label: Text
    url_name: str
    order: int  # Patterns is 0, Runs 10, Trials 20, Peers 30
    prefixes: tuple[str, ...] = ()  # paths on which it is the current one


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """
    A part of a page that another app draws.

    ``place`` is one of ``overview`` (below the text of a pattern), ``aside``
    (its sidebar), ``provenance``, ``home``, ``owner``, ``health``, ``leaderboards``, ``counting``. ``context`` is given the
    request and the subject (the version shown, the owner, or None) and returns
    what the template needs, or None to leave the section out.
    """

    key: str
    place: str
    template: str
    context: Callable[[HttpRequest, Any], Mapping[str, Any] | None]
    order: int = 50


_tabs: dict[str, Tab] = {}
_actions: dict[str, Action] = {}
_navigation: dict[str, NavItem] = {}
_sections: dict[tuple[str, str], Section] = {}


def add_tab(tab: Tab) -> None:
    """Add a tab, or replace the one of the same key."""
    _tabs[tab.key] = tab


def add_action(action: Action) -> None:
    """Add an action, or replace the one of the same key."""
    _actions[action.key] = action


def add_navigation(item: NavItem) -> None:
    """Add a link to the top of every page, or replace the one of the same key."""
    _navigation[item.key] = item


def add_section(section: Section) -> None:
    """Add a section, or replace the one of the same key at the same place."""
    _sections[section.place, section.key] = section


def tabs() -> list[Tab]:
    """All tabs of a pattern in their order."""
    return sorted(_tabs.values(), key=lambda tab: tab.order)


def actions(request: HttpRequest, version: Any) -> list[Action]:
    """The actions that make sense for this version and this person, in their order."""
    offered = [action for action in _actions.values() if action.is_offered(request, version)]
    return sorted(offered, key=lambda action: action.order)


def navigation() -> list[NavItem]:
    """The links at the top in their order."""
    return sorted(_navigation.values(), key=lambda item: item.order)


def sections(place: str) -> list[Section]:
    """The sections of one place in their order."""
    return sorted((part for part in _sections.values() if part.place == place), key=lambda part: part.order)
