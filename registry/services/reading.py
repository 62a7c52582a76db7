"""
From source bytes to what the registry stores: the one place that asks ``opl.check``.

A component with scripts gives one ``ReadPattern`` per script, a profile gives a
``ReadProfile``, anything else one pattern. Nothing is stored here, so preview
and publish cannot disagree.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from opl.check import Report, check, program_events
from opl.document.model import Document, Envelope, Kind
from opl.document.reading import is_storable
from opl.errors import Problem, Severity
from opl.script.compiler import program_hash
from registry.models import Pattern, Profile
from registry.models.names import is_name, name_from
from registry.services.claims import claims_of


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
    def profiles_needed(self) -> list[str]:
        """Profiles that its agents name, sorted; what a run must be able to resolve."""
        agents = self.document.agents.values()
        named = {str(agent["profile"]) for agent in agents if isinstance(agent, Mapping) and agent.get("profile")}
        return sorted(named)

    @property
    def search_words(self) -> str:
        """The words by which it is found, beside its name and tags."""
        return "\n".join(word for word in self._words() if word)

    def _words(self) -> Iterator[str]:
        document = self.document
        yield document.description
        yield from document.discovery_insights
        for rule in document.adaptive_rules:
            yield f"{rule.action.replace('_', ' ')} {rule.rationale}"
        yield document.author
        yield document.strategy
        yield self.title
        for script in document.main_scripts:
            yield script.title

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


class StoredComponents:
    """The names that ``dependencies`` may use: profiles and patterns stored here, looked up one by one."""

    def __contains__(self, name: object) -> bool:
        """Whether a component of that name, its folder left aside, is stored."""
        last = str(name).rsplit("/", 1)[-1]
        return Profile.objects.called(str(name)).exists() or Pattern.objects.filter(name=last).exists()


def read(source: bytes, *, file: str = "", known: Container[str] | None = None) -> Reading:
    """
    Read, check and compile ``source``; never raises for what stands in it.

    Args:
        known: components that exist; those stored here by default. With ``()`` no database is asked.
    """
    report = check(source, file=file, known=StoredComponents() if known is None else known)
    document = report.document
    if document is None:
        return Reading(source=source, problems=report.problems, document=None, patterns=(), profiles=())
    patterns = _patterns(report, document, source)
    profiles = _profiles(document)
    problems = report.problems
    if not patterns and not profiles and report.ok:
        problems = (*problems, _nothing(document))
    if report.ok and not is_storable([document.value, *(pattern.program for pattern in patterns)]):
        problems = (*problems, _unstorable(document.text))
    return Reading(source=source, problems=problems, document=document, patterns=patterns, profiles=profiles)


def _patterns(report: Report, document: Document, source: bytes) -> tuple[ReadPattern, ...]:
    """Each fenced script that compiles, or the document as a whole where it is a pattern."""
    flags = [problem.message for problem in report.problems if problem.code == "claim-impossible"]
    if document.envelope is not Envelope.COMPONENT:
        if document.kind is not Kind.PATTERN:
            return ()
        return (_pattern(document, source=source, program=report.program(), mode=str(report.mode), flags=flags),)
    parts = zip(document.patterns, document.scripts, strict=True)
    found = [
        _pattern(
            part,
            source=part.text.encode("utf-8", "surrogatepass"),
            program=report.programs.get(script.key),
            mode="executable",
            flags=[],
            number=script.number,
            title=script.title,
            component=document,
        )
        for part, script in parts
        if script.key in report.programs
    ]
    if not found and document.kind is Kind.PATTERN:
        return (_pattern(document, source=source, program=None, mode="guided", flags=flags),)
    return _distinct(found)


def _pattern(
    part: Document,
    *,
    source: bytes,
    program: Mapping[str, Any] | None,
    mode: str,
    flags: list[str],
    number: int = 0,
    title: str = "",
    component: Document | None = None,
) -> ReadPattern:
    name = _name_of(part, title)
    if not name and component is not None:
        name = name_from(f"{component.name.rsplit('/', 1)[-1]}-{number}")
    return ReadPattern(
        name=name,
        document=part,
        source=source,
        mode=mode,
        script_number=number,
        title=(title or _title(part))[:200],
        program=program,
        program_hash=program_hash(program) if program else "",
        inputs=_inputs(part, program),
        events=sorted(program_events(program)) if program else [],
        claims=claims_of(part.value),
        claim_flags=flags,
    )


def _title(part: Document) -> str:
    script = part.script()
    stated = part.value.get("title") or part.metadata.get("title")
    return stated if isinstance(stated, str) else part.name or (script.title if script else "")


def _name_of(part: Document, title: str) -> str:
    """The registry name: the slug of the title before the colon for a script, else the document's own name."""
    if title:
        return name_from(title.partition(":")[0])
    last = part.name.rsplit("/", 1)[-1]
    if is_name(last):
        return last
    script = part.script()
    return name_from(last) or (name_from(script.title.partition(":")[0]) if script else "")


