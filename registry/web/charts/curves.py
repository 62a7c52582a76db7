"""
Numbers along a line: the sparkline, and a curve with its band, thresholds and axes.

``curve`` draws both the success rate over time and the evidence of a trial;
the second has a logarithmic axis and thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from registry.web.charts.svg import element, number, picture, points

LEFT, RIGHT, TOP, BOTTOM = 44.0, 16.0, 14.0, 28.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One place on a curve."""

    value: float
    label: str  # what stands below it: a date, a pair's number
    low: float | None = None  # the band, where there is one
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A level that the curve is measured against."""

    value: float
    label: str


def sparkline(values: Sequence[float], *, title: str, unit: str = "") -> SafeString:
    """The course of one number, without axes; its extremes and its end are in the description."""
    width, height, edge = 120.0, 28.0, 3.0
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return picture(width=width, height=height, title=title, description=_("no values yet"), class_="spark")
    low, high = min(finite), max(finite)
    spread = (high - low) or 1.0
    step = (width - 2 * edge) / max(1, len(finite) - 1)
    line = [
        (edge + index * step, height - edge - (value - low) / spread * (height - 2 * edge))
        for index, value in enumerate(finite)
    ]
    described = _("%(count)d values from %(low)s to %(high)s, now %(last)s%(unit)s") % {
        "count": len(finite),
        "low": number(low),
        "high": number(high),
        "last": number(finite[-1]),
        "unit": f" {unit}" if unit else "",
    }
    return picture(
        element("polyline", class_="curve accent", points=points(line)),
        element("circle", class_="dot accent", cx=line[-1][0], cy=line[-1][1], r=2.5),
        width=width,
        height=height,
        title=title,
        description=described,
        class_="spark",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Turns values into heights, plainly or by their logarithm."""

    low: float
    high: float
    top: float
    bottom: float
    logarithmic: bool = False

    def y(self, value: float) -> float:
        """The height at which a value stands, kept inside the picture."""
        low, high, at = self.low, self.high, min(self.high, max(self.low, value))
        if self.logarithmic:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return self.bottom - (at - low) / ((high - low) or 1.0) * (self.bottom - self.top)


def curve(
    line: Sequence[Point],
    *,
    title: str,
    description: str,
    low: float = 0.0,
    high: float = 1.0,
    ticks: Sequence[tuple[float, str]] = ((0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")),
    thresholds: Sequence[Threshold] = (),
    logarithmic: bool = False,
    width: float = 720.0,
    height: float = 220.0,
) -> SafeString:
    """
    A curve over evenly spaced points.

    Args:
        low, high: the ends of the axis; what lies outside is drawn at its edge.
            Above 0 where ``logarithmic``.
        ticks: values and their words on the left.
    """
    scale = Scale(low=low, high=high, top=TOP, bottom=height - BOTTOM, logarithmic=logarithmic)
    step = (width - LEFT - RIGHT) / max(1, len(line) - 1)
    x = [LEFT + index * step for index in range(len(line))]
    parts: list[SafeString] = [
        *_ticks(ticks, scale, width),
        *_band(line, x, scale),
        *_thresholds(thresholds, scale, width),
    ]
    drawn = [(place, scale.y(point.value)) for place, point in zip(x, line, strict=True)]
    if len(drawn) > 1:
        parts.append(element("polyline", class_="curve", points=points(drawn)))
    if drawn:
        parts.append(element("circle", class_="dot", cx=drawn[-1][0], cy=drawn[-1][1], r=3.5))
    parts.extend(_labels(line, x, height))
    return picture(*parts, width=width, height=height, title=title, description=description)


def _ticks(ticks: Sequence[tuple[float, str]], scale: Scale, width: float) -> list[SafeString]:
    parts = []
    for value, words in ticks:
        y = scale.y(value)
        parts.append(element("path", class_="grid", d=f"M{LEFT} {y:.1f}H{width - RIGHT}"))
        parts.append(element("text", words, class_="dim", x=LEFT - 6, y=y + 4, text_anchor="end"))
    return parts


def _band(line: Sequence[Point], x: Sequence[float], scale: Scale) -> list[SafeString]:
    known = [(place, point) for place, point in zip(x, line, strict=True) if point.low is not None]
    if len(known) < 2:
        return []
    upper = [(place, scale.y(point.high or 0.0)) for place, point in known]
    lower = [(place, scale.y(point.low or 0.0)) for place, point in reversed(known)]
    return [element("polygon", class_="band", points=points(upper + lower))]


def _thresholds(thresholds: Sequence[Threshold], scale: Scale, width: float) -> list[SafeString]:
    parts = []
    for threshold in thresholds:
        y = scale.y(threshold.value)
        parts.append(element("path", class_="threshold", d=f"M{LEFT} {y:.1f}H{width - RIGHT}"))
        parts.append(element("text", threshold.label, x=width - RIGHT, y=y - 5, text_anchor="end"))
    return parts


def _labels(line: Sequence[Point], x: Sequence[float], height: float) -> list[SafeString]:
    """Words below the first, the middle and the last point, where they have room."""
    if not line:
        return []
    places = {0: "start", len(line) - 1: "end"} if len(line) > 1 else {0: "start"}
    if len(line) > 4:
        places[len(line) // 2] = "middle"
    return [
        element("text", line[at].label, class_="dim", x=x[at], y=height - 8, text_anchor=anchor)
        for at, anchor in places.items()
    ]
