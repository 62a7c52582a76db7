"""
Applying a lens: a foreign document in, a derived fork in our vocabulary out.

The foreign object is never edited: its source stays as its author signed it,
and what comes out here is a new document whose lineage says ``translate`` and
names the digest it came from, so that a yank of the origin reaches it.

A script is translated token by token. Comments and strings stay as they are,
but for template expressions in strings, whose names follow the parameters.

    result = apply(lens, document, parent=digest)
    result.document, result.lineage, result.changes, result.losses

Source: OPL-Fed/1, "Translation between contexts"; RFC 6901.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from federation.protocol import strictjson
from federation.protocol.lens import Lens, Value
from federation.protocol.problems import Refused

_TOKEN = re.compile(
    r"(?P<comment>\#[^\n]*)"
    r"|(?P<string>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    r"|(?P<event>\b(?:EVENT|EMIT|event|emit)[ \t]+)(?P<name>[A-Za-z_][\w.-]*(?::[\w.*-]+)*)"
    r"|(?P<word>[A-Za-z_]\w*)",
    re.VERBOSE,
)
_TEMPLATE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_OBJECT_LINE = re.compile(r"^([ \t]*)\{(?=\s*\")", re.MULTILINE)
_ROLE_KEYS = frozenset({"profile", "component", "extends", "agent_profile", "role"})
_MISSING = object()
MOST_MISSES = 200  # objects that are no tool calls; each costs a look at the rest of the script


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """A derived document, with what was done and what was lost."""

    document: dict[str, Any]  # the new document; shares nothing with the foreign one
    lineage: Mapping[str, Any]  # {parents, op} of the release that will carry it
    changes: tuple[str, ...]  # a sentence each, for the page that shows it
    losses: tuple[str, ...]  # as the lens states them


def apply(lens: Lens, document: Mapping[str, Any], *, parent: str) -> Translation:
    """
    The document as the lens sees it.

    Args:
        document: a parsed document; it is not changed.
        parent: digest of the source it was parsed from.
    """
    target: dict[str, Any] = json.loads(json.dumps(document))
    changes: list[str] = []
    for old, new in lens.fields:
        _move(target, old, new, changes)
    for value in lens.values:
        _respell(target, value, changes)
    for at, default in lens.defaults.items():
        if read(target, at) is _MISSING and write(target, at, json.loads(json.dumps(default))):
            changes.append(f"{at} is filled with its default")
    for at in lens.scripts:
        _translate_scripts(lens, target, at, changes)
    _rename_names(lens, target, changes)
    return Translation(
        document=target,
        lineage={"parents": [parent], "op": "translate"},
        changes=tuple(dict.fromkeys(changes)),
        losses=lens.losses,
    )


def script(lens: Lens, text: str) -> str:
    """A bare script as the lens sees it."""
    if lens.tool_use is not None:
        text = _tool_uses(lens, text)
    return _TOKEN.sub(lambda match: _token(lens, match), text)


def read(document: Any, pointer: str) -> Any:
    """What stands at a JSON Pointer, or a marker that equals nothing where nothing does."""
    for key in _keys(pointer):
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return _MISSING
    return document


def write(document: dict[str, Any], pointer: str, value: Any) -> bool:
    """Put a value at a JSON Pointer, making objects on the way; False where something else is in the way."""
    *path, last = _keys(pointer)
    place: Any = document
    for key in path:
        if not isinstance(place, dict):
            return False
        place = place.setdefault(key, {})
    if not isinstance(place, dict):
        return False
    place[last] = value
    return True


def _keys(pointer: str) -> list[str]:
    return [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]]


def _move(document: dict[str, Any], old: str, new: str, changes: list[str]) -> None:
    """Move a member, unless it is not there or its new place is taken."""
    value = read(document, old)
    if value is _MISSING or read(document, new) is not _MISSING:
        return
    *path, last = _keys(old)
    parent = read(document, "".join(f"/{key.replace('~', '~0').replace('/', '~1')}" for key in path))
    if not isinstance(parent, dict):
        return
    del parent[last]
    if write(document, new, value):
        changes.append(f"{old} moves to {new}")
    else:
        parent[last] = value


def _respell(document: dict[str, Any], value: Value, changes: list[str]) -> None:
    if read(document, value.at) == value.old and write(document, value.at, value.new):
        changes.append(f"{value.at} says {json.dumps(value.new)} instead of {json.dumps(value.old)}")


def _translate_scripts(lens: Lens, document: dict[str, Any], at: str, changes: list[str]) -> None:
    def translated(text: str) -> str:
        made = script(lens, text)
        if made != text:
            changes.append(f"the script at {at} is translated")
        return made

    value = read(document, at)
    if value is not _MISSING:
        write(document, at, _mapped(value, translated))


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """A value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_mapped(entry, change) for entry in value]
    if isinstance(value, dict):
        return {key: _mapped(entry, change) for key, entry in value.items()}
    return value


