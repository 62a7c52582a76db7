"""
Objects in quarantine as pages show them: how they are called, what was found, what they change.

The text of an object is foreign and unjudged. It is shown as text only, never
rendered, never linked; names stand in ``<bdi>`` so that they cannot reorder
what surrounds them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from federation.models import Peer, QuarantineItem, QuarantineStep, Statement
from federation.protocol.quarantine import TRANSITIONS, Event, State
from opl.document.diff import diff, unified
from opl.errors import Problem, Severity
from registry.models import PatternVersion
from registry.services.reading import read
from registry.web import differences, problems

_GOOD = {str(State.ADMITTED), str(State.TRIAL_PASSED)}
_BAD = {str(State.REJECTED), str(State.TRIAL_FAILED), str(State.EXPIRED)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """One object in a list."""

    row: QuarantineItem
    name: str  # ada@north/echo
    state: str  # key of the pill
    state_words: str
    errors: int  # findings of each severity
    warnings: int
    notes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What an object changes against what is known here."""

    against: str  # name of the other text
    href: str  # its page; "" where it has none
    why: str  # why it is compared with this one
    lines: tuple[differences.Line, ...]
    changes: tuple[differences.ShownChange, ...]
    same_meaning: bool


def state_words(state: str) -> str:
    """A state in words."""
    words: Mapping[str, str] = {
        "received": _("received"),
        "signed_ok": _("signature holds"),
        "parsed": _("read"),
        "scanned": _("scanned"),
        "held": _("waits for you"),
        "trial_queued": _("on trial"),
        "trial_passed": _("passed its trial"),
        "trial_failed": _("failed its trial"),
        "inconclusive": _("trial undecided"),
        "admitted": _("admitted"),
        "rejected": _("rejected"),
        "expired": _("expired"),
    }
    return words.get(state, state)


def event_words(event: str) -> str:
    """What happened, in words."""
    words: Mapping[str, str] = {
        "signature_verified": _("The signature was verified"),
        "document_parsed": _("The document was read"),
        "scan_finished": _("The scan finished"),
        "trial_requested": _("A trial was asked for"),
        "trial_promoted": _("The trial passed"),
        "trial_refuted": _("The trial failed"),
        "trial_ended_open": _("The trial ended undecided"),
        "budget_exhausted": _("The day's budget was used up"),
        "held_back": _("It was held back"),
        "admitted_automatically": _("It was admitted"),
        "approved": _("It was approved"),
        "refused": _("It was refused"),
        "contradicted": _("Its author contradicted itself"),
        "time_ran_out": _("Time ran out"),
    }
    return words.get(event, event)


def places() -> dict[str, str]:
    """What people here call each known node: {node id: label}, fit to stand inside a longer name."""
    return {node: legible(label) for node, label in Peer.objects.exclude(label="").values_list("node_id", "label")}


def legible(text: str) -> str:
    """A text without controls and invisible characters, which could reorder or hide what follows it."""
    return "".join(each for each in text if unicodedata.category(each) not in ("Cc", "Cf", "Cs", "Co", "Cn"))


def foreign_name(statement: Statement, known: Mapping[str, str]) -> str:
    """``author@node/name``: equal names from different nodes never look alike."""
    handle, _slash, name = statement.subject_name.rpartition("/")
    origin = statement.via[0] if statement.via else ""
    place = known.get(origin) or origin[:13]
    return legible(f"{handle}@{place}/{name}" if place else statement.subject_name)


def rows_of(items: Sequence[QuarantineItem]) -> list[ItemRow]:
    """The rows of a list; one query for the names of the nodes."""
    known = places()
    return [_row(item, known) for item in items]


def _row(item: QuarantineItem, known: Mapping[str, str]) -> ItemRow:
    told = [str(each.get("severity")) for each in _findings(item)]
    return ItemRow(
        row=item,
        name=foreign_name(item.statement, known),
        state=f"object-{item.state}",
        state_words=state_words(item.state),
        errors=told.count("error"),
        warnings=told.count("warning"),
        notes=len(told) - told.count("error") - told.count("warning"),
    )


