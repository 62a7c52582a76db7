"""
What Prometheus reads: gauges from the database at the moment it asks, so that every process answers the same.

Sums over whole tables are read at most every ten seconds, however many servers
scrape; the queue, which alerts hang on, each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import Count, Min, Sum
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from execution import states
from execution.models import Effect, Run, WorkerLease
from execution.services.clock import now_ms

KEPT_SECONDS = 10.0


class RunMetrics(Collector):
    """Runs, effects, the queue, and what was spent."""

    def __init__(self, clock: Callable[[], int] = now_ms, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.monotonic = clock, monotonic
        self._kept: tuple[float, list[Metric]] | None = None

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: registering must not ask the database."""
        return []

    def collect(self) -> Iterable[Metric]:
        """All families."""
        return [*self.queue(), *self.sums()]

    def queue(self) -> list[Metric]:
        """How long what is due has been waiting, and who is there to do it."""
        now = self.clock()
        due = Effect.objects.filter(due_at__lte=now).aggregate(first=Min("due_at"), count=Count("pk"))
        oldest = (
            Run.objects.filter(status=states.RunStatus.QUEUED).order_by("pk").values_list("clock", flat=True).first()
        )
        ages = {"effects": due["first"], "runs": oldest}
        age = GaugeMetricFamily(
            "opl_queue_age_seconds", "How long the oldest thing that could be done has waited", labels=["queue"]
        )
        for name, since in ages.items():
            age.add_metric([name], max(now - since, 0) / 1000 if since is not None else 0.0)
        workers = WorkerLease.objects.filter(gone=False).count()
        return [
            age,
            GaugeMetricFamily("opl_effects_due", "Questions that may be claimed and are not", value=due["count"]),
            GaugeMetricFamily("opl_workers", "Workers with a living lease", value=workers),
        ]

    def sums(self) -> list[Metric]:
        """What was read within the last ten seconds."""
        now = self.monotonic()
        if self._kept is None or now - self._kept[0] > KEPT_SECONDS:
            self._kept = now, [*_by_status(), *_spent()]
        return self._kept[1]


def _by_status() -> list[Metric]:
    runs = GaugeMetricFamily("opl_runs", "Runs by status", labels=["status"])
    effects = GaugeMetricFamily("opl_effects", "Effects by state", labels=["status"])
    counted: list[tuple[GaugeMetricFamily, Any, Any]] = [
        (runs, Run, states.RunStatus),
        (effects, Effect, states.EffectStatus),
    ]
    for family, model, statuses in counted:
        found = dict(model.objects.order_by().values_list("status").annotate(Count("pk")))
        for status in statuses:
            family.add_metric([str(status)], found.get(str(status), 0))
    return [runs, effects]


def _spent() -> list[Metric]:
    tokens = CounterMetricFamily("opl_tokens", "Tokens used by runs", labels=["agents"])
    money = CounterMetricFamily("opl_cost_usd", "Dollars spent by runs", labels=["agents"])
    repaid = CounterMetricFamily("opl_repaid", "Questions that were possibly paid twice", labels=["agents"])
    rows = (
        Run.objects.order_by().values("simulated").annotate(t=Sum("tokens_used"), c=Sum("cost_used"), r=Sum("repaid"))
    )
    found = {row["simulated"]: row for row in rows}
    for simulated, name in ((False, "real"), (True, "simulated")):
        row = found.get(simulated, {"t": 0, "c": 0, "r": 0})
        tokens.add_metric([name], row["t"])
        money.add_metric([name], row["c"] / 1_000_000)
        repaid.add_metric([name], row["r"])
    return [tokens, money, repaid]
