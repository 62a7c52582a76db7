"""
From a profile's name to the system prompt of an agent.

    resolved = resolve("tournament_orchestrator", lookup)
    resolved.prompt

A profile ``extends`` others and is put together from ``components``: inline
prompts, components and profiles by name, mixins. What is extended comes first,
a component of the same name replaces the inherited one, variables of the child
replace those of the parent. ``{{name}}`` and ``{{name|default}}`` are filled in
once; what no variable names stays as it is written.

``lookup`` is the only way out: a function from a name to a ``ProfileSource``,
or None. A name that is not found is listed and left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opl.document import reading
from opl.document.model import ProfileSource
from opl.errors import OplError

Lookup = Callable[[str], ProfileSource | None]

_DEEPEST = 32  # profiles extending and including one another
_MOST = 256  # inclusions in one profile, counted with repetition
_LONGEST = 512 * 1024  # characters of a resolved prompt
_SLOT = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*(?:\|([^{}]*))?\}\}")
_DEFAULT = re.compile(r"\Adefault(?:\s*:|\s+)")
_FLAG = re.compile(r"\s*(not\s+|!)?\s*(?:\{\{\s*)?([A-Za-z_]\w*)(?:\s*\}\})?\s*", re.IGNORECASE)


class ProfileError(OplError):
    """A profile cannot be resolved."""

    code = "opl.profile.invalid"


class ProfileMissing(ProfileError):
    """There is no profile of the name that was asked for."""

    code = "opl.profile.missing"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"there is no profile {self.name!r}; publish it, or name another one"


class ProfileCycle(ProfileError):
    """A profile extends or includes itself."""

    code = "opl.profile.cycle"

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"this profile comes back to itself: {' → '.join(self.path)}; take one of the steps out"


class ProfileTooLarge(ProfileError):
    """A profile includes more than is resolved."""

    code = "opl.profile.too-large"

    def __init__(self, name: str, limit: str) -> None:
        super().__init__(name, limit)
        self.name, self.limit = name, limit

    def __str__(self) -> str:
        return f"the profile {self.name!r} has more than {self.limit}; include fewer components"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedComponent:
    """One part of a resolved profile."""

    name: str  # "" for a profile's own prompt
    origin: str  # the profile that brought it
    prompt: str  # what it adds to the system prompt, "" for settings only
    settings: Mapping[str, Any] = field(default_factory=dict)  # the other keys of its ``inline``


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedProfile:
    """What an agent of this profile is told and given."""

    name: str
    prompt: str  # the system prompt
    components: tuple[ResolvedComponent, ...] = ()  # in the order of the prompt
    chain: tuple[str, ...] = ()  # the profiles it extends, farthest first, itself last
    variables: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""  # "" leaves it to the backend
    capabilities: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # names that were not found


def resolve(name: str, lookup: Lookup, *, variables: Mapping[str, Any] | None = None) -> ResolvedProfile:
    """
    Put a profile together.

    Args:
        name: of the profile.
        lookup: the profile or component of a name, None where there is none.
        variables: values that go before those of the profile.

    Raises:
        ProfileMissing: there is no profile ``name`` (missing parts are listed instead).
        ProfileCycle: it extends or includes itself.
        ProfileTooLarge: it includes too much.
    """
    source = lookup(name)
    if source is None:
        raise ProfileMissing(name)
    return resolve_source(source, lookup, variables=variables)


def resolve_source(
    source: ProfileSource, lookup: Lookup, *, variables: Mapping[str, Any] | None = None
) -> ResolvedProfile:
    """``resolve`` for a profile at hand, such as one in a document that is not stored yet."""
    builder = _Builder(lookup)
    builder.include(source, ())
    values = {**builder.variables, **(variables or {})}
    parts = tuple(_filled(part, values) for part in builder.parts.values())
    prompt = "\n\n".join(part.prompt for part in parts if part.prompt)
    if len(prompt) > _LONGEST:
        raise ProfileTooLarge(source.name, f"{_LONGEST:,} characters of prompt")
    return ResolvedProfile(
        name=source.name,
        prompt=prompt,
        components=parts,
        chain=tuple(builder.chain),
        variables=values,
        model=builder.model,
        capabilities=tuple(builder.capabilities),
        missing=tuple(dict.fromkeys(builder.missing)),
    )


class _Builder:
    """Collects the parts of a profile, parents first."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._count = 0
        self.parts: dict[str, ResolvedComponent] = {}
        self.chain: list[str] = []
        self.variables: dict[str, Any] = {}
        self.capabilities: dict[str, None] = {}
        self.missing: list[str] = []
        self.model = ""

    def include(self, source: ProfileSource, path: tuple[str, ...], *, extends: bool = True) -> None:
        """Add a profile after everything that it extends; ``path`` leads to it."""
        if source.name in path:
            raise ProfileCycle((*path[path.index(source.name) :], source.name))
        self._count += 1
        if self._count > _MOST:
            raise ProfileTooLarge(path[0] if path else source.name, f"{_MOST} parts")
        if len(path) >= _DEEPEST:
            raise ProfileTooLarge(path[0], f"{_DEEPEST} levels")
        here = (*path, source.name)
        value = source.value
        for parent in reading.strings(value, "extends"):
            self._include_named(parent, here, extends=extends)
        for mixin in reading.strings(value, "mixins"):
            self._include_named(mixin, here, extends=False)
        self.variables.update(_examples(reading.mapping(value, "variables")))
        for item in reading.sequence(value, "components"):
            self._component(item, source.name, here)
        self._own(source)
        if extends:
            self.chain.append(source.name)

    def _include_named(self, name: str, path: tuple[str, ...], *, extends: bool) -> None:
        found = self._lookup(name)
        if found is None:
            self.missing.append(name)
        else:
            self.include(found, path, extends=extends)

    def _component(self, item: Any, origin: str, path: tuple[str, ...]) -> None:
        if isinstance(item, str):
            return self._include_named(item, path, extends=False)
        if not isinstance(item, dict) or not self._wanted(item):
            return None
        self.variables.update(reading.mapping(item, "vars"))
        for key in ("source", "composition"):
            if reading.string(item, key):
                self._include_named(item[key], path, extends=False)
        inline = item.get("inline")
        prompt = inline if isinstance(inline, str) else _prompt_of(inline)
        prompt = prompt or reading.string(item, "template")
        settings = _settings_of(inline)
        if prompt or settings:
            name = reading.string(item, "name") or f"{origin}#{len(self.parts)}"
            self._add(ResolvedComponent(name=name, origin=origin, prompt=prompt, settings=settings))
        self.model = reading.string(settings, "model") or self.model
        self._grant(settings.get("capabilities"))
        return None

    def _add(self, part: ResolvedComponent) -> None:
        self.parts.pop(part.name, None)  # the child's part stands where the child puts it
        self.parts[part.name] = part

    def _own(self, source: ProfileSource) -> None:
        given = source.value.get("prompt")
        prompt = source.prompt or (given if isinstance(given, str) else _prompt_of(given))
        if prompt:
            part = ResolvedComponent(name=f"{source.name}/prompt", origin=source.name, prompt=prompt)
            self._add(part)
        self.model = reading.string(source.value, "model") or self.model
        self._grant(source.value.get("capabilities"))

    def _grant(self, found: Any) -> None:
        names = [name for name, held in found.items() if held] if isinstance(found, dict) else found
        for name in names if isinstance(names, list) else ():
            if isinstance(name, str):
                self.capabilities[name] = None

    def _wanted(self, item: Mapping[str, Any]) -> bool:
        """Whether a component's condition holds: the name of a variable, perhaps negated. Others hold."""
        match = _FLAG.fullmatch(" ".join(reading.string(item, "condition").split()))
        return match is None or bool(self.variables.get(match[2])) is not bool(match[1])


