"""
What the federation's commands share: who acts, errors in one piece, progress on a terminal.

With ``--json`` a command prints one object, errors included; progress goes to
stderr and only where a person watches. Exit 0: done, 1: refused, 2: the command
line itself is wrong. Everything here may be repeated: cursors, transactions and
receipts make a command that was cut off go on where it stood.
"""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

from django.core.management.base import CommandError
from django.core.serializers.json import DjangoJSONEncoder

from federation.errors import FederationError
from registry.errors import RegistryError
from registry.management.output import RegistryCommand
from registry.models import User

BAR = 24  # characters


class FederationCommand(RegistryCommand):
    """The base of the federation's commands."""

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
        except FederationError as error:
            if options["json"]:
                self.stdout.write(
                    json.dumps({"ok": False, "code": error.code, "detail": str(error)}, ensure_ascii=False)
                )
            else:
                self.stderr.write(str(error))
            sys.exit(1)
        if options["json"]:
            self.stdout.write(json.dumps(answer, cls=DjangoJSONEncoder, ensure_ascii=False))
        else:
            for line in self.say(answer):
                self.stdout.write(line)
        if answer.get("ok") is False:
            sys.exit(1)

    def person(self, name: str) -> User | None:
        """Who acts: the person named, else the first administrator, else nobody (an operator at the machine)."""
        found = User.objects.filter(is_active=True)
        return found.filter(username=name).first() if name else found.filter(is_superuser=True).order_by("pk").first()

    def bar(self, *, total: int = 0, as_json: bool = False) -> Bar:
        """A progress bar; silent where nobody watches."""
        return Bar(sys.stderr, total=total, is_shown=not as_json and sys.stderr.isatty())


class Bar:
    """``received  [########      ]  500/1500`` on one line of a terminal."""

    def __init__(self, stream: TextIO, *, total: int, is_shown: bool) -> None:
        self.stream, self.total, self.is_shown = stream, total, is_shown
        self.is_open = False

    def __call__(self, what: str, count: int) -> None:
        """Show that so much is done."""
        if not self.is_shown:
            return
        share = min(1.0, count / self.total) if self.total else 0.0
        drawn = "#" * round(share * BAR)
        told = f"{count}/{max(count, self.total)}" if self.total else str(count)
        self.stream.write(f"\r{what} [{drawn:<{BAR}}] {told} ")
        self.stream.flush()
        self.is_open = True

    def close(self) -> None:
        """End the line."""
        if self.is_open:
            self.stream.write("\n")
            self.is_open = False
