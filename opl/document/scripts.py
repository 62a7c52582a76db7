"""
Find the pieces of script in a document, each with its place.

In YAML a piece is a text under a key that holds scripts: ``dsl``,
``scripts``, ``strategies``, ``orchestration_logic`` and ``pattern.strategy``
hold whole scripts, ``orchestration_flow`` holds stages, ``condition``,
``success_when`` and ``score`` hold expressions. In Markdown a piece is a
fence that looks like a script.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from opl.document import reading
from opl.document.canonical import digest
from opl.document.compose import Node
from opl.document.load import Loaded, pointer_of
from opl.document.markdown import Fence, slug
from opl.document.model import Layout, Role, ScriptSource
from opl.document.prose import first_narrative, looks_like_script
from opl.document.quoted import offsets
from opl.document.text import each_line, split_lines

_TITLE = re.compile(r"\A\s*##[ \t]+(\S.*)$", re.MULTILINE)
_SCRIPT_LANGUAGES = frozenset(("opl", "dsl", "opl-script"))
_OPEN_LANGUAGES = frozenset(("", "text", "ksi", "pseudo", "pseudocode"))
_NO_SCRIPT = frozenset(("description", "rationale", "when", "note", "notes", "name"))


def title_of(text: str) -> str:
    """The text of a leading ``## Title`` line, "" without one."""
    match = _TITLE.match(text)
    return match[1].rstrip("# \t") if match else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    pointer: str
    title: str
    role: Role
    formal: bool


def scripts_in_yaml(loaded: Loaded) -> tuple[ScriptSource, ...]:
    """Every piece of script of a YAML document, in order of the text, numbered within its role."""
    value = loaded.value
    found = [*_whole(value), *_stages(value), *_conditions(value)]
    pieces = [_source(loaded, item) for item in found]
    return numbered(sorted(pieces, key=lambda piece: (piece.first_line, piece.first_column)))


def _whole(value: Any) -> Iterator[_Found]:
    for path in (("dsl",), ("pattern", "dsl"), ("scripts",), ("pattern", "scripts")):
        yield from _named(reading.dig(value, *path), path, Role.SCRIPT, formal=True)
    for path in (("strategies",), ("pattern", "strategies")):
        yield from _named(reading.dig(value, *path), path, Role.FRAGMENT, formal=True)
    yield from _named(reading.dig(value, "orchestration_logic"), ("orchestration_logic",), Role.SCRIPT, formal=False)
    if reading.string(value, "pattern", "strategy"):
        yield from _named(value["pattern"]["strategy"], ("pattern", "strategy"), Role.SCRIPT, formal=False)


def _named(value: Any, path: tuple[str, ...], role: Role, *, formal: bool) -> Iterator[_Found]:
    """One script as a text, or several by name (a mapping, or a list of ``{title, script}``)."""
    if isinstance(value, str):
        title = (title_of(value) if formal else "") or path[-1]
        yield _Found(pointer=pointer_of(*path), title=title, role=role, formal=formal)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str) and key not in _NO_SCRIPT:
                yield _Found(pointer=pointer_of(*path, key), title=key, role=role, formal=formal)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            text = reading.string(item, "script")
            if text:
                title = reading.first_string(item, "title", "name") or title_of(text) or str(index + 1)
                yield _Found(pointer=pointer_of(*path, index, "script"), title=title, role=role, formal=formal)


def _stages(value: Any) -> Iterator[_Found]:
    for path in (("pattern", "orchestration_flow"), ("orchestration_flow",)):
        flow = reading.dig(value, *path)
        for pointer, text, parts in reading.leaves(flow, *path):
            if str(parts[-1]) in _NO_SCRIPT or not text.strip():
                continue
            names = [str(part) for part in parts[len(path) :]]
            told = first_narrative(text) is not None
            if told and "\n" not in text.strip():
                continue  # a line of prose among the stages says what to do, it is no script that failed
            formal = not told and reading.string(value, "type") == "orchestration_pattern"
            yield _Found(pointer=pointer, title=" / ".join(names) or path[-1], role=Role.FLOW, formal=formal)


def flow_script(document_value: Any, scripts: Iterable[ScriptSource]) -> ScriptSource | None:
    """
    All stages of an ``orchestration_flow`` as one script, in their order, each on its own lines of the file.

    None where there is no flow, or where a part of it is prose.
    """
    for path in (("pattern", "orchestration_flow"), ("orchestration_flow",)):
        base = pointer_of(*path)
        stages = [piece for piece in scripts if piece.role is Role.FLOW and piece.pointer.startswith(f"{base}/")]
        told = [
            text
            for _, text, parts in reading.leaves(reading.dig(document_value, *path), *path)
            if text.strip() and str(parts[-1]) not in _NO_SCRIPT
        ]
        if stages and len(stages) == len(told):
            return _joined(stages, base)
    return None


def stage_lines(whole: ScriptSource, scripts: Iterable[ScriptSource]) -> list[int]:
    """The first line of each stage of a flow."""
    return [
        each.first_line for each in scripts if each.role is Role.FLOW and each.pointer.startswith(f"{whole.pointer}/")
    ]


