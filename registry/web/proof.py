"""The evidence of a pattern as lines of a page, from the sums that the registry keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Count, Sum
from django.urls import reverse

from registry.models import DailyRollup, Pattern, PatternVersion, Source
from registry.services.claims import claimed_numbers
from registry.web.marks import Evidence, wilson

COUNTED = "registry:counting"


def rated(kind: str, runs: int, successes: int, **more: Any) -> Evidence:
    """One line from counts; without runs it has no rate."""
    href = f"{reverse(COUNTED)}#{kind}"
    if not runs:
        return Evidence(kind=kind, runs=0, href=href)
    low, high = wilson(successes, runs)
    return Evidence(kind=kind, runs=runs, rate=successes / runs, low=low, high=high, href=href, **more)


def evidence_of_row(pattern: Pattern) -> list[Evidence]:
    """For a list: what was measured, and what was simulated where nothing was measured. No query."""
    lines = [rated("measured", pattern.measured_runs, pattern.measured_successes)]
    if pattern.simulated_runs and not pattern.measured_runs:
        lines.append(rated("simulated", pattern.simulated_runs, pattern.simulated_successes))
    return lines


def evidence_of(pattern: Pattern, version: PatternVersion) -> list[Evidence]:
    """For a pattern's page: measured always, the other three where there is something. One query."""
    lines = [rated("measured", pattern.measured_runs, pattern.measured_successes)]
    attested = DailyRollup.objects.filter(pattern=pattern, source=Source.ATTESTED).aggregate(
        runs=Sum("runs"), successes=Sum("successes"), nodes=Count("reporter_key", distinct=True)
    )
    if attested["runs"]:
        lines.append(rated("attested", attested["runs"], attested["successes"], nodes=attested["nodes"]))
    claimed = claim_of(version)
    if claimed:
        lines.append(claimed)
    if pattern.simulated_runs:
        lines.append(rated("simulated", pattern.simulated_runs, pattern.simulated_successes))
    return lines


def claim_of(version: PatternVersion) -> Evidence | None:
    """What the author claims as a success rate, flagged where it cannot be right; None without such a claim."""
    numbers: Mapping[str, float] = claimed_numbers(version.claims or {})
    rate = next((numbers[key] for key in ("success_rate", "win_rate", "pass_rate") if key in numbers), None)
    if rate is None or not 0 <= rate <= 1:
        return None
    runs = numbers.get("runs")
    flag = version.claim_flags[0] if version.claim_flags else ""
    return Evidence(
        kind="claimed",
        rate=rate,
        runs=int(runs) if runs else None,
        flag=str(flag),
        href=f"{reverse(COUNTED)}#claimed",
    )
