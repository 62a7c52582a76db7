"""How a pattern has done over time: rate with its band, time, cost, failures, contexts; and the same as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from registry.models import Pattern, PatternVersion, Source
from registry.services import analytics as analytics_service
from registry.services import learning
from registry.web import tags
from registry.web.charts.curves import Point, curve, sparkline
from registry.web.pages import find_pattern, find_version, pattern_context
from registry.web.proof import evidence_of, line

PERIODS = (30, 90, 365)


def analytics(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The tab; measured runs unless simulated ones are asked for, never both at once."""
    pattern = find_pattern(request, owner, name)
    version = find_version(request, pattern)
    source = Source.SIMULATED if request.GET.get("source") == Source.SIMULATED else Source.MEASURED
    days = int(wanted) if (wanted := request.GET.get("days", "")) in {str(n) for n in PERIODS} else 90
    since, until = analytics_service.default_range(timezone.now().date(), days)
    subject: Pattern | PatternVersion = version if request.GET.get("only") == "version" else pattern
    series = analytics_service.series(subject, since=since, until=until, source=source)
    context = pattern_context(request, pattern, version, "analytics")
    context |= {
        "evidence": evidence_of(subject),
        "days": days,
        "periods": PERIODS,
        "source": source,
        "only": request.GET.get("only", ""),
        "series": series,
        "since": since,
        "until": until,
        "pictures": [_picture(series, source, *size) for size in ((1120, 240), (360, 200))] if len(series) > 1 else (),
        "courses": _courses(series),
        "failures": analytics_service.failures_of(subject, source=source)[:20],
        "contexts": [
            (cell, line(source, rate)) for cell, rate in analytics_service.rates_by_context(pattern, source=source)[:20]
        ],
        "proposed_rules": learning.proposed_rules(version),
        "better": learning.proposed_derivations(version),
        "by_version": _by_version(pattern, source),
    }
    return render(request, "registry/pattern/analytics.html", context)


def _picture(series: Sequence[analytics_service.Day], source: str, width: float, height: float) -> Any:
    """The rate over the last seven days with runs, so that one bad day is no cliff, with its interval."""
    points = []
    for at in range(len(series)):
        window = series[max(0, at - 6) : at + 1]
        rate = analytics_service.rate_of(
            sum(day.rate.successes for day in window), sum(day.rate.runs for day in window)
        )
        label = date_format(series[at].day, "j M")
        points.append(Point(value=rate.rate or 0.0, label=label, low=rate.low, high=rate.high))
    words = _("Success rate over time, simulated") if source == Source.SIMULATED else _("Success rate over time")
    last = points[-1]
    said = _("From %(first)d %% to %(last)d %%; the band is the 95 %% interval over seven days with runs") % {
        "first": round(100 * points[0].value),
        "last": round(100 * last.value),
    }
    return curve(points, title=words, description=said, width=width, height=height)


def _courses(series: Sequence[analytics_service.Day]) -> list[dict[str, Any]]:
    """Duration, cost and tokens of a run as sparklines with their last value."""
    if not series:
        return []
    rows = (
        (_("a run takes"), [day.duration_seconds for day in series], "s", tags.seconds),
        (_("a run costs"), [day.cost_usd for day in series], "$", tags.money),
        (_("tokens a run uses"), [day.tokens for day in series], "", _whole),
        (_("score that runs give themselves"), [day.quality for day in series if day.quality is not None], "", _score),
    )
    return [
        {"label": label, "last": said(values[-1]), "picture": sparkline(values, title=label, unit=unit)}
        for label, values, unit, said in rows
        if any(values)
    ]


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _score(value: float) -> str:
    return f"{value:.2f}"


def _by_version(pattern: Pattern, source: str) -> list[dict[str, Any]]:
    rates = analytics_service.rates_by_version(pattern)
    versions = PatternVersion.objects.light().filter(pk__in=list(rates)).in_order()[:30]
    return [
        {"version": version, "evidence": line(source, rates[version.pk][source])}
        for version in versions
        if source in rates[version.pk]
    ]


def analytics_csv(request: HttpRequest, owner: str, name: str) -> StreamingHttpResponse:
    """The daily sums of up to a year as CSV, line by line."""
    pattern = find_pattern(request, owner, name)
    until = timezone.now().date()
    rows = analytics_service.csv_rows(pattern, since=until - timedelta(days=365), until=until)
    answer = StreamingHttpResponse(_written(rows), content_type="text/csv; charset=utf-8")
    filename = f"{pattern.owner.name}-{pattern.name}-{_stamp(until)}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{filename}"'
    return answer


def _written(rows: Any) -> Iterator[str]:
    for row in rows:
        buffer = io.StringIO()
        csv.writer(buffer).writerow([_safe(cell) for cell in row])
        yield buffer.getvalue()


def _safe(cell: Any) -> Any:
    """A spreadsheet reads a leading =, +, - or @ as a formula; text that begins so gets a quote before it."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell else cell


def _stamp(day: date) -> str:
    return day.isoformat()
