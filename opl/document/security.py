"""
Which events a pattern may use.

A document names a ``security_profile``, or lists event names among its
``capabilities``, or says nothing and gets ``dsl_interpreter``. Words among the
capabilities that are no event names (``orchestration_coordination``) describe
what the author can do and grant nothing. Events that no handler acts upon are
only recorded; they need no permission.

Source: docs/documents.md, "What a pattern may do".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from opl.document.model import Document
from opl.document.schemas import security_profiles

DEFAULT_PROFILE = "dsl_interpreter"
POWERFUL = frozenset(
    (
        "agent:list",
        "agent:spawn",
        "agent:terminate",
        "completion:async",
        "human:ask",
        "optimization:async",
        "orchestration:request_termination",
        "orchestration:start",
        "state:entity:create",
        "state:entity:delete",
        "state:entity:get",
        "state:entity:query",
        "state:entity:update",
    )
)
_SAME_AS = {
    "judgement:ask": "completion:async",
    "primitive:await_responses": "completion:async",
    "primitive:broadcast_task": "completion:async",
    "primitive:delegate_subtask": "completion:async",
    "primitive:evaluate_results": "completion:async",
    "primitive:list_agents": "agent:list",
    "primitive:query_agent_status": "agent:list",
    "primitive:select_best": "completion:async",
    "primitive:should_continue": "completion:async",
    "primitive:spawn_agent": "agent:spawn",
    "primitive:start_pattern": "orchestration:start",
    "primitive:terminate_agent": "agent:terminate",
}  # what an orchestration primitive does, as the event that does the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a document is allowed to do."""

    profile: str  # its name; that of the default where the document names none
    known: bool  # whether there is such a profile
    declared: bool  # whether the document says anything about it
    events: tuple[str, ...]  # names, or prefixes that end in ``*``

    def allows(self, event: str) -> bool:
        """Whether a pattern may use this event."""
        deed = _SAME_AS.get(event, event)
        named = (event, deed)
        return deed not in POWERFUL or any(_covers(each, name) for each in self.events for name in named)

    def refused(self, events: Iterable[str]) -> list[str]:
        """Those of the events that the pattern may not use, sorted."""
        return sorted({event for event in events if not self.allows(event)})


def _covers(pattern: str, event: str) -> bool:
    return event.startswith(pattern[:-1]) if pattern.endswith("*") else event == pattern


def allowance(document: Document) -> Allowance:
    """What a document may do, by what it says of itself."""
    name = document.security_profile or DEFAULT_PROFILE
    profiles = security_profiles()
    profile = profiles.get(name)
    listed = tuple(each for each in document.capabilities or () if ":" in each or each == "*")
    return Allowance(
        profile=name,
        known=profile is not None,
        declared=bool(document.security_profile or listed),
        events=(*(profile["events"] if profile else ()), *listed),
    )
