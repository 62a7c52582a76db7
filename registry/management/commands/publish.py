"""``manage.py publish FILE… [--owner NAME] [--as USER] [--version V] [--name N] [--visibility V] [--check]``"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from registry.errors import InvalidDocument, RegistryError
from registry.management.output import RegistryCommand, acting_owner, acting_user
from registry.services import publishing


class Command(RegistryCommand):
    """Publishes files; the same bytes again are no error."""

    help = "Publish pattern files; every problem is shown with file:line:column."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Files and what is not in them."""
        super().add_arguments(parser)
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--owner", default="", help="whose name they stand under; your own by default")
        parser.add_argument("--pattern-version", default="", metavar="VERSION", help="the document's by default")
        parser.add_argument("--name", default="", help="of the pattern, for a single file")
        parser.add_argument("--visibility", default="", choices=["", "private", "org", "public"])

    def act(self, **options: Any) -> dict[str, Any]:
        """Publish each file; one that is refused does not stop the others."""
        user = acting_user(options["user"])
        owner = acting_owner(options["owner"], user)
        results = [self._one(Path(file), owner, user, options) for file in options["files"]]
        refused = [result for result in results if not result["ok"]]
        if len(results) == 1 and refused:
            raise refused[0]["error"]
        for result in results:
            result.pop("error", None)
        self.exit_code = 1 if refused else 0
        return {"ok": not refused, "files": results}

    def _one(self, file: Path, owner: Any, user: Any, options: dict[str, Any]) -> dict[str, Any]:
        try:
            source = file.read_bytes()
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}", returncode=2) from error
        try:
            answer = publishing.publish(
                owner=owner,
                user=user,
                source=source,
                via="cli",
                now=timezone.now(),
                version=options["pattern_version"],
                name=options["name"],
                visibility=options["visibility"],
                file_name=str(file),
            )
        except RegistryError as error:
            problems = error.problems if isinstance(error, InvalidDocument) else ()
            return {
                "ok": False,
                "file": str(file),
                "error": error,
                "code": error.code,
                "detail": str(error),
                "problems": [problem.to_json() for problem in problems],
            }
        return {
            "ok": True,
            "file": str(file),
            "digest": answer.document.digest,
            "patterns": [
                {
                    "pattern": str(item.version.pattern),
                    "version": item.version.version,
                    "digest": item.version.digest,
                    "mode": item.version.mode,
                    "created": item.created,
                }
                for item in answer.versions
            ],
            "profiles": [str(profile) for profile in answer.profiles],
            "problems": [problem.to_json() for problem in answer.problems],
        }

    def say(self, answer: dict[str, Any]) -> list[str]:
        """One line for each pattern, then what to do next."""
        lines = []
        for result in answer["files"]:
            if not result["ok"]:
                lines.append(f"refused    {result['file']}: {result['detail']}")
                continue
            for item in result["patterns"]:
                word = "published" if item["created"] else "unchanged"
                lines.append(f"{word:10} {item['pattern']}@{item['version']}  {item['digest'][:12]}  {item['mode']}")
            lines += [f"profile    {name}" for name in result["profiles"]]
            warnings = [problem for problem in result["problems"] if problem["severity"] == "warning"]
            lines += [f"  warning  {p['line']}:{p['column']}: {p['message']}" for p in warnings]
        return [*lines, "next: open /patterns, or `manage.py start OWNER/NAME`"]

    exit_code = 0

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 1 when any file was refused."""
        super().handle(*args, **options)
        if self.exit_code:
            raise SystemExit(self.exit_code)
