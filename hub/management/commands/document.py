"""
Write, or check, what is generated from the code: state diagrams, the API's description, the builtins of the manual.

    manage.py document            # write
    manage.py document --check    # exit 1 when something committed is out of date
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer

from execution import states
from federation.protocol import quarantine
from opl.script.builtins.__main__ import written

STATES: dict[str, Mapping[Any, Mapping[Any, Any]]] = {
    "A run": states.RUN,
    "An effect": states.EFFECT,
    "A trial": states.TRIAL,
    "A message batch": states.BATCH,
    "An object in quarantine": quarantine.TRANSITIONS,
}
INTRODUCTION = """# State machines

Generated from the tables in the code by `manage.py document`; `make check` fails when they differ.
A terminal state is one with no way out.
"""


def state_diagrams() -> str:
    """docs/states.md."""
    parts = [INTRODUCTION]
    for title, table in STATES.items():
        plain = {str(status): {str(event): str(to) for event, to in moves.items()} for status, moves in table.items()}
        parts.append(f"## {title}\n\n```mermaid\n{states.mermaid(plain)}```\n")
    return "\n".join(parts)


def openapi() -> str:
    """schemas/openapi.yaml."""
    generator: Any = SchemaGenerator
    renderer: Any = OpenApiYamlRenderer
    text: bytes = renderer().render(generator().get_schema(request=None, public=True), renderer_context={})
    return text.decode()


def manual() -> str:
    """docs/language.md with its tables of builtins."""
    return written((Path(settings.BASE_DIR) / "docs" / "language.md").read_text("utf-8"))


GENERATED: dict[str, Callable[[], str]] = {
    "docs/states.md": state_diagrams,
    "schemas/openapi.yaml": openapi,
    "docs/language.md": manual,
}


class Command(BaseCommand):
    help = "Write the documents that are generated from the code, or check that they are up to date."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        stale = []
        for name, generate in GENERATED.items():
            path, text = Path(settings.BASE_DIR) / name, generate()
            if path.is_file() and path.read_text("utf-8") == text:
                continue
            stale.append(name)
            if not options["check"]:
                path.write_text(text, "utf-8")
        if stale and options["check"]:
            raise CommandError(f"out of date: {', '.join(stale)}; run `manage.py document` and commit what it writes")
        self.stdout.write(f"wrote {', '.join(stale)}" if stale else "every generated document is up to date")
