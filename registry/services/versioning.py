"""
What a new version is called: the name and number that document and request agree on, or the smallest that will do.

An input removed is major, a behaviour changed minor, words alone are patch;
the reasons are given in words, for the person who publishes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from opl.document.diff import smallest_bump
from registry.errors import InvalidRequest, VersionDisagrees
from registry.models import Pattern
from registry.models.names import is_name, parse_version
from registry.services.reading import Reading, ReadPattern, read

FIRST_VERSION = "1.0.0"


def next_version_of(pattern: Pattern | None, item: ReadPattern) -> tuple[str, str, tuple[str, ...]]:
    """The smallest admissible version after the pattern's newest: (version, bump, reasons)."""
    newest = pattern.versions.in_order().first() if pattern else None
    if newest is None:
        return FIRST_VERSION, "", ()
    before = read(newest.source_bytes).patterns
    if not before:
        return bumped(newest.version, "minor"), "minor", ("the earlier text cannot be compared any more",)
    broken = broken_inputs(newest.inputs, item.inputs)
    if broken:
        return bumped(newest.version, "major"), "major", broken
    bump = smallest_bump(before[0].document, item.document)
    return bumped(newest.version, bump.size), bump.size, tuple(bump.reasons)


def broken_inputs(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> tuple[str, ...]:
    """
    Why a run that could be started before may not be now, in words; () where all can.

    Sees the inputs that a script has by its text, which ``smallest_bump``
    (documents only) does not.
    """
    before = {entry["name"]: entry for entry in old if not entry.get("initial")}
    after = {entry["name"]: entry for entry in new}
    reasons = [f"the input {name} is gone" for name in before if name not in after]
    reasons += [
        f"the input {name} is required now"
        for name, entry in after.items()
        if entry["required"] and not before.get(name, {}).get("required")
    ]
    reasons += [
        f"the input {name} was {entry['type']} and is {after[name]['type']} now"
        for name, entry in before.items()
        if name in after and entry["type"] != after[name]["type"] and "any" not in (entry["type"], after[name]["type"])
    ]
    return tuple(reasons)


def bumped(version: str, level: str) -> str:
    parsed = parse_version(version)
    if parsed is None:
        return FIRST_VERSION
    return str({"major": parsed.bump_major, "minor": parsed.bump_minor, "patch": parsed.bump_patch}[level]())


def agreed_version(reading: Reading, requested: str) -> str:
    """The version that document and request agree on, "" where neither names one."""
    stated = reading.version
    if requested and parse_version(requested) is None:
        raise InvalidRequest("version", f"{requested[:64]!r} is no version; write one such as 1.4.2 (semver.org)")
    if not stated:
        return requested
    if parse_version(stated) is None:
        if requested:
            raise VersionDisagrees(stated, requested)
        raise InvalidRequest("version", f"the document's version {stated[:64]!r} is none; write one such as 1.4.2")
    if requested and requested != stated:
        raise VersionDisagrees(stated, requested)
    return stated


def named(reading: Reading, name: str) -> tuple[ReadPattern, ...]:
    """The patterns under the names they will have; InvalidRequest where one has none."""
    patterns = reading.patterns
    if name:
        if not is_name(name):
            raise InvalidRequest("name", "use 2 to 64 of a-z, 0-9, _ and -, beginning with a letter")
        if len(patterns) != 1:
            raise InvalidRequest(
                "name", f"this document holds {len(patterns)} patterns, each named after its title; leave the name out"
            )
        patterns = (replace(patterns[0], name=name),)
    for item in patterns:
        if not item.name:
            raise InvalidRequest("name", "the document gives no usable name; write `name:` in it, or send a name")
    return patterns
