"""
``manage.py rehearse FILE``: run a script with scripted agents on a virtual clock.

A shell around ``opl.script.rehearse``: it reads the files and prints. No
database and no network, so it works before the first migration.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from opl.errors import Problem
from opl.script.rehearse import Rehearsal, Script, read_agents, rehearse, told


class Refused(Exception):
    """An argument or a file it names cannot be used; carries problems."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(problems)
        self.problems = problems


class Command(BaseCommand):
    """See the module."""

    help = (
        "Run a script with scripted agents on a virtual clock, touching neither database nor network. "
        "Exit status: 0 succeeded, 1 failed, terminated or stuck, 2 the file or the arguments are bad."
    )
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments of docs/language.md, section Rehearsal."""
        parser.add_argument("file", metavar="FILE", help="a script, a Markdown component or a YAML document")
        parser.add_argument("--script", default="", metavar="TITLE", help="which script: its title or number")
        parser.add_argument("--inputs", default="", metavar="JSON|@FILE", help="values of the inputs")
        parser.add_argument("--agents", default="", metavar="FILE", help="the lines of scripted agents (YAML)")
        parser.add_argument("--seed", type=int, default=0, help="of chance and simulated agents (default 0)")
        parser.add_argument("--lenient", action="store_true", help="leave out malformed statements")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of the story")

    def handle(self, *args: Any, **options: Any) -> None:
        """Rehearse, print, and leave with the exit status."""
        try:
            outcome = rehearse(
                _read(options["file"]),
                file=options["file"],
                script=options["script"],
                inputs=_inputs(options["inputs"]),
                agents=_agents(options["agents"]),
                seed=options["seed"],
                lenient=options["lenient"],
            )
        except Refused as refused:
            outcome = Rehearsal(file=options["file"], problems=refused.problems)
        text = _shown(outcome, as_json=options["json"], stream=self.stdout)
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        # What the terminal cannot show, and half a surrogate pair: in JSON an escape, else a question mark.
        spare = "backslashreplace" if options["json"] else "replace"
        try:
            self.stdout.write(text.encode(encoding, spare).decode(encoding), ending="")
            self.stdout.flush()
        except BrokenPipeError:
            # Whoever read it (`| head`) has enough; nothing is left to say on the way out.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if outcome.exit_status:
            sys.exit(outcome.exit_status)


def _shown(outcome: Rehearsal, *, as_json: bool, stream: Any) -> str:
    if as_json:
        return json.dumps(outcome.to_json(), ensure_ascii=False, indent=2) + "\n"
    color = bool(getattr(stream, "isatty", lambda: False)()) and "NO_COLOR" not in os.environ
    return told(outcome, width=shutil.get_terminal_size((100, 24)).columns, color=color)


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise Refused(Problem(code="opl.rehearsal.file", message=f"{name}: {reason}", file=name)) from None


def _inputs(text: str) -> dict[str, Any]:
    """The object that ``--inputs`` gives, itself or in a file."""
    if not text:
        return {}
    source = _read(text[1:]).decode("utf-8", "replace") if text.startswith("@") else text
    try:
        value = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise Refused(_bad_inputs(f"--inputs is no JSON: {error}")) from None
    if not isinstance(value, dict):
        raise Refused(_bad_inputs("--inputs is no JSON object"))
    return value


def _bad_inputs(message: str) -> Problem:
    return Problem(
        code="opl.rehearsal.input",
        message=message,
        hint="write --inputs '{\"name\": value}', or --inputs @file.json",
    )


def _agents(name: str) -> Script | None:
    if not name:
        return None
    script, problems = read_agents(_read(name), file=name)
    if script is None:
        raise Refused(*problems)
    return script
