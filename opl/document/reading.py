"""
Defensive access to foreign JSON: the value asked for, or an empty one of its kind.

A document whose ``agents`` is a number is still a document; the schema says
that it is wrong, and everything else goes on as if the key were not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from opl.document.load import Loaded, pointer_of


def mapping(value: Any, *path: str) -> Mapping[str, Any]:
    """The object at ``path``, or an empty one."""
    found = dig(value, *path)
    return found if isinstance(found, dict) else {}


def sequence(value: Any, *path: str) -> list[Any]:
    """The list at ``path``, or an empty one; a single value is no list."""
    found = dig(value, *path)
    return found if isinstance(found, list) else []


def string(value: Any, *path: str) -> str:
    """The text at ``path``, or ""; numbers and other values are no text."""
    found = dig(value, *path)
    return found if isinstance(found, str) else ""


def strings(value: Any, *path: str) -> tuple[str, ...]:
    """The texts of the list at ``path``; a single text is a list of one."""
    found = dig(value, *path)
    if isinstance(found, str):
        return (found,)
    return tuple(item for item in found if isinstance(item, str)) if isinstance(found, list) else ()


def first_string(value: Any, *keys: str) -> str:
    """The first non-empty text among several keys of one object."""
    return next((found for key in keys if (found := string(value, key))), "")


def written(loaded: Loaded, pointer: str) -> str:
    """A scalar as its author wrote it: ``version: 1.0`` is the text ``1.0``."""
    node = loaded.node(pointer)
    if node is None or node.children is not None or node.value is None:
        return ""
    return node.value if isinstance(node.value, str) else node.written


def dig(value: Any, *path: str) -> Any:
    """The value at a path of keys, None where one is missing."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def leaves(value: Any, *path: str | int) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
    """Every text below ``value``: (pointer, text, path)."""
    if isinstance(value, str):
        yield pointer_of(*path), value, path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, *path, key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, *path, index)


def is_storable(value: Any) -> bool:
    """Whether every database can hold the value: no NUL and no lone surrogate in any text of it."""
    if isinstance(value, str):
        return "\0" not in value and not _SURROGATE.search(value)
    if isinstance(value, Mapping):
        return all(is_storable(key) and is_storable(inner) for key, inner in value.items())
    return all(map(is_storable, value)) if isinstance(value, list | tuple) else True


_SURROGATE = re.compile("[\ud800-\udfff]")
