"""
The list of instructions while it is made: labels, and what was noted on the way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from opl.script.syntax import (
    At,
    Event,
    Expr,
)


@dataclass(slots=True)
class Label:
    """A place in the list of instructions that is not known yet."""

    pc: int = -1


@dataclass(slots=True)
class Around:
    """The loop, or the branch, that BREAK and CONTINUE speak of."""

    again: Label | None  # where CONTINUE goes
    out: Label | None  # where BREAK goes; None where it may not
    depth: int  # frames that stay on the branch's stack
    branch: bool = False  # a branch of a PARALLEL, no loop


@dataclass(slots=True)
class Code:
    """What was generated so far."""

    instructions: list[list[Any]] = field(default_factory=list)
    places: list[list[int]] = field(default_factory=list)  # [line, column] of each instruction
    events: dict[str, At] = field(default_factory=dict)  # names used, and where first
    judgements: dict[str, At] = field(default_factory=dict)
    primitives: dict[str, At] = field(default_factory=dict)
    event_nodes: list[tuple[list[Any], Event | Expr]] = field(default_factory=list)  # for the shapes of answers
    branches: list[tuple[list[Any], int, Any]] = field(default_factory=list)  # to be given their mirrored names

    def finished(self) -> list[list[Any]]:
        """The instructions with every label replaced by its place."""
        return [[_placed(part) for part in instruction] for instruction in self.instructions]


def _placed(part: Any) -> Any:
    kind = type(part)
    if kind is list:
        return [_placed(each) if type(each) in _SEARCHED else each for each in part]
    if kind is Label:
        return part.pc
    return list(part) if kind is Frozen else part


class Frozen(list[Any]):
    """A part of an instruction without labels, not to be searched for them."""


_SEARCHED = (list, Label, Frozen)
