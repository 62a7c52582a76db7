"""
Who an agent is: the stored profile of that name, put together from what it extends, then the
document's own words about the agent, then what ``agent:spawn`` and the event said.

Found once per process for each version and name; a version never changes, and
a profile published later is found by the next process.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from execution.agents.base import Profile
from opl.document.model import ProfileSource
from opl.document.profile import ProfileError, resolve
from registry.models import Pattern, PatternVersion
from registry.models import Profile as StoredProfile

PROFILES_KEPT = 2000


def profile_for(
    version_id: int, agent_id: str, name: str, details: Mapping[str, Any], data: Mapping[str, Any]
) -> Profile:
    """
    The profile of one agent of a run.

    Args:
        name: the profile's name; where nothing is stored under it, the agent gets only its own words.
        details: what ``agent:spawn`` said (``prompt``, ``model`` …).
        data: the event's data; ``model`` and ``system`` there win.
    """
    found = _found(version_id, agent_id, name)
    parts = (found.system, _text(details.get("prompt")), _text(details.get("purpose")))
    system = _text(data.get("system")) or "\n\n".join(part for part in parts if part)
    model = _text(data.get("model")) or _text(details.get("model")) or found.model
    if system == found.system and model == found.model:
        return found
    return Profile(name=found.name, system=system, model=model, settings=found.settings)


@lru_cache(maxsize=PROFILES_KEPT)
def _found(version_id: int, agent_id: str, name: str) -> Profile:
    declared = _declared(version_id, agent_id, name)
    wanted = _text(declared.get("profile")) or _text(declared.get("component")) or name
    system, model, settings = _stored(version_id, wanted)
    own = _text(declared.get("system_prompt")) or _text(declared.get("prompt"))
    return Profile(
        name=wanted,
        system="\n\n".join(part for part in (system, own) if part),
        model=_text(declared.get("model")) or model,
        settings={**settings, **declared},
    )


def _stored(version_id: int, name: str) -> tuple[str, str, dict[str, Any]]:
    """``(system prompt, model, the document itself)`` of a stored profile; empty where there is none."""
    value = _value_of(version_id, name)
    if value is None:
        return "", "", {}
    try:
        resolved = resolve(name, lambda part: lookup(version_id, part))
    except ProfileError:
        return "", "", dict(value)
    return resolved.prompt, resolved.model, dict(value)


def lookup(version_id: int, name: str) -> ProfileSource | None:
    """The stored profile of a name as a version may use it, None where there is none."""
    value = _value_of(version_id, name)
    return None if value is None else ProfileSource(name=name, value=value, prompt=_text(value.get("body")))


def _value_of(version_id: int, name: str) -> Mapping[str, Any] | None:
    """The newest profile of that name: the pattern's owner's own, else a public one."""
    owner_id = PatternVersion.objects.values_list("pattern__owner_id", flat=True).get(pk=version_id)
    found = StoredProfile.objects.called(name).newest_first()
    for wanted in (found.filter(owner_id=owner_id), found.filter(visibility=Pattern.Visibility.PUBLIC)):
        value = wanted.values_list("value", flat=True).first()
        if isinstance(value, Mapping):
            return value
    return None


def _declared(version_id: int, agent_id: str, name: str) -> Mapping[str, Any]:
    """What the version's document says about the agent under ``agents``."""
    value = PatternVersion.objects.filter(pk=version_id).values_list("value", flat=True).first()
    agents = value.get("agents") if isinstance(value, Mapping) else None
    if isinstance(agents, Mapping):
        found = agents.get(agent_id) or agents.get(name)
    elif isinstance(agents, list):
        names = {agent_id, name}
        found = next((a for a in agents if isinstance(a, Mapping) and {a.get("id"), a.get("name")} & names), None)
    else:
        found = None
    return found if isinstance(found, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def forget_profiles() -> None:
    """Drop what was found; tests that empty the database need it."""
    _found.cache_clear()
