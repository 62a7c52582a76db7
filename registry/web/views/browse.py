"""Finding patterns: home, the list with its facets, an owner's page, leaderboards."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext as _

from registry.discovery.filters import Query, parse
from registry.discovery.recommend import recommend as recommended
from registry.discovery.search import search
from registry.models import DailyRollup, Draft, Pattern, PatternTag, Profile, Source
from registry.services import finding
from registry.web.forms.context import ContextForm
from registry.web.marks import FEWEST_RUNS
from registry.web.pages import person, wants_fragment
from registry.web.proof import evidence_of_row
from registry.web.rows import SORTS, rows_of, sort_named

PAGE_SIZE = 20
FACETS = ("category", "mode", "tag", "owner")
SHOWN_VALUES = 12


def home(request: HttpRequest) -> HttpResponse:
    """Search first; then what does best, what emerges, what is new."""
    shelves = []
    for key, title in (("best", _("Does best, measured here")), ("emerging", _("Emerging")), ("new", _("New"))):
        found = search(query=Query(), user=request.user, sort=key, limit=5, with_facets=False)
        patterns = [row for row in found.patterns if _belongs(row, key)]
        if patterns:
            shelves.append({"key": key, "title": title, "rows": rows_of(patterns, sort_named(key))})
    total = Pattern.objects.published().visible_to(request.user).count()
    return render(request, "registry/home.html", {"shelves": shelves, "total": total})


def _belongs(pattern: Pattern, shelf: str) -> bool:
    """Whether a row has what its shelf promises; an empty hub shows no empty promises."""
    return {"best": pattern.ranked_runs >= FEWEST_RUNS, "emerging": pattern.is_emerging}.get(shelf, True)


def patterns(request: HttpRequest) -> HttpResponse:
    """The list: words, facets, chips, a sort that names its number."""
    text = request.GET.get("q", "")[:1000]
    typed = parse(text)
    chosen = tuple((key, value) for key in FACETS for value in request.GET.getlist(key)[:8])
    query = Query(
        words=typed.words,
        facets=(*typed.facets, *chosen),
        without=typed.without,
        comparisons=typed.comparisons,
    )
    sort = sort_named(request.GET.get("sort", ""))
    offset = _number(request.GET.get("offset", ""))
    found = search(query=query, user=request.user, sort=sort.key, offset=offset, limit=PAGE_SIZE)
    context = {
        "q": text,
        "rows": rows_of(found.patterns, sort),
        "found": found,
        "facets": _facets(request, found.facets, chosen),
        "chips": _chips(request, chosen),
        "sorts": SORTS,
        "sort": sort,
        "offset": offset,
        "first": offset + 1,
        "last": offset + len(found.patterns),
        "is_filtered": not query.is_empty,
    }
    template = "registry/patterns_results.html" if wants_fragment(request) else "registry/patterns.html"
    answer = render(request, template, context)
    answer["Vary"] = "HX-Request, Cookie"
    return answer


def _facets(request: HttpRequest, counts: Any, chosen: tuple[tuple[str, str], ...]) -> list[dict[str, Any]]:
    """The facets with links that add a value, or take it away where it is chosen."""
    labels = {"category": _("Category"), "mode": _("Runs as"), "tag": _("Tags"), "owner": _("Owner")}
    words = {"executable": _("a script"), "guided": _("guided by an agent")}
    shown = []
    for key in FACETS:
        values = [(value, count) for value, count in counts.get(key, ()) if value][:SHOWN_VALUES]
        missing = [(value, 0) for name, value in chosen if name == key and value not in dict(values)]
        if values or missing:
            shown.append(
                {
                    "key": key,
                    "label": labels[key],
                    "values": [
                        {
                            "label": words.get(value, value),
                            "count": count,
                            "href": _toggled(request.GET, key, value),
                            "is_on": (key, value) in chosen,
                        }
                        for value, count in [*missing, *values]
                    ],
                }
            )
    return shown


def _chips(request: HttpRequest, chosen: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"label": value, "key": key, "href": _toggled(request.GET, key, value)} for key, value in chosen]


def _toggled(query: QueryDict, key: str, value: str) -> str:
    """The address with one value of a facet added or taken away; always the first page."""
    changed = query.copy()
    changed.pop("offset", None)
    values = changed.getlist(key)
    changed.setlist(key, [one for one in values if one != value] if value in values else [*values, value])
    return f"?{changed.urlencode()}"


def owner_page(request: HttpRequest, name: str) -> HttpResponse:
    """Everything of one owner that this person may see; their drafts too, if it is their own."""
    owner = finding.owner(name)
    mine = Pattern.objects.visible_to(request.user).published().filter(owner=owner)
    tags = Prefetch("tag_rows", PatternTag.objects.order_by("tag"))
    rows = rows_of(mine.for_list().prefetch_related(tags).order_by("-updated_at")[:200])
    can_publish = owner.can_publish(request.user)
    profiles = Profile.objects.filter(owner=owner).newest_first()
    if not can_publish:
        profiles = profiles.filter(visibility=Pattern.Visibility.PUBLIC)
    drafts = Draft.objects.filter(owner=owner, user=person(request)) if can_publish else Draft.objects.none()
    context = {
        "owner": owner,
        "rows": rows,
        "profiles": profiles.defer("value")[:50],
        "drafts": drafts[:50],
        "members": owner.memberships.select_related("user") if owner.kind == owner.Kind.ORGANISATION else (),
        "can_publish": can_publish,
    }
    return render(request, "registry/owner.html", context)


def recommend(request: HttpRequest) -> HttpResponse:
    """What to take for a task: the best in its context, each with its reasons."""
    form = ContextForm(request.GET if "task" in request.GET or "model" in request.GET else None)
    found: list[dict[str, Any]] = []
    if form.is_bound and form.is_valid():
        items = recommended(context=form.context(), user=request.user, limit=8)
        found = [{"pattern": item.pattern, "evidence": evidence_of_row(item.pattern), "item": item} for item in items]
    return render(request, "registry/recommend.html", {"form": form, "found": found})


def leaderboards(request: HttpRequest) -> HttpResponse:
    """Who does best in which context: one table for each context with enough runs."""
    from registry.web.leaderboards import boards

    rollups = DailyRollup.objects.filter(source=Source.MEASURED, ranks=True)
    return render(request, "registry/leaderboards.html", {"boards": boards(rollups, request.user)})


def _number(text: str) -> int:
    """An offset from an address; 0 for what is none."""
    return min(int(text), 100_000) if text.isascii() and text.isdecimal() and len(text) < 8 else 0
