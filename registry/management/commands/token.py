"""``manage.py token create NAME --scope S… [--days N] | list | revoke ID``, all with ``--as USER``"""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.utils import timezone

from registry.api import render
from registry.management.output import RegistryCommand, acting_user
from registry.models import Scope, Token
from registry.services import tokens


class Command(RegistryCommand):
    """Makes, lists and revokes API tokens."""

    help = "Make, list or revoke API tokens of a person."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Three actions."""
        super().add_arguments(parser)
        parser.add_argument("action", choices=["create", "list", "revoke"])
        parser.add_argument("subject", nargs="?", default="", metavar="NAME|ID")
        parser.add_argument("--scope", action="append", choices=Scope.values, default=[], help="repeat for several")
        parser.add_argument("--days", type=int, default=0, help="until it expires; 0 for never")

    def act(self, **options: Any) -> dict[str, Any]:
        """One service call each."""
        user, now = acting_user(options["user"]), timezone.now()
        if options["action"] == "list":
            rows = Token.objects.filter(user=user)
            return {"ok": True, "tokens": [render.token(row) for row in rows]}
        if options["action"] == "revoke":
            number = int(options["subject"]) if options["subject"].isdigit() else 0
            row = tokens.revoke(user=user, token_id=number, now=now, via="cli")
            return {"ok": True, "revoked": render.token(row)}
        made = tokens.create(
            user=user,
            name=options["subject"] or "command line",
            scopes=options["scope"] or [Scope.READ, Scope.PUBLISH, Scope.RUN],
            now=now,
            expires_at=now + timedelta(days=options["days"]) if options["days"] else None,
            via="cli",
        )
        return {"ok": True, "token": made.secret, **render.token(made.token)}

    def say(self, answer: dict[str, Any]) -> list[str]:
        """The secret stands on a line of its own."""
        if "tokens" in answer:
            return [_line(row) for row in answer["tokens"]] or ["no tokens yet; `manage.py token create NAME`"]
        if "revoked" in answer:
            return [f"revoked {answer['revoked']['prefix']}…"]
        return [answer["token"], "shown this once; send it as `Authorization: Bearer <token>`"]


def _line(row: dict[str, Any]) -> str:
    state = "revoked" if row["revoked_at"] else "live"
    used = row["last_used_at"].isoformat(timespec="minutes") if row["last_used_at"] else "never"
    return f"{row['id']:>5}  {row['prefix']}…  {state:8} {','.join(row['scopes']):24} used {used}  {row['name']}"
