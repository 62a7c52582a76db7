"""Check pattern files as publishing would, without storing anything."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from opl.check import Report, check
from opl.document.text import split_lines
from opl.errors import Problem, Severity


class Command(BaseCommand):
    help = "Check pattern files: every problem with its line, column and remedy. Exits 1 on errors, 2 on bad files."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "files", nargs="+", metavar="FILE", help="a pattern, composition, component or script; - reads stdin"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
        parser.add_argument("--quiet", action="store_true", help="leave notes and passing files out")

    def handle(self, *args: Any, **options: Any) -> None:
        reports: dict[str, Report] = {}
        unreadable: dict[str, str] = {}
        for name in options["files"]:
            try:
                data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
            except OSError as error:
                unreadable[name] = error.strerror or str(error)
                continue
            reports[name] = check(data, file="stdin" if name == "-" else name)
            if not options["json"]:
                self._tell(name, data, reports[name], quiet=options["quiet"])
        if options["json"]:
            self.stdout.write(_as_json(reports, unreadable))
        else:
            for name, reason in unreadable.items():
                self.stderr.write(f"{name}: {reason}; check the path")
        if unreadable:
            sys.exit(2)
        if not all(report.ok for report in reports.values()):
            sys.exit(1)

    def _tell(self, name: str, data: bytes, report: Report, *, quiet: bool) -> None:
        lines = split_lines(data.decode("utf-8", "replace"))
        for problem in report.problems:
            if quiet and problem.severity is Severity.NOTE:
                continue
            self.stdout.write(_shown(problem, lines))
        if quiet and report.ok:
            return
        self.stdout.write(f"{name}: {_summary(report)}")


def _shown(problem: Problem, lines: list[str]) -> str:
    excerpt = problem.excerpt(lines)
    indented = "".join(f"\n    {line}" for line in excerpt.split("\n")) if excerpt else ""
    return f"{problem}{indented}"


def _summary(report: Report) -> str:
    """One line: what it is and what was found."""
    counts = [
        f"{count} {severity}{'' if count == 1 else 's'}"
        for severity in Severity
        if (count := sum(problem.severity is severity for problem in report.problems))
    ]
    found = ", ".join(counts) or "no problems"
    if report.document is None:
        return f"not readable; {found}"
    document = report.document
    title = " ".join(part for part in (document.name, document.version) if part) or "unnamed"
    verdict = "ok" if report.ok else "refused"
    return f"{verdict}: {title}, {document.envelope} {document.kind}, {report.mode}; {found}"


def _as_json(reports: dict[str, Report], unreadable: dict[str, str]) -> str:
    files = [{"file": name, **report.to_json()} for name, report in reports.items()]
    failed = [{"file": name, "reason": reason} for name, reason in unreadable.items()]
    ok = not failed and all(report.ok for report in reports.values())
    return json.dumps({"ok": ok, "files": files, "unreadable": failed}, indent=2, ensure_ascii=False)
