"""
The difference between two versions as lines of a page: first by meaning, then as text.

The text part takes a unified diff (RFC-less but everywhere the same: ``@@ -a,b
+c,d @@``, then lines that begin with a blank, ``-`` or ``+``) and gives every
line its number on both sides; where a block of lines became as many others,
the part of each line that differs is marked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from opl.document.changes import Change
from registry.web.facts import as_text, kind_of, shorten

HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a difference."""

    sign: str  # "+", "-", " " or "gap"
    text: SafeString | str
    old: int | None = None  # its number in the old text, from 1
    new: int | None = None


def text_difference(unified: Iterable[str]) -> list[Line]:
    """The lines of a unified diff, numbered, with what lies between the hunks as one gap each."""
    lines: list[Line] = []
    old = new = seen = 1
    removed: list[str] = []
    added: list[str] = []
    for text in [*unified, "@@ end"]:
        if text[:1] not in "+-" or text.startswith("@@"):
            lines.extend(_block(removed, added, old, new))
            old, new = old + len(removed), new + len(added)
            removed, added = [], []
        hunk = HUNK.match(text)
        if hunk:
            old, new = max(1, int(hunk[1])), max(1, int(hunk[2]))
            if old > seen:
                lines.append(Line(sign="gap", text=_unchanged(old - seen)))
        elif text.startswith("-"):
            removed.append(text[1:])
        elif text.startswith("+"):
            added.append(text[1:])
        elif not text.startswith("@@"):
            lines.append(Line(sign=" ", text=text[1:], old=old, new=new))
            old, new = old + 1, new + 1
        seen = old
    return lines


def _block(removed: Sequence[str], added: Sequence[str], old: int, new: int) -> Iterator[Line]:
    """What went and what came at one place."""
    pairs = zip(removed, added, strict=True) if len(removed) == len(added) else ()
    marked = [_marked(one, other) for one, other in pairs]
    for number, text in enumerate(removed):
        yield Line(sign="-", text=marked[number][0] if marked else text, old=old + number)
    for number, text in enumerate(added):
        yield Line(sign="+", text=marked[number][1] if marked else text, new=new + number)


def _marked(old: str, new: str) -> tuple[SafeString, SafeString]:
    """Two versions of one line, with the differing middle marked."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return (
        format_html("{}<del>{}</del>{}", old[:start], old[start : len(old) - end], old[len(old) - end :]),
        format_html("{}<ins>{}</ins>{}", new[:start], new[start : len(new) - end], new[len(new) - end :]),
    )


def _unchanged(count: int) -> str:
    return ngettext("%(count)d line unchanged", "%(count)d lines unchanged", count) % {"count": count}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChange:
    """One difference of meaning in words."""

    kind: str  # added, removed, changed or moved
    word: str
    words: str
    before: str
    after: str


def meaning(changes: Iterable[Change]) -> list[ShownChange]:
    """The differences of meaning for people; long values are cut."""
    return [_shown(change) for change in changes]


def _shown(change: Change) -> ShownChange:
    sections = {
        "inputs": _("input"),
        "rules": _("rule"),
        "agents": _("agent"),
        "events": _("event"),
        "scripts": _("script"),
        "flow": _("stage of the flow"),
    }
    ways = {"added": _("added"), "removed": _("removed"), "changed": _("changed"), "moved": _("moved")}
    kind = str(change.way)
    place = _("line %(line)d") % {"line": change.new_line or change.old_line}
    section = sections.get(change.section, change.section)
    where = f" ({place})" if change.new_line or change.old_line else ""
    return ShownChange(
        kind=kind,
        word=ways.get(kind, kind),
        words=f"{section} {change.name}{where}",
        before=_value(change.section, change.old) if kind != "moved" else "",
        after=_value(change.section, change.new) if kind != "moved" else "",
    )


def _value(section: str, value: Any) -> str:
    """A value in words where its shape is known, else as one would write it."""
    if section == "inputs" and isinstance(value, Mapping):
        return shorten(_input_words(value), 400)
    if section == "rules" and isinstance(value, Mapping) and "condition" in value:
        return shorten(f"{as_text(value['condition'])} → {as_text(value.get('action'))}", 400)
    return shorten(as_text(value), 400)


def _input_words(value: Mapping[str, Any]) -> str:
    """``list of text, by default ["a", "b"]``."""
    if value.get("required"):
        default = _("must be given")
    else:
        default = _("by default %(value)s") % {"value": json.dumps(value.get("default"), ensure_ascii=False)}
    told = [kind_of(value), default, as_text(value.get("description", ""))]
    return ", ".join(part for part in told if part)
