"""``manage.py push NAME[@VERSION] --peer P``"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from federation.management.output import FederationCommand
from federation.models import Statement
from federation.services import offering, sharing, storing, trusting
from registry.management.output import acting_user
from registry.services import finding


class Command(FederationCommand):
    """Offers one pattern to one peer."""

    help = "Sign a version where it is not signed yet and offer it to a peer; repeat it to go on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What, to whom."""
        super().add_arguments(parser)
        parser.add_argument("reference", metavar="[OWNER/]NAME[@VERSION]")
        parser.add_argument("--peer", required=True, help="label, node id or address")
        parser.add_argument("--preview", action="store_true", help="show exactly what would leave; send nothing")

    def act(self, **options: Any) -> dict[str, Any]:
        """Sign, then push."""
        user, now = acting_user(options["user"]), timezone.now()
        reference = options["reference"]
        if "/" not in reference:
            reference = f"{user.own_owner}/{reference}"
        version = finding.version(reference, user)
        peer = trusting.find(options["peer"])
        if options["preview"]:
            looked = sharing.preview(version, now=now)
            return {"ok": looked.leaves, "preview": looked.predicate, "reason": looked.reason,
                    "findings": list(looked.findings)}  # fmt: skip
        if not version.pk:
            raise CommandError("there is no such version", returncode=2)
        release = sharing.shared_of(version, now=now)
        sharing.notice(now=now)
        storing.number()
        release.refresh_from_db()
        withdrawn = Statement.objects.filter(target=release.statement_id, is_advice=False).exclude(target="")
        bar = self.bar(total=1, as_json=options["json"])
        done = offering.push(peer, [release, *withdrawn], now=now, progress=bar)
        bar.close()
        return {
            "ok": not done.rejected,
            "pushed": str(version),
            "statement": release.statement_id,
            "peer": str(peer),
            "accepted": done.accepted,
            "duplicate": done.duplicate,
            "rejected": dict(done.rejected),
        }

    def say(self, answer: dict[str, Any]) -> list[str]:
        """What the peer said, or what would leave."""
        if "preview" in answer:
            if not answer["ok"]:
                return [f"It stays here: {answer['reason']}"]
            return [f"{name}: {_written(value)}" for name, value in answer["preview"].items()]
        lines = [f"{answer['peer']} took {answer['accepted']} statements and had {answer['duplicate']}."]
        return lines + [f"  {count} refused as {code}" for code, count in answer["rejected"].items()]


def _written(value: Any) -> str:
    """A text as it is, anything else as JSON: as it would leave."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
