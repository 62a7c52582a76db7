"""What leaves this node: the preview of one version, everything that was decided, and who has it."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import Count, Max, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from federation.models import EgressEntry, Peer, SharedVersion, Statement, ThisNode
from federation.protocol.tiers import Tier
from federation.services import identities, sharing
from federation.services.showing import Viewer
from federation.web import quarantine_facts
from federation.web.origin_facts import may_preview
from federation.web.pages import for_staff, show, this_node
from registry.errors import NotThere
from registry.models import Owner, Pattern, PatternVersion, Via
from registry.web.pages import cursor_page, find_pattern, find_version, pattern_context

PAGE_SIZE = 50
PEERS_SHOWN = 100


def egress(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Exactly what leaves this node of one version, or why nothing does."""
    pattern = find_pattern(request, owner, name)
    if not may_preview(request.user, pattern):
        raise NotThere(f"pattern {owner}/{name}")
    version = find_version(request, pattern)
    identities.node()
    found = _told(version)
    context = {**pattern_context(request, pattern, version, "egress"), **found, "node": this_node()}
    answer = render(request, "federation/egress.html", context)
    answer["Cache-Control"] = "no-store"
    return answer


def _told(version: PatternVersion) -> dict[str, Any]:
    """Payload, findings and readers of a version that was announced, or would be."""
    shared = SharedVersion.objects.select_related("statement", "withdrawal").filter(pattern_version=version).first()
    admitted = Statement.objects.filter(item__admitted_as=version).first()
    statement = admitted or (shared.statement if shared is not None else None)
    if statement is not None:
        return _signed(version, statement, shared)
    reason = _stays(version) or (shared.reason if shared is not None else "")
    if reason:
        findings = shared.findings if shared is not None else ()
        return _kept(version, reason, findings)
    looked = sharing.preview(version, now=timezone.now())
    if not looked.leaves:
        return _kept(version, looked.reason, looked.findings)
    return {
        "leaves": True,
        "is_signed": False,
        **_payload(looked.predicate),
        "problems": quarantine_facts.as_problems(looked.findings, version.text),
        "readers": _readers(None),
        "audience": sharing.audience_of(version.pattern),
    }


def _stays(version: PatternVersion) -> str:
    """Why a version is not even looked at; "" where it is."""
    node = identities.node()
    if version.published_via == Via.LIBRARY:
        return _("the library ships with every node; fork it to share a version of your own")
    if version.pattern.owner.kind == Owner.Kind.REMOTE:
        return _("it is not this hub's own")
    if version.pattern.visibility == Pattern.Visibility.PRIVATE:
        return _("the pattern is private")
    if not node.must_share:
        return _("this node shares nothing of its own")
    if identities.self_signing().filter(owner=version.pattern.owner).exists():
        return _("its author signs with a key of their own, and has not signed this version yet")
    return ""


def _kept(version: PatternVersion, reason: str, findings: Any) -> dict[str, Any]:
    problems = quarantine_facts.as_problems(findings, version.text)
    return {"leaves": False, "reason": reason, "problems": problems, "readers": ()}


def _signed(version: PatternVersion, statement: Statement, shared: SharedVersion | None) -> dict[str, Any]:
    findings = shared.findings if shared is not None else ()
    return {
        "leaves": True,
        "is_signed": True,
        "is_foreign": shared is None,
        "statement": statement,
        "withdrawal": shared.withdrawal if shared is not None else None,
        "shared": shared,
        **_payload(statement.predicate),
        "problems": quarantine_facts.as_problems(findings, version.text),
        "readers": _readers(statement),
        "audience": statement.audience,
    }


def _payload(predicate: dict[str, Any]) -> dict[str, Any]:
    """The release as two readable parts: every member but the source, and the source."""
    rest = {key: value for key, value in predicate.items() if key != "source"}
    source = str(predicate.get("source", ""))
    return {
        "members": json.dumps(rest, ensure_ascii=False, indent=2),
        "source": source,
        "source_bytes": len(source.encode("utf-8")),
    }


def _readers(statement: Statement | None) -> list[dict[str, Any]]:
    """Who may have it, and who read that far already; all that could, before it is signed."""
    node = identities.node()
    peers = Peer.objects.trusted().order_by("-tier", "label")[:PEERS_SHOWN]
    return [found for peer in peers if (found := _reader(peer, node, statement)) is not None]


def _reader(peer: Peer, node: ThisNode, statement: Statement | None) -> dict[str, Any] | None:
    if statement is None:
        return {"peer": peer, "has_it": False}
    if not Viewer.of(peer, node).may_have(statement):
        return None
    return {"peer": peer, "has_it": statement.seq is not None and peer.acked_seq >= statement.seq}


@for_staff
def outgoing(request: HttpRequest) -> HttpResponse:
    """What was announced or kept back, what waits, and how much went to whom."""
    outcome = request.GET.get("outcome", "")
    rows = SharedVersion.objects.select_related("pattern_version__pattern__owner", "statement", "withdrawal").defer(
        "pattern_version__source", "pattern_version__program", "pattern_version__value", "statement__payload"
    )
    counts = dict(SharedVersion.objects.order_by().values_list("outcome").annotate(Count("pk")))
    if outcome in SharedVersion.Outcome.values:
        rows = rows.filter(outcome=outcome)
    before = request.GET.get("cursor", "")
    if before.isdecimal() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    shown, more = cursor_page(list(rows.order_by("-pk")[: PAGE_SIZE + 1]), PAGE_SIZE)
    sums = EgressEntry.objects.order_by().values("peer").annotate(
        count=Sum("count"), size=Sum("size_bytes"), last=Max("at")
    )  # fmt: skip
    peers = Peer.objects.in_bulk([row["peer"] for row in sums])
    context = {
        "rows": shown,
        "outcome": outcome,
        "signed": counts.get("signed", 0),
        "kept": counts.get("kept-back", 0),
        "waiting": sharing.candidates().count(),
        "sums": [{**row, "peer": peers[row["peer"]]} for row in sums if row["peer"] in peers],
        "least": int(Tier.PROBATION),
        "next_cursor": shown[-1].pk if more else "",
        "has_cursor": bool(before),
    }
    return show(request, "federation/outgoing.html", "outgoing", context)