def _joined(stages: list[ScriptSource], pointer: str) -> ScriptSource:
    """Stages below one another; blank lines keep each at its line of the file."""
    lines: list[str] = []
    for stage in stages:
        lines += [""] * (stage.first_line - 1 - len(lines))
        lines += split_lines(stage.text.rstrip())
    text = "\n".join(lines) + "\n"
    return ScriptSource(
        title="orchestration_flow",
        slug="orchestration-flow",
        number=1,
        text=text,
        first_line=1,
        first_column=1,
        pointer=pointer,
        digest=digest(text.encode("utf-8", "surrogatepass")),
        role=Role.FLOW,
    )


def _conditions(value: Any) -> Iterator[_Found]:
    for path in (("pattern", "adaptive_rules"), ("adaptive_rules",)):
        for index, rule in enumerate(reading.sequence(value, *path)):
            if reading.string(rule, "condition"):
                pointer = pointer_of(*path, index, "condition")
                yield _Found(pointer=pointer, title=f"adaptive_rules[{index}]", role=Role.CONDITION, formal=True)
    for path in (("success_when",), ("pattern", "success_when"), ("score",), ("pattern", "score")):
        if reading.string(value, *path):
            yield _Found(pointer=pointer_of(*path), title=path[-1], role=Role.CONDITION, formal=True)


def source_at(loaded: Loaded, *, pointer: str, title: str, role: Role) -> ScriptSource:
    """The text at a pointer as a piece of script."""
    return _source(loaded, _Found(pointer=pointer, title=title, role=role, formal=True))


def _source(loaded: Loaded, found: _Found) -> ScriptSource:
    node = loaded.node(found.pointer)
    if node is None:  # found by walking the same value, so it is there
        raise LookupError(found.pointer)
    text: str = node.value
    layout, line, column = _placed(loaded, node, text)
    source = loaded.text[node.start : node.end]
    bent = layout is Layout.FOLDED or (layout is Layout.INLINE and len(source) != len(text) + 2 * bool(node.style))
    back = offsets(source, node.style, text, node.start) if bent and node.style != ">" else None
    return ScriptSource(
        title=found.title,
        slug=slug(found.title) or "script",
        number=0,
        text=text,
        first_line=line,
        first_column=column,
        pointer=found.pointer,
        digest=digest(text.encode("utf-8", "surrogatepass")),
        role=found.role,
        layout=Layout.QUOTED if back else layout,
        formal=found.formal,
        offsets=back or (),
        lines=loaded.lines if back else None,
    )


def _placed(loaded: Loaded, node: Node, text: str) -> tuple[Layout, int, int]:
    line, column = loaded.lines.place(node.start)
    if node.style == "|":
        source = loaded.text[loaded.lines.start(line + 1) : node.end]
        return Layout.BLOCK, line + 1, _block_indent(source, text) + 1
    if node.style == ">":
        return Layout.FOLDED, line + 1, 1
    last, _ = loaded.lines.place(max(node.start, node.end - 1))
    inside = column + (1 if node.style else 0)
    return (Layout.INLINE if last == line else Layout.FOLDED), line, inside


def _block_indent(source: str, text: str) -> int:
    """How far a block scalar is indented: the difference between its first inked line here and there."""
    here = next((row for row in each_line(source) if row.strip()), "")
    there = next((row for row in each_line(text) if row.strip()), "")
    return max(0, _blanks(here) - _blanks(there))


def _blanks(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def scripts_in_fences(found: Iterable[Fence]) -> tuple[ScriptSource, ...]:
    """The fences that hold scripts, in order, with names that do not repeat."""
    pieces = []
    for fence in found:
        declared = fence.language in _SCRIPT_LANGUAGES
        if declared or (fence.language in _OPEN_LANGUAGES and looks_like_script(fence.text)):
            pieces.append(_fenced(fence, formal=declared or bool(title_of(fence.text))))
    return numbered(pieces)


def _fenced(fence: Fence, *, formal: bool) -> ScriptSource:
    title = title_of(fence.text) or fence.heading
    return ScriptSource(
        title=title,
        slug=slug(title) or "script",
        number=0,
        text=fence.text,
        first_line=fence.first_line,
        first_column=fence.indent + 1,
        pointer="",
        digest=digest(fence.text.encode("utf-8", "surrogatepass")),
        formal=formal,
    )


def bare_script(text: str) -> ScriptSource:
    """The one script of a file that holds nothing else."""
    title = title_of(text)
    return ScriptSource(
        title=title,
        slug=slug(title) or "script",
        number=1,
        text=text,
        first_line=1,
        first_column=1,
        pointer="",
        digest=digest(text.encode("utf-8", "surrogatepass")),
    )


def numbered(pieces: Iterable[ScriptSource]) -> tuple[ScriptSource, ...]:
    """The same pieces, numbered within their role from 1, with slugs that do not repeat."""
    counts: dict[Role, int] = {}
    taken: set[tuple[Role, str]] = set()
    repeats: dict[tuple[Role, str], int] = {}
    result = []
    for piece in pieces:
        counts[piece.role] = counts.get(piece.role, 0) + 1
        name, again = piece.slug, repeats.get((piece.role, piece.slug), 1)
        while (piece.role, name) in taken:
            again += 1
            name = f"{piece.slug}-{again}"
        repeats[piece.role, piece.slug] = again
        taken.add((piece.role, name))
        result.append(replace(piece, number=counts[piece.role], slug=name))
    return tuple(result)
