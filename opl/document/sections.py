"""
The parts of a document, compared one by one.

Each part is turned into names and values, so that order and layout fall away;
a name on one side only was added or removed, one with two values changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from opl.document import reading
from opl.document.changes import Change, Way
from opl.document.load import pointer_of
from opl.document.model import Document, Input, Role, ScriptSource
from opl.document.trees import compare_scripts
from opl.script.compiler import compile_script

_KNOWN = frozenset(
    """
    type component_type name version description author tags metadata parameters variables agents helpers
    dependencies capabilities security_profile lineage actions success_when score adaptive_rules
    orchestration_flow learned_from performance verification dsl scripts strategies discovery_insights pattern
    orchestration_logic learnings timestamp script
    """.split()  # noqa: SIM905 - a paragraph of words
)


def changes(old: Document, new: Document) -> Iterator[Change]:
    """Every difference of meaning between two documents, section by section."""
    yield from _inputs(old, new)
    yield from _keyed("rules", _rules(old), _rules(new), old, new)
    yield from _keyed("agents", _items(old, "agents"), _items(new, "agents"), old, new)
    yield from _events(old, new)
    yield from _scripts(old, new)
    for section, key in (("flow", "orchestration_flow"), ("actions", "actions"), ("helpers", "helpers")):
        yield from _keyed(section, _items(old, key), _items(new, key), old, new)
    yield from _listed("dependencies", old.dependencies, new.dependencies)
    yield from _listed("capabilities", old.capabilities or (), new.capabilities or ())
    yield from _single("capabilities", "security_profile", old.security_profile, new.security_profile)
    yield from _single("success", "success_when", old.success_when, new.success_when)
    yield from _single("success", "score", old.score, new.score)
    if not old.scripts and not new.scripts:
        yield from _single("strategy", "strategy", old.strategy, new.strategy)
    yield from _keyed("other", _others(old), _others(new), old, new)
    yield from _keyed("metadata", _metadata(old), _metadata(new), old, new)
    for key in ("name", "description", "author"):
        yield from _single("words", key, getattr(old, key), getattr(new, key))
    yield from _listed("words", old.tags, new.tags)
    yield from _listed("words", old.discovery_insights, new.discovery_insights)


def _single(section: str, name: str, before: Any, after: Any) -> Iterator[Change]:
    if before == after:
        return
    way = Way.ADDED if not before else Way.REMOVED if not after else Way.CHANGED
    yield Change(section=section, way=way, name=name, old=before or None, new=after or None)


def _listed(section: str, before: tuple[str, ...], after: tuple[str, ...]) -> Iterator[Change]:
    for name in before:
        if name not in after:
            yield Change(section=section, way=Way.REMOVED, name=name, old=name)
    for name in after:
        if name not in before:
            yield Change(section=section, way=Way.ADDED, name=name, new=name)


_Found = Mapping[str, tuple[Any, str]]  # name to (value, pointer)


def _keyed(section: str, before: _Found, after: _Found, old: Document, new: Document) -> Iterator[Change]:
    for name, (value, pointer) in before.items():
        line = old.position(pointer)[0]
        if name not in after:
            yield Change(section=section, way=Way.REMOVED, name=name, old=value, old_line=line)
        elif after[name][0] != value:
            told, place = after[name]
            yield Change(
                section=section,
                way=Way.CHANGED,
                name=name,
                old=value,
                new=told,
                old_line=line,
                new_line=new.position(place)[0],
            )
    for name, (value, pointer) in after.items():
        if name not in before:
            line = new.position(pointer)[0]
            yield Change(section=section, way=Way.ADDED, name=name, new=value, new_line=line)


def _rules(document: Document) -> _Found:
    found: dict[str, tuple[Any, str]] = {}
    counts: dict[str, int] = {}
    for rule in document.adaptive_rules:
        again = counts[rule.condition] = counts.get(rule.condition, 0) + 1
        name = rule.condition if again == 1 else f"{rule.condition} ({again})"
        found[name] = (dict(rule.value), rule.pointer)
    return found


def _items(document: Document, key: str) -> _Found:
    value = document.value
    path = ("pattern", key) if reading.mapping(value, "pattern", key) else (key,)
    return {name: (item, pointer_of(*path, name)) for name, item in reading.mapping(value, *path).items()}


def _others(document: Document) -> _Found:
    """Keys of the top and of ``pattern`` that no section above speaks of."""
    found = {name: (item, pointer_of(name)) for name, item in document.value.items() if name not in _KNOWN}
    inner = reading.mapping(document.value, "pattern")
    found.update(
        {
            f"pattern.{name}": (item, pointer_of("pattern", name))
            for name, item in inner.items()
            if name not in _KNOWN and name != "strategy"
        }
    )
    return found


_FACTS = ("metadata", "learned_from", "performance", "verification", "lineage", "version", "timestamp")


def _metadata(document: Document) -> _Found:
    found: dict[str, tuple[Any, str]] = {}
    for section in (
        "metadata",
        "learned_from",
        "performance",
        "verification",
        "lineage",
        "version",
        "timestamp",
    ):
        value = document.value.get(section)
        if section == "metadata" and isinstance(value, dict):
            for name, item in value.items():
                found[f"metadata.{name}"] = (item, pointer_of("metadata", name))
        elif value is not None:
            found[section] = (value, pointer_of(section))
    found.pop("metadata.tags", None)
    return found


def _inputs(old: Document, new: Document) -> Iterator[Change]:
    yield from _keyed("inputs", all_inputs(old), all_inputs(new), old, new)


def all_inputs(document: Document) -> _Found:
    """
    What a run of the document may be given: what it declares, and what its compiled scripts show.

    A script that does not compile shows nothing.
    """
    found: dict[str, tuple[Any, str]] = {}
    for item in document.inputs:
        found[item.name] = (_input_json(item), item.pointer)
    for script in document.main_scripts:
        program = compile_script(script.text).program or {}
        for name, told in program.get("inputs", {}).items():
            found.setdefault(name, (_shown_json(told), script.pointer))
    return found


def _shown_json(told: Mapping[str, Any]) -> dict[str, Any]:
    """An input of a compiled script in the shape of a declared one."""
    kind = _JSON_TYPES.get(told["type"])
    shown = {"schema": {"type": kind} if kind else {}, "description": "", "required": told["required"]}
    return {**shown, "default": told["default"]} if "default" in told else shown


_JSON_TYPES = {"list": "array", "number": "number", "string": "string", "boolean": "boolean", "object": "object"}


def _input_json(item: Input) -> dict[str, Any]:
    told = {"schema": dict(item.schema), "description": item.description, "required": item.required}
    return told if item.required else {**told, "default": item.default}


_EVENT = re.compile(r"(?im)^\s*(?:EVENT|EMIT)\s+[\"']?([A-Za-z_][\w.-]*(?::[\w.-]+)+)")


def events_of(document: Document) -> tuple[str, ...]:
    """The event names that stand in a document's scripts, in order of first use."""
    texts = (script.text for script in document.scripts if script.role is not Role.CONDITION)
    return tuple(dict.fromkeys(name for text in texts for name in _EVENT.findall(text)))


def _events(old: Document, new: Document) -> Iterator[Change]:
    yield from _listed("events", events_of(old), events_of(new))


def _scripts(old: Document, new: Document) -> Iterator[Change]:
    before = {(script.role, script.slug): script for script in _whole(old)}
    after = {(script.role, script.slug): script for script in _whole(new)}
    if len(before) == len(after) == 1 and set(before) != set(after):
        (one,), (other,) = before.values(), after.values()
        if one.role == other.role:  # the only script, under another title
            yield from compare_scripts(one, other)
            return
    for key, script in before.items():
        if key in after:
            yield from compare_scripts(script, after[key])
        else:
            yield Change(
                section="scripts",
                way=Way.REMOVED,
                name=script.title,
                old=script.text,
                old_line=script.first_line,
            )
    for key, script in after.items():
        if key not in before:
            yield Change(
                section="scripts",
                way=Way.ADDED,
                name=script.title,
                new=script.text,
                new_line=script.first_line,
            )


def _whole(document: Document) -> list[ScriptSource]:
    return [script for script in document.scripts if script.role in (Role.SCRIPT, Role.FRAGMENT)]
