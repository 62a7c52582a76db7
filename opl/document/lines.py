"""
The three-way merge of lines (diff3).

What one side left as it was in the ancestor gives way to the other side; what
both changed alike is taken once; what both changed differently is a conflict.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field

_MOST_LINES = 20_000  # of one side; more are merged as one piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A stretch of lines; of a conflict all three sides."""

    lines: list[str] = field(default_factory=list)  # merged; of a conflict ours
    base: list[str] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)
    theirs: list[str] = field(default_factory=list)
    conflict: bool = False

    @property
    def ours_lines(self) -> int:
        """How many of our lines the stretch covers."""
        return len(self.ours)


def merge_lines(base: list[str], ours: list[str], theirs: list[str]) -> list[Chunk]:
    """The merged stretches, in order; together they cover all three sides."""
    chunks = []
    at_base = at_ours = at_theirs = 0
    for start, end, mine, other in _common(base, ours, theirs):
        chunks += _between(base[at_base:start], ours[at_ours:mine], theirs[at_theirs:other])
        kept = base[start:end]
        chunks.append(Chunk(lines=kept, base=kept, ours=kept, theirs=kept))
        at_base, at_ours, at_theirs = end, mine + end - start, other + end - start
    return [*chunks, *_between(base[at_base:], ours[at_ours:], theirs[at_theirs:])]


def _between(base: list[str], ours: list[str], theirs: list[str]) -> list[Chunk]:
    if not (base or ours or theirs):
        return []
    if ours == theirs or theirs == base:
        return [Chunk(lines=ours, base=base, ours=ours, theirs=theirs)]
    if ours == base:
        return [Chunk(lines=theirs, base=base, ours=ours, theirs=theirs)]
    return [Chunk(lines=ours, base=base, ours=ours, theirs=theirs, conflict=True)]


def _common(base: list[str], ours: list[str], theirs: list[str]) -> Iterator[tuple[int, int, int, int]]:
    """Stretches that all three share: (start and end in base, start in ours, start in theirs)."""
    if max(len(base), len(ours), len(theirs)) > _MOST_LINES:
        return
    mine = difflib.SequenceMatcher(None, base, ours).get_matching_blocks()
    other = difflib.SequenceMatcher(None, base, theirs).get_matching_blocks()
    one = two = 0
    while one < len(mine) and two < len(other):
        first, second = mine[one], other[two]
        start = max(first.a, second.a)
        end = min(first.a + first.size, second.a + second.size)
        if start < end:
            yield start, end, first.b + start - first.a, second.b + start - second.a
        if first.a + first.size < second.a + second.size:
            one += 1
        else:
            two += 1
