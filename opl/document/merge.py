"""
Three-way merge of two versions of a document against their common ancestor.

    result = merge(base, ours, theirs)
    result.text            # our layout, with what only they changed taken in
    result.conflicts       # where both changed the same thing; ours stands

First the lines are merged, which keeps every comment and blank. Where that
meets a conflict, the values are merged instead: keys by name, rules by their
condition, agents by their id, scripts line by line, lists of words as sets.
A conflict can be decided: ``merge(..., choices={pointer: "theirs"})``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opl.document.envelopes import read
from opl.document.lines import merge_lines
from opl.document.load import pointer_of
from opl.document.markdown import keep_lines
from opl.document.model import Document, Envelope
from opl.document.rendering import rendered, value_of

_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Where both sides changed the same thing differently."""

    pointer: str  # JSON Pointer of the value; of Markdown and scripts ``/text/<n>``, n from 1
    base: Any  # None where the ancestor has none
    ours: Any
    theirs: Any
    line: int  # in our source, 0 where it is gone
    chosen: str = ""  # "ours", "theirs" or "both" once decided; "" while ours only stands in


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult:
    """The merged document."""

    text: str  # valid as far as its parents are
    conflicts: tuple[Conflict, ...]  # decided and open ones

    @property
    def open_conflicts(self) -> tuple[Conflict, ...]:
        """The conflicts that nobody has decided."""
        return tuple(conflict for conflict in self.conflicts if not conflict.chosen)


def merge(base: Document, ours: Document, theirs: Document, *, choices: Mapping[str, str] | None = None) -> MergeResult:
    """
    Merge what two versions changed since ``base``.

    Args:
        choices: decisions by the pointer of their conflict: ``ours``,
            ``theirs``, or ``both`` (scripts and lists: ours, then theirs).

    Returns:
        The merged text and all conflicts; an undecided one keeps our side.
    """
    decided = dict(choices or {})
    in_yaml = all(each.envelope in (Envelope.OPL, Envelope.KSI) for each in (base, ours, theirs))
    if not in_yaml:
        return _merge_text(base, ours, theirs, decided)
    values = _Values(decided, ours)
    merged = values.merge(dict(base.value), dict(ours.value), dict(theirs.value), ())
    by_lines = _by_lines(base, ours, theirs)
    if by_lines is not None and value_of(by_lines) == merged:
        return MergeResult(text=by_lines, conflicts=tuple(values.conflicts))
    return MergeResult(text=rendered(ours, merged), conflicts=tuple(values.conflicts))


def merged_document(result: MergeResult, *, file: str = "") -> Document | None:
    """The merged text as a document, None where it is none."""
    return read(result.text.encode(), file=file).document


def _by_lines(base: Document, ours: Document, theirs: Document) -> str | None:
    """The merge by lines, None where both sides touched the same ones."""
    chunks = merge_lines(keep_lines(base.text), keep_lines(ours.text), keep_lines(theirs.text))
    if any(chunk.conflict for chunk in chunks):
        return None
    return "".join(line for chunk in chunks for line in chunk.lines)


def _merge_text(base: Document, ours: Document, theirs: Document, decided: Mapping[str, str]) -> MergeResult:
    """Markdown and bare scripts: line by line, with a numbered conflict where that fails."""
    text, line = "", 1
    conflicts: list[Conflict] = []
    for chunk in merge_lines(keep_lines(base.text), keep_lines(ours.text), keep_lines(theirs.text)):
        if not chunk.conflict:
            text += "".join(chunk.lines)
            line += chunk.ours_lines
            continue
        pointer = f"/text/{len(conflicts) + 1}"
        choice = decided.get(pointer, "")
        sides = {"theirs": chunk.theirs, "both": [*chunk.ours, *chunk.theirs]}
        text += "".join(sides.get(choice, chunk.ours))
        conflicts.append(
            Conflict(
                pointer=pointer,
                base="".join(chunk.base),
                ours="".join(chunk.ours),
                theirs="".join(chunk.theirs),
                line=line,
                chosen=choice,
            )
        )
        line += chunk.ours_lines
    return MergeResult(text=text, conflicts=tuple(conflicts))


