"""
What a pattern's page says about a version, taken from its document in words.

Documents are foreign: every value may be missing or of another type than
expected, so everything here reads defensively and says nothing rather than
something wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from opl.script.values import is_number
from registry.models import PatternVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One adaptive rule."""

    condition: str
    action: str
    rationale: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One thing a run may be given."""

    name: str
    kind: str  # "list of text", "number"
    default: str  # as JSON-like text; "" when it must be given
    description: str
    is_required: bool
    is_initial: bool = False  # state that a run begins with, rarely changed; forms fold it away


# Events that are only shown as progress.
QUIET = ("agent:status", "agent:progress", "agent:result", "agent:list")


def ability_words() -> dict[str, str]:
    """What the events of a script let it do, most telling first: {prefix of the event name: words}."""
    return {
        "human:ask": _("asks you questions"),
        "orchestration:start": _("starts other patterns"),
        "completion:": _("asks agents"),
        "optimization:": _("asks the optimizer"),
        "agent:spawn": _("starts agents"),
        "agent:terminate": _("stops agents"),
        "state:entity:": _("reads and writes the run's state"),
        "orchestrator:decision": _("records decisions"),
        "orchestration:request_termination": _("may end the run early"),
    }


def abilities(events: Sequence[str]) -> list[str]:
    """What a script is able to do, from the events it may emit; own events are named."""
    words = ability_words()
    found = [text for prefix, text in words.items() if any(event.startswith(prefix) for event in events)]
    known = (*words, *QUIET)
    own = [event for event in events if not event.startswith(known)]
    if own:
        found.append(_("announces %(events)s") % {"events": ", ".join(own[:6]) + ("…" if len(own) > 6 else "")})
    return found


def body_of(version: PatternVersion) -> Mapping[str, Any]:
    """The ``pattern`` part of a document, or the document itself where it has none."""
    value = version.value if isinstance(version.value, Mapping) else {}
    inner = value.get("pattern")
    return inner if isinstance(inner, Mapping) else value


def text_of(version: PatternVersion, *keys: str) -> str:
    """The first of the keys that holds text, looked for in the pattern and in the document."""
    value = version.value if isinstance(version.value, Mapping) else {}
    for source in (body_of(version), value, value.get("metadata")):
        for key in keys:
            found = source.get(key) if isinstance(source, Mapping) else None
            if isinstance(found, str) and found.strip():
                return found.strip()
    return ""


def insights(version: PatternVersion) -> list[str]:
    """What was found out while the pattern was discovered."""
    found = body_of(version).get("discovery_insights")
    return [as_text(item) for item in found if item][:40] if isinstance(found, list) else []


def cost_seen(version: PatternVersion) -> str:
    """What a run took, as the document says it was seen; "" where it says nothing of the kind."""
    value = version.value if isinstance(version.value, Mapping) else {}
    seen = value.get("cost_seen")
    if not isinstance(seen, Mapping):
        return ""
    units = (("completions", _("%s completions")), ("tokens", _("%s tokens")), ("cost_usd", _("%s dollars")))
    took = [unit % f"{seen[name]:,}" for name, unit in units if is_number(seen.get(name))]
    if not took:
        return shorten(as_text(seen), 200)
    runs, agents = seen.get("runs"), seen.get("agents")
    told = _("%s a run") % ", ".join(took)
    if is_number(runs):
        told += ", " + _("the mean of %(runs)s runs") % {"runs": runs}
    if isinstance(agents, str) and agents:
        told += " " + _("with %(agents)s agents") % {"agents": shorten(agents, 40)}
    formula = seen.get("formula")
    return told + (f"; {_('in general')} {shorten(formula, 120)}" if isinstance(formula, str) and formula else "")


def rules(version: PatternVersion) -> list[Rule]:
    """The adaptive rules that are written as rules."""
    found = version.adaptive_rules if isinstance(version.adaptive_rules, list) else []
    return [
        Rule(
            condition=as_text(rule.get("condition", rule.get("when", ""))),
            action=as_text(rule.get("action", rule.get("then", ""))),
            rationale=as_text(rule.get("rationale", rule.get("reason", ""))),
        )
        for rule in found
        if isinstance(rule, Mapping)
    ]


def inputs(version: PatternVersion) -> list[Input]:
    """What a run of this version may be given."""
    found = version.inputs if isinstance(version.inputs, list) else []
    return [
        Input(
            name=str(item.get("name", "")),
            kind=kind_of(item),
            default="" if item.get("required") else shorten(as_text(item.get("default")), 120),
            description=as_text(item.get("description", "")),
            is_required=bool(item.get("required")),
            is_initial=bool(item.get("initial")),
        )
        for item in found
        if isinstance(item, Mapping)
    ]


def kind_of(item: Mapping[str, Any]) -> str:
    """The type of an input in words, from its schema or its default."""
    found = item.get("schema")
    schema: Mapping[str, Any] = found if isinstance(found, Mapping) else item
    kind = schema.get("type") or _json_type(item.get("default"))
    if kind in ("array", "list"):
        inner = schema.get("items")
        default = item.get("default")
        of = inner.get("type") if isinstance(inner, Mapping) else None
        if not of and isinstance(default, list) and default:
            of = _json_type(default[0])
        return _("list of %(kind)s") % {"kind": _kind_word(str(of))} if of else _("list")
    return _kind_word(str(kind or ""))


def _kind_word(kind: str) -> str:
    return {
        "string": _("text"),
        "number": _("number"),
        "integer": _("whole number"),
        "boolean": _("yes or no"),
        "object": _("object"),
        "array": _("list"),
        "text": _("text"),
        "list": _("list"),
    }.get(kind, _("any value"))


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = ((str, "string"), (int, "integer"), (float, "number"), (list, "array"), (dict, "object"))
    return next((name for kind, name in names if isinstance(value, kind)), "")


def as_text(value: Any) -> str:
    """A value of a document as one would write it: text as it is, the rest as JSON."""
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False)


def shorten(text: str, characters: int) -> str:
    """The text, cut with an ellipsis."""
    return text if len(text) <= characters else text[: characters - 1] + "…"


KEY = re.compile(r"\b(?:[0-9a-f]{32,64}|opl[na]1[a-z2-7]{32})\b")


def shortened(text: str) -> str:
    """Keys, digests and ids within a text cut to their first twelve characters, which tell them apart."""
    return KEY.sub(lambda found: f"{found[0][:12]}…", text)
