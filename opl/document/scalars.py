"""
What a plain YAML scalar means: exactly what JSON could say, and otherwise text.

``null``, ``~`` and nothing are null; ``true`` and ``false`` are booleans; a
JSON integer below 2**53 and a JSON float are numbers. Everything else is its
text: ``yes``, ``on``, ``0x1F``, ``1_000``, ``2025-07-10``, ``True``.

Source: docs/documents.md, "Values"; the same rule decides ``semantic_digest``.
"""

from __future__ import annotations

import math
import re

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}
_SAFE = 2**53
_LONGEST_NUMBER = 400  # characters; a longer one is text, so that no digit string is expensive to read


def plain(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar that is written as ``text``."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _LONGEST_NUMBER or not (text[0].isdigit() or text[0] == "-"):
        return text
    if _INTEGER.fullmatch(text):
        number = int(text)
        return number if abs(number) < _SAFE else text
    if _FLOAT.fullmatch(text):
        value = float(text)
        return value if math.isfinite(value) else text
    return text
