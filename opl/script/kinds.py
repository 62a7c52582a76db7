"""
Kinds: what is known of the values at one place of a script, and the JSON Schema of it.

Two kinds that are found to be the same are joined (union-find); fields are
kinds of their own. A kind may stand within itself: its schema ends at a depth.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# Fields of a completion result itself, which no agent gives; "output" is the whole answer.
OWN = frozenset({"agent_id", "success", "output", "error", "duration", "usage", "length"})
ELEMENT = "*"  # the step from a list or object to what it holds


@dataclass(slots=True, eq=False)
class Kind:
    """What is known of the values at one place: a name, an element, a field of an answer."""

    up: Kind | None = None  # the kind this one was found to be the same as
    fields: dict[str, Kind] = field(default_factory=dict)  # by name, ELEMENT for members
    types: set[str] = field(default_factory=set)
    words: dict[str, None] = field(default_factory=dict)  # strings it is compared with

    def root(self) -> Kind:
        """The kind that stands for all that are the same."""
        kind = self
        while (up := kind.up) is not None:
            if up.up is not None:
                kind.up = up.up  # halves the way for whoever asks next: a chain of n names is asked n times
            kind = up
        return kind

    def get(self, name: str) -> Kind:
        """The kind of a field."""
        return self.root().fields.setdefault(name, Kind()).root()


def same(one: Kind, other: Kind) -> None:
    """Two kinds are one: join what is known of both."""
    pending = [(one, other)]
    while pending:
        a, b = (kind.root() for kind in pending.pop())
        if a is b:
            continue
        if not (a.fields or a.types or a.words):
            a.up = b  # says nothing of its own, so there is nothing to be copied
            continue
        b.up = a
        a.types |= b.types
        a.words.update(b.words)
        for name, inner in b.fields.items():
            if name in a.fields:
                pending.append((a.fields[name], inner))
            else:
                a.fields[name] = inner


# ---------------------------------------------------------------- schemas


def schema_of_answer(answer: Kind) -> dict[str, Any] | None:
    """The JSON Schema of an answer, or None where the script reads nothing of it."""
    root = answer.root()
    output = root.fields.get("output")
    fields = {name: kind for name, kind in root.fields.items() if name not in OWN and name != ELEMENT}
    if not fields and output is not None:
        inner = output.root()
        named = {name: kind for name, kind in inner.fields.items() if name not in (ELEMENT, "length")}
        if named:
            return _object(named, 0)
        return None
    if not fields and "measured" in root.types:
        return _object({"score": Kind(types={"number"})}, 0)
    return _object(fields, 0) if fields else None


def schema_of_value(answer: Kind) -> dict[str, Any] | None:
    """The JSON Schema of an answer that stands for itself, or None where nothing is known."""
    root = answer.root()
    return _schema(root, 0) if root.fields or root.types or root.words else None


def _object(fields: dict[str, Kind], depth: int) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _schema(kind.root(), depth + 1) for name, kind in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }


def _schema(kind: Kind, depth: int) -> dict[str, Any]:
    """The schema of a field; a string where nothing else is known."""
    named = {name: inner for name, inner in kind.fields.items() if name not in (ELEMENT, "length")}
    if named and depth < 6:
        return _object(named, depth)
    if ELEMENT in kind.fields and depth < 6:
        return {"type": "array", "items": _schema(kind.fields[ELEMENT].root(), depth + 1)}
    if "integer" in kind.types:
        return {"type": "integer", "description": "a whole number of at least 1"}
    if kind.types & {"number", "measured"}:
        return {"type": "number"}
    if "string" in kind.types or kind.words:
        words = [word for word in kind.words if word]
        quoted = " or ".join(f'"{word}"' for word in words)
        return {"type": "string", "description": f"for example {quoted}"} if words else {"type": "string"}
    if kind.types & {"boolean", "flag"}:
        return {"type": "boolean"}
    return {"type": "array", "items": {"type": "string"}} if "length" in kind.fields else {"type": "string"}
