"""The evidence of a pattern as lines of a page, from what the registry has summed up."""

from __future__ import annotations

from django.urls import reverse

from registry import ranking
from registry.models import Pattern, PatternVersion
from registry.services import analytics
from registry.web.marks import Evidence

CLAIMED_RATES = ("success_rate", "win_rate", "pass_rate")


def line(kind: str, rate: analytics.Rate) -> Evidence:
    """One line from a rate; without runs it has none to show."""
    return Evidence(
        kind=kind,
        runs=rate.runs,
        rate=rate.rate,
        low=rate.low if rate.runs else None,
        high=rate.high if rate.runs else None,
        nodes=rate.nodes or None,
        href=_counted(kind),
    )


def evidence_of_row(pattern: Pattern) -> list[Evidence]:
    """For a list: what was measured, and what was simulated where nothing was measured. No query."""
    lines = [_summed("measured", pattern.measured_runs, pattern.measured_successes)]
    if pattern.simulated_runs and not pattern.measured_runs:
        lines.append(_summed("simulated", pattern.simulated_runs, pattern.simulated_successes))
    return lines


def _summed(kind: str, runs: int, successes: int) -> Evidence:
    if not runs:
        return Evidence(kind=kind, runs=0, href=_counted(kind))
    low, high = ranking.wilson_interval(successes, runs)
    return Evidence(kind=kind, runs=runs, rate=successes / runs, low=low, high=high, href=_counted(kind))


def evidence_of(subject: Pattern | PatternVersion) -> list[Evidence]:
    """For a pattern's or a version's page: measured always, the others where there is something."""
    return lines_of(analytics.evidence_of(subject))


def lines_of(found: analytics.Evidence) -> list[Evidence]:
    """The lines of what is known."""
    lines = [line("measured", found.measured)]
    if found.attested.runs:
        lines.append(line("attested", found.attested))
    claim = claimed(found)
    if claim is not None:
        lines.append(claim)
    if found.simulated.runs:
        lines.append(line("simulated", found.simulated))
    return lines


def claimed(found: analytics.Evidence) -> Evidence | None:
    """What the author claims as a success rate, flagged where it cannot be right; None without such a claim."""
    rate = next((found.claimed[key] for key in CLAIMED_RATES if key in found.claimed), None)
    if rate is None or not 0 <= rate <= 1:
        return None
    runs = found.claimed.get("runs")
    flag = str(found.claim_flags[0]) if found.claim_flags else ""
    return Evidence(kind="claimed", rate=rate, runs=int(runs) if runs else None, flag=flag, href=_counted("claimed"))


def _counted(kind: str) -> str:
    return f"{reverse('registry:counting')}#{kind}"
