"""
What is known about how patterns do: recording outcomes, and reading rates.

``record_outcome`` is called once at the end of every run; it is the only
writer of outcomes and roll-ups. Reading never adds measured, simulated,
attested and claimed numbers together, and says how many runs a rate stands on.

Two numbers of a pattern differ on purpose: the rate shown counts every
measured run, the number that ranks it leaves out runs of the owner's own
people and counts at most ``REPORTER_CAP`` runs of any one reporter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Max, Q, QuerySet, Sum, Value
from django.db.models.functions import Greatest

from registry import ranking
from registry.models import DailyRollup, Decision, Membership, Outcome, Pattern, PatternVersion, Rating, Source, User
from registry.services import attested
from registry.services.claims import claimed_numbers

REPORTER_CAP = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A success rate with what it stands on."""

    runs: int  # n
    successes: int  # k, 0 to n
    low: float  # Wilson 95 % interval; 0 and 1 without runs
    high: float
    shrunk: float  # mean drawn towards one half, for lists
    nodes: int = 0  # operators that attest it; 0 for what was measured here

    @property
    def rate(self) -> float | None:
        """k/n, or None without runs."""
        return self.successes / self.runs if self.runs else None

    @property
    def is_rated(self) -> bool:
        """Whether there are enough runs to show a bar."""
        return self.runs >= ranking.LEAST_RATED

    def to_json(self) -> dict[str, Any]:
        """The shape every API answer uses."""
        return {
            "runs": self.runs,
            "successes": self.successes,
            "rate": self.rate,
            "low": self.low,
            "high": self.high,
            "shrunk": self.shrunk,
            "rated": self.is_rated,
            "nodes": self.nodes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of one version or pattern, source by source."""

    measured: Rate  # runs of this node with real agents
    simulated: Rate  # runs with the simulated backend
    attested: Rate  # of peers
    claimed: dict[str, float]  # numbers the author states, flat
    claim_flags: list[str] = field(default_factory=list)  # why a claim cannot be right

    def to_json(self) -> dict[str, Any]:
        """The shape every API answer uses."""
        return {
            "measured": self.measured.to_json(),
            "simulated": self.simulated.to_json(),
            "attested": self.attested.to_json(),
            "claimed": self.claimed,
            "claim_flags": self.claim_flags,
        }


def rate_of(successes: int, runs: int, *, nodes: int = 0) -> Rate:
    """The rate of k successes in n runs."""
    low, high = ranking.wilson_interval(successes, runs)
    return Rate(
        runs=runs, successes=successes, low=low, high=high, shrunk=ranking.shrunk_mean(successes, runs), nodes=nodes
    )


def record_outcome(
    *,
    run_key: str,
    version: PatternVersion,
    source: str,
    succeeded: bool,
    ended_at: datetime,
    reporter: User | None = None,
    cell: str = "",
    failure_type: str = "",
    quality: float | None = None,
    duration_seconds: float = 0.0,
    cost_usd: float = 0.0,
    tokens: int = 0,
) -> Outcome:
    """
    Record how a run ended, once; call it inside the run's own transaction.

    Args:
        run_key: of the run; a second call with it changes nothing.
        source: ``Source.MEASURED`` or ``Source.SIMULATED``.
        cell: from ``cell_of``.
        failure_type: e.g. ``opl.limit.tokens``; ignored when it succeeded.
    """
    values: dict[str, Any] = {
        "version": version,
        "source": source,
        "cell": cell[:200],
        "succeeded": succeeded,
        "failure_type": "" if succeeded else (failure_type or "failed")[:64],
        "quality": quality,
        "duration_seconds": duration_seconds,
        "cost_usd": cost_usd,
        "tokens": tokens,
        "reporter": reporter,
        "ended_at": ended_at,
    }
    with transaction.atomic():
        outcome, created = Outcome.objects.get_or_create(run_key=run_key, defaults=values)
        if not created:
            return outcome
        _roll_up(outcome, version)
        _add_to_pattern(outcome, version)
        Decision.objects.filter(run_key=run_key, succeeded__isnull=True).update(succeeded=succeeded)
        if reporter is not None:
            Rating.objects.filter(pattern_id=version.pattern_id, user=reporter, ran_it=False).update(ran_it=True)
    return outcome


def _roll_up(outcome: Outcome, version: PatternVersion) -> None:
    """Add one outcome to the sums of its day."""
    key = {
        "version": version,
        "day": outcome.ended_at.date(),
        "cell": outcome.cell,
        "source": outcome.source,
        "reporter_key": f"user:{outcome.reporter_id}" if outcome.reporter_id else "",
    }
    defaults = {"pattern_id": version.pattern_id, "ranks": not _is_own(outcome, version)}
    try:
        with transaction.atomic():
            row, _ = DailyRollup.objects.get_or_create(**key, defaults=defaults)
    except IntegrityError:
        row = DailyRollup.objects.get(**key)
    failures = dict(row.failures)
    if outcome.failure_type:
        row = DailyRollup.objects.select_for_update().get(pk=row.pk)
        failures = {**row.failures, outcome.failure_type: row.failures.get(outcome.failure_type, 0) + 1}
    has_quality = outcome.quality is not None
    changes: dict[str, Any] = {
        "runs": F("runs") + 1,
        "successes": F("successes") + int(outcome.succeeded),
        "duration_seconds_sum": F("duration_seconds_sum") + outcome.duration_seconds,
        "duration_seconds_max": Greatest(F("duration_seconds_max"), Value(outcome.duration_seconds)),
        "cost_usd_sum": F("cost_usd_sum") + outcome.cost_usd,
        "tokens_sum": F("tokens_sum") + outcome.tokens,
        "quality_sum": F("quality_sum") + (outcome.quality or 0.0),
        "quality_count": F("quality_count") + int(has_quality),
    }
    if outcome.failure_type:
        changes["failures"] = failures
    DailyRollup.objects.filter(pk=row.pk).update(**changes)


def _is_own(outcome: Outcome, version: PatternVersion) -> bool:
    """Whether the run was made by one of the owner's own people."""
    if outcome.reporter_id is None:
        return False
    owner_id = Pattern.objects.filter(pk=version.pattern_id).values("owner")
    return Membership.objects.filter(owner__in=owner_id, user_id=outcome.reporter_id).exists()


def _add_to_pattern(outcome: Outcome, version: PatternVersion) -> None:
    good = int(outcome.succeeded)
    name = "simulated" if outcome.source == Source.SIMULATED else "measured"
    changes: dict[str, Any] = {
        f"{name}_runs": F(f"{name}_runs") + 1,
        f"{name}_successes": F(f"{name}_successes") + good,
        "last_run_at": outcome.ended_at,
    }
    if outcome.source == Source.MEASURED:
        changes |= ranked_numbers(version.pattern_id)
    Pattern.objects.filter(pk=version.pattern_id).update(**changes)


def ranked_numbers(pattern_id: int) -> dict[str, Any]:
    """The columns that rank a pattern, from its roll-ups: capped per reporter, the owner's own left out."""
    rows = (
        DailyRollup.objects.filter(pattern_id=pattern_id, source=Source.MEASURED, ranks=True)
        .values_list("reporter_key")
        .annotate(n=Sum("runs"), k=Sum("successes"))
    )
    runs = successes = 0.0
    for _, n, k in rows:
        share = min(n, REPORTER_CAP) / n
        runs, successes = runs + n * share, successes + k * share
    return {
        "ranked_runs": round(runs),
        "ranked_successes": round(successes),
        "success_floor": ranking.lower_quantile(successes, runs) if runs else 0.0,
    }


def _sums(rollups: QuerySet[DailyRollup]) -> dict[str, tuple[int, int]]:
    rows = rollups.order_by().values_list("source").annotate(n=Sum("runs"), k=Sum("successes"))
    return {source: (k, n) for source, n, k in rows}


def evidence_of(subject: Pattern | PatternVersion) -> Evidence:
    """All that is known of a pattern (its claims are those of the version shown) or of one version; 3 queries."""
    is_pattern = isinstance(subject, Pattern)
    rollups = DailyRollup.objects.filter(**{"pattern" if is_pattern else "version": subject})
    sums = _sums(rollups)
    heard = attested.heard(rollups)
    told = subject.shown if isinstance(subject, Pattern) else subject
    return Evidence(
        measured=rate_of(*sums.get(Source.MEASURED, (0, 0))),
        simulated=rate_of(*sums.get(Source.SIMULATED, (0, 0))),
        attested=rate_of(round(heard.counts.successes), round(heard.counts.runs), nodes=heard.nodes),
        claimed=claimed_numbers(told.claims) if told else {},
        claim_flags=list(told.claim_flags) if told else [],
    )


def rates_by_version(pattern: Pattern) -> dict[int, dict[str, Rate]]:
    """{version id: {source: rate}} for every version that has runs, what peers attest weighed; 3 queries."""
    rollups = DailyRollup.objects.filter(pattern=pattern)
    rows = (
        rollups.exclude(source=Source.ATTESTED)
        .order_by()
        .values_list("version_id", "source")
        .annotate(n=Sum("runs"), k=Sum("successes"))
    )
    found: dict[int, dict[str, Rate]] = {}
    for version_id, source, n, k in rows:
        found.setdefault(version_id, {})[source] = rate_of(k, n)
    for version_id, told in attested.by_version(rollups).items():
        rate = rate_of(round(told.counts.successes), round(told.counts.runs), nodes=told.nodes)
        found.setdefault(version_id, {})[Source.ATTESTED] = rate
    return found


def rates_by_context(pattern: Pattern, *, source: str = Source.MEASURED) -> list[tuple[str, Rate]]:
    """Each context cell and its rate, most runs first; one query."""
    rows = (
        DailyRollup.objects.filter(pattern=pattern, source=source)
        .order_by()
        .values_list("cell")
        .annotate(n=Sum("runs"), k=Sum("successes"))
        .order_by("-n", "cell")
    )
    return [(cell, rate_of(k, n)) for cell, n, k in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day of one source."""

    day: date
    rate: Rate
    duration_seconds: float  # mean of a run
    duration_seconds_max: float
    cost_usd: float  # mean of a run
    tokens: float  # mean of a run
    quality: float | None  # mean where runs were scored


def series(subject: Pattern | PatternVersion, *, since: date, until: date, source: str = Source.MEASURED) -> list[Day]:
    """Day by day from ``since`` to ``until`` inclusive, days without runs left out; one query."""
    name = "pattern" if isinstance(subject, Pattern) else "version"
    rows = (
        DailyRollup.objects.filter(**{name: subject}, source=source, day__gte=since, day__lte=until)
        .order_by()
        .values("day")
        .annotate(
            n=Sum("runs"),
            k=Sum("successes"),
            seconds=Sum("duration_seconds_sum"),
            longest=Max("duration_seconds_max"),
            cost=Sum("cost_usd_sum"),
            used=Sum("tokens_sum"),
            scored=Sum("quality_sum"),
            scores=Sum("quality_count"),
        )
        .order_by("day")
    )
    return [
        Day(
            day=row["day"],
            rate=rate_of(row["k"], row["n"]),
            duration_seconds=row["seconds"] / row["n"],
            duration_seconds_max=row["longest"],
            cost_usd=row["cost"] / row["n"],
            tokens=row["used"] / row["n"],
            quality=row["scored"] / row["scores"] if row["scores"] else None,
        )
        for row in rows
        if row["n"]
    ]


def failures_of(subject: Pattern | PatternVersion, *, source: str = Source.MEASURED) -> list[tuple[str, int]]:
    """Failure types and how often, most frequent first."""
    name = "pattern" if isinstance(subject, Pattern) else "version"
    counts: dict[str, int] = {}
    rows = DailyRollup.objects.filter(Q(**{name: subject}), source=source).exclude(failures={})
    for failures in rows.values_list("failures", flat=True):
        for kind, number in failures.items():
            counts[kind] = counts.get(kind, 0) + number
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """How a version does today: old runs have faded, and those before a change are forgotten."""

    rate: float | None  # weighed; None where nothing is known, not even of the version before
    weight: float  # weighed runs it stands on, inherited ones included
    inherited: float  # of those, what the version before left: a quarter of its weight, at most 20
    changed_on: date | None  # the first day of the present regime; None where the rate never changed
    runs: int  # raw runs since then
    low: float  # Robbins' 95 % confidence sequence of these runs: right however often one looks
    high: float

    def to_json(self) -> dict[str, Any]:
        """The shape every API answer uses."""
        return {name: getattr(self, name) for name in self.__slots__}


ANCESTORS = 5  # versions before that still leave something; each leaves a quarter at most


def current_rate(version: PatternVersion) -> ranking.Counts:
    """
    The measured counts as they weigh now: half-life 100 runs, restarted where the rate changed,
    and what the version it follows brings at a quarter of its own current weight.
    """
    return _inherited_down(_days_of_line(version))


def current_of(version: PatternVersion) -> Current:
    """The current rate with what it stands on; 2 queries."""
    line = _days_of_line(version)
    days = [counts for _, counts in line[-1]]
    start = ranking.last_change(days)
    now = _inherited_down(line)
    inherited = ranking.inherited(_inherited_down(line[:-1])) if start == 0 and len(line) > 1 else ranking.Counts()
    since = ranking.total(days[start:])
    low, high = ranking.robbins_interval(round(since.successes), round(since.runs))
    return Current(
        rate=now.rate,
        weight=now.runs,
        inherited=inherited.runs,
        changed_on=line[-1][start][0] if start else None,
        runs=round(since.runs),
        low=low,
        high=high,
    )


def _inherited_down(line: Sequence[Sequence[tuple[date, ranking.Counts]]]) -> ranking.Counts:
    """The current counts of the last version of a line, each version's handed down to the next."""
    counts: ranking.Counts | None = None
    for days in line:
        counts = ranking.current([each for _, each in days], counts)
    return counts or ranking.Counts()


def _days_of_line(version: PatternVersion) -> list[list[tuple[date, ranking.Counts]]]:
    """Measured runs day by day: of the versions before it in the pattern, oldest first, then its own."""
    before = PatternVersion.objects.filter(pattern_id=version.pattern_id, sort_key__lt=version.sort_key)
    ids = [*list(before.order_by("-sort_key").values_list("pk", flat=True)[:ANCESTORS])[::-1], version.pk]
    rows = (
        DailyRollup.objects.filter(version__in=ids, source=Source.MEASURED)
        .order_by()
        .values_list("version_id", "day")
        .annotate(n=Sum("runs"), k=Sum("successes"))
        .order_by("day")
    )
    found: dict[int, list[tuple[date, ranking.Counts]]] = {pk: [] for pk in ids}
    for pk, day, n, k in rows:
        found[pk].append((day, ranking.Counts(successes=k, runs=n)))
    return list(found.values())


def csv_rows(pattern: Pattern, *, since: date, until: date) -> Iterable[list[Any]]:
    """The roll-ups of a pattern as rows of a table, header first; what several reported of one day is one row."""
    yield ["day", "version", "context", "source", "runs", "successes", "seconds", "usd", "tokens", "failures"]
    rows = (
        DailyRollup.objects.filter(pattern=pattern, day__gte=since, day__lte=until)
        .order_by("day", "version__sort_key", "version_id", "cell", "source")
        .select_related("version")
        .only(
            "day",
            "cell",
            "source",
            "runs",
            "successes",
            "duration_seconds_sum",
            "cost_usd_sum",
            "tokens_sum",
            "failures",
            "version__version",
        )
    )
    for of_day in groupby(
        rows.iterator(chunk_size=1000), key=lambda row: (row.day, row.version_id, row.cell, row.source)
    ):
        yield _csv_row(list(of_day[1]))


def _csv_row(rows: list[DailyRollup]) -> list[Any]:
    first = rows[0]
    return [
        first.day.isoformat(),
        first.version.version,
        first.cell,
        first.source,
        sum(row.runs for row in rows),
        sum(row.successes for row in rows),
        round(sum(row.duration_seconds_sum for row in rows), 3),
        round(sum(row.cost_usd_sum for row in rows), 6),
        sum(row.tokens_sum for row in rows),
        sum(sum(row.failures.values()) for row in rows),
    ]


def default_range(today: date, days: int = 90) -> tuple[date, date]:
    """The last ``days`` days, today included."""
    return today - timedelta(days=days - 1), today
