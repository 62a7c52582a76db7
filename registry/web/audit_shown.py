"""
Entries of the audit log as people read them.

The log stores codes and JSON, since it is hashed and must never change; here
``version.published`` becomes "version published", a digest its first twelve
characters, and what is empty is left out. The stored form stays one click away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from registry.models import AuditEntry
from registry.web.facts import shortened

VERSION = re.compile(r"([a-z][a-z0-9_-]{1,63})/([a-z][a-z0-9_-]{1,63})(?:@([0-9A-Za-z.+-]+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEntry:
    """One line of the log."""

    entry: AuditEntry
    what: str  # the action in words
    about: str
    href: str  # the page of what it is about, "" where there is none
    details: list[tuple[str, str]]  # name, value


def shown_entries(entries: Iterable[AuditEntry]) -> list[ShownEntry]:
    """The lines, without a query."""
    return [_shown(entry) for entry in entries]


def action_words(action: str) -> str:
    """``federation.kept-back`` as ``federation kept back``."""
    return re.sub(r"[._-]+", " ", action)


def _shown(entry: AuditEntry) -> ShownEntry:
    detail = entry.detail if isinstance(entry.detail, Mapping) else {}
    return ShownEntry(
        entry=entry,
        what=action_words(entry.action),
        about=shortened(entry.subject),
        href=_href(entry),
        details=[
            (name.replace("_", " "), value_words(value))
            for name, value in detail.items()
            if value not in ("", None, [], {})
        ],
    )


def _href(entry: AuditEntry) -> str:
    found = VERSION.fullmatch(entry.subject)
    if found is None:
        return ""
    page = reverse("registry:pattern", args=found.group(1, 2))
    return f"{page}?version={found[3]}" if found[3] else page


def value_words(value: Any) -> str:
    """A value of the detail on one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value_words(one) for one in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {value_words(one)}" for name, one in value.items())
    return shortened(str(value))