_PROMPT_KEYS = ("prompt", "system_prompt", "content", "instructions")


def _prompt_of(value: Any) -> str:
    """The text of an inline component: ``prompt``, ``system_prompt``, ``content`` and ``instructions``."""
    return "\n\n".join(text for key in _PROMPT_KEYS if (text := reading.string(value, key)))


def _settings_of(value: Any) -> dict[str, Any]:
    """The keys of an inline component that are no prompt."""
    pairs = value.items() if isinstance(value, dict) else ()
    return {key: item for key, item in pairs if key not in _PROMPT_KEYS}


def _examples(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables as values: an object with ``default`` stands for its default."""
    return {
        name: value["default"] if isinstance(value, dict) and "default" in value else value
        for name, value in variables.items()
    }


def _filled(part: ResolvedComponent, values: Mapping[str, Any]) -> ResolvedComponent:
    prompt = _SLOT.sub(lambda match: _slot(match, values), part.prompt).strip()
    return ResolvedComponent(name=part.name, origin=part.origin, prompt=prompt, settings=part.settings)


def _slot(match: re.Match[str], values: Mapping[str, Any]) -> str:
    name = match[1]
    value = values.get(name)
    if value is None:
        return match[0] if match[2] is None else _DEFAULT.sub("", match[2].strip(), count=1).strip()
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
