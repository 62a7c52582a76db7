"""
What a run of a pattern takes, seen in runs and not guessed.

    manage.py measure library/consensus
    manage.py measure library --runs 20 --write library/     # fills in `cost_seen` of the documents there

Each pattern runs at its defaults with the seeds 1, 2, 3 …, so simulated agents
give the same figures on every machine. Runs that it starts count what their own
started. ``ok`` is false where a pattern's own ``success_when`` never held.
"""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from django.db.models import Count, Sum
from django.utils import timezone

from execution.errors import ExecutionError
from execution.models import Effect, Run
from execution.models.effect import Handler
from execution.services import starting
from execution.worker import run_until_idle
from registry.errors import InvalidRequest
from registry.management.output import RegistryCommand, acting_user
from registry.models import Pattern, PatternVersion, User
from registry.services import finding

USUAL_RUNS = 20
SEEN_LINE = re.compile(r"^cost_seen:.*$", re.MULTILINE)
FORMULA = re.compile(r"formula: (\"[^\"]*\"|[^,}]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Means of the runs of one pattern."""

    pattern: str  # owner/name
    completions: float  # questions to agents
    tokens: int
    cost_usd: float
    runs: int
    agents: str  # the backend's name
    succeeded: float  # share of the runs
    score: float | None  # mean of those that have one

    def line(self, before: str) -> str:
        """The document's ``cost_seen``; the formula that stood there stays."""
        formula = FORMULA.search(before)
        money = f", cost_usd: {self.cost_usd:.4f}" if self.cost_usd else ""
        told = (
            f"completions: {self.completions:g}, tokens: {self.tokens}{money}, runs: {self.runs}, agents: {self.agents}"
        )
        return f"cost_seen: {{{told}{', ' + formula[0] if formula else ''}}}"


class Command(RegistryCommand):
    """See the module."""

    help = "Run patterns at their defaults and say what a run takes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("pattern", help="owner/name, or an owner for all of its patterns")
        parser.add_argument("--runs", type=int, default=USUAL_RUNS, help="of each pattern")
        parser.add_argument("--backend", default="simulated", help="agents; real ones cost money")
        parser.add_argument("--write", default="", metavar="FOLDER", help="fill in `cost_seen` of FOLDER/NAME.yaml")

    def handle(self, *args: Any, **options: Any) -> None:
        self.ok = True
        super().handle(*args, **options)
        if not self.ok:
            self.stderr.write("a pattern did not succeed in any of its runs")
            sys.exit(1)

    def act(self, **options: Any) -> dict[str, Any]:
        user = acting_user(options["user"])
        if options["runs"] < 1:
            raise InvalidRequest("runs", "measure at least one run")
        try:
            found = [
                measured(one, options["runs"], options["backend"], user) for one in versions(options["pattern"], user)
            ]
        except ExecutionError as error:
            raise InvalidRequest("pattern", str(error)) from error
        written = [str(path) for one in found if options["write"] and (path := write(one, Path(options["write"])))]
        self.ok = all(one.succeeded > 0 for one in found)
        return {
            "ok": self.ok,
            "seen": [asdict(one) for one in found],
            "written": written,
        }

    def say(self, answer: dict[str, Any]) -> list[str]:
        lines = [f"{'pattern':<34} {'completions':>11} {'tokens':>7} {'succeeded':>9} {'score':>6}"]
        for one in answer["seen"]:
            score = "" if one["score"] is None else f"{one['score']:.3f}"
            lines.append(
                f"{one['pattern']:<34} {one['completions']:>11g} {one['tokens']:>7} {one['succeeded']:>9.0%} {score:>6}"
            )
        return [*lines, *(f"wrote {path}" for path in answer["written"])]


def versions(name: str, user: User) -> list[PatternVersion]:
    """The newest version of one pattern, or of each pattern of an owner."""
    if "/" in name:
        return [finding.version(name, user)]
    patterns = Pattern.objects.visible_to(user).filter(owner__name=name).order_by("name")
    if not patterns:
        raise InvalidRequest("pattern", f"{name} has no patterns; give owner/name, or an owner")
    return [finding.version(str(pattern), user) for pattern in patterns]


def measured(version: PatternVersion, runs: int, backend: str, user: User) -> Seen:
    """Run a version at its defaults, and say what it took. Raises ExecutionError."""
    started = [
        starting.start(version=version, user=user, now=timezone.now(), backend=backend, seed=seed).pk
        for seed in range(1, runs + 1)
    ]
    run_until_idle()
    ended = list(Run.objects.filter(pk__in=started))
    family = set(started)
    while more := set(Run.objects.filter(parent__in=family).values_list("pk", flat=True)) - family:
        family |= more
    asked = Effect.objects.filter(run_id__in=family, handler=Handler.AGENT)
    took = asked.aggregate(count=Count("pk"), tokens=Sum("tokens"), cost=Sum("cost"))
    scores = [one.score for one in ended if one.score is not None]
    return Seen(
        pattern=str(version.pattern),
        completions=round(took["count"] / runs, 1),
        tokens=round((took["tokens"] or 0) / runs),
        cost_usd=round((took["cost"] or 0) / 1_000_000 / runs, 4),
        runs=runs,
        agents=backend,
        succeeded=fmean(bool(one.succeeded) for one in ended),
        score=round(fmean(scores), 3) if scores else None,
    )


def write(seen: Seen, folder: Path) -> Path | None:
    """Fill in what was seen; the file, or None where it said so already."""
    path = folder / f"{seen.pattern.split('/')[-1]}.yaml"
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise InvalidRequest("write", f"{path}: {error.strerror or 'it cannot be read'}") from None
    before = SEEN_LINE.search(text)
    if before is None:
        raise InvalidRequest("write", f"{path} has no line `cost_seen:` to fill in")
    line = seen.line(before[0])
    if line == before[0]:
        return None
    path.write_text(text.replace(before[0], line, 1), "utf-8")
    return path
