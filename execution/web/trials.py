"""Watching trials: lists, the live page and its parts, pair by pair, the report."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import render
from django.utils.translation import gettext_lazy

from execution import states
from execution.models import Trial, VerificationReport
from execution.models.trial import TrialMode, TrialQuerySet
from execution.services import observing, promoting, trial_facts
from execution.services.trial_facts import TrialPage
from execution.web import boards
from execution.web.trial_shown import pill_of, shown_pairs, shown_trial
from registry.errors import NotAllowed, NotThere
from registry.web.pages import cursor_page, find_pattern, find_version, pattern_context

PAGE_SIZE = 40
PAIRS_ON_PAGE, PAIRS_OF_PAGE = 12, 100
KEPT = 64  # trials whose facts stay in memory
STOP_POLLING = 286  # htmx asks no more after this status
MODES = {
    TrialMode.BATCH: gettext_lazy("on given inputs"),
    TrialMode.LIVE: gettext_lazy("beside real runs"),
    TrialMode.WATCH: gettext_lazy("watch after a promotion"),
    TrialMode.EXAM: gettext_lazy("examination of a judge"),
}


_walked: OrderedDict[tuple[Any, ...], TrialPage] = OrderedDict()


def find_trial(request: HttpRequest, trial_id: int, *, control: bool = False) -> Trial:
    """
    The trial with both versions.

    Raises:
        NotThere: none of that number that this person may see.
        NotAllowed: they may only watch it.
    """
    if trial_id >= 2**63:
        raise NotThere("trial")
    found = Trial.objects.visible_to(request.user).for_list().filter(pk=trial_id).first()
    if found is None:
        raise NotThere(f"trial {trial_id}")
    if control and not found.may_control(request.user):
        raise NotAllowed("only the person who started a trial may steer it")
    return found


def trials(request: HttpRequest) -> HttpResponse:
    """Trials that this person may see, newest first."""
    visible = Trial.objects.visible_to(request.user).for_list().shown()
    whose = request.GET.get("whose", "all")
    if whose == "mine" and request.user.is_authenticated:
        visible = visible.filter(started_by=request.user)
    return render(request, "execution/trials.html", {**_listed(request, visible), "whose": whose})


def trials_of_pattern(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The tab of a pattern."""
    pattern = find_pattern(request, owner, name)
    version = find_version(request, pattern)
    visible = Trial.objects.visible_to(request.user).for_list().shown().of_pattern(pattern)
    context = pattern_context(request, pattern, version, "verification")
    context["boards"] = boards.boards_of(pattern, request.user)
    return render(request, "execution/pattern_trials.html", {**context, **_listed(request, visible)})


def _listed(request: HttpRequest, found: TrialQuerySet) -> dict[str, Any]:
    status, before = request.GET.get("status", ""), request.GET.get("cursor", "")
    if status in states.TRIAL:
        found = found.filter(status=status)
    if before.isascii() and before.isdecimal() and len(before) < 19:
        found = found.filter(pk__lt=int(before))
    rows, more = cursor_page(found.order_by("-pk")[: PAGE_SIZE + 1], PAGE_SIZE)
    return {
        "rows": [{"trial": row, "pill": pill_of(row), "mode": MODES[TrialMode(row.mode)]} for row in rows],
        "status": status,
        "statuses": [str(one) for one in states.TrialStatus if one != states.TrialStatus.DRAFT],
        "next_cursor": rows[-1].pk if more else "",
        "has_cursor": bool(before),
    }


def trial(request: HttpRequest, trial_id: int) -> HttpResponse:
    """The page of a trial; it draws itself anew while the trial is on."""
    return render(request, "execution/trial.html", _context(request, find_trial(request, trial_id)))


def parts(request: HttpRequest, trial_id: int) -> HttpResponse:
    """
    The parts of the page that change, for htmx to put in their places.

    ``?seen=`` names the state that the page shows: while it is the present one
    the answer is 204, since walking over all pairs again would show the same.
    """
    found = find_trial(request, trial_id)
    if request.GET.get("seen") == _mark(found):
        return HttpResponse(status=204)
    status = STOP_POLLING if found.has_ended else 200
    answer = render(
        request, "execution/trial_parts.html", {**_context(request, found), "out_of_band": True}, status=status
    )
    answer["Cache-Control"] = "no-store"
    return answer


