"""``manage.py bundle export|import FILE``"""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.utils import timezone

from federation.management.output import FederationCommand
from federation.services import bundling, sharing, storing, ticking, trusting


class Command(FederationCommand):
    """Statements in a file."""

    help = "Write what may leave into a file, or take a file in: the same statements, the same checks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which way."""
        super().add_arguments(parser)
        parser.add_argument("action", choices=("export", "import"))
        parser.add_argument("file", type=Path)
        parser.add_argument("names", nargs="*", metavar="OWNER/NAME[@VERSION]", help="export only these")
        parser.add_argument("--peer", default="", help="export what this peer may have; else only what is public")

    def act(self, **options: Any) -> dict[str, Any]:
        """One service call."""
        now = timezone.now()
        bar = self.bar(as_json=options["json"])
        if options["action"] == "export":
            sharing.notice(now=now)
            storing.number()
            to = trusting.find(options["peer"]) if options["peer"] else None
            rows = bundling.choose(names=options["names"], to=to)
            count = bundling.export(options["file"], rows, now=now, progress=bar)
            bar.close()
            return {"ok": True, "file": str(options["file"]), "statements": count}
        sender, peer = bundling.maker(options["file"])
        outcomes = bundling.import_(options["file"], now=now, progress=bar)
        bar.close()
        scanned = ticking.scan_all(now=timezone.now())
        found = Counter(outcome.status for outcome in outcomes)
        rejected = Counter(outcome.code for outcome in outcomes if outcome.code)
        told = {"from": sender, "signed": peer is not None, **found, "codes": dict(rejected), "scanned": scanned}
        return {"ok": True, "file": str(options["file"]), **told}

    def say(self, answer: dict[str, Any]) -> list[str]:
        """What was written, or what became of what was read."""
        if "statements" in answer:
            return [f"{answer['statements']} statements are in {answer['file']}"]
        told = ", ".join(f"{name} {answer[name]}" for name in ("accepted", "duplicate", "rejected") if name in answer)
        lines = [f"{answer['file']}: {told or 'nothing'}; {answer['scanned']} scanned"]
        if not answer["signed"]:
            lines.append(
                f"  No peer here signed it, whatever it says ({answer['from']}); what it brought waits for you."
            )
        return lines + [f"  {count} refused as {code}" for code, count in answer["codes"].items()]
