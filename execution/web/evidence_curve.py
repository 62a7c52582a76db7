"""
The evidence of a trial as pictures: e-values pair by pair, and one metric's confidence sequence.

Pure functions. The axis of the curve is logarithmic, since evidence multiplies;
every line carries its name at its end, so that colour is not needed to read it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from execution.shadow.figures import signed
from registry.web.charts.svg import element, number, picture, points

TOP, BOTTOM = 16.0, 30.0
# Below a hundredth and above a million nobody reads heights any more; such values stand at the edge.
LOWEST, HIGHEST = math.log(0.01), math.log(1_000_000)
LABEL_HEIGHT = 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The size of a picture, in px."""

    width: float
    height: float
    left: float  # room for the numbers of the axis
    right: float  # room for the names of the lines


WIDE = Frame(width=860.0, height=300.0, left=52.0, right=210.0)
# On a telephone the names stand in the table below; each line ends with its number there.
NARROW = Frame(width=360.0, height=260.0, left=40.0, right=30.0)

# Curve → what it says once it has crossed its line, and how it is drawn.
LINES = {
    "superiority": (gettext_lazy("better on balance"), "curve"),
    "noninferior": (gettext_lazy("not worse on success"), "curve accent"),
    "kept": (gettext_lazy("limits kept"), "curve accent dashed"),
    "harm": (gettext_lazy("worse on success"), "curve bad"),
    "effect": (gettext_lazy("no effect worth having"), "curve dim dashed"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """How far one question of the trial is settled."""

    key: str  # name of the curve
    number: int  # counts from 1; what the narrow picture writes at the end of the line
    question: str
    now: float | None  # ln E; None before the first pair
    needed: float | None  # ln E at which it is proven; None where only planned looks decide
    crossed_at: int | None  # first pair at which it was, None so far

    @property
    def value(self) -> str:
        """E in words."""
        return "–" if self.now is None else e_value(self.now)

    @property
    def swatch(self) -> SafeString:
        """A piece of the line as it is drawn, for the table that explains the picture."""
        line = element("path", class_=LINES[self.key][1], d="M0 5H28")
        return element("svg", line, class_="swatch", view_box="0 0 28 10", aria_hidden="true")

    @property
    def level(self) -> str:
        """The threshold in words."""
        return "–" if self.needed is None else e_value(self.needed)


def stands_of(curve: Sequence[Mapping[str, float]], thresholds: Mapping[str, float]) -> list[Stand]:
    """The questions of the trial in the order of the legend."""
    found = []
    for place, (key, (words, _class)) in enumerate(LINES.items(), 1):
        needed = thresholds.get(key)
        passed = (int(point["n"]) for point in curve if needed is not None and point[key] >= needed)
        found.append(
            Stand(
                key=key,
                number=place,
                question=str(words),
                now=curve[-1][key] if curve else None,
                needed=needed,
                crossed_at=next(passed, None),
            )
        )
    return found


def e_value(log: float) -> str:
    """E as people read it: ``0.05``, ``7.2``, ``951``, ``over a million``."""
    if log > HIGHEST:
        return _("over a million")
    value = math.exp(log) if log > -50 else 0.0
    if value < 0.01:
        return _("under 0.01")
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}".removesuffix(".0") if value >= 10 else f"{value:.2g}"


def evidence_curve(
    curve: Sequence[Mapping[str, float]], thresholds: Mapping[str, float], *, title: str, frame: Frame = WIDE
) -> SafeString:
    """
    The e-values after each pair, against the heights at which they decide.

    Args:
        curve: ``{n, superiority, noninferior, harm, kept, effect}`` as ln E, in order of ``n``.
        thresholds: curve → ln E; equal heights share a line.
    """
    levels = sorted(set(thresholds.values()))
    seen = [point[key] for point in curve for key in LINES]
    high = min(max([*seen, *(level + 1.2 for level in levels), math.log(30)]), HIGHEST)
    low = max(min([*seen, math.log(0.3)]), LOWEST)
    last = int(curve[-1]["n"]) if curve else 1
    scale = _Scale(low=low, high=high, last=max(last, 1), frame=frame)
    return picture(
        *_grid(scale),
        *_levels(levels, scale),
        *(element("polyline", class_=drawn, points=_line(curve, key, scale)) for key, (_, drawn) in LINES.items()),
        *(_names(curve[-1], scale) if curve else ()),
        width=frame.width,
        height=frame.height,
        title=title,
        description=_described(curve, thresholds),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    low: float  # ln E at the bottom
    high: float  # ln E at the top
    last: int  # pair at the right
    frame: Frame

    @property
    def left(self) -> float:
        return self.frame.left

    @property
    def edge(self) -> float:
        """Where the lines end."""
        return self.frame.width - self.frame.right

    def x(self, pair: float) -> float:
        return self.left + pair / self.last * (self.edge - self.left)

    def y(self, log: float) -> float:
        share = (min(max(log, self.low), self.high) - self.low) / (self.high - self.low)
        return self.frame.height - BOTTOM - share * (self.frame.height - TOP - BOTTOM)


def _line(curve: Sequence[Mapping[str, float]], key: str, scale: _Scale) -> str:
    """From one, before the first pair, to the last."""
    return points([(scale.x(0), scale.y(0.0)), *((scale.x(point["n"]), scale.y(point[key])) for point in curve)])


def power_of_ten(power: int) -> str:
    """A number of the axis, written so that it fits beside it: 10,000, and 10⁶ beyond."""
    if -3 <= power <= 4:
        return f"{10**power:,}" if power >= 0 else number(10**power)
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _grid(scale: _Scale) -> Iterable[SafeString]:
    first, last = math.ceil(scale.low / math.log(10)), math.floor(scale.high / math.log(10))
    for power in range(first, last + 1):
        y = scale.y(power * math.log(10))
        yield element("path", class_="grid", d=f"M{scale.left} {y:.1f}H{scale.edge}")
        words = power_of_ten(power)
        yield element("text", words, class_="dim", x=scale.left - 6, y=y + 4, text_anchor="end")
    floor = scale.frame.height - 10
    yield element("text", "0", class_="dim", x=scale.left, y=floor, text_anchor="start")
    pairs = ngettext("%(n)d pair", "%(n)d pairs", scale.last) % {"n": scale.last}
    yield element("text", pairs, class_="dim", x=scale.edge, y=floor, text_anchor="end")


def _levels(levels: Sequence[float], scale: _Scale) -> Iterable[SafeString]:
    for place, level in enumerate(levels):
        y = scale.y(level)
        words = _("decides at %(e)s") % {"e": e_value(level)}
        yield element("path", class_="threshold", d=f"M{scale.left} {y:.1f}H{scale.edge}")
        below = len(levels) > 1 and place == 0
        yield element("text", words, class_="dim", x=scale.left + 6, y=y + (13 if below else -5))


def _names(end: Mapping[str, float], scale: _Scale) -> Iterable[SafeString]:
    """The names of the lines, each as near to its end as the others leave room."""
    edge = scale.edge
    numbers = {key: number for number, key in enumerate(LINES, 1)}
    ends = sorted((scale.y(end[key]), key) for key in LINES)
    place = TOP - LABEL_HEIGHT
    room = [scale.frame.height - BOTTOM - LABEL_HEIGHT * (len(ends) - index - 1) for index in range(len(ends))]
    for (y, key), most in zip(ends, room, strict=True):
        place = min(max(y, place + LABEL_HEIGHT), most)
        words, drawn = LINES[key]
        if scale.frame is NARROW:
            yield element("text", str(numbers[key]), x=edge + 6, y=place + 4)
            continue
        yield element(
            "polyline", class_=f"{drawn} thin", points=points([(edge, y), (edge + 10, place), (edge + 22, place)])
        )
        yield element("text", f"{words} {e_value(end[key])}", x=edge + 27, y=place + 4)


def _described(curve: Sequence[Mapping[str, float]], thresholds: Mapping[str, float]) -> str:
    """The stand in a sentence."""
    if not curve:
        return _("No pair counts yet.")
    told = [
        _("%(what)s: E = %(e)s") % {"what": one.question, "e": one.value}
        + (_(", proven at pair %(n)d") % {"n": one.crossed_at} if one.crossed_at else "")
        for one in stands_of(curve, thresholds)
    ]
    return "; ".join(told)


def difference(*, mean: float, low: float, high: float, bound: float, title: str) -> SafeString:
    """One metric's difference with its confidence sequence, around a line at zero."""
    width, height = 132.0, 16.0

    def x(value: float) -> float:
        return 2 + (min(max(value, -bound), bound) + bound) / (2 * bound) * (width - 4)

    ends = (x(low), x(high))
    described = _("%(mean)s, between %(low)s and %(high)s") % {
        "mean": signed(mean, 3),
        "low": signed(low, 3),
        "high": signed(high, 3),
    }
    tone = "dot" if low > 0 else "dot bad" if high < 0 else "dot accent"
    return picture(
        element("path", class_="axis", d=f"M{x(0):.1f} 0V{height:.0f}"),
        element("path", class_="whisker", d=f"M{ends[0]:.1f} 4V12M{ends[0]:.1f} 8H{ends[1]:.1f}M{ends[1]:.1f} 4V12"),
        element("circle", class_=tone, cx=x(mean), cy=8.0, r=3.5),
        width=width,
        height=height,
        title=title,
        description=described,
        class_="difference",
    )
