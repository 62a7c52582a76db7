"""
What a script does, drawn: steps from top to bottom, blocks as frames.

A loop or a condition is a frame around its steps; the branches of a condition
and of a PARALLEL stand side by side. Each step links to its line. The picture
is laid out in two passes over the same tree: sizes first, then places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from registry.web.charts.svg import element, link, picture, shorten

STEP_WIDTH, STEP_HEIGHT, GAP, PAD, HEADER = 236.0, 32.0, 16.0, 12.0, 26.0
CHARACTER = 7.3  # width of one character of 12 px monospace, in px


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Steps that follow one another; a branch of a block."""

    steps: tuple[Step, ...]
    label: str = ""  # "ELSE", "CATCH error"; "" for the only lane


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One statement, or a block with lanes."""

    label: str
    line: int  # counts from 1
    kind: str = "step"  # step, ask (a completion), human, wait, emit, loop, choice, parallel, guard, end
    lanes: tuple[Lane, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Width and height in px."""

    width: float
    height: float


def flow_diagram(steps: Sequence[Step], *, title: str, href: str = "") -> SafeString:
    """
    The diagram.

    Args:
        href: the page that holds the source; steps link to ``href#L<line>``.
    """
    lane = Lane(steps=tuple(steps))
    size = lane_size(lane)
    edge = 6.0
    count = sum(1 for _step in walk(steps))
    return picture(
        *_lane(lane, edge, edge, href),
        width=size.width + 2 * edge,
        height=size.height + 2 * edge,
        title=title,
        description=ngettext("%(count)d step", "%(count)d steps", count) % {"count": count},
        linked=True,
    )


def walk(steps: Sequence[Step]) -> list[Step]:
    """Every step in reading order, blocks before what they hold."""
    found: list[Step] = []
    for step in steps:
        found.append(step)
        for lane in step.lanes:
            found.extend(walk(lane.steps))
    return found


def step_size(step: Step) -> Size:
    """The room that a step takes with all it holds."""
    if not step.lanes:
        return Size(width=STEP_WIDTH, height=STEP_HEIGHT)
    sizes = [lane_size(lane) for lane in step.lanes]
    width = sum(size.width for size in sizes) + GAP * (len(sizes) - 1) + 2 * PAD
    height = max(size.height for size in sizes) + HEADER + PAD
    return Size(width=max(width, STEP_WIDTH + 2 * PAD), height=height)


def lane_size(lane: Lane) -> Size:
    """The room of a lane, its label included."""
    sizes = [step_size(step) for step in lane.steps] or [Size(width=STEP_WIDTH, height=STEP_HEIGHT)]
    height = sum(size.height for size in sizes) + GAP * (len(sizes) - 1)
    return Size(width=max(size.width for size in sizes), height=height + (18.0 if lane.label else 0.0))


def _lane(lane: Lane, x: float, y: float, href: str) -> list[SafeString]:
    """The steps below one another, aligned on the left, where reading begins."""
    parts: list[SafeString] = []
    middle = x + STEP_WIDTH / 2
    if lane.label:
        parts.append(element("text", shorten(lane.label, 36), class_="dim", x=x + 2, y=y + 11))
        y += 18.0
    if not lane.steps:
        parts.append(element("text", _("nothing"), class_="dim", x=middle, y=y + 20, text_anchor="middle"))
    for index, step in enumerate(lane.steps):
        size = step_size(step)
        if index:
            parts.append(_arrow(middle, y - GAP, y))
        parts.extend(_step(step, x, y, size, href))
        y += size.height + GAP
    return parts


def _arrow(x: float, y1: float, y2: float) -> SafeString:
    return element(
        "g",
        element("path", class_="edge", d=f"M{x:.1f} {y1:.1f}V{y2 - 5:.1f}"),
        element("path", class_="arrow", d=f"M{x - 3.5:.1f} {y2 - 6:.1f}h7l-3.5 6z"),
    )


SIGNS = {
    "ask": "◆",
    "human": "☺",
    "wait": "◷",
    "emit": "▸",
    "loop": "↻",
    "choice": "◇",
    "parallel": "⇉",
    "guard": "⛨",
    "end": "■",
    "step": "·",
}


def _step(step: Step, x: float, y: float, size: Size, href: str) -> list[SafeString]:
    if not step.lanes:
        return [_box(step, x, y, size.width, href)]
    frame = element("rect", class_="group", x=x, y=y, width=size.width, height=size.height, rx=8)
    head = _linked(step, href, _words(step, x + PAD, y + 17, size.width - 2 * PAD))
    parts = [frame, head]
    left = x + PAD
    for lane in step.lanes:
        parts.extend(_lane(lane, left, y + HEADER, href))
        left += lane_size(lane).width + GAP
    return parts


def _box(step: Step, x: float, y: float, width: float, href: str) -> SafeString:
    kind = {"ask": "box ask", "human": "box human", "end": "box end"}.get(step.kind, "box")
    return _linked(
        step,
        href,
        element("rect", class_=kind, x=x, y=y, width=width, height=STEP_HEIGHT, rx=16 if step.kind == "wait" else 5),
        _words(step, x + 10, y + 20, width - 20),
    )


def _words(step: Step, x: float, y: float, width: float) -> SafeString:
    room = int((width - 40) / CHARACTER)
    return element(
        "g",
        element("text", SIGNS.get(step.kind, "·"), class_="dim", x=x, y=y),
        element("text", shorten(step.label, room), class_="mono", x=x + 18, y=y),
        element("text", str(step.line), class_="dim", x=x + width, y=y, text_anchor="end") if step.line else "",
    )


def _linked(step: Step, href: str, *parts: SafeString) -> SafeString:
    if not step.line:
        return element("g", *parts)
    label = _("%(what)s, line %(line)d") % {"what": shorten(step.label, 80), "line": step.line}
    return link(f"{href}#L{step.line}", *parts, label=label)
