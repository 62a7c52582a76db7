"""``manage.py load_library [FOLDER]``: the shipped patterns as owner ``library``."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from registry.errors import RegistryError
from registry.management.output import RegistryCommand
from registry.services import libraries


class Command(RegistryCommand):
    """Loads the library; running it again changes nothing."""

    help = "Publish every document of library/ as owner `library`; changed ones become new versions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The project's own folder by default."""
        super().add_arguments(parser)
        parser.add_argument("folder", nargs="?", default="")

    def act(self, **options: Any) -> dict[str, Any]:
        """One call."""
        folder = Path(options["folder"] or Path(settings.BASE_DIR) / "library")
        loaded = libraries.load(folder=folder, now=timezone.now())
        if loaded.refused:
            first: RegistryError = loaded.refused[0][1]
            for file, error in loaded.refused[1:]:
                self.stderr.write(f"{file}: {error}")
            raise first
        return {
            "ok": True,
            "files": loaded.files,
            "published": [str(version) for version in loaded.published],
            "unchanged": loaded.unchanged,
            "profiles": loaded.profiles,
        }

    def say(self, answer: dict[str, Any]) -> list[str]:
        """What is new."""
        lines = [f"published {name}" for name in answer["published"]]
        return [
            *lines,
            f"{answer['files']} files: {len(answer['published'])} new versions, {answer['unchanged']} unchanged",
        ]
