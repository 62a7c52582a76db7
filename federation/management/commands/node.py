"""``manage.py node [show|create|rotate|stop|resume|restored|set] …``"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.utils import timezone

from federation.errors import NotFound, Unable
from federation.management.output import FederationCommand
from federation.models import Author, Peer, Statement
from federation.services import identities, statistics, storing, ticking, trusting
from registry.models import Owner

PROFILES = ("org", "public", "none")


class Command(FederationCommand):
    """This node's identity."""

    help = "Show, create and rotate this node's keys; its fingerprint is for comparing by voice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do."""
        super().add_arguments(parser)
        actions = ("show", "create", "rotate", "stop", "resume", "restored", "set", "tick", "tidy")
        parser.add_argument("action", nargs="?", default="show", choices=actions)
        parser.add_argument("--author", default="", metavar="OWNER", help="rotate the keys of an author held here")
        parser.add_argument("--contact", default=None, help="where the people of this node are reached")
        parser.add_argument("--reason", default="", help="of stop")
        parser.add_argument("--public-topics", default=None, help="comma separated; empty offers every topic")
        parser.add_argument("--private-topics", default=None, help="comma separated; these never leave")
        parser.add_argument("--profile", default=None, choices=PROFILES, help="how usage leaves")

    def act(self, **options: Any) -> dict[str, Any]:
        """One service call."""
        now, user = timezone.now(), self.person(options["user"])
        action = options["action"]
        told: dict[str, Any] = {}
        if action == "create":
            identities.create_node(now=now, contact=options["contact"] or "", user=user)
        elif action == "rotate":
            told = {"rotated": identities.rotate(self._identity(options["author"]), now=now, user=user).id}
            if not options["author"]:
                told["told"] = self._tell_peers(now)
        elif action in ("stop", "resume"):
            trusting.kill_switch(is_on=action == "stop", reason=options["reason"], now=now, user=user)
        elif action == "restored":
            identities.restored(now=now, user=user)
        elif action == "tick":
            told = {"done": dict(ticking.tick(now))}
        elif action == "tidy":
            ticking.tidy(now=now)
        if action in ("set", "create"):
            self._set(options)
        storing.number()
        return {"ok": True, "action": action, **told, **self._shown()}

    def _identity(self, owner: str) -> str:
        if not owner:
            return identities.node().node_id
        row = Author.objects.filter(owner=Owner.objects.filter(name=owner).first()).first()
        if row is None:
            raise NotFound(f"author {owner}")
        return row.author_id

    def _tell_peers(self, now: Any) -> dict[str, str]:
        """Every peer gets the new chain, so that it knows the key that now speaks."""
        told: dict[str, str] = {}
        for peer in Peer.objects.trusted().exclude(base_url=""):
            try:
                told[str(peer)] = trusting.introduce(peer, now=now)
            except Exception as error:
                told[str(peer)] = str(error)
        return told

    def _set(self, options: dict[str, Any]) -> None:
        node = identities.node()
        for name in ("public_topics", "private_topics"):
            if options[name] is not None:
                setattr(node, name, [topic.strip() for topic in options[name].split(",") if topic.strip()])
        if options["contact"] is not None:
            node.contact = options["contact"][:500]
        if options["profile"] is not None:
            node.profile = options["profile"]
        node.save()

    def _shown(self) -> dict[str, Any]:
        node = identities.node()
        chain = identities.chain_of(node.node_id)
        if chain is None:
            raise Unable("this node's root document is gone; restore the database")
        return {
            "node_id": node.node_id,
            "fingerprint": chain.fingerprint,
            "root_version": chain.latest.version,
            "base_url": settings.PUBLIC_URL,
            "epoch": node.epoch,
            "head": node.head,
            "statements": Statement.objects.count(),
            "authors": {str(row.owner): row.author_id for row in Author.objects.select_related("owner")[:100]},
            "public_topics": node.public_topics,
            "private_topics": node.private_topics,
            "profile": node.profile,
            "weights": statistics.tier_weights(),
            "paused": node.is_paused,
            "paused_reason": node.paused_reason,
        }

    def say(self, answer: dict[str, Any]) -> list[str]:
        """Who this node is, and what to do with it."""
        lines = [
            f"node         {answer['node_id']}",
            f"fingerprint  {answer['fingerprint']}",
            f"address      {answer['base_url']}",
            f"root         version {answer['root_version']}",
            f"feed         {answer['epoch'][:8]}… up to {answer['head']}",
        ]
        if answer["paused"]:
            lines.append(
                f"stopped      {answer['paused_reason'] or 'no reason given'}; `manage.py node resume` goes on"
            )
        if answer["action"] == "create":
            lines.append("Tell a peer's people the eight words; they add this node with `manage.py peer add ADDRESS`.")
        if answer["action"] == "rotate":
            lines.append("New keys sign from now on; peers were told with the whole chain.")
        return lines