def _rename_names(lens: Lens, value: Any, changes: list[str]) -> None:
    """Rename events wherever a value is exactly one, roles under the keys that hold one, declared parameters."""
    if isinstance(value, list):
        for place, entry in enumerate(value):
            if isinstance(entry, str) and entry in lens.events:
                value[place] = lens.events[entry]
                changes.append(f"the event {entry} is called {lens.events[entry]}")
            _rename_names(lens, value[place], changes)
    elif isinstance(value, dict):
        for key, entry in list(value.items()):
            _rename_member(lens, value, key, entry, changes)
            _rename_names(lens, value.get(key), changes)


def _rename_member(lens: Lens, parent: dict[str, Any], key: str, entry: Any, changes: list[str]) -> None:
    if isinstance(entry, str) and entry in lens.events:
        parent[key] = lens.events[entry]
        changes.append(f"the event {entry} is called {lens.events[entry]}")
    elif isinstance(entry, str) and key in _ROLE_KEYS and entry in lens.roles:
        parent[key] = lens.roles[entry]
        changes.append(f"the role {entry} is called {lens.roles[entry]}")
    elif key in ("parameters", "variables") and isinstance(entry, dict):
        declared = entry.get("properties", entry)
        if isinstance(declared, dict) and not declared.keys().isdisjoint(lens.parameters):
            renamed = {lens.parameters.get(name, name): told for name, told in declared.items()}
            parent[key] = {**entry, "properties": renamed} if declared is not entry else renamed
            changes.append(f"parameters under {key} are renamed")


def _token(lens: Lens, match: re.Match[str]) -> str:
    if match["comment"] is not None:
        return match["comment"]
    if match["string"] is not None:
        return _TEMPLATE.sub(lambda inner: "{{" + _names(lens, inner[1]) + "}}", match["string"])
    if match["event"] is not None:
        return match["event"] + lens.events.get(match["name"], match["name"])
    return _word(lens, match["word"], match)


def _names(lens: Lens, expression: str) -> str:
    return _TOKEN.sub(
        lambda match: match[0] if match["word"] is None else _word(lens, match["word"], match), expression
    )


def _word(lens: Lens, word: str, match: re.Match[str]) -> str:
    """A name by what stands around it: ``.field`` and ``{key:`` are nobody's parameter, ``name(`` is a function."""
    start, end = match.span()
    # A few characters are enough to look back, and all a long script can afford at every name.
    before, after = match.string[max(0, start - 80) : start].rstrip()[-1:], match.string[end : end + 1]
    if after == "(":
        return lens.functions.get(word, word)
    is_key = after == ":" and before in ("{", ",")
    return word if is_key or before == "." else lens.parameters.get(word, word)


def _tool_uses(lens: Lens, text: str) -> str:
    """Tool calls that stand on lines of their own become EVENT statements."""
    parts, done, misses = list[str](), 0, 0
    for match in _OBJECT_LINE.finditer(text):
        if match.start() < done or misses > MOST_MISSES:
            continue
        found = _tool_use(lens, text, match.end() - 1)
        misses += found is None
        if found is not None:
            statement, end = found
            parts += [text[done : match.start()], match[1], statement]
            done = end
    return "".join(parts) + text[done:]


def _tool_use(lens: Lens, text: str, start: int) -> tuple[str, int] | None:
    """The EVENT statement for the JSON object that begins at ``start``, and where that ends; None if it is another."""
    form = lens.tool_use
    assert form is not None
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
        value = strictjson.loads(text[start:end])
    except (ValueError, RecursionError, Refused):
        return None
    name = value.get(form.name)
    if value.get("type") != form.type or not isinstance(name, str) or not re.fullmatch(r"[\w.:-]+", name):
        return None
    data = json.dumps(value.get(form.input, {}), ensure_ascii=False)
    return f"EVENT {name} {data}", end
