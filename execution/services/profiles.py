"""
Who an agent is: the document's own words about it, then the stored profile of that name.

Found once per process for each version and name; a version never changes, and
a profile published later is found by the next process.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from execution.agents.base import Profile
from registry.models import PatternVersion
from registry.models import Profile as StoredProfile


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
    found = _stored(version_id, agent_id, name)
    system = str(data.get("system") or "") or "\n\n".join(
        part for part in (found.system, _text(details.get("prompt"))) if part
    )
    model = _text(data.get("model")) or _text(details.get("model")) or found.model
    if system == found.system and model == found.model:
        return found
    return Profile(name=found.name, system=system, model=model, settings=found.settings)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


@lru_cache(maxsize=2000)
def _stored(version_id: int, agent_id: str, name: str) -> Profile:
    settings: dict[str, Any] = {}
    system, model = "", ""
    profile = StoredProfile.objects.called(name).newest_first().values_list("value", flat=True).first()
    for told in (profile, _declared(version_id, agent_id, name)):
        if isinstance(told, Mapping):
            settings.update(told)
            system = _text(told.get("system_prompt")) or _text(told.get("prompt")) or _text(told.get("body")) or system
            model = _text(told.get("model")) or model
    return Profile(name=name, system=system, model=model, settings=settings)


def _declared(version_id: int, agent_id: str, name: str) -> Any:
    """What the version's document says about the agent under ``agents``."""
    value = PatternVersion.objects.filter(pk=version_id).values_list("value", flat=True).first()
    agents = value.get("agents") if isinstance(value, Mapping) else None
    if isinstance(agents, Mapping):
        return agents.get(agent_id) or agents.get(name)
    if isinstance(agents, list):
        names = {agent_id, name}
        return next((a for a in agents if isinstance(a, Mapping) and {a.get("id"), a.get("name")} & names), None)
    return None


def forget_profiles() -> None:
    """Drop what was found; tests that empty the database need it."""
    _stored.cache_clear()
