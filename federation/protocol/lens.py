"""
Lenses: signed maps between the vocabularies of two worlds.

A lens renames events, roles, functions and parameters, moves fields, fills
defaults, and lists honestly what is lost. This module reads a lens and says
whether a pattern runs here; ``translate`` applies one.

A pattern that asks for nothing unknown is ``runnable``. One that asks for
names this node has not is ``needs-lens``: it says which, and which known
lenses supply them. One that was made for a language no lens reaches is
``incompatible``: a *function* is part of the language, so a missing function
that no lens maps cannot be helped by renaming.

Source: OPL-Fed/1, "Translation between contexts".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from federation.protocol import fields
from federation.protocol.strictjson import refuse

MOST_ENTRIES = 1_000  # per map of a lens
SORTS = ("events", "roles", "functions")  # what a pattern may require


class Fit(StrEnum):
    """Whether a foreign pattern can run here."""

    RUNNABLE = "runnable"
    NEEDS_LENS = "needs-lens"
    INCOMPATIBLE = "incompatible"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """How a vocabulary writes an event as a tool call: a JSON object of this form."""

    type: str  # the value of its member "type"
    name: str  # the member that holds the event's name
    input: str  # the member that holds the event's data


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One value that has another spelling in the other vocabulary."""

    at: str  # JSON Pointer into the document
    old: Any
    new: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """One map from a vocabulary to another."""

    name: str
    version: str  # semver
    source: str  # the vocabulary it reads, for example "ksi"
    target: str  # the vocabulary it writes
    events: Mapping[str, str]  # old name → new name
    roles: Mapping[str, str]  # agent profiles, likewise
    functions: Mapping[str, str]  # functions of the script language, likewise
    parameters: Mapping[str, str]  # inputs of scripts, likewise
    fields: tuple[tuple[str, str], ...]  # JSON Pointers: a member moves from → to, in this order
    values: tuple[Value, ...]  # values to respell, after the moves
    defaults: Mapping[str, Any]  # JSON Pointer → what to put where nothing stands
    scripts: tuple[str, ...]  # JSON Pointers: where scripts stand after the moves; every text below them counts
    tool_use: ToolUse | None  # tool calls in scripts become EVENT statements
    losses: tuple[str, ...]  # what does not survive, a sentence each

    def supplies(self, sort: str, name: str) -> bool:
        """Whether it maps this name of that sort to another one."""
        return name in getattr(self, sort)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What this node can run, or what a pattern asks for."""

    events: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()

    @classmethod
    def required(cls, requires: Mapping[str, Iterable[str]]) -> Vocabulary:
        """Of a release's ``requires``."""
        return cls(**{sort: frozenset(requires.get(sort, ())) for sort in SORTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Whether a pattern runs here, and what to do where it does not."""

    fit: Fit
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # sort → names, sorted
    lenses: tuple[str, ...] = ()  # names of known lenses that supply every missing name

    def __str__(self) -> str:
        names = ", ".join(f"{sort[:-1]} {name}" for sort, found in self.missing.items() for name in found)
        return f"{self.fit} (missing {names})" if names else str(self.fit)


def judge(requires: Vocabulary, here: Vocabulary, known: Iterable[Lens] = ()) -> Judgement:
    """
    Whether a pattern with these requirements runs on a node that offers ``here``.

    A lens counts where it maps every missing name to one that is offered.
    """
    missing = {
        sort: tuple(sorted(lacking)) for sort in SORTS if (lacking := getattr(requires, sort) - getattr(here, sort))
    }
    if not missing:
        return Judgement(fit=Fit.RUNNABLE)
    bridges = tuple(lens.name for lens in known if _bridges(lens, missing, here))
    fit = Fit.INCOMPATIBLE if "functions" in missing and not bridges else Fit.NEEDS_LENS
    return Judgement(fit=fit, missing=missing, lenses=bridges)


def read(value: Any) -> Lens:
    """
    The lens in a JSON object.

    Raises:
        Refused: ``schema-invalid``.
    """
    members = fields.obj(value, "lens")
    get = members.get
    return Lens(
        name=fields.text(get("name"), "lens.name", longest=100),
        version=fields.version(get("version"), "lens.version"),
        source=fields.text(get("from"), "lens.from", longest=100),
        target=fields.text(get("to"), "lens.to", longest=100),
        events=_names(get("events", {}), "lens.events"),
        roles=_names(get("roles", {}), "lens.roles"),
        functions=_names(get("functions", {}), "lens.functions"),
        parameters=_names(get("parameters", {}), "lens.parameters"),
        fields=tuple(_move(entry) for entry in _entries(get("fields", []), "lens.fields")),
        values=tuple(_value(entry) for entry in _entries(get("values", []), "lens.values")),
        defaults={_pointer(at, "lens.defaults"): new for at, new in _map(get("defaults", {}), "lens.defaults").items()},
        scripts=tuple(
            _pointer(entry, "lens.scripts[]") for entry in _entries(get("scripts", ["/dsl"]), "lens.scripts")
        ),
        tool_use=None if get("tool_use") is None else _tool_use(get("tool_use")),
        losses=fields.texts(get("losses"), "lens.losses", most=MOST_ENTRIES, longest=1_000),
    )


def _bridges(lens: Lens, missing: Mapping[str, tuple[str, ...]], here: Vocabulary) -> bool:
    return all(
        lens.supplies(sort, name) and getattr(lens, sort)[name] in getattr(here, sort)
        for sort, names in missing.items()
        for name in names
    )


def _map(value: Any, name: str) -> dict[str, Any]:
    members = fields.obj(value, name)
    if len(members) > MOST_ENTRIES:
        refuse(f"{name} has more than {MOST_ENTRIES} entries")
    return members


def _names(value: Any, name: str) -> dict[str, str]:
    return {
        fields.text(old, name, longest=200): fields.text(new, f"{name}.{old[:40]}", longest=200)
        for old, new in _map(value, name).items()
    }


def _entries(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > MOST_ENTRIES:
        refuse(f"{name} must be a list of at most {MOST_ENTRIES} entries")
    return value


def _move(value: Any) -> tuple[str, str]:
    entry = fields.obj(value, "lens.fields[]")
    return _pointer(entry.get("from"), "lens.fields[].from"), _pointer(entry.get("to"), "lens.fields[].to")


def _value(value: Any) -> Value:
    entry = fields.obj(value, "lens.values[]")
    return Value(
        at=_pointer(entry.get("at"), "lens.values[].at"),
        old=fields.member(entry, "from"),
        new=fields.member(entry, "to"),
    )


def _pointer(value: Any, name: str) -> str:
    pointer = fields.text(value, name, longest=400)
    if not pointer.startswith("/"):
        refuse(f"{name} must be a JSON Pointer that begins with /")
    return pointer


def _tool_use(value: Any) -> ToolUse:
    entry = fields.obj(value, "lens.tool_use")
    return ToolUse(
        **{
            name: fields.text(entry.get(name), f"lens.tool_use.{name}", longest=100)
            for name in ("type", "name", "input")
        }
    )
