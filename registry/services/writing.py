"""
Documents that the hub writes itself: exports, adaptations, merges.

What a person wrote keeps its layout and comments wherever it stays the same;
``opl.document.rendering`` sees to that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from opl.document.model import Envelope
from opl.document.rendering import dumped, rendered
from registry.models import Pattern, PatternVersion
from registry.services.reading import read
from registry.services.versioning import next_version_of


def as_value(version: PatternVersion) -> dict[str, Any]:
    """The version's document as a value that may be changed; a bare script is put into an OPL document."""
    document = read(version.source_bytes).document
    if document is not None and document.envelope in (Envelope.OPL, Envelope.KSI):
        return dict(_copied(document.value))
    text = version.text
    return {
        "type": "orchestration_pattern",
        "name": version.pattern.name,
        "description": version.description or version.title or version.pattern.name,
        "dsl": text if text.endswith("\n") else text + "\n",
    }


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list | tuple) else value


def written(version: PatternVersion, value: Mapping[str, Any]) -> bytes:
    """The source of ``version`` with ``value`` in the place of its own."""
    document = read(version.source_bytes).document
    if document is not None and document.envelope in (Envelope.OPL, Envelope.KSI):
        return rendered(document, value).encode()
    return dumped(dict(value)).encode()


def with_next_version(source: bytes, pattern: Pattern | None) -> bytes:
    """The source with the version it would get as the next of ``pattern``; one that states none stays as it is."""
    reading = read(source)
    document = reading.document
    if document is None or not document.version or not reading.patterns:
        return source
    version = next_version_of(pattern, reading.patterns[0])[0]
    return rendered(document, {**document.value, "version": version}).encode()


_STATE = r"^(?P<indent>[ \t]*)(?:STATE|state|State)[ \t]+{name}[ \t]*=[ \t]*"


def with_constant(script: str, name: str, written: str) -> str | None:
    """
    The script with ``STATE name = …`` given another constant; None where it has no such statement.

    The constant may span lines inside brackets; what follows it stays as it is.
    """
    found = re.search(_STATE.format(name=re.escape(name)), script, re.MULTILINE)
    if found is None:
        return None
    end = _end_of_expression(script, found.end())
    return script[: found.end()] + written + script[end:]


def _end_of_expression(text: str, start: int) -> int:
    """Where the expression that begins at ``start`` ends: the line's end outside brackets and strings."""
    depth, quote, place = 0, "", start
    while place < len(text):
        char = text[place]
        if quote:
            if char == "\\":
                place += 1
            elif char == quote:
                quote = ""
        elif char in "\"'":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char in "#\n" and depth <= 0:
            break
        elif char == "#":
            line_end = text.find("\n", place)
            place = len(text) if line_end < 0 else line_end
        place += 1
    while place > start and text[place - 1] in " \t":
        place -= 1
    return place
