"""
What changed between two versions of a document: as text, and as meaning.

    difference = diff(old, new)
    difference.lines                      # a unified diff
    [c for c in difference.changes if c.section == "rules"]

By meaning, a rule whose rationale was reworded is *changed*, a statement that
stands elsewhere is *moved*, and keys that changed places are nothing. From the
same changes follows the smallest version bump that tells the truth.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import semver

from opl.document import reading
from opl.document.changes import Change, Way
from opl.document.model import Document
from opl.document.sections import changes
from opl.document.text import split_lines

_MOST_LINES = 20_000  # of both texts together; beyond, the middle is shown as replaced
_BEHAVIOUR = frozenset(
    """
    inputs rules agents events scripts flow actions helpers dependencies capabilities success other strategy
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Everything that differs between two documents."""

    lines: tuple[str, ...]  # unified diff without line ends; () for equal texts
    changes: tuple[Change, ...]  # by meaning, in the order of the sections
    same_meaning: bool  # only layout, comments or order of keys differ

    def of(self, section: str) -> tuple[Change, ...]:
        """The changes of one section."""
        return tuple(change for change in self.changes if change.section == section)


class Bump(NamedTuple):
    """The smallest admissible version bump."""

    size: str  # "major", "minor" or "patch"
    reasons: tuple[str, ...]  # what asks for it, for people


def diff(old: Document, new: Document) -> Difference:
    """The difference between two documents, in text and in meaning."""
    same = old.digest == new.digest or bool(old.semantic_digest and old.semantic_digest == new.semantic_digest)
    return Difference(
        lines=tuple(unified(old.text, new.text)),
        changes=() if same else tuple(changes(old, new)),
        same_meaning=same,
    )


def unified(old: str, new: str, context: int = 3) -> list[str]:
    """The unified diff of two texts, without file names; in time that a stranger's text cannot explode."""
    if old == new:
        return []
    before, after = split_lines(old), split_lines(new)
    if len(before) + len(after) <= _MOST_LINES:
        return list(difflib.unified_diff(before, after, lineterm="", n=context))[2:]
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    cut, put = before[head : len(before) - tail], after[head : len(after) - tail]
    header = f"@@ -{head + 1},{len(cut)} +{head + 1},{len(put)} @@"
    return [header, *(f"-{line}" for line in cut), *(f"+{line}" for line in put)]


def _common(one: list[str], other: list[str]) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def smallest_bump(old: Document, new: Document) -> Bump:
    """
    The smallest version bump that tells the truth about a change.

    Major: who started a run before may fail now (an input or a whole script is
    gone, an input became required or takes another type). Minor: it behaves
    differently. Patch: only words, claims or layout differ.
    """
    difference = diff(old, new)
    if difference.same_meaning:
        return Bump("patch", ("only the layout differs",))
    major = tuple(reason for change in difference.changes if (reason := _breaks(change)))
    if major:
        return Bump("major", major)
    behaving = [change for change in difference.changes if change.section in _BEHAVIOUR]
    minor = tuple(_told(change) for change in behaving if not _only_words(change))
    if minor:
        return Bump("minor", tuple(dict.fromkeys(minor)))
    return Bump("patch", ("only words and claims differ",))


_WORDS = frozenset(("rationale", "description", "evidence", "confidence"))


def _only_words(change: Change) -> bool:
    """Whether a rule, an input or an agent changed in what is said about it only."""
    if change.way is not Way.CHANGED or not isinstance(change.old, dict) or not isinstance(change.new, dict):
        return False
    keys = set(change.old) | set(change.new)
    differ = {key for key in keys if change.old.get(key) != change.new.get(key)}
    if differ == {"schema"} or differ == {"schema", "description"}:
        return _without_words(change.old["schema"]) == _without_words(change.new["schema"])
    return differ <= _WORDS


def _without_words(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in ("description", "title", "examples")}


def _breaks(change: Change) -> str:
    """Why a change is major, "" where it is not."""
    if change.section == "inputs":
        return _input_breaks(change)
    if change.section == "scripts" and change.way is Way.REMOVED and change.old and "\n" in change.old:
        return f"the script {change.name} is gone"
    return ""


def _input_breaks(change: Change) -> str:
    if change.way is Way.REMOVED:
        return f"the input {change.name} is gone"
    if change.way is Way.ADDED:
        return f"the input {change.name} is new and required" if change.new["required"] else ""
    if change.new["required"] and not change.old["required"]:
        return f"the input {change.name} became required"
    narrowed = _types(change.old) - _types(change.new)
    return f"the input {change.name} no longer takes {' or '.join(sorted(narrowed))}" if narrowed else ""


_ANY = frozenset(("string", "number", "boolean", "array", "object", "null"))


def _types(told: Mapping[str, Any]) -> frozenset[str]:
    given = reading.strings(told, "schema", "type")
    widened = {"number" if each == "integer" and "number" not in given else each for each in given}
    return frozenset(widened) if given else _ANY


def _told(change: Change) -> str:
    words = {"inputs": "input", "rules": "rule", "agents": "agent", "events": "event", "scripts": "script"}
    return f"{words.get(change.section, change.section)} {change.name} {change.way}"


def next_version(version: str, size: str) -> str:
    """
    The version after ``version`` by a bump of this size; 1.0.0 after none.

    Raises:
        ValueError: ``version`` is no semantic version.
    """
    if not version:
        return "1.0.0"
    parsed = semver.Version.parse(version)
    bumped = {"major": parsed.bump_major, "minor": parsed.bump_minor, "patch": parsed.bump_patch}[size]()
    return str(bumped)
