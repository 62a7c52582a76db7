"""
The document: one shape for OPL patterns, KSI compositions, components and bare scripts.

A ``Document`` is what a reader may rely on; ``value`` still holds every key
that the author wrote, known here or not, and ``text`` is the source itself.
Nothing in it is computed from outside the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from opl.document.load import Loaded
from opl.document.text import Lines


class Envelope(StrEnum):
    """The form a document comes in."""

    OPL = "opl"  # YAML with ``type: orchestration_pattern``
    KSI = "ksi"  # a KSI composition: ``type:`` or ``component_type:``
    COMPONENT = "component"  # Markdown, usually with YAML front matter
    SCRIPT = "script"  # nothing but a script


class Kind(StrEnum):
    """What a document is for."""

    PATTERN = "pattern"  # can be run, formally or guided
    PROFILE = "profile"  # describes an agent
    COMPONENT = "component"  # instructions that other documents draw on; may hold patterns
    OTHER = "other"  # data in a known envelope: transformers, tests, results


class Mode(StrEnum):
    """How a pattern is executed."""

    EXECUTABLE = "executable"  # by the machine
    GUIDED = "guided"  # by an orchestrator agent that reads it


class Role(StrEnum):
    """What a piece of script text is for."""

    SCRIPT = "script"  # a whole script
    FLOW = "flow"  # a stage of ``orchestration_flow``
    CONDITION = "condition"  # one expression
    FRAGMENT = "fragment"  # a named strategy or an example


class Layout(StrEnum):
    """How the text of a script stands in its file, which decides how places map."""

    BLOCK = "block"  # line by line, every line indented alike
    INLINE = "inline"  # on one line, beginning at ``first_column``
    QUOTED = "quoted"  # escaped or folded by YAML, with a map back to the source
    FOLDED = "folded"  # rewrapped by YAML: only its beginning can be named


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptSource:
    """One piece of script text and where it stands."""

    title: str  # its ``## Title`` line, its key, or the heading above it
    slug: str  # the name the title gives
    number: int  # counts from 1 among those of the same role
    text: str  # as the language reads it
    first_line: int  # of the text in the file
    first_column: int  # of the text's first character in the file
    pointer: str  # JSON Pointer in the document; "" in Markdown and bare scripts
    digest: str  # sha256 of the text as UTF-8
    role: Role = Role.SCRIPT
    layout: Layout = Layout.BLOCK
    formal: bool = True  # whether the author declared it to be a script: what does not compile is an error
    offsets: tuple[int, ...] = field(default=(), repr=False, compare=False)  # of a quoted text: see ``quoted``
    lines: Lines | None = field(default=None, repr=False, compare=False)  # of the source, for ``offsets``

    @property
    def key(self) -> str:
        """What tells it from the other pieces of its document: its pointer, in Markdown its number."""
        return self.pointer or str(self.number)

    def place(self, line: int, column: int) -> tuple[int, int]:
        """Where in the file a place is that was counted with ``first_line`` as the first line."""
        if self.layout is Layout.FOLDED:
            return self.first_line, self.first_column
        if self.layout is Layout.QUOTED and self.lines is not None:
            offset = Lines(self.text, self.first_line).start(line) + max(column - 1, 0)
            return self.lines.place(self.offsets[min(offset, len(self.offsets) - 1)])
        if self.layout is Layout.BLOCK or line == self.first_line:
            return line, column + self.first_column - 1 if column else 0
        return line, column


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveRule:
    """When a condition turns true, an action is due."""

    condition: str  # an expression over tracked values
    action: str  # the name of an action
    rationale: str = ""
    pointer: str = ""  # JSON Pointer of the rule
    line: int = 0  # of the condition in the file
    column: int = 0
    value: Mapping[str, Any] = field(default_factory=dict)  # all its keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What a run may be given."""

    name: str
    required: bool = False  # no default
    default: Any = None
    description: str = ""
    schema: Mapping[str, Any] = field(default_factory=dict)  # JSON Schema of the value; {} allows any
    pointer: str = ""
    constant: bool = False  # written as a value, not offered as an input by its author


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """An edge of the lineage as the document claims it."""

    op: str  # fork, merge, adapt, translate, extends, learned_from, extracted_from
    reference: str  # "name", "name@version" or a source digest
    reason: str = ""
    author: str = ""
    at: str = ""  # as written
    number: int = 0  # for extracted_from: which script, from 1
    pointer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A derivative that the document lists of itself."""

    name: str
    reason: str = ""
    author: str = ""
    at: str = ""
    pointer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSource:
    """A profile that the document defines."""

    name: str
    value: Mapping[str, Any]  # ``extends``, ``components``, ``prompt``, ``variables``, … as written
    prompt: str = ""  # of a Markdown component: its body
    pointer: str = ""
    line: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document with everything that its source says."""

    envelope: Envelope
    kind: Kind
    text: str = field(repr=False)  # the source, decoded
    value: Mapping[str, Any] = field(repr=False)  # the source as JSON; of a component its front matter
    digest: str  # sha256 of the source bytes
    semantic_digest: str  # sha256 of the RFC 8785 form; "" where there is none
    file: str = ""  # as the caller named it
    loaded: Loaded = field(default_factory=Loaded, repr=False, compare=False)  # the YAML part with its places

    name: str = ""  # as written; "" where the document has none
    version: str = ""  # as written
    description: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    scripts: tuple[ScriptSource, ...] = ()  # of every role, in order of the text
    parameters: Mapping[str, Any] | None = None  # JSON Schema of the inputs, from ``parameters`` and ``variables``
    variables: Mapping[str, Any] = field(default_factory=dict)  # as written
    inputs: tuple[Input, ...] = ()
    adaptive_rules: tuple[AdaptiveRule, ...] = ()
    actions: Mapping[str, Any] = field(default_factory=dict)
    orchestration_flow: Mapping[str, Any] = field(default_factory=dict)
    discovery_insights: tuple[str, ...] = ()
    strategy: str = ""  # what an orchestrator agent reads: prose, or a script that is none
    helpers: Mapping[str, Any] = field(default_factory=dict)  # judgements by name
    agents: Mapping[str, Any] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    routing: Any = None
    transformers: tuple[Any, ...] = ()
    verification: Mapping[str, Any] = field(default_factory=dict)
    learned_from: tuple[Mapping[str, Any], ...] = ()
    performance: Mapping[str, Any] = field(default_factory=dict)
    capabilities: tuple[str, ...] | None = None  # None where the document names none
    security_profile: str = ""
    success_when: str = ""  # an expression over the result
    score: str = ""  # an expression over the result, 0..1
    lineage: tuple[Parent, ...] = ()
    forks: tuple[Fork, ...] = ()
    mode: Mode = Mode.EXECUTABLE  # as the text looks; ``check`` decides

    profiles: tuple[ProfileSource, ...] = ()  # that the document defines
    patterns: tuple[Document, ...] = ()  # of a component: one for each fenced script
    embedded: tuple[Document, ...] = ()  # of Markdown: the documents that stand in its YAML fences

    @property
    def main_scripts(self) -> tuple[ScriptSource, ...]:
        """The whole scripts, without stages, conditions and fragments."""
        return tuple(script for script in self.scripts if script.role is Role.SCRIPT)

    def position(self, pointer: str) -> tuple[int, int]:
        """Line and column of the value at a JSON Pointer, or of its nearest ancestor."""
        return self.loaded.position(pointer)

    def script(self, wanted: str = "") -> ScriptSource | None:
        """
        The script with this title, slug or number counted from 1; the first one for "".

        Titles and slugs are compared without regard to case.
        """
        mine = self.main_scripts
        if not wanted:
            return mine[0] if mine else None
        folded = wanted.strip().casefold()
        for script in mine:
            if folded in (script.title.casefold(), script.slug, str(script.number)):
                return script
        return None
