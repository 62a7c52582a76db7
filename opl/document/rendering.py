"""
Write a changed value back into a source, touching only what changed.

Sections (the keys at the top) that hold the same value keep their text with
every comment; changed ones are written anew, new ones are added at the end,
and those that are gone are cut out. The result always reads back as exactly
the value; where patching cannot do that, the whole is written anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from opl.document.envelopes import read
from opl.document.markdown import keep_lines
from opl.document.model import Document
from opl.document.scalars import plain

_WIDTH = 110
_SIMPLE = re.compile(r"[A-Za-z_/][A-Za-z0-9_./ -]*[A-Za-z0-9_/]|[A-Za-z_]")


class _Dumper(yaml.SafeDumper):
    """Writes JSON so that our loader reads it back the same; scripts stand as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    lines = value.split("\n")
    block = len(lines) > 1 and value.strip() and not any(line != line.rstrip() for line in lines)
    printable = all(char.isprintable() or char == "\n" for char in value)
    if block and printable and not value.startswith((" ", "\n")) and not value.endswith("\n\n"):
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|")
    simple = _SIMPLE.fullmatch(value) and isinstance(plain(value), str) and len(value) < _WIDTH
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if simple else '"')


_Dumper.add_representer(str, _text)


def dumped(value: Any) -> str:
    """A JSON value as YAML in the house's layout."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH, default_flow_style=False
    )
    return text


def rendered(document: Document, value: Mapping[str, Any]) -> str:
    """The source of ``document`` with ``value`` in place of its own."""
    patched = _patched(document, value)
    if patched is not None and value_of(patched) == value:
        return patched
    return dumped(dict(value))


def value_of(text: str) -> Mapping[str, Any] | None:
    """What a source says, None where it cannot be read."""
    document = read(text.encode()).document
    return document.value if document else None


def _patched(document: Document, value: Mapping[str, Any]) -> str | None:
    sections = _sections(document)
    if sections is None:
        return None
    text = document.text[: next(iter(sections.values()))[0]] if sections else ""
    for key, (start, end) in sections.items():
        source = document.text[start:end]
        if key in value and value[key] == document.value[key]:
            text += source
        elif key in value:
            text += _ended(dumped({key: value[key]})) + _after(source)
        else:
            text += _after(source)
    for key in value:
        if key not in sections:
            text = _ended(text) + dumped({key: value[key]})
    return text


def _sections(document: Document) -> dict[str, tuple[int, int]] | None:
    """Start and end of each top-level key's text; None for a document that is not written in block style."""
    root = document.loaded.root
    text = document.loaded.text
    if root is None or not root.keys or not isinstance(root.children, dict) or text[root.start] == "{":
        return None
    starts = sorted((offset, key) for key, offset in root.keys.items())
    if any(offset and text[offset - 1] not in "\r\n" for offset, _ in starts):
        return None
    ends = [offset for offset, _ in starts[1:]] + [len(text)]
    return {key: (offset, end) for (offset, key), end in zip(starts, ends, strict=True)}


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _after(source: str) -> str:
    """The blank lines and comments at the end of a section, which belong to the next one."""
    lines = keep_lines(source)
    count = 0
    for line in reversed(lines[1:]):
        if line.strip() and not line.startswith("#"):
            break
        count += 1
    return "".join(lines[len(lines) - count :]) if count else ""
