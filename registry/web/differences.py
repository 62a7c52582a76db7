"""
Two texts side by side as lines of a page: what went, what came, what stayed.

Only the neighbourhood of a change is shown; what lies between is one ``gap``.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

CONTEXT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a difference."""

    sign: str  # "+", "-", " " or "gap"
    text: SafeString | str
    old: int | None = None  # its number in the old text, from 1
    new: int | None = None


def text_difference(old: str, new: str) -> list[Line]:
    """The lines around every change; empty for equal texts."""
    before, after = old.splitlines(), new.splitlines()
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    lines: list[Line] = []
    seen = 0
    for group in matcher.get_grouped_opcodes(CONTEXT):
        start = group[0][1]
        if start > seen:
            lines.append(Line(sign="gap", text=_unchanged(start - seen)))
        for kind, a1, a2, b1, b2 in group:
            lines.extend(_lines(kind, before, after, a1, a2, b1, b2))
        seen = group[-1][2]
    if lines and seen < len(before):
        lines.append(Line(sign="gap", text=_unchanged(len(before) - seen)))
    return lines


def _lines(kind: str, before: list[str], after: list[str], a1: int, a2: int, b1: int, b2: int) -> list[Line]:
    if kind == "equal":
        return [Line(sign=" ", text=text, old=a1 + n + 1, new=b1 + n + 1) for n, text in enumerate(before[a1:a2])]
    removed, added = before[a1:a2], after[b1:b2]
    pairs = zip(removed, added, strict=False) if len(removed) == len(added) else ()
    marked = [_marked(one, other) for one, other in pairs]
    lines = [Line(sign="-", text=marked[n][0] if marked else text, old=a1 + n + 1) for n, text in enumerate(removed)]
    lines += [Line(sign="+", text=marked[n][1] if marked else text, new=b1 + n + 1) for n, text in enumerate(added)]
    return lines


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


def meaning(old: PatternVersion, new: PatternVersion) -> list[Change]:
    return []
