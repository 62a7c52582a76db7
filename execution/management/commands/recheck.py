"""
Recompute the verdict of a verification report; refuse it when a byte differs.

    manage.py recheck report.json        exit 0: its verdict follows from its pairs, 1: it does not

Needs no database: anyone can check anyone's report.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from execution.services import reporting
from execution.shadow.errors import ReportRefused
from execution.shadow.figures import typeset
from execution.shadow.recheck import MOST_BYTES, recheck


class Command(BaseCommand):
    """See the module."""

    help = "Recompute the verdict of a verification report from its pairs."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("report", metavar="REPORT", help="the file as it was downloaded; - for standard input")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            result = recheck(_read(options["report"]), verify=reporting.verifier())
        except OSError as error:
            self.refuse(options, "file", f"{options['report']}: {error.strerror or 'it cannot be read'}", "")
            return
        except ReportRefused as error:
            self.refuse(options, error.reason, str(error), error.pointer)
            return
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "ok": True,
                        "outcome": result.outcome.value,
                        "sentence": result.sentence,
                        "digest": result.digest,
                        "trial": result.trial,
                        "control": result.control,
                        "candidate": result.candidate,
                        "pairs": result.pairs,
                        "missing": result.missing,
                        "signed_by": list(result.signed_by),
                        "unchecked_signatures": list(result.unchecked),
                    },
                    ensure_ascii=False,
                )
            )
            return
        self.stdout.write(f"confirmed {result.outcome.value}: {typeset(result.sentence)}")
        self.stdout.write(f"  {result.pairs} pairs, {result.missing} missing; {result.digest}")
        if result.signed_by:
            self.stdout.write(
                f"  signed by key {', '.join(result.signed_by)}; whose it is, the node's fingerprint tells"
            )
        if not result.signed_by and not result.unchecked:
            self.stdout.write("  signed by nobody: that its pairs happened, you take from where you got it")
        if result.unchecked:
            self.stdout.write(f"  signatures not checked here: {', '.join(result.unchecked)}")

    def refuse(self, options: dict[str, Any], reason: str, detail: str, pointer: str) -> None:
        """Say why, and exit 1."""
        if options["json"]:
            body = {"ok": False, "code": "execution.report-refused", "reason": reason, "detail": detail, "at": pointer}
            self.stdout.write(json.dumps(body, ensure_ascii=False))
        else:
            self.stderr.write(f"refused: {detail}")
        sys.exit(1)


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read(MOST_BYTES + 1)
    with Path(name).open("rb") as file:
        return file.read(MOST_BYTES + 1)
