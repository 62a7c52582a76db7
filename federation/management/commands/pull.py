"""``manage.py pull NODE/AUTHOR/NAME[@VERSION]``"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from federation.errors import NotFound, Unable
from federation.management.output import FederationCommand
from federation.models import QuarantineItem
from federation.protocol.quarantine import State
from federation.services import describing, quarantining, syncing, ticking, trusting, trying


class Command(FederationCommand):
    """Brings a pattern of another node into quarantine."""

    help = "Read a peer's feed, scan what came, and say where the pattern stands; repeat it to go on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which."""
        super().add_arguments(parser)
        parser.add_argument("reference", metavar="NODE/AUTHOR/NAME[@VERSION]")
        parser.add_argument("--admit", action="store_true", help="admit it by hand, whatever the scan found")
        parser.add_argument("--try", action="store_true", dest="trial", help="ask for a trial by hand")
        parser.add_argument("--reason", default="")

    def act(self, **options: Any) -> dict[str, Any]:
        """Sync, scan, find."""
        name, _, version = options["reference"].partition("@")
        parts = name.split("/")
        if len(parts) != 3:
            raise CommandError("write NODE/AUTHOR/NAME, for example north/ada/vote@1.0.0", returncode=2)
        peer = trusting.find(parts[0])
        bar = self.bar(as_json=options["json"])
        report = syncing.sync(peer, now=timezone.now(), progress=bar)
        bar.close()
        ticking.scan_all(now=timezone.now())
        item = self._item("/".join(parts[1:]), version, peer.node_id, report.error)
        self._decide(item, options)
        return {"ok": True, "report": report.to_json(), "item": describing.item(item)}

    def _item(self, name: str, version: str, origin: str, error: str) -> QuarantineItem:
        rows = QuarantineItem.objects.filter(statement__subject_name=name).select_related(
            "statement", "peer", "admitted_as"
        )
        rows = rows.filter(statement__version=version) if version else rows
        found = [row for row in rows.order_by("-pk") if origin in row.statement.via]
        if not found:
            if error:
                raise Unable(error)
            raise NotFound(f"{name}{'@' + version if version else ''}")
        return found[0]

    def _decide(self, item: QuarantineItem, options: dict[str, Any]) -> None:
        user, now = self.person(options["user"]), timezone.now()
        if options["trial"] and item.current in (State.HELD, State.TRIAL_FAILED, State.INCONCLUSIVE):
            trying.request(item, now=now, reason=options["reason"] or "asked for by hand", actor=user)
        if options["admit"] and item.current is not State.ADMITTED:
            if user is None:
                raise CommandError("an administrator must admit it; name one with --as", returncode=2)
            quarantining.approve(item, reason=options["reason"], now=now, actor=user)

    def say(self, answer: dict[str, Any]) -> list[str]:
        """Where it stands."""
        item = answer["item"]
        lines = [f"{item['name']}@{item['version']} is {item['state']}: {item['reason']}"]
        lines += [f"  {each['code']} in line {each['line']}: {each['message']}" for each in item["findings"][:20]]
        if item["admitted_as"]:
            lines.append(f"  It stands here as {item['admitted_as']}, a candidate.")
        elif item["state"] == "held":
            lines.append("  Look at it, then repeat with --admit, or refuse it on the quarantine page.")
        return lines
