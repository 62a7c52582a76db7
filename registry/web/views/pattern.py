"""A pattern's pages: each tab is one address, and each shows the version that the address names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import parse_etags

from registry.discovery.recommend import similar
from registry.models import ChannelMove, Comment, Pattern, PatternVersion, Rating, Source
from registry.services import analytics
from registry.services import lineage as lineage_service
from registry.web import facts
from registry.web.charts.lineage import Edge, Node, lineage_graph
from registry.web.drawing import script_flow
from registry.web.forms.feedback import CommentForm, RatingForm
from registry.web.highlight import language_of
from registry.web.marks import Evidence
from registry.web.pages import find_pattern, find_version, pattern_context
from registry.web.problems import stored_problems
from registry.web.proof import evidence_of, line

MAX_DRAWN = 60


def overview(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """What the pattern is for, what it needs, what it can do, and how well it does."""
    pattern = find_pattern(request, owner, name)
    version = find_version(request, pattern)
    context = pattern_context(request, pattern, version, "overview")
    given = facts.inputs(version)
    source_page = reverse("registry:source", args=[owner, name])
    context |= {
        "when_to_use": facts.text_of(version, "when_to_use"),
        "when_not_to_use": facts.text_of(version, "when_not_to_use", "when_not"),
        "cost_seen": facts.cost_seen(version),
        "insights": facts.insights(version),
        "inputs": [one for one in given if not one.is_initial],
        "initial": [one for one in given if one.is_initial],
        "rules": facts.rules(version),
        "abilities": facts.abilities(version.events),
        "flow": script_flow(version, href=f"{source_page}{context['pinned']}"),
        "evidence": evidence_of(version if context["pinned"] else pattern),
        "pull_line": pull_line(version),
        "similar": similar(pattern=pattern, user=request.user, limit=4),
        "channels": list(pattern.channels.select_related("version").order_by("name")),
        "verification": facts.as_text(version.verification.get("description") or version.verification.get("method"))
        if isinstance(version.verification, dict)
        else "",
        "tags": pattern.tags,
    }
    return render(request, "registry/pattern/overview.html", context)


def pull_line(version: PatternVersion) -> str:
    """The line that fetches exactly this version from anywhere."""
    pattern = version.pattern
    address = f"{settings.PUBLIC_URL}/api/v1/patterns/{pattern.owner.name}/{pattern.name}"
    return f"curl -O {address}/versions/{version.version}/source"


def source(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The exact text with its flow diagram."""
    pattern = find_pattern(request, owner, name)
    version = find_version(request, pattern)
    context = pattern_context(request, pattern, version, "source")
    context |= {
        "language": language_of(version.envelope),
        "flow": script_flow(version),
        "problems": stored_problems(version),
        "abilities": facts.abilities(version.events),
    }
    return render(request, "registry/pattern/source.html", context)


def raw(request: HttpRequest, owner: str, name: str, version: str) -> HttpResponse:
    """The exact bytes of one version; they never change, so a browser keeps them."""
    pattern = find_pattern(request, owner, name)
    row = find_version(request, pattern, version)
    etag = f'"{row.digest}"'
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        return HttpResponseNotModified(headers={"ETag": etag})
    answer = HttpResponse(row.source_bytes, content_type="text/plain; charset=utf-8")
    suffix = "md" if row.envelope == "component" else "opl" if row.envelope == "script" else "yaml"
    answer["Content-Disposition"] = f'inline; filename="{pattern.name}-{row.version}.{suffix}"'
    answer["ETag"] = etag
    answer["Cache-Control"] = "private, no-cache" if pattern.visibility != "public" else "public, max-age=60"
    return answer