def _findings(item: QuarantineItem) -> list[dict[str, Any]]:
    return [each for each in item.findings if isinstance(each, dict)] if isinstance(item.findings, list) else []


def as_problems(findings: Any, text: str) -> list[problems.ShownProblem]:
    """Findings of a scan with the lines they stand on; a finding without a line comes first."""
    told = [each for each in findings if isinstance(each, dict)] if isinstance(findings, list | tuple) else []
    return problems.shown([_problem(each) for each in told], text)


def _problem(told: Mapping[str, Any]) -> Problem:
    severity = str(told.get("severity"))
    return Problem(
        code=str(told.get("code", "")),
        message=str(told.get("message", "")),
        severity=Severity(severity) if severity in set(Severity) else Severity.WARNING,
        line=_number(told.get("line")),
        column=_number(told.get("column")),
    )


def _number(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownStep:
    """One step of an object."""

    row: QuarantineStep
    words: str
    tone: str  # good, bad, now or ""


def steps_of(item: QuarantineItem) -> list[ShownStep]:
    """Every step, newest first."""
    steps = list(item.steps.select_related("actor").order_by("-pk")[:100])
    return [
        ShownStep(row=step, words=event_words(step.event), tone=_tone(step.after, is_last=number == 0))
        for number, step in enumerate(steps)
    ]


def _tone(state: str, *, is_last: bool) -> str:
    if state in _GOOD:
        return "good"
    return "bad" if state in _BAD else "now" if is_last else ""


def possible(item: QuarantineItem) -> dict[str, bool]:
    """What a person may do with it now."""
    ways = TRANSITIONS[item.current]
    return {
        "approve": Event.APPROVED in ways and not item.statement.is_held_back,
        "reject": Event.REFUSED in ways,
        "try": Event.TRIAL_REQUESTED in ways and not item.statement.is_held_back,
    }


def difference(item: QuarantineItem, predicate: Mapping[str, Any]) -> Difference | None:
    """
    The object beside what it descends from: a parent known here, else an earlier version of it.

    None where nothing of its descent is known.
    """
    for text, against, href, why in _relatives(item, predicate):
        return _compared(text, str(predicate.get("source", "")), against, href, why)
    return None


def _relatives(item: QuarantineItem, predicate: Mapping[str, Any]) -> Any:
    lineage = predicate.get("lineage")
    parents = lineage.get("parents") if isinstance(lineage, Mapping) else None
    digests = [str(each) for each in parents][:16] if isinstance(parents, list) else []
    versions = PatternVersion.objects.select_related("pattern__owner").exclude(pattern__owner__name="quarantine")
    if digests:
        found = versions.filter(digest__in=digests).order_by("-pk").first()
        if found is not None:
            yield found.text, str(found), found.get_absolute_url(), _("a parent, which stands here")
        released = Statement.objects.filter(kind="release", subject_digest__in=digests).order_by("-pk").first()
        if released is not None and not found:
            name = f"{released.subject_name}@{released.version}"
            yield str(released.predicate.get("source", "")), name, "", _("a parent, which this node knows")
    earlier = versions.filter(pattern__owner__authority=item.statement.signer, pattern__name=item.statement.name)
    before = earlier.exclude(digest=item.statement.subject_digest).in_order().first()
    if before is not None:
        yield before.text, str(before), before.get_absolute_url(), _("the newest version admitted before")


def _compared(old: str, new: str, against: str, href: str, why: str) -> Difference:
    one, other = read(old.encode()).document, read(new.encode()).document
    found = diff(one, other) if one is not None and other is not None else None
    return Difference(
        against=against,
        href=href,
        why=why,
        lines=tuple(differences.text_difference(found.lines if found is not None else unified(old, new))),
        changes=tuple(differences.meaning(found.changes)) if found is not None else (),
        same_meaning=found is not None and found.same_meaning,
    )
