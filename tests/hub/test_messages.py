"""Every sentence of the pages can be translated: nothing stands outside the tags, and catalogues can be made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# The style guide is for those who change the templates, and stays in their language.
TEMPLATES = sorted(path for path in (ROOT / "templates").rglob("*.html") if path.name != "design.html")
PACKAGES = ("templates", "registry", "execution", "federation", "hub", "opl")
# What is the same in every language: names, commands, code, units.
SAME = {"hub", "stable", "sha256", "script", "json", "A/A", "inputs", "stratum", "long", "manage", "recheck", "worker"}
GONE = (
    re.compile(r"{#.*?#}", re.S),
    re.compile(r"{% *comment *%}.*?{% *endcomment *%}", re.S),
    re.compile(r"{% *blocktranslate.*?{% *endblocktranslate *%}", re.S),
    re.compile(r"{%.*?%}|{{.*?}}", re.S),
    re.compile(r"<(script|style|svg|code|pre|kbd)\b.*?</\1>", re.S),
    re.compile(r"<[^>]*>", re.S),
    re.compile(r"&\w+;"),
    re.compile(r"(?<!\w)/[\w./-]+"),  # addresses of the hub
)
WORD = re.compile(r"[A-Za-z][A-Za-z/0-9]{2,}")


def untranslated(text: str) -> list[str]:
    """Words of a template that a reader sees and a translator does not."""
    for pattern in GONE:
        text = pattern.sub(" ", text)
    return [word for word in WORD.findall(text) if word not in SAME]


class TestTemplates:
    @pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
    def test_say_nothing_outside_the_tags(self, path: Path) -> None:
        assert untranslated(path.read_text("utf-8")) == []

    def test_the_check_sees_what_is_missing(self) -> None:
        assert untranslated('<p title="x">Not {% translate "seen" %} {{ so }}</p>') == ["Not"]


class TestCatalogues:
    def test_can_be_made(self, tmp_path: Path) -> None:
        if shutil.which("xgettext") is None:
            pytest.skip("xgettext is not installed")
        for name in PACKAGES:
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "migrations"))
        (tmp_path / "locale").mkdir()

        environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
        command = [sys.executable, "-m", "django", "makemessages", "-l", "de", "--no-location"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        catalogue = tmp_path / "locale" / "de" / "LC_MESSAGES" / "django.po"

        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr.lower()
        assert len(re.findall(r'^msgid "', catalogue.read_text("utf-8"), re.M)) > 1000
