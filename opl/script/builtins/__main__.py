"""
The manual's table of builtins.

``python -m opl.script.builtins`` prints it; with ``--write FILE`` it replaces
what stands between the two comments of the manual.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from opl.script.builtins import BUILTINS, METHODS
from opl.script.builtins.base import first_paragraph
from opl.script.templates import FILTERS


def table() -> str:
    """Markdown: one table for each group of builtins, then methods and filters."""
    groups: dict[str, dict[int, list[str]]] = {}
    for name, builtin in BUILTINS.items():
        groups.setdefault(builtin.group, {}).setdefault(id(builtin.call), []).append(name)
    parts = []
    for group, functions in groups.items():
        rows = [(BUILTINS[names[0]].signature, names[1:], BUILTINS[names[0]].doc) for names in functions.values()]
        parts.append(_section(group, "function", rows))
    parts.append(_section("Methods", "method", _methods()))
    filters = [(name, list[str](), first_paragraph(apply)) for name, apply in FILTERS.items()]
    parts.append(_section("Template filters", "filter", filters))
    return "\n".join(parts)


def _methods() -> list[tuple[str, list[str], str]]:
    found: dict[int, list[str]] = {}
    for name, method in METHODS.items():
        found.setdefault(id(method.call), []).append(name)
    return [(METHODS[names[0]].signature, names[1:], METHODS[names[0]].doc) for names in found.values()]


def _section(title: str, head: str, rows: list[tuple[str, list[str], str]]) -> str:
    lines = [f"### {title}", "", f"| {head} | gives |", "|---|---|"]
    for signature, others, doc in rows:
        also = "".join(f", `{other}`" for other in others)
        shown = signature.replace("JSON.STRINGIFY", "JSON.stringify").replace("JSON.PARSE", "JSON.parse")
        text = doc.replace("|", "\\|")
        lines.append(f"| `{shown}`{also} | {text} |")
    return "\n".join([*lines, ""])


def written(text: str) -> str:
    """The manual's text with its tables as they should be."""
    pattern = re.compile(r"(<!-- builtins: .*? -->\n).*(<!-- end of builtins -->)", re.DOTALL)
    return pattern.sub(lambda m: f"{m[1]}\n{table()}\n{m[2]}", text)


def write(manual: Path) -> None:
    """Replace the tables in the manual."""
    manual.write_text(written(manual.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write(Path(sys.argv[2]))
    else:
        sys.stdout.write(table())
