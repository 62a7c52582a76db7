"""
Where a version comes from and what came from it, as a graph from left to right.

Edges point from parent to child. A column is the longest way from a root, so an
edge never points backwards; within a column nodes stand near the middle of
their parents. A parent that this hub does not hold is drawn dashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from registry.web.charts.svg import element, link, picture, shorten

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, EDGE = 196.0, 48.0, 92.0, 18.0, 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One version, or a digest that nobody here holds."""

    key: str  # the digest
    title: str
    note: str = ""  # the small line: version, first characters of the digest
    href: str = ""  # "" for a dangling node
    here: bool = False  # the version whose page this is


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One derivation."""

    parent: str
    child: str
    kind: str  # fork, merge, adapt, translate, extends, learned_from


def lineage_graph(nodes: Sequence[Node], edges: Sequence[Edge], *, title: str) -> SafeString:
    """The graph; edges that name unknown nodes are left out, a cycle is cut where it closes."""
    known = {node.key for node in nodes}
    edges = [edge for edge in edges if {edge.parent, edge.child} <= known and edge.parent != edge.child]
    places = _places(nodes, edges)
    width = 2 * EDGE + max((x for x, _y in places.values()), default=0.0) + BOX_WIDTH
    height = 2 * EDGE + max((y for _x, y in places.values()), default=0.0) + BOX_HEIGHT
    described = "{}, {}".format(
        ngettext("%(count)d version", "%(count)d versions", len(nodes)) % {"count": len(nodes)},
        ngettext("%(count)d derivation", "%(count)d derivations", len(edges)) % {"count": len(edges)},
    )
    return picture(
        *(_edge(edge, places) for edge in edges),
        *(_node(node, places[node.key]) for node in nodes),
        width=width,
        height=height,
        title=title,
        description=described,
        linked=True,
    )


def columns(nodes: Sequence[Node], edges: Sequence[Edge]) -> dict[str, int]:
    """The column of each node: the longest way from a root; a node met again on its own way stays put."""
    parents: dict[str, list[str]] = {node.key: [] for node in nodes}
    for edge in edges:
        parents[edge.child].append(edge.parent)
    depth: dict[str, int] = {}
    for start in parents:
        way, stack = {start}, [(start, iter(parents[start]))]
        while stack:
            key, rest = stack[-1]
            parent = next((name for name in rest if name not in depth and name not in way), None)
            if parent is not None:
                way.add(parent)
                stack.append((parent, iter(parents[parent])))
                continue
            stack.pop()
            way.discard(key)
            depth[key] = 1 + max((depth.get(name, -1) for name in parents[key]), default=-1)
    return depth


def _places(nodes: Sequence[Node], edges: Sequence[Edge]) -> dict[str, tuple[float, float]]:
    """Left upper corners, without the outer edge."""
    depth = columns(nodes, edges)
    rows: dict[str, float] = {}
    for column in range(1 + max(depth.values(), default=-1)):
        keys = [node.key for node in nodes if depth[node.key] == column]
        wish = {key: _middle_of_parents(key, edges, rows) for key in keys}
        lowest = 0.0
        for key in sorted(keys, key=lambda key: (wish[key], key)):
            rows[key] = max(lowest, wish[key])
            lowest = rows[key] + 1
    return {key: (depth[key] * (BOX_WIDTH + GAP_X), row * (BOX_HEIGHT + GAP_Y)) for key, row in rows.items()}


def _middle_of_parents(key: str, edges: Sequence[Edge], rows: dict[str, float]) -> float:
    above = [rows[edge.parent] for edge in edges if edge.child == key and edge.parent in rows]
    return sum(above) / len(above) if above else 0.0


def _edge(edge: Edge, places: dict[str, tuple[float, float]]) -> SafeString:
    (from_x, from_y), (to_x, to_y) = places[edge.parent], places[edge.child]
    x1, y1 = EDGE + from_x + BOX_WIDTH, EDGE + from_y + BOX_HEIGHT / 2
    x2, y2 = EDGE + to_x - 7, EDGE + to_y + BOX_HEIGHT / 2
    bend = max(24.0, (x2 - x1) / 2)
    way = f"M{x1:.1f} {y1:.1f}C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    return element(
        "g",
        element("path", class_="edge", d=way),
        element("path", class_="arrow", d=f"M{x2:.1f} {y2 - 4:.1f}l7 4l-7 4z"),
        element(
            "text",
            edge.kind.replace("_", " "),
            class_="dim",
            x=(x1 + x2) / 2,
            y=(y1 + y2) / 2 - 5,
            text_anchor="middle",
        ),
    )


def _node(node: Node, place: tuple[float, float]) -> SafeString:
    x, y = EDGE + place[0], EDGE + place[1]
    kind = "box here" if node.here else "box" if node.href else "box dangling"
    drawn = element(
        "g",
        element("rect", class_=kind, x=x, y=y, width=BOX_WIDTH, height=BOX_HEIGHT, rx=6),
        element("text", shorten(node.title, 24), class_="mono", x=x + 10, y=y + 20),
        element("text", shorten(node.note or _("not held here"), 30), class_="dim", x=x + 10, y=y + 37),
    )
    return link(node.href, drawn, label=f"{node.title} {node.note}".strip()) if node.href else drawn
