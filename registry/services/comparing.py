"""Two versions side by side: as text, by meaning, and in what they achieved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opl.document.changes import Change
from opl.document.diff import diff, unified
from opl.document.model import Document
from registry.models import PatternVersion
from registry.services import analytics
from registry.services.analytics import Evidence
from registry.services.reading import Reading, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What differs between two versions."""

    before: PatternVersion
    after: PatternVersion
    lines: tuple[str, ...]  # unified diff without line ends; () for equal texts
    changes: tuple[Change, ...]  # by meaning; () where either text cannot be read any more
    same_meaning: bool  # only layout, comments or order differ
    evidence_before: Evidence
    evidence_after: Evidence


def compare(before: PatternVersion, after: PatternVersion) -> Comparison:
    """The difference between any two versions, of one pattern or of two."""
    old, new = document_of(before), document_of(after)
    changes: tuple[Change, ...] = ()
    if old is None or new is None:
        lines, same = tuple(unified(before.text, after.text)), before.digest == after.digest
    else:
        found = diff(old, new)
        lines, changes, same = found.lines, found.changes, found.same_meaning
    return Comparison(
        before=before,
        after=after,
        lines=lines,
        changes=changes,
        same_meaning=same,
        evidence_before=analytics.evidence_of(before),
        evidence_after=analytics.evidence_of(after),
    )


def document_of(version: PatternVersion) -> Document | None:
    """The document of a version, read again from its source; None where today's reader refuses it."""
    reading: Reading = read(version.source_bytes)
    return reading.patterns[0].document if reading.patterns else reading.document


def to_json(found: Comparison) -> dict[str, Any]:
    """The shape of the API's answer."""
    return {
        "before": str(found.before),
        "after": str(found.after),
        "same_meaning": found.same_meaning,
        "text": list(found.lines),
        "meaning": list(_changes(found.changes)),
        "outcome": {
            "before": found.evidence_before.to_json(),
            "after": found.evidence_after.to_json(),
        },
    }


def _changes(changes: tuple[Change, ...]) -> Iterator[dict[str, Any]]:
    for change in changes:
        yield {
            "section": change.section,
            "way": str(change.way),
            "name": change.name,
            "old": change.old,
            "new": change.new,
            "old_line": change.old_line,
            "new_line": change.new_line,
        }
