"""
JSON values out of libyaml's events, with the place of every node.

The events come one at a time from a state machine that does not recurse, so
whatever is too deep, too large or refers to itself is refused while it is
being read and before memory is spent on it. (libyaml's own composer recurses
on the C stack: 25 KB of ``[`` end the process.)

Counted while reading: depth, nodes, and the characters of all scalars; an
alias costs again what its anchor holds. What a single node's trouble does not
make unreadable (a duplicate key, a foreign tag) is reported and reading goes
on, so that one look finds everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from opl.document.scalars import plain
from opl.document.text import Lines
from opl.errors import Problem, Severity

_CORE = "tag:yaml.org,2002:"


@dataclass(slots=True, kw_only=True)
class Node:
    """One value with its place; ``children`` follow the value's own shape."""

    value: Any
    start: int  # offset of the value's first character
    end: int  # offset after its last one
    style: str = ""  # of a scalar: "" plain, "'", '"', "|" or ">"
    written: str = ""  # of a plain scalar: the text as it stands
    children: dict[str, Node] | list[Node] | None = None
    keys: dict[str, int] | None = None  # offset of each key of a mapping
    nodes: int = 1  # this one and all below, aliases expanded
    characters: int = 0  # of all scalars below, aliases expanded
    height: int = 0  # collections nested in this one, itself included; 0 for a scalar


