"""``manage.py peer add|list|show|approve|block|pause|resume|sync|push|status …``"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from federation.errors import FederationError, WrongFingerprint
from federation.management.output import FederationCommand
from federation.models import Peer, Statement
from federation.protocol.tiers import Tier
from federation.services import describing, identities, offering, sharing, storing, syncing, ticking, trusting
from federation.services.showing import Viewer

DEFAULT_TIER = Tier.APPROVED


class Command(FederationCommand):
    """Other nodes."""

    help = "Get to know other nodes, say how far each is trusted, exchange with them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do, with whom."""
        super().add_arguments(parser)
        actions = ("add", "list", "show", "approve", "block", "pause", "resume", "sync", "push", "status")
        parser.add_argument("action", choices=actions)
        parser.add_argument(
            "peer", nargs="?", default="", metavar="PEER", help="an address to add, else label or node id"
        )
        parser.add_argument("--tier", type=int, choices=range(5), default=None, help="2 probation, 3 approved, 4 own")
        parser.add_argument("--fingerprint", default="", help="the eight words its people told you")
        parser.add_argument("--label", default="", help="what you call it")
        parser.add_argument("--message", default="", help="to its people, with the request")
        parser.add_argument("--reason", default="")
        parser.add_argument("--all", action="store_true", help="sync or push with every approved peer")

    def act(self, **options: Any) -> dict[str, Any]:
        """One service call."""
        if options["action"] == "list":
            return {"ok": True, "peers": [self._row(peer) for peer in Peer.objects.all()]}
        if not options["peer"] and not options["all"]:
            raise CommandError("name a peer: its label, its node id, or its address", returncode=2)
        return getattr(self, f"_{options['action']}")(options)  # type: ignore[no-any-return]

    def _add(self, options: dict[str, Any]) -> dict[str, Any]:
        peer = trusting.add(
            url=options["peer"],
            now=timezone.now(),
            user=self.person(options["user"]),
            label=options["label"],
            fingerprint=options["fingerprint"],
            tier=None if options["tier"] is None else Tier(options["tier"]),
            message=options["message"],
        )
        peer.refresh_from_db()
        return {"ok": True, "peer": self._row(peer)}

    def _show(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "peer": self._row(trusting.find(options["peer"]))}

    def _approve(self, options: dict[str, Any]) -> dict[str, Any]:
        peer = trusting.find(options["peer"])
        if options["fingerprint"] and options["fingerprint"].split() != trusting.fingerprint(peer).split():
            raise WrongFingerprint(options["fingerprint"], trusting.fingerprint(peer))
        tier = Tier(options["tier"]) if options["tier"] is not None else DEFAULT_TIER
        now, user = timezone.now(), self.person(options["user"])
        trusting.set_tier(peer, tier, now=now, user=user, reason=options["reason"])
        if options["label"]:
            Peer.objects.filter(pk=peer.pk).update(label=options["label"])
        self._introduce(peer)
        peer.refresh_from_db()
        return {"ok": True, "peer": self._row(peer)}

    def _introduce(self, peer: Peer) -> None:
        """Tell it who we are; where it cannot be reached, the next round tries again."""
        try:
            trusting.introduce(peer, now=timezone.now())
        except FederationError as error:
            self.stderr.write(f"{peer} was not reached yet: {error}")

    def _block(self, options: dict[str, Any]) -> dict[str, Any]:
        peer = trusting.find(options["peer"])
        trusting.set_tier(
            peer, Tier.BLOCKED, now=timezone.now(), user=self.person(options["user"]), reason=options["reason"]
        )
        return {"ok": True, "peer": self._row(peer)}

    def _pause(self, options: dict[str, Any]) -> dict[str, Any]:
        peer = trusting.find(options["peer"])
        is_paused = options["action"] == "pause"
        trusting.pause(peer, is_paused=is_paused, now=timezone.now(), user=self.person(options["user"]))
        return {"ok": True, "peer": self._row(peer)}

    _resume = _pause

    def _sync(self, options: dict[str, Any]) -> dict[str, Any]:
        now = timezone.now()
        sharing.notice(now=now)
        storing.number()
        reports = []
        for peer in self._chosen(options):
            bar = self.bar(total=self._lag(peer), as_json=options["json"])
            reports.append(syncing.sync(peer, now=now, progress=bar))
            bar.close()
        scanned = ticking.scan_all(now=timezone.now())
        return {"ok": not any(report.error for report in reports), "scanned": scanned,
                "reports": [report.to_json() for report in reports]}  # fmt: skip

    def _push(self, options: dict[str, Any]) -> dict[str, Any]:
        now = timezone.now()
        sharing.notice(now=now)
        storing.number()
        reports = []
        for peer in self._chosen(options):
            viewer = Viewer.of(peer, identities.node())
            rows = [
                row
                for row in Statement.objects.filter(seq__gt=peer.acked_seq).order_by("seq")
                if viewer.may_be_sent(row)
            ]
            bar = self.bar(total=len(rows), as_json=options["json"])
            done = offering.push(peer, [row for row in rows if row.kind != "root"], now=now, progress=bar)
            bar.close()
            reports.append({"peer": str(peer), "accepted": done.accepted, "duplicate": done.duplicate,
                            "rejected": dict(done.rejected)})  # fmt: skip
        return {"ok": True, "reports": reports}

    def _status(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "status": trusting.ask_status(trusting.find(options["peer"]))}

    def _chosen(self, options: dict[str, Any]) -> list[Peer]:
        if options["all"]:
            return list(Peer.objects.trusted().exclude(base_url=""))
        return [trusting.find(options["peer"])]

    def _lag(self, peer: Peer) -> int:
        """How much there is to read, for the bar; 0 where the peer does not say."""
        try:
            return max(0, int(trusting.ask_status(peer).get("head", 0)) - peer.cursor_seq)
        except (FederationError, ValueError, TypeError):
            return 0

    def _row(self, peer: Peer) -> dict[str, Any]:
        return describing.peer(peer, node=identities.node(), now=timezone.now())

    def say(self, answer: dict[str, Any]) -> list[str]:
        """What is known now, and what comes next."""
        if "reports" in answer:
            return [_told(report) for report in answer["reports"]]
        if "status" in answer:
            return [f"{name}: {value}" for name, value in answer["status"].items()]
        rows = answer["peers"] if "peers" in answer else [answer["peer"]]
        if not rows:
            return ["No peers yet; `manage.py peer add https://their.address` begins."]
        return [line for row in rows for line in _lines(row)]


def _told(report: dict[str, Any]) -> str:
    if report.get("error"):
        return f"{report['peer']}: {report['error']}"
    parts = [f"{name} {report[name]}" for name in ("lines", "accepted", "duplicate") if name in report]
    parts += [f"rejected {count} as {code}" for code, count in report["rejected"].items()]
    return f"{report['peer']}: " + ", ".join(parts)


def _lines(row: dict[str, Any]) -> list[str]:
    lines = [
        f"{row['label'] or row['node_id']}  T{row['tier']} {row['tier_name']}  {row['address']}",
        f"  {row['node_id']}",
        f"  fingerprint {row['fingerprint']}",
    ]
    if row["tier"] == int(Tier.UNKNOWN):
        lines.append(
            f"  Compare the words with its people, then `manage.py peer approve {row['label'] or row['node_id']}`."
        )
    elif not row["approved_there"]:
        lines.append("  It has not approved this node yet.")
    if row["last_error"]:
        lines.append(f"  {row['failures']} failures; last: {row['last_error']}")
    return lines
