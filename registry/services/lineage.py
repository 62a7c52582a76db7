"""
The lineage: a graph of digests.

An edge may name a digest that this node does not hold (it dangles, and is
joined when the text arrives); an edge that would close a cycle is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from registry.errors import LineageCycle
from registry.models import LineageEdge, Pattern, PatternVersion

MAX_PARENTS = 16
MAX_NODES = 500  # of a graph that is shown or walked at once


def add_edge(
    *,
    child: str,
    parent: str,
    op: str,
    now: datetime,
    label: str = "",
    detail: dict[str, Any] | None = None,
) -> LineageEdge:
    """
    Record that ``child`` was made from ``parent`` by ``op``; twice is no error.

    Raises:
        LineageCycle: ``parent`` descends from ``child``, or is it.
    """
    if child == parent or child in ancestors([parent], limit=10**6):
        raise LineageCycle(child, parent)
    edge, _ = LineageEdge.objects.get_or_create(
        child_digest=child,
        parent_digest=parent,
        op=op,
        defaults={"label": label[:200], "detail": detail or {}, "created_at": now},
    )
    return edge


def ancestors(digests: Iterable[str], *, limit: int = MAX_NODES) -> dict[str, int]:
    """Every text that these were made from: {digest: steps away}, nearest first, at most ``limit``."""
    return _walk(digests, "child_digest", "parent_digest", limit)


def descendants(digests: Iterable[str], *, limit: int = MAX_NODES) -> dict[str, int]:
    """Every text made from these: {digest: steps away}, nearest first, at most ``limit``."""
    return _walk(digests, "parent_digest", "child_digest", limit)


def _walk(start: Iterable[str], here: str, there: str, limit: int) -> dict[str, int]:
    """Breadth first, one query per step; a graph that somehow has a cycle ends too."""
    seen: dict[str, int] = {}
    frontier, steps = set(start), 0
    visited = set(frontier)
    while frontier and len(seen) < limit:
        steps += 1
        found: set[str] = set()
        for batch in _batches(sorted(frontier)):
            found |= set(LineageEdge.objects.filter(**{f"{here}__in": batch}).values_list(there, flat=True))
        frontier = found - visited
        visited |= frontier
        for digest in sorted(frontier)[: limit - len(seen)]:
            seen[digest] = steps
    return seen


def _batches(items: list[str], size: int = 500) -> Iterable[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One text of a lineage graph."""

    digest: str  # hex
    versions: tuple[PatternVersion, ...]  # that have this text and that the viewer may see; () when dangling
    label: str = ""  # how a document names it, where we do not hold it
    steps: int = 0  # from the text asked for; negative for ancestors


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A pattern that began as a copy of a text in the graph."""

    pattern: Pattern  # the fork
    version: str  # its first version
    digest: str  # of that version; the same as ``of`` until the fork has a text of its own
    of: str  # digest of the text that was copied


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The surroundings of one text."""

    focus: str  # the digest asked for
    nodes: tuple[Node, ...]  # ancestors first, then the focus, then descendants
    edges: tuple[LineageEdge, ...]  # among the nodes
    forks: tuple[Fork, ...] = ()  # that the viewer may see, oldest first
    truncated: bool = False  # whether there is more than is shown
    hidden: int = field(default=0)  # nodes held here that the viewer may not see


def graph(*, digest: str, user: Any, limit: int = MAX_NODES) -> Graph:
    """Everything that ``digest`` comes from and that came from it, as ``user`` may see it; few queries."""
    up, down = ancestors([digest], limit=limit), descendants([digest], limit=limit)
    steps = {found: -away for found, away in up.items()} | {digest: 0} | dict(down)
    edges = [
        edge
        for batch in _batches(sorted(steps))
        for edge in LineageEdge.objects.filter(child_digest__in=batch)
        if edge.parent_digest in steps
    ]
    held: dict[str, list[PatternVersion]] = {}
    for batch in _batches(sorted(steps)):
        visible = PatternVersion.objects.light().visible_to(user).select_related("pattern__owner")
        for version in visible.filter(digest__in=batch).order_by("published_at", "pk"):
            held.setdefault(version.digest, []).append(version)
    labels = {edge.parent_digest: edge.label for edge in edges if edge.label}
    nodes = [
        Node(digest=d, versions=tuple(held.get(d, ())), label=labels.get(d, ""), steps=away)
        for d, away in sorted(steps.items(), key=lambda item: (item[1], item[0]))
    ]
    known = set(PatternVersion.objects.filter(digest__in=sorted(steps)[:900]).values_list("digest", flat=True))
    return Graph(
        focus=digest,
        nodes=tuple(nodes),
        edges=tuple(sorted(edges, key=lambda edge: edge.pk)),
        forks=tuple(_forks(sorted(steps), user)),
        truncated=len(up) >= limit or len(down) >= limit,
        hidden=sum(1 for node in nodes if node.digest in known and not node.versions),
    )


def _forks(digests: list[str], user: Any) -> Iterable[Fork]:
    """Patterns that were forked from versions with these texts."""
    forked = Pattern.objects.visible_to(user).filter(forked_from__digest__in=digests[:900])
    rows = forked.select_related("owner", "forked_from").order_by("pk")[:MAX_NODES]
    for row in rows:
        first = row.versions.order_by("pk").values("version", "digest").first()
        if first is not None and row.forked_from is not None:
            yield Fork(pattern=row, version=first["version"], digest=first["digest"], of=row.forked_from.digest)


def reference_digest(reference: str) -> str:
    """
    The digest a document's parent reference stands for.

    A digest stands for itself. A name that a document gives (KSI's two formats
    do) stands for the text published under it where there is exactly one, else
    for a made-up digest of the reference, which dangles until joined.
    """
    lowered = reference.strip().lower().removeprefix("sha256:")
    if len(lowered) == 64 and all(char in "0123456789abcdef" for char in lowered):
        return lowered
    name, _, wanted = reference.strip().partition("@")
    found = PatternVersion.objects.filter(pattern__name=name.rsplit("/", 1)[-1], pattern__visibility="public")
    if "/" in name:
        found = found.filter(pattern__owner__name=name.split("/", 1)[0])
    if wanted:
        found = found.filter(version=wanted)
    digests = list(found.order_by("-sort_key").values_list("digest", flat=True)[:2])
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256(f"opl:unresolved:{reference.strip()}".encode()).hexdigest()