class Refused(Exception):
    """Reading cannot go on; carries the one problem that says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


class Composer:
    """Reads one YAML document into a ``Node``; ``problems`` and ``unfederable`` fill on the way."""

    def __init__(self, text: str, lines: Lines, *, depth: int, nodes: int, characters: int) -> None:
        self._lines = lines
        self._parser = yaml.CSafeLoader(text)  # for its events only
        self._limits = {"depth": depth, "nodes": nodes, "characters": characters}
        self._anchors: dict[str, Node | None] = {}
        self.problems: list[Problem] = []
        self.unfederable: list[Problem] = []
        self.nodes = 0
        self.characters = 0
        self.depth = 0

    def compose(self) -> Node | None:
        """
        The root node; None for an empty stream.

        Raises:
            Refused: the text is no YAML, or a limit ran out.
        """
        try:
            self._next()  # the stream begins
            event = self._next()
            if not isinstance(event, DocumentStartEvent):
                return None
            root = self._node(self._next(), 0)
            self._next()  # the document ends
            after = self._next()
        except yaml.YAMLError as error:
            raise Refused(self._syntax(error)) from None
        if not isinstance(after, StreamEndEvent):
            raise Refused(
                self._problem(
                    "opl.document.several-documents",
                    "a second YAML document begins here",
                    after.start_mark.index,
                    "keep one document in a file",
                )
            )
        return root

    def _next(self) -> Any:
        """The next event; untyped, as its marks are never None here though the stubs allow it."""
        return self._parser.get_event()

    def _node(self, event: Any, depth: int) -> Node:
        offset = event.start_mark.index
        if isinstance(event, AliasEvent):
            return self._alias(event, depth)
        if not isinstance(event, ScalarEvent):
            self._deepen(depth + 1, offset)
        self._spend(1, 0, offset)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._unfederable("an anchor", offset)
            self._anchors[anchor] = None
        if isinstance(event, ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if anchor:
            self._anchors[anchor] = node
        return node

    def _deepen(self, depth: int, offset: int) -> None:
        if depth > self._limits["depth"]:
            raise self._refused("depth", f"nesting is deeper than {self._limits['depth']} levels", offset)
        self.depth = max(self.depth, depth)

    def _spend(self, nodes: int, characters: int, offset: int) -> None:
        self.nodes += nodes
        self.characters += characters
        if self.nodes > self._limits["nodes"]:
            raise self._refused("nodes", f"the document has more than {self._limits['nodes']:,} nodes", offset)
        if self.characters > self._limits["characters"]:
            allowed = f"{self._limits['characters']:,}"
            raise self._refused("expansion", f"aliases expand to more than {allowed} characters", offset)

    def _alias(self, event: Any, depth: int) -> Node:
        offset = event.start_mark.index
        self._unfederable("an alias", offset)
        if event.anchor not in self._anchors:
            raise self._refused("alias", f"nothing has the anchor &{event.anchor}", offset)
        target = self._anchors[event.anchor]
        if target is None:
            raise self._refused("alias", f"*{event.anchor} stands inside the value it names", offset)
        self._deepen(depth + target.height, offset)
        self._spend(target.nodes, target.characters, offset)
        return copied(target)

    def _scalar(self, event: Any) -> Node:
        start, end = event.start_mark.index, event.end_mark.index
        written: str = event.value
        self._spend(0, len(written), start)
        style = event.style or ""
        value: Any = written
        if event.tag and event.tag != "!":
            value = self._tagged(event.tag, written, start)
        elif not style and not event.tag:
            value = plain(written)
        elif event.tag:
            self._unfederable("a tag", start)
        return Node(
            value=value,
            start=start,
            end=end,
            style=style,
            written="" if style else written,
            characters=len(written),
        )

    def _tagged(self, tag: str, written: str, offset: int) -> Any:
        """A scalar with a core tag keeps to that type; any other tag is refused."""
        self._unfederable("a tag", offset)
        if tag == _CORE + "str":
            return written
        value = plain(written)
        types: dict[str, tuple[type, ...]] = {
            _CORE + "int": (int,),
            _CORE + "float": (int, float),
            _CORE + "bool": (bool,),
            _CORE + "null": (type(None),),
        }
        wanted = types.get(tag)
        if wanted is None:
            self._foreign(tag, offset)
        elif not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            short = tag.removeprefix(_CORE)
            self._report("opl.document.tag", f"{written[:40]!r} is no {short}", offset, "remove the tag")
        return value

    def _foreign(self, tag: str, offset: int) -> None:
        shown = tag.replace(_CORE, "!!")[:60]
        hint = "remove it; documents hold JSON types only"
        self._report("opl.document.tag", f"the tag {shown} is not known here", offset, hint)

    def _collection_tag(self, event: Any, kind: str) -> None:
        if not event.tag or event.tag == "!":
            return
        self._unfederable("a tag", event.start_mark.index)
        if event.tag != _CORE + kind:
            self._foreign(event.tag, event.start_mark.index)

    def _sequence(self, event: Any, depth: int) -> Node:
        self._collection_tag(event, "seq")
        children: list[Node] = []
        while not isinstance(item := self._next(), SequenceEndEvent):
            children.append(self._node(item, depth + 1))
        return Node(
            value=[child.value for child in children],
            start=event.start_mark.index,
            end=_end(item),
            children=children,
            nodes=1 + sum(child.nodes for child in children),
            characters=sum(child.characters for child in children),
            height=1 + max((child.height for child in children), default=0),
        )

    def _mapping(self, event: Any, depth: int) -> Node:
        self._collection_tag(event, "map")
        children: dict[str, Node] = {}
        keys: dict[str, int] = {}
        merged: list[Node] = []
        while not isinstance(item := self._next(), MappingEndEvent):
            key_node = self._node(item, depth + 1)
            value = self._node(self._next(), depth + 1)
            key = self._key(key_node)
            if key == "<<" and not key_node.style:
                merged += self._merge_sources(value, key_node.start)
            elif key in children:
                self._duplicate(key, key_node.start, keys[key])
            else:
                children[key], keys[key] = value, key_node.start
        for source in merged:
            for key, child in source.children.items():  # type: ignore[union-attr]
                if key not in children:
                    children[key], keys[key] = child, (source.keys or {}).get(key, source.start)
        return Node(
            value={key: child.value for key, child in children.items()},
            start=event.start_mark.index,
            end=_end(item),
            children=children,
            keys=keys,
            nodes=1 + len(children) + sum(child.nodes for child in children.values()),
            characters=sum(len(key) + child.characters for key, child in children.items()),
            height=1 + max((child.height for child in children.values()), default=0),
        )

    def _key(self, node: Node) -> str:
        """The text of a key; JSON has no other keys, so ``1:`` and ``null:`` are their text."""
        if node.children is not None:
            hint = "write a string before the colon; a template in braces needs quotes"
            self._report("opl.document.key", "a key must be text", node.start, hint)
            return f"?{node.start}"
        return node.value if isinstance(node.value, str) else node.written

    def _merge_sources(self, value: Node, offset: int) -> list[Node]:
        self._unfederable("a merge key", offset)
        sources = value.children if isinstance(value.children, list) else [value]
        good = [source for source in sources if isinstance(source.children, dict)]
        if len(good) < len(sources):
            hint = "give << one mapping or a list of mappings"
            self._report("opl.document.merge-key", "only mappings can be merged", offset, hint)
        return good

    def _duplicate(self, key: str, offset: int, first: int) -> None:
        line, _ = self._lines.place(first)
        message = f"the key {key[:60]!r} stands twice; first on line {line}"
        self._report("opl.document.duplicate-key", message, offset, "keep one of them", max(1, len(key)))

    def _problem(self, code: str, message: str, offset: int, hint: str = "", length: int = 1) -> Problem:
        line, column = self._lines.place(offset)
        return Problem(code=code, message=message, hint=hint, line=line, column=column, length=length)

    def _report(self, code: str, message: str, offset: int, hint: str, length: int = 1) -> None:
        if len(self.problems) == _MOST_PROBLEMS:
            raise self._refused("too-many-problems", f"more than {_MOST_PROBLEMS} problems", offset)
        self.problems.append(self._problem(code, message, offset, hint, length))

    def _unfederable(self, what: str, offset: int) -> None:
        if len(self.unfederable) < 20:
            self.unfederable.append(not_federable(what, *self._lines.place(offset)))

    def _refused(self, kind: str, message: str, offset: int) -> Refused:
        return Refused(self._problem(f"opl.document.{kind}", message, offset, _LIMIT_HINTS[kind]))

    def _syntax(self, error: yaml.YAMLError) -> Problem:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error) or "this is no YAML"
        context = getattr(error, "context", None)
        message = f"{what} {context}" if context else str(what)
        hint = "check indentation, colons and quotes; text with braces or colons needs quotes"
        return self._problem("opl.document.syntax", message, mark.index if mark else 0, hint)


def _end(event: Any) -> int:
    """The offset after an event."""
    offset: int = event.end_mark.index
    return offset


_MOST_PROBLEMS = 100  # after which reading gives up
_LIMIT_HINTS = {
    "too-many-problems": "mend these first",
    "depth": "flatten the document",
    "nodes": "split the document",
    "expansion": "write the values out where they are needed",
    "alias": "write the value itself",
}


def not_federable(what: str, line: int, column: int) -> Problem:
    """The warning that other nodes will refuse this document."""
    return Problem(
        code="not-federable",
        message=f"{what} keeps this document from being federated",
        hint="write the value out; other nodes accept plain values, depth 32 and 20,000 nodes",
        severity=Severity.WARNING,
        line=line,
        column=column,
    )


def copied(node: Node) -> Node:
    """A node whose values nobody else holds; the places stay those of the original."""
    if isinstance(node.children, dict):
        children: Any = {key: copied(child) for key, child in node.children.items()}
        value: Any = {key: child.value for key, child in children.items()}
    elif isinstance(node.children, list):
        children = [copied(child) for child in node.children]
        value = [child.value for child in children]
    else:
        return node
    return Node(
        value=value,
        start=node.start,
        end=node.end,
        style=node.style,
        children=children,
        keys=node.keys,
        nodes=node.nodes,
        characters=node.characters,
        height=node.height,
    )
