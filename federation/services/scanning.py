"""
A foreign document looked at before anything is done with it, and an own one before it leaves.

``open_safely`` reads it under the limits of federated documents and refuses
what a node must not read; ``look`` lists everything a person should see. Both
only read: nothing is compiled, run, or shown to a model.

Source: OPL-Fed/1, "Trust and quarantine" and "Limits".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from federation.protocol import limits, statement
from federation.protocol.lens import Judgement, Lens, Vocabulary, judge
from federation.protocol.problems import Refused
from opl.document.envelopes import read
from opl.document.load import LoadLimits
from opl.document.model import Document
from opl.document.reading import is_storable
from opl.errors import Severity
from opl.scan import Category, Finding, scan, scan_name, skeleton

FEDERATED = LoadLimits(
    source_bytes=limits.SOURCE_BYTES,
    depth=limits.YAML_DEPTH,
    nodes=limits.YAML_NODES,
    characters=4 * limits.SOURCE_BYTES,
)
# A person decides about these; what only speaks to the agent that reads it is shown, and tried under observation.
_HOLDING = frozenset({Category.SECRET, Category.NAME, Category.PRIVATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What the scan of one document found."""

    findings: tuple[dict[str, Any], ...]  # [{code, category, severity, message, line, column}], redacted
    capabilities: tuple[str, ...]  # what it asks to be allowed
    holds: bool  # whether a person must decide

    @property
    def summary(self) -> str:
        """One line for the step's reason."""
        if not self.findings:
            return "nothing suspicious was found"
        first = self.findings[0]
        more = f" and {len(self.findings) - 1} more" if len(self.findings) > 1 else ""
        return f"{first['message']} (line {first['line']}){more}"


def open_safely(source: bytes) -> Document:
    """
    The document, read under the limits every node promises.

    Raises:
        Refused: ``unsafe-document``, with the place.
    """
    document, problems = read(source, limits=FEDERATED)
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    unfederable = document.loaded.unfederable if document is not None else ()
    for problem in (*errors, *unfederable):
        raise Refused("unsafe-document", f"{problem.line}:{problem.column}: {problem.message}"[:500])
    if document is None:
        raise Refused("unsafe-document", "the text is no document")
    if not is_storable(document.value):
        raise Refused("unsafe-document", "it holds a NUL character or a lone surrogate, which no database keeps")
    return document


def examine(release: statement.Statement) -> None:
    """
    What a pushed release must pass at once: it can be read safely and means what it says it means.

    Raises:
        Refused: ``unsafe-document`` or ``digest-mismatch``.
    """
    open_release(release.predicate)


def open_release(predicate: Mapping[str, Any]) -> Document:
    """The document of a release, its semantic digest checked."""
    document = open_safely(str(predicate["source"]).encode("utf-8"))
    if document.semantic_digest != predicate["semantic_digest"]:
        raise Refused("digest-mismatch", "semantic_digest is not that of the document")
    return document


def look(document: Document, *, display_name: str = "") -> Looked:
    """
    Everything a person should see about a document.

    Args:
        display_name: ``handle/name`` as it will be shown.
    """
    told = [_told(finding) for finding in (*scan(document), *scan_name(display_name))]
    asks = [*(document.capabilities or ()), *([document.security_profile] if document.security_profile else [])]
    holds = any(each["category"] in {str(category) for category in _HOLDING} for each in told)
    return Looked(findings=tuple(told), capabilities=tuple(str(each) for each in asks), holds=holds)


def compared(looked: Looked, display_name: str, known_names: Mapping[str, str]) -> Looked:
    """
    The same, with a finding where the name can be taken for another one.

    Args:
        known_names: skeleton → name of what is known here.
    """
    name = display_name.rpartition("/")[2]
    lookalike = known_names.get(skeleton(name))
    if lookalike is None or lookalike == name:
        return looked
    told = {
        "code": "name.lookalike",
        "category": str(Category.NAME),
        "severity": str(Severity.WARNING),
        "message": f"its name can be taken for {lookalike}",
        "line": 1,
        "column": 1,
    }
    return replace(looked, findings=(*looked.findings, told), holds=True)


def fit(requires: Mapping[str, Any], *, here: Vocabulary, lenses: tuple[Lens, ...]) -> Judgement:
    """Whether a pattern with these requirements runs here."""
    return judge(Vocabulary.required(requires), here, lenses)


def _told(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "category": str(finding.category),
        "severity": str(finding.severity),
        "message": f"{finding.message}: {finding.excerpt}",
        "line": finding.line,
        "column": finding.column,
    }
