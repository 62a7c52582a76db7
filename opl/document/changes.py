"""What one difference of meaning is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Way(StrEnum):
    """How something changed."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference of meaning."""

    section: str  # inputs, rules, agents, events, scripts, flow, …, metadata, words
    way: Way
    name: str  # of what changed, for people
    old: Any = None  # None where it is new
    new: Any = None  # None where it is gone
    old_line: int = 0  # in the old source, 0 where there is none
    new_line: int = 0