class _Values:
    """Merges JSON values and collects the conflicts."""

    def __init__(self, decided: Mapping[str, str], ours: Document) -> None:
        self._decided = decided
        self._ours = ours
        self.conflicts: list[Conflict] = []

    def merge(self, base: Any, ours: Any, theirs: Any, path: tuple[str | int, ...]) -> Any:
        """One value; ``_ABSENT`` stands for none, on either side and in the answer."""
        if same(ours, theirs) or same(base, theirs):
            return ours
        if same(base, ours):
            return theirs
        if isinstance(ours, dict) and isinstance(theirs, dict):
            return self._objects(base if isinstance(base, dict) else {}, ours, theirs, path)
        if isinstance(ours, list) and isinstance(theirs, list):
            return self._lists(base if isinstance(base, list) else [], ours, theirs, path)
        if isinstance(ours, str) and isinstance(theirs, str) and ("\n" in ours or "\n" in theirs):
            return self._texts(base if isinstance(base, str) else "", ours, theirs, path)
        return self._conflict(base, ours, theirs, path)

    def _objects(
        self, base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any], path: tuple[str | int, ...]
    ) -> dict[str, Any]:
        merged = {}
        for key in dict.fromkeys([*ours, *theirs, *base]):
            one, two, three = (each.get(key, _ABSENT) for each in (base, ours, theirs))
            value = self.merge(one, two, three, (*path, key))
            if value is not _ABSENT:
                merged[key] = value
        return merged

    def _lists(self, base: list[Any], ours: list[Any], theirs: list[Any], path: tuple[str | int, ...]) -> Any:
        names = [_names(each) for each in (base, ours, theirs)]
        if any(each is None for each in names):
            return self._conflict(base, ours, theirs, path)
        before, mine, other = (
            dict(zip(each or (), items, strict=True)) for each, items in zip(names, (base, ours, theirs), strict=True)
        )
        places = {key: index for index, key in enumerate([*mine, *(key for key in other if key not in mine)])}
        merged = []
        for key in _order(list(mine), list(other)):
            one, two, three = (each.get(key, _ABSENT) for each in (before, mine, other))
            value = self.merge(one, two, three, (*path, places[key]))
            if value is not _ABSENT:
                merged.append(value)
        return merged

    def _texts(self, base: str, ours: str, theirs: str, path: tuple[str | int, ...]) -> Any:
        chunks = merge_lines(keep_lines(base), keep_lines(ours), keep_lines(theirs))
        if any(chunk.conflict for chunk in chunks):
            return self._conflict(base, ours, theirs, path)
        return "".join(line for chunk in chunks for line in chunk.lines)

    def _conflict(self, base: Any, ours: Any, theirs: Any, path: tuple[str | int, ...]) -> Any:
        pointer = pointer_of(*path)
        choice = self._decided.get(pointer, "")
        line = self._ours.position(pointer)[0] if ours is not _ABSENT else 0
        shown = [None if each is _ABSENT else each for each in (base, ours, theirs)]
        self.conflicts.append(
            Conflict(pointer=pointer, base=shown[0], ours=shown[1], theirs=shown[2], line=line, chosen=choice)
        )
        if choice == "theirs":
            return theirs
        if choice == "both" and type(ours) is type(theirs) and isinstance(ours, (str, list)):
            return ours + theirs
        return ours


def same(one: Any, other: Any) -> bool:
    """Equality of JSON values that keeps ``true`` and ``1`` apart."""
    if one is _ABSENT or other is _ABSENT:
        return one is other
    return type(one) is type(other) and bool(one == other)


def _names(items: list[Any]) -> list[str] | None:
    """What tells the items of a list apart: a name they carry, or themselves; None where nothing does."""
    names = [_name(item) for item in items]
    return names if len(set(names)) == len(names) else None


def _name(item: Any) -> str:
    if isinstance(item, dict):
        for key in ("id", "name", "condition", "title", "digest"):
            if isinstance(item.get(key), str):
                return f"{key}={item[key]}"
    return f"{type(item).__name__}:{item!r}"


def _order(ours: list[str], theirs: list[str]) -> list[str]:
    """Our order, with what only they have after the neighbour it follows in theirs."""
    known = set(ours)
    after: dict[str | None, list[str]] = {}
    anchor = None
    for name in theirs:
        if name in known:
            anchor = name
        else:
            after.setdefault(anchor, []).append(name)
    order = list(after.get(None, ()))
    for name in ours:
        order += [name, *after.get(name, ())]
    return order
