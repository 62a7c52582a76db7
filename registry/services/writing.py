"""
Documents that the hub writes itself: exports, adaptations, merges. Pure.

YAML that people like to read: block text for what has lines, keys in the order
they were given. What ``opl.document`` reads from it equals the value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Writes multi-line strings as blocks, and never an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        """Equal parts are written out each time; federated documents have no aliases."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text and not re.search(r"[ \t]\n|\A[ \t\n]", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dump(value: Mapping[str, Any]) -> bytes:
    """A document's value as YAML in UTF-8."""
    text = yaml.dump(
        dict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, default_flow_style=False
    )
    return text.encode()


_STATE = r"^(?P<indent>[ \t]*)(?:STATE|state|State)[ \t]+{name}[ \t]*=[ \t]*"


def with_constant(script: str, name: str, written: str) -> str | None:
    """
    The script with ``STATE name = …`` given another constant; None where it has no such statement.

    The constant may span lines inside brackets; what follows it stays as it is.
    """
    found = re.search(_STATE.format(name=re.escape(name)), script, re.MULTILINE)
    if found is None:
        return None
    end = _end_of_expression(script, found.end())
    return script[: found.end()] + written + script[end:]


def _end_of_expression(text: str, start: int) -> int:
    """Where the expression that begins at ``start`` ends: the line's end outside brackets and strings."""
    depth, quote, place = 0, "", start
    while place < len(text):
        char = text[place]
        if quote:
            if char == "\\":
                place += 1
            elif char == quote:
                quote = ""
        elif char in "\"'":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "#" or (char == "\n" and depth <= 0):
            break
        place += 1
    while place > start and text[place - 1] in " \t":
        place -= 1
    return place
