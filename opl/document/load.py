"""
Read YAML or JSON from a stranger: JSON types, limits, and the place of every node.

    loaded = load(data)
    if loaded.ok:
        loaded.value["pattern"]
        loaded.position("/pattern/adaptive_rules/2/condition")   # (31, 19)

Always true: no bytes make it raise, recurse without end or spend more than
its limits; ``value`` is None exactly when nothing could be read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from opl.document.compose import Composer, Node, Refused, not_federable
from opl.document.text import SOURCE_BYTES, Lines, decode
from opl.errors import Problem, Severity

FEDERATED_DEPTH = 32
FEDERATED_NODES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadLimits:
    """How much a document may ask of its reader."""

    source_bytes: int = SOURCE_BYTES  # bytes of the source
    depth: int = 64  # nested collections, keys included
    nodes: int = 100_000  # values and keys, aliases expanded
    characters: int = 1024 * 1024  # of all scalars, aliases expanded


DEFAULT = LoadLimits()
FEDERATED = LoadLimits(depth=FEDERATED_DEPTH, nodes=FEDERATED_NODES)  # what other nodes accept


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a source holds, with places."""

    value: Any = None  # JSON types only; None where nothing could be read
    text: str = ""  # what was read, "" where it is no text; offsets count in it
    problems: tuple[Problem, ...] = ()  # errors and warnings, in order of the text
    unfederable: tuple[Problem, ...] = ()  # warnings: what a federated node would refuse
    depth: int = 0  # deepest nesting
    nodes: int = 0  # values and keys, aliases expanded
    root: Node | None = field(default=None, repr=False)  # the value with places
    lines: Lines = field(default_factory=lambda: Lines(""), repr=False)  # of ``text``

    @property
    def ok(self) -> bool:
        """Whether the value may be used: something was read and nothing is an error."""
        return self.root is not None and not any(p.severity is Severity.ERROR for p in self.problems)

    def node(self, pointer: str) -> Node | None:
        """The node at a JSON Pointer, None where there is none."""
        node = self.root
        for part in split_pointer(pointer):
            children = node.children if node is not None else None
            if isinstance(children, dict):
                node = children.get(part)
            elif isinstance(children, list) and part.isdecimal() and int(part) < len(children):
                node = children[int(part)]
            else:
                return None
        return node

    def position(self, pointer: str) -> tuple[int, int]:
        """Line and column of the value at ``pointer``, or of its nearest ancestor that is there."""
        while pointer and self.node(pointer) is None:
            pointer = pointer.rpartition("/")[0]
        node = self.node(pointer)
        return self.lines.place(node.start) if node else (self.lines.first_line, 1)

    def key_position(self, pointer: str) -> tuple[int, int]:
        """Line and column of the key that leads to ``pointer``; of the value for a list's item."""
        parent, _, last = pointer.rpartition("/")
        node = self.node(parent) if pointer else None
        keys = node.keys if node else None
        offset = keys.get(unescape(last)) if keys else None
        return self.lines.place(offset) if offset is not None else self.position(pointer)


def load(data: bytes, *, limits: LoadLimits = DEFAULT, first_line: int = 1) -> Loaded:
    """
    Read one YAML or JSON document.

    Args:
        data: the bytes as they came; any bytes are allowed.
        first_line: the line that the first line of ``data`` has in its file.

    Returns:
        The value and every problem. Codes: ``opl.document.`` + too-large,
        encoding, control-character, syntax, depth, nodes, expansion, alias,
        several-documents, empty (nothing could be read); duplicate-key, tag, key,
        merge-key (the value is there, but not to be used); byte-order-mark
        (a warning).

    Source: YAML 1.1 as libyaml reads it, plain scalars as in docs/documents.md.
    """
    text, problems = decode(data, limit=limits.source_bytes)
    if text is None:
        return Loaded(problems=tuple(problems))
    return load_text(text, limits=limits, first_line=first_line, before=problems)


def load_text(
    text: str, *, limits: LoadLimits = DEFAULT, first_line: int = 1, before: list[Problem] | None = None
) -> Loaded:
    """``load`` for a text that ``decode`` has let through; ``before`` are the problems so far."""
    text = _paired(text)
    lines = Lines(text, first_line)
    composer = Composer(text, lines, depth=limits.depth, nodes=limits.nodes, characters=limits.characters)
    problems = list(before or ())
    try:
        root = composer.compose()
    except Refused as refused:
        problems += [*composer.problems, refused.problem]
        return Loaded(text=text, problems=tuple(problems), lines=lines)
    if root is None:
        problems.append(_empty(lines))
    return Loaded(
        value=root.value if root else None,
        text=text,
        problems=(*problems, *composer.problems),
        unfederable=(*composer.unfederable, *_too_much(composer, lines)),
        depth=composer.depth,
        nodes=composer.nodes,
        root=root,
        lines=lines,
    )


_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


def _paired(text: str) -> str:
    """JSON's surrogate pairs as the characters they are: libyaml reads every other escape of JSON."""
    if text.lstrip()[:1] not in ("{", "[", '"') or "\\u" not in text:
        return text
    return _SURROGATES.sub(lambda match: match[1] + _character(match[2], match[3]), text)


def _character(high: str, low: str) -> str:
    return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)


def _empty(lines: Lines) -> Problem:
    return Problem(
        code="opl.document.empty",
        message="there is nothing in this document",
        hint="begin with type: orchestration_pattern",
        line=lines.first_line,
        column=1,
    )


def _too_much(composer: Composer, lines: Lines) -> list[Problem]:
    found = []
    if composer.depth > FEDERATED_DEPTH:
        found.append(not_federable(f"nesting {composer.depth} levels deep", lines.first_line, 1))
    if composer.nodes > FEDERATED_NODES:
        found.append(not_federable(f"holding {composer.nodes:,} nodes", lines.first_line, 1))
    return found


def split_pointer(pointer: str) -> list[str]:
    """The parts of an RFC 6901 JSON Pointer, unescaped."""
    return [unescape(part) for part in pointer.split("/")[1:]]


def unescape(part: str) -> str:
    """One part of a JSON Pointer as the key it names."""
    return part.replace("~1", "/").replace("~0", "~")


def pointer_of(*parts: str | int) -> str:
    """The JSON Pointer of a path: ``pointer_of("a", 0)`` is ``/a/0``."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
