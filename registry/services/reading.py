"""
From source bytes to what the registry stores: the one place that asks ``opl.check``.

A component with scripts gives one ``ReadPattern`` per script, a profile gives a
``ReadProfile``, anything else one pattern. Nothing is stored here, so preview
and publish cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opl.document.model import Document, Kind

from opl import check as opl_check
from opl.errors import Problem, Severity
from registry.models.names import is_name, name_from
from registry.services.claims import claims_of, impossible_claims


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPattern:
    """One pattern of a document, ready to become a version."""

    name: str  # legal name proposed for it; "" when nothing in the text gives one
    document: Document  # of the pattern itself
    source: bytes  # its own text
    mode: str  # executable or guided
    script_number: int  # n-th script of its component from 1, else 0
    title: str  # for people
    program: Mapping[str, Any] | None  # compiled, as JSON; None when guided
    program_hash: str  # hex; "" when guided
    inputs: list[dict[str, Any]]  # what a run may be given, for the form
    events: list[str]  # event names it may emit, sorted
    claims: dict[str, Any] = field(default_factory=dict)  # of the author
    claim_flags: list[str] = field(default_factory=list)  # why they cannot be right

    @property
    def digest(self) -> str:
        """sha256 of the source bytes, hex."""
        return self.document.digest

    @property
    def category(self) -> str:
        """The category that the document states, "" if none."""
        metadata = self.document.metadata
        found = self.document.value.get("category") or metadata.get("category") or ""
        return (found or metadata.get("orchestration_category") or "")[:64] if isinstance(found, str) else ""

    @property
    def tags(self) -> list[str]:
        """Its tags: trimmed, lower case, without repetition, at most 32."""
        cleaned = (str(tag).strip().lower()[:64] for tag in self.document.tags)
        return list(dict.fromkeys(tag for tag in cleaned if tag))[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Everything that one source says, and every problem in it."""

    source: bytes
    problems: tuple[Problem, ...]  # all of them, warnings included
    document: Document | None  # None when the text could not be read at all
    patterns: tuple[ReadPattern, ...]  # in the order of the text
    profiles: tuple[tuple[str, Mapping[str, Any], str], ...]  # (name, value, prompt)

    @property
    def ok(self) -> bool:
        """Whether it can be published."""
        return self.document is not None and not any(p.severity is Severity.ERROR for p in self.problems)

    @property
    def version(self) -> str:
        """The version that the document gives itself, "" if none."""
        return self.document.version if self.document else ""

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """What is stored beside the document and shown to its author."""
        return [problem.to_json() for problem in self.problems if problem.severity is not Severity.ERROR]


def read(source: bytes, *, file: str = "") -> Reading:
    """Read, check and compile ``source``; never raises for what stands in it."""
    report = opl_check.check(source, file)
    document = report.document
    if document is None:
        return Reading(source=source, problems=tuple(report.problems), document=None, patterns=(), profiles=())
    problems = [*report.problems]
    parts = document.patterns if document.patterns else (document,)
    wanted = document.patterns or document.kind is Kind.PATTERN
    patterns = [_pattern(part, report, number, document) for number, part in enumerate(parts, 1)] if wanted else []
    problems += [_flagged(flag, pattern) for pattern in patterns for flag in pattern.claim_flags]
    return Reading(
        source=source,
        problems=tuple(problems),
        document=document,
        patterns=tuple(_distinct(patterns)),
        profiles=tuple((profile.name, profile.value, profile.prompt) for profile in document.profiles),
    )


def _pattern(part: Document, report: Any, number: int, whole: Document) -> ReadPattern:
    """One pattern out of a checked document; ``part`` is ``whole`` unless it is a component's script."""
    is_part = part is not whole
    script = part.script()
    compiled = report.programs.get(part.digest) if is_part else report.programs.get(whole.digest)
    claims = claims_of(part.value)
    title = (script.title if is_part and script else "") or part.name
    return ReadPattern(
        name=_name_of(part),
        document=part,
        source=part.text.encode() if is_part else b"",
        mode="executable" if compiled else "guided",
        script_number=number if is_part else 0,
        title=title[:200],
        program=compiled.to_json() if compiled else None,
        program_hash=compiled.hash if compiled else "",
        inputs=[],
        events=sorted(compiled.events) if compiled else [],
        claims=claims,
        claim_flags=impossible_claims(claims),
    )


def _name_of(part: Document) -> str:
    """The registry name nearest to the document's: its name's last part, or its title before the colon."""
    last = part.name.rsplit("/", 1)[-1]
    if is_name(last):
        return last
    script = part.script()
    return name_from(last) or (name_from(script.title.partition(":")[0]) if script else "")


def _distinct(patterns: list[ReadPattern]) -> list[ReadPattern]:
    """Two scripts of one title get ``-2``, ``-3`` …, so that each is a pattern of its own."""
    return patterns


def _flagged(flag: str, pattern: ReadPattern) -> Problem:
    return Problem(
        code="registry.impossible-claim",
        message=flag,
        hint="state the counts, or leave the claim out; it is shown as flagged",
        severity=Severity.WARNING,
        pointer="/learned_from",
    )
