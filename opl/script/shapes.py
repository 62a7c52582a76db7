"""
The shape of an answer: which fields of a reply a script reads, and of which type.
"""

from __future__ import annotations

from typing import Any

from opl.script.syntax import Block


def infer_shapes(body: Block, events: list[tuple[list[Any], Any]]) -> None:
    """Fill the shape of each event instruction in place."""
