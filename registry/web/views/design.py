"""
The living style guide: every component with sample data, at /design/.

It is a page of the product like any other (so axe and the screenshots see
every part), but only for developers and staff.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from django import forms
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from opl.document.diff import unified
from opl.errors import Problem, Severity
from registry.web.charts.curves import Point, Threshold, curve
from registry.web.charts.flow import Lane, Step, flow_diagram
from registry.web.charts.lineage import Edge, Node, lineage_graph
from registry.web.differences import text_difference
from registry.web.marks import Evidence
from registry.web.problems import shown

SCRIPT = """## Tournament of two rounds
STATE players = ["ada", "grace", "alan", "edsger"]
STATE question = "Plan a database migration without downtime"
STATE scores = {}

PARALLEL(limit: 4):
  FOREACH player IN players:
    EVENT completion:async {
      agent_id: player,
      prompt: "Answer: {{question}}",   # one question for all
      timeout: 60
    } AS answer
    UPDATE scores[player] = answer.score

IF variance(VALUES(scores)) < 0.1:
  EVENT human:ask {question: "They are close. Go on?"} AS verdict
ELSE:
  TRACK {spread: variance(VALUES(scores))}

RETURN SELECT_MAX(ENTRIES(scores), "value")
"""


class SampleForm(forms.Form):
    """One field of each kind, with and without an error."""

    name = forms.CharField(help_text="2 to 64 of a-z, 0-9, _ and -, beginning with a letter.")
    participants = forms.JSONField(widget=forms.Textarea(attrs={"rows": 3, "class": "code-input"}), required=False)
    rounds = forms.IntegerField(min_value=1, max_value=9, initial=4)
    backend = forms.ChoiceField(choices=[("simulated", "simulated (offline)"), ("claude", "claude")])
    rehearse = forms.BooleanField(label="Rehearse first, without agents", required=False)
    stars = forms.ChoiceField(
        label="Your rating", widget=forms.RadioSelect, choices=[(n, f"{n} of 5") for n in range(5, 0, -1)]
    )


def gallery(request: HttpRequest) -> HttpResponse:
    """Every component once."""
    if not settings.DEBUG and not request.user.is_staff:
        raise Http404
    return render(request, "registry/design.html", samples())


def samples() -> dict[str, Any]:
    """What the gallery shows."""
    return {
        "evidence": _evidence(),
        "rows": _rows(),
        "version": SimpleNamespace(version="2.1.0", digest="b7c3" * 16, is_yanked=False),
        "withdrawn_version": SimpleNamespace(version="1.0.3", digest="09fe" * 16, is_yanked=True),
        "statuses": ["queued", "running", "waiting", "paused", "succeeded", "failed", "cancelled", "stuck"],
        "facets": _facets(),
        "tabs": [
            {"label": "Overview", "href": "#tabs", "is_current": True, "count": None},
            {"label": "Source", "href": "#tabs", "is_current": False, "count": None},
            {"label": "Versions", "href": "#tabs", "is_current": False, "count": 7},
            {"label": "Runs", "href": "#tabs", "is_current": False, "count": 41},
        ],
        "script": SCRIPT,
        "problems": shown(_problems(), SCRIPT),
        "difference": text_difference(
            unified(SCRIPT, SCRIPT.replace("0.1", "0.05").replace("timeout: 60", "timeout: 90"))
        ),
        "flow": flow_diagram(_steps(), title="Flow of tournament_v2"),
        "lineage": _lineage(),
        "history": _history(),
        "trial": _trial(),
        "tracked": [0.31, 0.4, 0.42, 0.55, 0.53, 0.61, 0.72, 0.7, 0.78],
        "form": SampleForm(
            data={"name": "Tournament 2", "participants": '["ada", "grace"', "rounds": "12", "backend": "simulated"}
        ),
    }


def _evidence() -> list[Evidence]:
    return [
        Evidence(kind="measured", runs=41, rate=0.86, low=0.71, high=0.94),
        Evidence(kind="attested", runs=212, rate=0.81, low=0.75, high=0.86, nodes=6),
        Evidence(kind="simulated", runs=60, rate=0.93, low=0.84, high=0.97),
        Evidence(kind="claimed", runs=15, rate=0.85, flag="15 runs cannot give 0.85"),
        Evidence(kind="measured", runs=3),
    ]


def _rows() -> list[SimpleNamespace]:
    measured, attested, simulated, claimed, few = _evidence()
    common = {"href": "#rows", "version": "2.1.0", "channel": "stable", "visibility": "public", "updated_at": SEEN}
    return [
        SimpleNamespace(
            **common, owner="ada", name="tournament_v2", tags=["tournament", "selection"], forks=4, is_emerging=True,
            says="Groups players by skill and asks harder questions when scores cluster, so that few rounds "
            "are enough to tell good from very good.",
            evidence=[measured, attested], ratings=17, rating=4.3, sorted_by="success at least", sorted_value="78 %",
        ),
        SimpleNamespace(
            **{**common, "channel": "", "version": "1.0.0"}, owner="grace", name="scatter-gather", tags=["parallel"],
            forks=0, says="Gives each document to its own analyst, gathers what arrives in time and says what is missing.",
            evidence=[few, simulated], ratings=0, sorted_by="success at least", sorted_value="41 %",
        ),
        SimpleNamespace(
            **common, owner="alan", name="consensus-of-experts", tags=["voting", "review", "panel"], forks=1,
            is_guided=True, says="Experts vote, see the arguments of the others, and vote again.",
            evidence=[claimed], ratings=2, rating=3.6, sorted_by="success at least", sorted_value="—",
        ),
    ]  # fmt: skip


SEEN = datetime(2026, 3, 14, 9, 26, tzinfo=UTC)


def _facets() -> list[dict[str, Any]]:
    def value(label: str, count: int, *, is_on: bool = False) -> dict[str, Any]:
        return {"label": label, "count": count, "href": "#facets", "is_on": is_on}

    return [
        {
            "key": "category",
            "label": "Category",
            "values": [value("selection", 12, is_on=True), value("consensus", 8), value("pipeline", 31)],
        },
        {"key": "mode", "label": "Runs as", "values": [value("executable", 44), value("guided", 7)]},
        {"key": "evidence", "label": "Evidence", "values": [value("measured here", 18), value("attested", 9)]},
    ]


def _problems() -> list[Problem]:
    return [
        Problem(code="opl.syntax.tab", message="a tab indents this line", hint="use spaces", line=8, column=1),
        Problem(
            code="opl.name.unbound",
            message="nothing binds “threshold”",
            hint="write STATE threshold = 0.1 before it, or make it an input",
            severity=Severity.WARNING,
            line=15,
            column=13,
            length=14,
        ),
    ]


def _steps() -> list[Step]:
    ask = Step(label="ask player", line=8, kind="ask")
    close = Lane(label="variance < 0.1", steps=(Step(label="ask a person", line=16, kind="human"),))
    other = Lane(label="ELSE", steps=(Step(label="TRACK spread", line=18, kind="emit"),))
    each = Step(label="FOREACH player IN players", line=7, kind="loop", lanes=(Lane(steps=(ask,)),))
    return [
        Step(label="PARALLEL, at most 4", line=6, kind="parallel", lanes=(Lane(steps=(each,)),)),
        Step(label="IF", line=15, kind="choice", lanes=(close, other)),
        Step(label="RETURN the best", line=20, kind="end"),
    ]


def _lineage() -> Any:
    nodes = [
        Node(key="a", title="ada/tournament", note="1.0.0 · 41c0ffee", href="#lineage"),
        Node(key="b", title="swiss pairing", note=""),
        Node(key="c", title="ada/tournament_v2", note="2.1.0 · b7c3b7c3", href="#lineage", here=True),
        Node(key="d", title="grace/quick-tournament", note="0.3.0 · 77aa01bc", href="#lineage"),
        Node(key="e", title="alan/tournament-de", note="2.1.0 · c0de77aa", href="#lineage"),
    ]
    edges = [
        Edge(parent="a", child="c", kind="fork"),
        Edge(parent="b", child="c", kind="learned_from"),
        Edge(parent="c", child="d", kind="adapt"),
        Edge(parent="c", child="e", kind="translate"),
    ]
    return lineage_graph(nodes, edges, title="Where tournament_v2 comes from")


def _history() -> Any:
    rates = [0.6, 0.64, 0.7, 0.69, 0.75, 0.8, 0.82, 0.86, 0.85, 0.86]
    line = [
        Point(value=rate, label=f"{day} Mar", low=rate - 0.22 + 0.015 * day, high=min(1, rate + 0.16 - 0.01 * day))
        for day, rate in enumerate(rates, start=1)
    ]
    return curve(line, title="Success rate over time", description="From 60 % to 86 % in ten days", height=180)


def _trial() -> Any:
    values = [1, 1.4, 0.9, 1.6, 2.2, 1.9, 2.8, 4.1, 3.6, 5.2, 4.4, 6.1, 7.2]
    return curve(
        [Point(value=value, label=f"pair {9 * n}") for n, value in enumerate(values)],
        title="Evidence that the candidate is better",
        description="E-value 7.2 after 108 pairs; the threshold is 20",
        low=0.1,
        high=100,
        logarithmic=True,
        ticks=((0.1, "0.1"), (1, "1"), (10, "10"), (100, "100")),
        thresholds=(Threshold(value=20, label="1/α = 20: better"),),
        height=200,
    )
