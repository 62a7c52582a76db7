"""
What the registry's commands share: who acts, errors without tracebacks, text or JSON.

A command is a shell around one service: it prints what it did and what to do
next; with ``--json`` it prints one object, errors included. Exit 0: done,
1: refused, 2: the command line itself is wrong.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder

from registry.errors import RegistryError
from registry.models import Owner, User
from registry.services import finding


class RegistryCommand(BaseCommand):
    """The base of the registry's commands."""

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """``--json`` and ``--as`` for all."""
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--as", dest="user", default="", metavar="USER", help="who acts; an administrator by default"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run ``act`` and print its answer, or the error in one piece."""
        try:
            answer = self.act(**options)
        except RegistryError as error:
            self.refuse(error, as_json=options["json"])
            return
        except CommandError as error:
            self.misused(error, as_json=options["json"])
            return
        if options["json"]:
            self.stdout.write(json.dumps(answer, cls=DjangoJSONEncoder, ensure_ascii=False))
        else:
            for line in self.say(answer):
                self.stdout.write(line)

    def refuse(self, error: RegistryError, *, as_json: bool) -> None:
        """Print the error with every problem in it, and exit 1."""
        problems = [problem.to_json() for problem in getattr(error, "problems", ())]
        if as_json:
            body = {"ok": False, "code": error.code, "detail": str(error), **error.members, "problems": problems}
            self.stdout.write(json.dumps(body, cls=DjangoJSONEncoder, ensure_ascii=False))
        else:
            for problem in getattr(error, "problems", ()):
                self.stderr.write(str(problem))
            if not problems:
                self.stderr.write(str(error))
        sys.exit(1)

    def misused(self, error: CommandError, *, as_json: bool) -> None:
        """What is wrong with the command line, in one object where that is asked for."""
        if not as_json:
            raise error
        self.stdout.write(json.dumps({"ok": False, "code": "command-line", "detail": str(error)}, ensure_ascii=False))
        sys.exit(error.returncode)

    def act(self, **options: Any) -> dict[str, Any]:
        """Call the service; the answer as JSON would have it."""
        raise NotImplementedError

    def say(self, answer: dict[str, Any]) -> list[str]:
        """The answer for people, line by line."""
        raise NotImplementedError


def acting_user(name: str) -> User:
    """The person named, else the first administrator; CommandError when there is none."""
    users = User.objects.filter(is_active=True)
    found = users.filter(username=name).first() if name else users.filter(is_superuser=True).order_by("pk").first()
    if found is None:
        who = f"there is no person {name}" if name else "there is no administrator yet"
        raise CommandError(f"{who}; make one with `manage.py createsuperuser`, or name one with --as", returncode=2)
    return found


def acting_owner(name: str, user: User) -> Owner:
    """The owner named, else the person's own."""
    return finding.owner(name) if name else user.own_owner
