"""
Which agent backends there are, by alias.

Built in: ``simulated``, the same at a pace that a person can follow
(``watchable``), ``scripted``, and where the environment says how to reach them
``claude`` and ``ksi``. ``settings.AGENT_BACKENDS`` adds or
replaces aliases: ``{"slow": {"backend": "simulated", "scale": 1.0}}``, where
``backend`` names a built-in one or a class by its dotted path. A backend is
made once per process and set of options, since it may hold connections.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from execution.agents.base import AgentBackend, Capabilities
from execution.agents.scripted import ScriptedAgents
from execution.agents.simulated import SimulatedAgents
from execution.errors import BackendUnknown
from execution.primitives import tool_schemas


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One backend as a form shows it."""

    alias: str
    title: str  # what a person reads
    capabilities: Capabilities


def _simulated(scale: float = 0.0, **options: Any) -> AgentBackend:
    return SimulatedAgents(scale=float(scale), sleep=asyncio.sleep if scale else None)


def _watchable(scale: float | None = None, **options: Any) -> AgentBackend:
    """The same answers as ``simulated`` gives, each after its own latency: they wait in the lane and hold no thread."""
    return _simulated(scale=settings.SIMULATED_PACE if scale is None else scale)


def _scripted(agents: Mapping[str, Any] | None = None, scale: float = 0.0, **options: Any) -> AgentBackend:
    return ScriptedAgents(agents or {}, scale=float(scale), sleep=asyncio.sleep if scale else None)


def _claude(**options: Any) -> AgentBackend:
    from execution.agents.claude import ClaudeBackend

    known = {
        "api_key": settings.ANTHROPIC_API_KEY,
        "base_url": settings.ANTHROPIC_BASE_URL,
        "tool_schemas": tool_schemas(),
    }
    return ClaudeBackend(**{**known, **options})


def _ksi(**options: Any) -> AgentBackend:
    from execution.agents.ksi import KsiBackend

    return KsiBackend(**{"socket_path": settings.KSI_SOCKET, **options})


WATCHABLE = "watchable"
BUILT_IN: dict[str, Callable[..., AgentBackend]] = {
    "simulated": _simulated,
    WATCHABLE: _watchable,
    "scripted": _scripted,
    "claude": _claude,
    "ksi": _ksi,
}
TITLES = {
    "simulated": "Simulated agents, at once",
    WATCHABLE: "Simulated agents, at a pace to watch",
    "scripted": "Scripted agents",
    "claude": "Claude",
    "ksi": "KSI daemon",
}

RUN_OPTIONS = frozenset({"agents"})

_made: dict[str, AgentBackend] = {}


def aliases() -> list[str]:
    """All names a run may choose from, the default first."""
    reachable = {
        "simulated": True,
        WATCHABLE: True,
        "scripted": True,
        "claude": bool(settings.ANTHROPIC_API_KEY),
        "ksi": bool(settings.KSI_SOCKET),
    }
    names = dict.fromkeys([settings.DEFAULT_BACKEND, *BUILT_IN, *configured()])
    return [name for name in names if reachable.get(name) or name in configured()]


def configured() -> Mapping[str, Mapping[str, Any]]:
    """The aliases of the settings."""
    return getattr(settings, "AGENT_BACKENDS", {})


def default_backend() -> str:
    """The alias used where a run names none."""
    return settings.DEFAULT_BACKEND if settings.DEFAULT_BACKEND in aliases() else "simulated"


def watched_backend() -> str:
    """The alias that a form proposes: whoever starts a run in the browser wants to see it work."""
    default = default_backend()
    return WATCHABLE if default == "simulated" else default


def listed() -> list[Listed]:
    """What a form offers; scripted agents need a file, so a form leaves them out."""
    return [
        Listed(alias=name, title=TITLES.get(name, name), capabilities=backend(name).capabilities)
        for name in aliases()
        if name != "scripted"
    ]


def backend(alias: str, options: Mapping[str, Any] | None = None) -> AgentBackend:
    """
    The backend called ``alias``.

    Args:
        options: of the run's policy, for backends that take some (the file of scripted agents).

    Raises:
        BackendUnknown: there is none of that name.
    """
    # A run's options come from a stranger: they never choose what is imported, nor override the settings.
    own = {name: value for name, value in (options or {}).items() if name in RUN_OPTIONS}
    told = {**own, **configured().get(alias, {})}
    key = f"{alias}:{json.dumps(told, sort_keys=True, default=str)}"
    made = _made.get(key)
    if made is None:
        if alias not in aliases():
            raise BackendUnknown(alias, aliases())
        kind = str(told.pop("backend", alias))
        make = BUILT_IN.get(kind) or (import_string(kind) if "." in kind else None)
        if make is None:
            raise BackendUnknown(alias, aliases())
        if len(_made) > 100:
            _made.clear()
        made = _made[key] = make(**told)
    return made


def forget() -> None:
    """Drop all backends made so far; tests and a change of settings need it."""
    _made.clear()
