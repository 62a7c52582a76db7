"""
Template tags of the hub; every template has them without ``{% load %}``.

Components that need more than an include are here: pictures, code with line
anchors, and links that change one parameter of the page's address.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django import template
from django.http import QueryDict
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from registry.web import facts, marks, panels
from registry.web.charts.curves import sparkline as draw_sparkline
from registry.web.charts.evidence import evidence_bar as draw_evidence_bar
from registry.web.highlight import highlight
from registry.web.prose import prose as render_prose

register = template.Library()

STATUSES: dict[str, tuple[str, str]] = {
    # status: (tone, shape); the word itself comes from the caller
    "queued": ("", "◌"),
    "running": ("live", "◔"),
    "waiting": ("attention", "◷"),
    "paused": ("attention", "‖"),
    "succeeded": ("good", "✓"),
    "delivered": ("good", "✓"),
    "adopted": ("good", "✓"),
    "rolled_back": ("bad", "↩"),
    "better": ("good", "✓"),
    "done": ("good", "✓"),
    "ok": ("good", "✓"),
    "failed": ("bad", "✗"),
    "dead": ("bad", "✗"),
    "rejected": ("bad", "✗"),
    "terminated": ("", "■"),
    "cancelled": ("", "⊘"),
    "stuck": ("bad", "!"),
    "in_doubt": ("attention", "?"),
    "late": ("attention", "◷"),
    "sent": ("live", "◔"),
    "yanked": ("bad", "⊘"),
    "open": ("attention", "○"),
    "upheld": ("bad", "✓"),
    "dismissed": ("", "–"),
    "error": ("bad", "✗"),
    "warning": ("attention", "!"),
    "note": ("", "i"),
    "added": ("good", "+"),
    "removed": ("bad", "−"),
    "changed": ("attention", "≠"),
    "moved": ("", "↕"),
}


@register.inclusion_tag("components/status.html")
def status(value: str, word: Any = None) -> dict[str, Any]:
    """A status pill: a shape and a word, coloured by what it means."""
    tone, shape = STATUSES.get(str(value), ("", "·"))
    return {"tone": tone, "shape": shape, "word": word or str(value).replace("_", " ")}


@register.simple_tag
def evidence_bar(evidence: marks.Evidence) -> SafeString:
    """The bar of one line of evidence."""
    rate, low, high = evidence.rate or 0.0, evidence.low or 0.0, evidence.high or 0.0
    return draw_evidence_bar(rate=rate, low=low, high=high, kind=evidence.kind)


@register.simple_tag
def sparkline(values: Iterable[float], title: str, unit: str = "") -> SafeString:
    """The course of one number."""
    return draw_sparkline(list(values), title=title, unit=unit)


@register.simple_tag
def code_block(
    text: str,
    language: str = "plain",
    problems: Iterable[Any] = (),
    current: int | None = None,
    label: str = "",
    anchors: str = "L",
    first: int = 1,
    last: int | None = None,
) -> SafeString:
    """
    Source with numbered lines that are anchors.

    Args:
        problems: findings with line, column, length, message, hint, severity;
            each stands below its line.
        current: the line that a run is at.
        anchors: what the ids begin with; another letter where two stand on a page.
        first, last: the lines to show, their numbers kept; all by default.
    """
    found: dict[int, list[Any]] = {}
    for problem in problems:
        found.setdefault(problem.line, []).append(problem)
    lines = [
        {"number": number, "html": html, "problems": found.get(number, ()), "lit": number == current}
        for number, html in enumerate(highlight(text, language), start=1)
        if number >= first and (last is None or number <= last)
    ]
    context = {"lines": lines, "label": label, "anchors": anchors}
    return mark_safe(render_to_string("components/code.html", context))  # noqa: S308


@register.simple_tag(takes_context=True)
def with_query(context: Mapping[str, Any], **changes: Any) -> str:
    """This page's address with some parameters changed; None or "" removes one, and the cursor always goes."""
    request = context.get("request")
    query = request.GET.copy() if request is not None else QueryDict(mutable=True)
    query.pop("cursor", None)
    query.pop("offset", None)
    for name, value in changes.items():
        if value in (None, ""):
            query.pop(name, None)
        else:
            query[name] = str(value)
    written = query.urlencode()
    return f"?{written}" if written else "?"


@register.simple_tag(takes_context=True)
def navigation(context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The links at the top, with the one whose pages this is."""
    path = context["request"].path if "request" in context else ""
    return [
        {
            "label": item.label,
            "href": (href := reverse(item.url_name)),
            "is_current": any(path.startswith(prefix) for prefix in (href, *item.prefixes)),
        }
        for item in panels.navigation()
    ]


@register.simple_tag(takes_context=True)
def panel_sections(context: Mapping[str, Any], place: str, subject: Any = None) -> list[SafeString]:
    """What other apps draw at this place, rendered."""
    request = context["request"]
    drawn = []
    for section in panels.sections(place):
        values = section.context(request, subject)
        if values is not None:
            html = render_to_string(section.template, {**values, "subject": subject}, request=request)
            drawn.append(mark_safe(html))  # noqa: S308
    return drawn


@register.filter
def percent(value: float | None) -> str:
    """``0.8634`` as ``86 %``; nothing for None."""
    return "" if value is None else f"{round(100 * value)} %"


@register.filter
def seconds(value: float | None) -> str:
    """A duration that people can read: ``0.42 s``, ``41 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if value is None:
        return ""
    if value < 10:
        return f"{value:.2f} s".replace(".00 ", " ")
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@register.filter
def money(value: float | None) -> str:
    """US dollars with as many digits as say something: ``$0.0042``, ``$0.42``, ``$17.20``."""
    if value is None:
        return ""
    if value == 0:
        return "$0"
    return f"${value:.4f}" if value < 0.1 else f"${value:,.2f}"


@register.filter
def thousands(value: float | None) -> str:
    """A whole number with its thousands apart: ``2,373``."""
    return "" if value is None else f"{value:,.0f}"


@register.filter
def short(digest: str) -> str:
    """The first twelve characters of a digest."""
    return str(digest)[:12]


@register.filter
def lookup(mapping: Mapping[str, Any], key: str) -> Any:
    """The value of a key that is only known in the template."""
    return mapping.get(key) if mapping else None


@register.filter
def stars(value: float | None) -> SafeString:
    """Five stars, the filled ones first; decoration beside a number."""
    full = round(value or 0)
    off = f'<span class="off">{"★" * (5 - full)}</span>' if full < 5 else ""
    return mark_safe(f'<span class="stars" aria-hidden="true">{"★" * full}{off}</span>')  # noqa: S308


@register.filter
def prose(text: str) -> SafeString:
    """Markdown that a person wrote, as HTML; its headings stand below those of the page."""
    return render_prose(text, shift=3, anchors=False)[0]


@register.filter
def context_words(cell: str) -> str:
    """A context cell in words: ``task=review;model=opus`` as ``review · opus``."""
    return " · ".join(part.partition("=")[2].replace(",", ", ") or part for part in cell.split(";"))


@register.filter
def ability_words(events: Iterable[str]) -> str:
    """What a script is able to do, from its events."""
    return ", ".join(facts.abilities(list(events)))


@register.filter
def as_json(value: Any) -> str:
    """A value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
