"""
Where a document says that it comes from.

Ours: ``lineage: {op, parents: [...]}``, at the top or under ``metadata``.
KSI's two: ``metadata.lineage {parent, fork_date, fork_reason, fork_author}``
and ``metadata {forked_from, forked_at}``; ``metadata.forks`` lists the
children. ``extends`` is an edge as well. All of these are claims.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opl.document import reading
from opl.document.load import Loaded, pointer_of
from opl.document.model import Fork, Parent

OPERATIONS = frozenset(("fork", "merge", "adapt", "translate", "extends", "learned_from", "extracted_from"))


def parents_of(loaded: Loaded) -> tuple[Parent, ...]:
    """The edges to parents, each reference once per operation."""
    found = [
        *_listed(loaded, ("lineage",)),
        *_listed(loaded, ("metadata", "lineage")),
        *_forked_from(loaded),
    ]
    found += [
        Parent(op="extends", reference=extended, pointer="/extends")
        for extended in reading.strings(loaded.value, "extends")
    ]
    unique = {(parent.op, parent.reference): parent for parent in reversed(found)}
    return tuple(reversed(list(unique.values())))


def forks_of(value: Any) -> tuple[Fork, ...]:
    """The derivatives that ``metadata.forks`` lists."""
    return tuple(
        Fork(
            name=reading.string(item, "name"),
            reason=reading.string(item, "reason"),
            author=_author(reading.string(item, "author")),
            at=reading.string(item, "date"),
            pointer=pointer_of("metadata", "forks", index),
        )
        for index, item in enumerate(reading.sequence(value, "metadata", "forks"))
        if reading.string(item, "name")
    )


def _listed(loaded: Loaded, path: tuple[str, ...]) -> list[Parent]:
    """Edges under a ``lineage`` key: a mapping with ``parent`` or ``parents``, or a list of such."""
    value = reading.dig(loaded.value, *path)
    if isinstance(value, dict):
        return _edges(loaded, value, path)
    if isinstance(value, list):
        return [
            edge
            for index, item in enumerate(value)
            if isinstance(item, dict)
            for edge in _edges(loaded, item, (*path, index))
        ]
    return []


def _edges(loaded: Loaded, value: Mapping[str, Any], path: tuple[str | int, ...]) -> list[Parent]:
    op = reading.string(value, "op")
    number = value.get("n")
    common = {
        "op": op if op in OPERATIONS else "fork",
        "reason": reading.first_string(value, "fork_reason", "reason"),
        "author": _author(reading.first_string(value, "fork_author", "author")),
        "at": reading.first_string(value, "fork_date", "date", "at"),
    }
    references = [(reading.string(value, "parent"), (*path, "parent"))]
    references += [(reading.string(value, "component"), (*path, "component"))]
    references += [
        (
            item if isinstance(item, str) else reading.first_string(item, "digest", "name"),
            (*path, "parents", index),
        )
        for index, item in enumerate(reading.sequence(value, "parents"))
    ]
    return [
        Parent(
            reference=reference,
            pointer=pointer_of(*place),
            number=number if isinstance(number, int) and number > 0 else 0,
            **common,
        )
        for reference, place in references
        if reference
    ]


def _forked_from(loaded: Loaded) -> list[Parent]:
    metadata = reading.mapping(loaded.value, "metadata")
    reference = reading.string(metadata, "forked_from")
    if not reference:
        return []
    return [
        Parent(
            op="fork",
            reference=reference,
            reason=reading.string(metadata, "fork_reason"),
            at=reading.string(metadata, "forked_at"),
            pointer="/metadata/forked_from",
        )
    ]


def _author(name: str) -> str:
    """KSI writes "unknown" where it knows no author."""
    return "" if name == "unknown" else name
