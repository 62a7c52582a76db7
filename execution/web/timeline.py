"""
Who did what when: one row for the script and one for each agent, drawn as SVG.

A pure function. A bar begins when somebody was asked and ends with the answer;
its thin beginning is the time that the question waited to be sent. How it ended
stands behind it as a sign, so that colour is not needed to read it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from registry.web.charts.svg import element, link, picture, shorten

NAMES, RIGHT, TOP, ROW, WIDTH = 148.0, 26.0, 26.0, 26.0, 1180.0
MOST_ROWS = 24
SIGN_ROOM = 18.0  # px that a sign takes after its bar
STEPS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000)
SIGNS = {"done": "✓", "failed": "✗", "in_doubt": "?", "cancelled": "⊘", "late": "◷"}
TONES = {
    "done": "span good",
    "failed": "span bad",
    "in_doubt": "span wait",
    "cancelled": "span wait",
    "late": "span wait",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One question and its answer; times in milliseconds."""

    row: str  # who was asked
    asked_at: int
    sent_at: int | None  # None while it waits to be sent
    ended_at: int | None  # None while there is no answer
    status: str  # of the effect
    label: str
    href: str = ""
    ends_as: str = ""  # "timeout" and the like, for a failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One moment of the script itself: an event, a tracked point, a rule that fired."""

    at: int
    kind: str  # event, track, rule, decision, status


def timeline(bars: Sequence[Bar], marks: Sequence[Mark], *, start: int, end: int, title: str) -> SafeString:
    """
    The picture from ``start`` to ``end``.

    Rows stand in the order in which they first appear; beyond MOST_ROWS the
    rest shares the last row.
    """
    names = list(dict.fromkeys(bar.row for bar in bars))
    rows = {name: min(number, MOST_ROWS - 1) for number, name in enumerate(names, 1)}
    shown = min(len(names), MOST_ROWS - 1)
    span = max(1, end - start)
    scale = (WIDTH - NAMES - RIGHT) / span
    height = TOP + ROW * (shown + 1) + 6
    more = len(names) - shown
    labels = [(_("the script"), 0), *((name, rows[name]) for name in names[: shown - (1 if more else 0)])]
    if more:
        labels.append((_("and %(count)d more") % {"count": more + 1}, shown))
    return picture(
        *_axis(start, end, scale, height),
        *(element("text", shorten(name, 20), class_="mono", x=0, y=TOP + ROW * row + 16) for name, row in labels),
        *_marks(marks, start, scale),
        *(
            _bar(bar, rows[bar.row], start, end, scale, room)
            for bar, room in zip(bars, _rooms(bars, rows, scale), strict=True)
        ),
        width=WIDTH,
        height=height,
        title=title,
        description=_described(bars),
        linked=True,
    )


def _rooms(bars: Sequence[Bar], rows: Mapping[str, int], scale: float) -> list[float]:
    """For each bar the px until the next one of its row begins."""
    starts: dict[int, list[int]] = {}
    for bar in bars:
        starts.setdefault(rows[bar.row], []).append(bar.asked_at)
    for row in starts.values():
        row.sort()
    found = []
    for bar in bars:
        row, ended = starts[rows[bar.row]], bar.asked_at if bar.ended_at is None else bar.ended_at
        place = bisect_left(row, max(ended, bar.asked_at + 1))
        found.append((row[place] - ended) * scale if place < len(row) else WIDTH)
    return found


def _described(bars: Sequence[Bar]) -> str:
    """What the picture shows, in a sentence."""
    asked = ngettext("%(count)d question", "%(count)d questions", len(bars)) % {"count": len(bars)}
    done, failed = (sum(1 for bar in bars if bar.status == status) for status in ("done", "failed"))
    return _("%(asked)s, %(done)d answered, %(failed)d failed") % {"asked": asked, "done": done, "failed": failed}


def _axis(start: int, end: int, scale: float, height: float) -> Iterable[SafeString]:
    step = next((size for size in STEPS_MS if (end - start) / size <= 8), 3_600_000 * (1 + (end - start) // 28_800_000))
    for offset in range(0, end - start + 1, step):
        x = NAMES + offset * scale
        yield element("path", class_="grid", d=f"M{x:.1f} {TOP - 4:.0f}V{height:.0f}")
        yield element("text", _time(offset, step), class_="dim", x=x, y=14, text_anchor="middle")


def _time(offset: int, step: int) -> str:
    if step < 1000:
        return f"{offset} ms" if offset < 1000 else f"{offset / 1000:g} s"
    return f"{offset // 1000} s" if step < 60_000 else f"{offset // 60_000} min"


def _marks(marks: Sequence[Mark], start: int, scale: float) -> Iterable[SafeString]:
    y = TOP + ROW / 2
    for mark in marks:
        x = NAMES + (mark.at - start) * scale
        if mark.kind == "rule":
            yield element("path", class_="span bad", d=f"M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z")
        else:
            tall = 5 if mark.kind in ("event", "decision") else 3
            yield element(
                "path", class_="now" if mark.kind == "track" else "edge", d=f"M{x:.1f} {y - tall:.1f}v{2 * tall}"
            )


def _bar(bar: Bar, row: int, start: int, end: int, scale: float, room: float) -> SafeString:
    y = TOP + ROW * row + 6
    ended_at = end if bar.ended_at is None else bar.ended_at
    sent_at = ended_at if bar.sent_at is None else bar.sent_at
    asked, sent, ended = (NAMES + (at - start) * scale for at in (bar.asked_at, sent_at, ended_at))
    parts = [
        element("rect", class_="span wait", x=asked, y=y + 5, width=max(0.0, sent - asked), height=3),
        element(
            "rect", class_=TONES.get(bar.status, "span"), x=sent, y=y, width=max(2.0, ended - sent), height=13, rx=2
        ),
    ]
    sign = SIGNS.get(bar.status)
    # Where bars stand close, colour and the list of events tell the good ones; a failure keeps its sign.
    if sign and (room >= SIGN_ROOM or bar.status != "done"):
        words = f"{sign} {bar.ends_as}" if bar.ends_as and ended < WIDTH - 120 else sign
        parts.append(element("text", words, class_="dim", x=ended + 4, y=y + 11))
    return link(bar.href, *parts, label=bar.label) if bar.href else element("g", *parts)
