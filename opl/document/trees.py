"""
Compare two scripts as trees of statements: moved is not changed.

    for change in compare_scripts(old.scripts[0], new.scripts[0]): ...

Statements are matched in order; what that leaves over is paired with its new
version where one stands in the same place, and with its equal where it stands
elsewhere. The work is bounded for any text.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from opl.document.changes import Change, Way
from opl.document.model import ScriptSource
from opl.document.outline import Statement, outline


def compare_scripts(old: ScriptSource, new: ScriptSource) -> Iterator[Change]:
    """
    The statements that were added, removed, changed or moved between two scripts.

    A statement with all that is below it that stands elsewhere now is moved;
    a statement whose own text changed while it stayed among the same
    neighbours is changed.
    """
    before, after = outline(old.text, old.first_line), outline(new.text, new.first_line)
    elsewhere = _Elsewhere(before, after)
    gone, come, changed = _unmatched(before, after, elsewhere)
    moved = _take_moved(gone, come)
    title = old.title or new.title
    for one, other in changed:
        yield _statement(Way.CHANGED, title, one, other)
    for one, other in moved:
        yield _statement(Way.MOVED, title, one, other)
    for one in gone:
        yield _statement(Way.REMOVED, title, one, None)
    for other in come:
        yield _statement(Way.ADDED, title, None, other)


def _statement(way: Way, title: str, old: Statement | None, new: Statement | None) -> Change:
    return Change(
        section="scripts",
        way=way,
        name=title,
        old=old.text if old else None,
        new=new.text if new else None,
        old_line=old.line if old else 0,
        new_line=new.line if new else 0,
    )


_Pairs = list[tuple[Statement, Statement]]


class _Elsewhere:
    """Which trees stand, unchanged, anywhere on the other side: those may have moved and are no rewording."""

    def __init__(self, before: list[Statement], after: list[Statement]) -> None:
        self._before = {each.key() for root in before for each in root.walk()}
        self._after = {each.key() for root in after for each in root.walk()}

    def is_rewording(self, one: Statement, other: Statement) -> bool:
        return one.key() not in self._after and other.key() not in self._before


def _unmatched(
    before: list[Statement], after: list[Statement], elsewhere: _Elsewhere
) -> tuple[list[Statement], list[Statement], _Pairs]:
    """What a matching in order leaves over on both sides, and the pairs that changed where they stand."""
    gone: list[Statement] = []
    come: list[Statement] = []
    changed: _Pairs = []
    matcher = difflib.SequenceMatcher(None, [s.key() for s in before], [s.key() for s in after], autojunk=True)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            continue
        left, right = before[i1:i2], after[j1:j2]
        for one, other in _paired(left, right, elsewhere):
            left.remove(one)
            right.remove(other)
            below = _unmatched(one.children, other.children, elsewhere)
            if one.text != other.text:
                changed.append((one, other))
            gone, come, changed = gone + below[0], come + below[1], changed + below[2]
        gone += left
        come += right
    return gone, come, changed


def _paired(left: list[Statement], right: list[Statement], elsewhere: _Elsewhere) -> _Pairs:
    """Pairs of statements that are versions of each other: the same words, else alike and of one kind."""
    pairs: _Pairs = []
    free = list(right)
    for one in left[:500]:
        same = next((other for other in free if other.text == one.text), None)
        near = same or next((other for other in free[:50] if other.kind == one.kind and _alike(one, other)), None)
        if near is not None:
            pairs.append((one, near))
            free.remove(near)
    return pairs


def _alike(one: Statement, other: Statement) -> bool:
    if len(one.text) + len(other.text) > 4_000:
        return one.text[:40] == other.text[:40]
    return difflib.SequenceMatcher(None, one.text, other.text).ratio() >= 0.6


def _take_moved(gone: list[Statement], come: list[Statement]) -> _Pairs:
    """Pairs of equal trees among what is left over; they leave both lists."""
    places: dict[str, list[Statement]] = {}
    for other in come:
        places.setdefault(other.key(), []).append(other)
    moved: _Pairs = []
    for one in list(gone):
        if found := places.get(one.key()):
            other = found.pop(0)
            moved.append((one, other))
            gone.remove(one)
            come.remove(other)
    return moved