def _mark(found: Trial) -> str:
    """Changes with whatever the page shows."""
    # The examination of a judge moves nothing but the note.
    note = zlib.crc32(found.note.encode())
    return f"{found.revision}.{found.settled}.{found.enrolled}.{found.status}.{note:x}"


def facts_of(found: Trial) -> TrialPage:
    """
    The facts of a trial; the walk over its pairs is done once for each state of it.

    For 2,000 pairs it takes seconds, and many may watch. What changes without
    the trial (its channel, its watch) is looked up each time.
    """
    key = (found.pk, found.created_at, _mark(found))
    kept = _walked.pop(key, None) or trial_facts.trial_page(found)
    _walked[key] = kept
    while len(_walked) > KEPT:
        _walked.popitem(last=False)
    return replace(kept, trial=found, adoption_obstacle=promoting.obstacle(found), watch=trial_facts.watch_of(found))


def _context(request: HttpRequest, found: Trial) -> dict[str, Any]:
    facts = facts_of(found)
    pairs = _latest_pairs(found)
    can_adopt = not facts.adoption_obstacle and found.control.pattern.owner.can_publish(request.user)
    return {
        "trial": found,
        "facts": facts,
        "shown": shown_trial(facts),
        "pairs": shown_pairs(found, pairs, request.user),
        "may_control": found.may_control(request.user),
        "can_adopt": can_adopt,
        "obstacle": _obstacle(found, facts.adoption_obstacle),
        "mode": MODES[TrialMode(found.mode)],
        "mark": _mark(found),
        # A look at many pairs takes longer, and changes less.
        "poll_seconds": 2 + found.settled // 200,
        "waits": not found.has_ended and found.status == "running" and not observing.workers_alive(),
        "has_report": found.status == "decided" and bool(found.outcome),
    }


def _obstacle(found: Trial, obstacle: str) -> str:
    """Why a candidate that won cannot be adopted; of no interest while nothing is decided."""
    decided = found.status == "decided" and found.outcome in ("promote", "promote_scoped") and found.adopted_at is None
    return obstacle if decided else ""


def _latest_pairs(found: Trial) -> list[Any]:
    """The pairs around the one that counts next, the newest first."""
    near = trial_facts.pairs_for_list(found).filter(position__lte=found.settled + (0 if found.has_ended else 4))
    return list(near.order_by("-position")[:PAIRS_ON_PAGE])


def pairs(request: HttpRequest, trial_id: int) -> HttpResponse:
    """All pairs in the order in which they were enrolled, which is the order in which they count."""
    found = find_trial(request, trial_id)
    after = request.GET.get("cursor", "")
    rows = trial_facts.pairs_for_list(found)
    if after.isascii() and after.isdecimal() and len(after) < 10:
        rows = rows.filter(position__gt=int(after))
    shown, more = cursor_page(rows[: PAIRS_OF_PAGE + 1], PAIRS_OF_PAGE)
    context = {
        "trial": found,
        "pairs": shown_pairs(found, shown, request.user),
        "next_cursor": shown[-1].position if more else "",
        "has_cursor": bool(after),
    }
    return render(request, "execution/trial_pairs.html", context)


def report(request: HttpRequest, trial_id: int) -> HttpResponse:
    """The verification report, byte for byte as ``manage.py recheck`` takes it."""
    found = find_trial(request, trial_id)
    kept = VerificationReport.objects.filter(trial=found).first()
    if kept is None:
        raise NotThere(f"report of trial {trial_id}")
    etag = f'"{kept.digest}"'
    if request.headers.get("If-None-Match") == etag:
        return HttpResponseNotModified(headers={"ETag": etag})
    answer = HttpResponse(bytes(kept.data), content_type="application/json")
    answer["ETag"] = etag
    answer["Content-Disposition"] = f'attachment; filename="trial-{found.pk}-report.json"'
    return answer
