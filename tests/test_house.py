"""What stands where: a new top-level package, a dependency or an error class is a decision, not an accident."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLAN = {
    "benchmarks",
    "docs",
    "execution",
    "federation",
    "hub",
    "library",
    "opl",
    "registry",
    "schemas",
    "static",
    "templates",
    "tests",
}


def tracked(*patterns: str) -> list[str]:
    """The files that git keeps; the working tree may hold anything else."""
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return listed.stdout.split()


class TestTopLevel:
    def test_holds_the_packages_of_the_plan_and_no_others(self) -> None:
        folders = {name.split("/")[0] for name in tracked() if "/" in name and not name.startswith(".")}

        assert folders == PLAN

    def test_files_are_few_and_known(self) -> None:
        files = {name for name in tracked() if "/" not in name and not name.startswith(".")}

        assert files == {
            "CHANGELOG.md",
            "LICENSE",
            "Makefile",
            "README.md",
            "manage.py",
            "pyproject.toml",
            "requirements-dev.txt",
            "requirements.txt",
        }


class TestDependencies:
    def test_each_has_its_reason(self) -> None:
        reasons = (ROOT / "docs/decisions/0002-dependencies.md").read_text().lower()
        direct = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]

        names = [re.split(r"[<>=\[]", line)[0].lower() for line in direct]

        assert [name for name in names if name not in reasons] == []

    @pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
    def test_all_are_pinned(self, name: str) -> None:
        lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.lstrip().startswith("#")]

        assert [line for line in lines if "==" not in line] == []

    def test_the_pins_cover_the_direct_ones(self) -> None:
        direct = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
        pinned = {
            line.split("==")[0].split("[")[0].lower() for line in (ROOT / "requirements.txt").read_text().splitlines()
        }

        names = {re.split(r"[<>=\[]", line)[0].lower() for line in direct}

        assert names - pinned == set()


class TestDecisions:
    def test_have_numbers_of_their_own_and_a_title(self) -> None:
        pages = sorted((ROOT / "docs/decisions").glob("*.md"))
        numbers = [page.name.split("-")[0] for page in pages if page.name[0].isdigit()]

        assert len(numbers) == len(set(numbers))
        assert [page.name for page in pages if not page.read_text().startswith("# ")] == []


class TestProse:
    def test_links_inside_the_project_lead_somewhere(self) -> None:
        broken = []
        for name in tracked("*.md"):
            page = ROOT / name
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
                if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists():
                    broken.append(f"{name}: {target}")

        assert broken == []