def versions(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """All versions with what happened to them, and where the channels point."""
    pattern = find_pattern(request, owner, name)
    version = find_version(request, pattern)
    rows = list(pattern.versions.light().in_order().select_related("published_by", "successor")[:200])
    for row in rows:
        row.pattern = pattern
    channels = list(pattern.channels.select_related("version").order_by("name"))
    rates = analytics.rates_by_version(pattern)
    moves = ChannelMove.objects.filter(channel__pattern=pattern)
    context = pattern_context(request, pattern, version, "versions")
    context |= {
        "versions": [
            {
                "row": row,
                "channels": [item for item in channels if item.version_id == row.pk],
                "evidence": _measured(rates.get(row.pk, {})),
            }
            for row in rows
        ],
        "channels": channels,
        "moves": moves.select_related("channel", "from_version", "to_version", "moved_by")[:30],
        "can_administer": pattern.owner.can_administer(request.user),
    }
    return render(request, "registry/pattern/versions.html", context)


def _measured(rates: Mapping[str, Any]) -> list[Evidence]:
    """How a version did here: measured, else simulated; nothing where it never ran."""
    found = [line(source, rates[source]) for source in (Source.MEASURED, Source.SIMULATED) if source in rates]
    return [evidence for evidence in found if evidence.runs][:1]


def version_page(request: HttpRequest, owner: str, name: str, version: str) -> HttpResponse:
    """One version's address: the overview of exactly that version."""
    pattern = find_pattern(request, owner, name)
    row = find_version(request, pattern, version)
    return redirect(f"{pattern.get_absolute_url()}?version={row.version}")


def lineage(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Where the text comes from and what came from it: a graph and the same as a table."""
    pattern = find_pattern(request, owner, name)
    version = find_version(request, pattern)
    found = lineage_service.graph(digest=version.digest, user=request.user, limit=MAX_DRAWN)
    nodes = [_lineage_node(node, version.digest) for node in found.nodes]
    edges = [
        Edge(parent=edge.parent_digest, child=edge.child_digest, kind=str(edge.get_op_display()))
        for edge in found.edges
    ]
    by_key = {node.key: node for node in nodes}
    context = pattern_context(request, pattern, version, "lineage")
    context |= {
        "graph": lineage_graph(nodes, edges, title=f"{pattern}@{version.version}") if edges else "",
        "edges": [
            {"edge": edge, "parent": by_key.get(edge.parent_digest), "child": by_key.get(edge.child_digest)}
            for edge in found.edges
        ],
        "truncated": found.truncated,
        "hidden": found.hidden,
        "forks": Pattern.objects.visible_to(request.user).for_list().filter(forked_from__pattern=pattern)[:50],
    }
    return render(request, "registry/pattern/lineage.html", context)


def _lineage_node(node: Any, focus: str) -> Node:
    """One node of the graph: the first version that has the text, or the name a document gives it."""
    first = node.versions[0] if node.versions else None
    if first is None:
        label = node.label or f"{node.digest[:12]}…"
        return Node(key=node.digest, title=label, note="", here=node.digest == focus)
    more = f" +{len(node.versions) - 1}" if len(node.versions) > 1 else ""
    return Node(
        key=node.digest,
        title=str(first.pattern) + more,
        note=f"{first.version} · {first.digest[:12]}",
        href=first.get_absolute_url(),
        here=node.digest == focus,
    )


def discussion(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Ratings and comments; what moderators hid is left out."""
    pattern = find_pattern(request, owner, name)
    version = find_version(request, pattern)
    ratings = Rating.objects.filter(pattern=pattern, is_hidden=False).select_related("user", "version")
    comments = Comment.objects.filter(pattern=pattern, is_hidden=False).select_related("user", "version")
    own = ratings.filter(user=request.user).first() if request.user.is_authenticated else None
    context = pattern_context(request, pattern, version, "discussion")
    context |= {
        "ratings": ratings[:100],
        "threads": _threads(list(comments[:300])),
        "own_rating": own,
        "rating_form": RatingForm(initial={"stars": own.stars, "words": own.words} if own else None),
        "comment_form": CommentForm(),
    }
    return render(request, "registry/pattern/discussion.html", context)


def _threads(comments: list[Comment]) -> list[dict[str, Any]]:
    """Comments with their replies, one level deep; a reply to a hidden comment stands by itself."""
    known = {comment.pk for comment in comments}
    replies: dict[int, list[Comment]] = {}
    tops = []
    for comment in comments:
        if comment.parent_id in known:
            replies.setdefault(comment.parent_id or 0, []).append(comment)
        else:
            tops.append(comment)
    return [{"comment": top, "replies": replies.get(top.pk, [])} for top in tops]


# What another part of the page says in words.
TOLD_ELSEWHERE = ("statement", "quarantine", "author", "origin", "signer", "via", "claims", "digest")


def _origin(told: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What was noted when the version came: name, value, and the whole value where that was cut."""
    rows = []
    for key, value in told.items():
        if key in TOLD_ELSEWHERE or value in ("", None, [], {}):
            continue
        whole = ", ".join(map(facts.as_text, value)) if isinstance(value, list) else facts.as_text(value)
        said = facts.shorten(facts.shortened(whole), 300)
        rows.append((key.replace("_", " "), said, whole if said != whole else ""))
    return rows


def provenance(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Who published it, how, from what; what is claimed beside what was measured."""
    pattern = find_pattern(request, owner, name)
    version = find_version(request, pattern)
    context = pattern_context(request, pattern, version, "provenance")
    context |= {
        "evidence": evidence_of(version),
        "claims": [(key, facts.as_text(value)) for key, value in (version.claims or {}).items()],
        "origin": _origin(version.provenance or {}),
        "document": version.document,
    }
    return render(request, "registry/pattern/provenance.html", context)