def _distinct(patterns: list[ReadPattern]) -> tuple[ReadPattern, ...]:
    """Two scripts of one title get ``-2``, ``-3`` …, so that each is a pattern of its own."""
    taken: set[str] = set()
    found = []
    for item in patterns:
        name, count = item.name, 1
        while name in taken:
            count += 1
            name = f"{item.name[:60]}-{count}"
        taken.add(name)
        found.append(replace(item, name=name))
    return tuple(found)


def _inputs(part: Document, program: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """
    What a run may be given: ``{name, type, required, default, description, schema, initial}``.

    Those of the script, in its order (the compiler has merged the document's
    parameters into them), then what only the document declares. ``initial``
    marks state that a form folds away.
    """
    shown = {**(program or {}).get("inputs", {}), **(program or {}).get("initial_state", {})}
    initial = (program or {}).get("initial_state", {})
    found = {
        name: {
            "name": name,
            "type": entry.get("type", "any"),
            "required": bool(entry.get("required")),
            "default": entry.get("default"),
            "description": entry.get("description", ""),
            "schema": entry.get("schema", {}),
            "initial": name in initial,
        }
        for name, entry in shown.items()
    }
    for item in part.inputs:
        found.setdefault(
            item.name,
            {
                "name": item.name,
                "type": item.schema.get("type", "any"),
                "required": item.required,
                "default": item.default,
                "description": item.description,
                "schema": dict(item.schema),
                "initial": item.constant,
            },
        )
    return list(found.values())


def _profiles(document: Document) -> tuple[tuple[str, Mapping[str, Any], str], ...]:
    """The profiles it defines; any Markdown component can be depended on, so it is stored as one too."""
    found = tuple((profile.name, profile.value, profile.prompt) for profile in document.profiles)
    if not found and document.envelope is Envelope.COMPONENT and document.value and document.name:
        return ((document.name, document.value, document.strategy),)
    return found


_ESCAPED = re.compile(r"\\(?:0|x00|u0000|U00000000|u[dD][89a-fA-F])")


def _unstorable(text: str) -> Problem:
    """The error for such a text, at the first escape that could have made it."""
    found = _ESCAPED.search(text)
    before = text[: found.start()] if found else ""
    return Problem(
        code="registry.unstorable-character",
        message="a text in the document holds the character NUL, or half of a surrogate pair",
        hint="leave the escape out, or write the whole character",
        line=before.count("\n") + 1,
        column=len(before) - before.rfind("\n"),
        length=len(found[0]) if found else 1,
    )


def _nothing(document: Document) -> Problem:
    return Problem(
        code="registry.nothing-to-publish",
        message="there is neither a pattern nor a profile in this document",
        hint="write `type: orchestration_pattern` with a script or a strategy, or a component with a fenced script",
        line=1,
        column=1,
    )
