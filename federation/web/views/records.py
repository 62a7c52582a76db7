"""What is on record: withdrawn objects, refused lines, told statistics, signed envelopes, and why something is not here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import Count, Q, Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from federation.models import DeadLetter, Peer, PublishedPeriod, QuarantineItem, SharedVersion, Statement, UsageClaim
from federation.protocol import privacy
from federation.protocol.kinds import WITHDRAWALS
from federation.protocol.tiers import RULES, Tier
from federation.services import hastening
from federation.web import origin_facts, quarantine_facts
from federation.web.pages import for_staff, show, this_node
from registry.errors import NotThere
from registry.models import Pattern, PatternVersion
from registry.web.pages import cursor_page

PAGE_SIZE = 50
FOUND_AT_MOST = 20
HEX = re.compile(r"[0-9a-f]{8,64}")


# ---------------------------------------------------------------- withdrawn


def withdrawn(request: HttpRequest) -> HttpResponse:
    """Tombstones: what was withdrawn, by whom, why. Nothing in this list comes back."""
    rows = Statement.objects.filter(kind__in=WITHDRAWALS)
    if not request.user.is_staff:
        rows = rows.filter(is_advice=False, target__in=_public_targets())
    before = request.GET.get("cursor", "")
    if before.isdecimal() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    shown, more = cursor_page(list(rows.order_by("-pk")[: PAGE_SIZE + 1]), PAGE_SIZE)
    targets = Statement.objects.filter(statement_id__in=[row.target for row in shown]).defer("payload", "signatures")
    known, found = quarantine_facts.places(), {row.statement_id: row for row in targets}
    context = {
        "rows": [_tombstone(row, found.get(row.target), known) for row in shown],
        "next_cursor": shown[-1].pk if more else "",
        "has_cursor": bool(before),
    }
    return show(request, "federation/withdrawn.html", "withdrawn", context)


def _public_targets() -> Any:
    """Statements of patterns that everybody may see."""
    public = Pattern.Visibility.PUBLIC
    own = Q(shared__pattern_version__pattern__visibility=public)
    foreign = Q(item__admitted_as__pattern__visibility=public)
    return Statement.objects.filter(own | foreign).values("statement_id")


def _tombstone(row: Statement, target: Statement | None, known: dict[str, str]) -> dict[str, Any]:
    told = row.predicate
    return {
        "row": row,
        "name": quarantine_facts.foreign_name(target, known) if target is not None else "",
        "version": target.version if target is not None else "",
        "digest": target.subject_digest if target is not None else "",
        "reason": str(told.get("reason") or "").strip(),
        "successor": str(told.get("successor") or ""),
    }


# ---------------------------------------------------------------- dead letters


@for_staff
def dead_letters(request: HttpRequest) -> HttpResponse:
    """Lines that were refused, with code and reason; the feed went on without them."""
    code, peer = request.GET.get("code", ""), request.GET.get("peer", "")
    rows = DeadLetter.objects.select_related("peer").defer("raw")
    of_peer = rows.filter(peer__node_id=peer) if peer else rows
    counts = of_peer.order_by().values_list("code").annotate(n=Count("pk")).order_by("-n", "code")
    if code:
        of_peer = of_peer.filter(code=code[:32])
    before = request.GET.get("cursor", "")
    if before.isdecimal() and len(before) < 19:
        of_peer = of_peer.filter(pk__lt=int(before))
    shown, more = cursor_page(list(of_peer.order_by("-pk")[: PAGE_SIZE + 1]), PAGE_SIZE)
    context = {
        "rows": shown,
        "counts": list(counts),
        "code": code,
        "chosen_peer": Peer.objects.filter(node_id=peer).first() if peer else None,
        "retryable": DeadLetter.objects.filter(code__in=("unknown-key", "unknown-kind")).count(),
        "next_cursor": shown[-1].pk if more else "",
        "has_cursor": bool(before),
    }
    return show(request, "federation/dead_letters.html", "dead-letters", context)


@for_staff
@require_POST
def retry(request: HttpRequest) -> HttpResponse:
    """Look again at what a new key or an upgrade may have made readable."""
    tried, accepted = hastening.retry_dead_letters(now=timezone.now(), user=request.user)
    said = _("%(accepted)d of %(tried)d are accepted now; the others stay.") % {"accepted": accepted, "tried": tried}
    messages.info(request, said if tried else _("None of them can be accepted yet."))
    return redirect("federation:dead-letters")


# ---------------------------------------------------------------- statistics


def statistics(request: HttpRequest) -> HttpResponse:
    """What this node tells of its usage, the privacy it spent on it, and what peers tell."""
    node = this_node()
    periods = PublishedPeriod.objects.order_by("-period", "profile")
    claims = UsageClaim.objects.exclude(node=node.node_id if node else "").order_by().values("node")
    told = claims.annotate(claims=Count("pk"), runs=Sum("runs"), success=Sum("success")).order_by("-runs")[:200]
    peers = {peer.node_id: peer for peer in Peer.objects.filter(node_id__in=[row["node"] for row in told])}
    context = {
        "node": node,
        "periods": [{"row": row, "begins": origin_facts.period_begin(row.period)} for row in periods[:60]],
        "spent": periods.aggregate(sum=Sum("epsilon"))["sum"] or 0,
        "noisy_periods": periods.filter(epsilon__isnull=False).count(),
        "told": [row for each in told if (row := _told(each, peers, request.user)) is not None],
        "org_runs": privacy.ORG_LEAST_RUNS,
        "org_people": privacy.ORG_LEAST_PRINCIPALS,
        "public_runs": privacy.PUBLIC_MOST_RUNS,
        "public_least": privacy.PUBLIC_LEAST_NOISY_RUNS,
        "influence": privacy.INFLUENCE_LEAST,
    }
    return show(request, "federation/statistics.html", "statistics", context)


def _told(row: dict[str, Any], peers: dict[str, Peer], user: Any) -> dict[str, Any] | None:
    """One node's claims in sum; nodes that are not approved are for staff."""
    peer = peers.get(row["node"])
    if not user.is_staff and (peer is None or peer.tier < Tier.APPROVED):
        return None
    weight = RULES[peer.trust].statistics_weight if peer is not None else 0.0
    return {**row, "peer": peer, "weight": weight}


# ---------------------------------------------------------------- why


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Why one thing is, or is not, here."""

    pill: str  # key of the pill
    word: str
    name: str
    reason: str
    at: Any  # when that was decided
    href: str = ""  # where more of it stands
    code: str = ""  # of the protocol, where it has one


def why(request: HttpRequest) -> HttpResponse:
    """Why was X rejected: everything on record about a name, a version, a digest or a statement."""
    if not request.user.is_authenticated:
        raise NotThere("page")
    asked = request.GET.get("q", "").strip()[:200]
    answers = list(_answers(asked, request.user)) if asked else []
    context = {"asked": asked, "answers": answers}
    return show(request, "federation/why.html", "why", context)


def _answers(asked: str, user: Any) -> Iterator[Answer]:
    if user.is_staff:
        yield from _quarantined(asked)
        yield from _refused_lines(asked)
    yield from _own(asked, user)
    yield from _withdrawals(asked, user)


def _named(asked: str) -> tuple[str, str]:
    """The name and the version of ``[handle/]name[@version]``; ``ada@north/echo`` is ``ada/echo``."""
    head, slash, tail = asked.rpartition("/")
    name, _at, version = tail.partition("@")
    return f"{head.partition('@')[0]}/{name}" if slash else name, version


def _of_statement(asked: str, prefix: str = "") -> Q:
    """How a statement is asked for: by id or digest (or their beginning), else by its name."""
    if HEX.fullmatch(asked.lower()):
        return Q(**{f"{prefix}statement_id__startswith": asked.lower()}) | Q(
            **{f"{prefix}subject_digest__startswith": asked.lower()}
        )
    name, version = _named(asked)
    field = "subject_name" if "/" in name else "name"
    found = Q(**{f"{prefix}{field}": name})
    return found & Q(**{f"{prefix}version": version}) if version else found


def _quarantined(asked: str) -> Iterator[Answer]:
    items = QuarantineItem.objects.filter(_of_statement(asked, "statement__")).select_related("statement")
    known = quarantine_facts.places()
    for item in items.defer("statement__payload").order_by("-pk")[:FOUND_AT_MOST]:
        yield Answer(
            pill=f"object-{item.state}",
            word=quarantine_facts.state_words(item.state),
            name=f"{quarantine_facts.foreign_name(item.statement, known)}@{item.statement.version}",
            reason=item.reason,
            at=item.changed_at,
            href=reverse("federation:item", args=[item.pk]),
        )


def _refused_lines(asked: str) -> Iterator[Answer]:
    if not HEX.fullmatch(asked.lower()):
        return
    for letter in DeadLetter.objects.filter(key__startswith=asked.lower()).defer("raw")[:FOUND_AT_MOST]:
        yield Answer(
            pill="rejected",
            word=_("refused on arrival"),
            name=letter.key[:12],
            reason=letter.detail,
            at=letter.created_at,
            href=f"{reverse('federation:dead-letters')}?code={letter.code}",
            code=letter.code,
        )


def _own(asked: str, user: Any) -> Iterator[Answer]:
    """Versions of this hub that left or stayed, of patterns this person may publish."""
    if HEX.fullmatch(asked.lower()):
        wanted = Q(pattern_version__digest__startswith=asked.lower()) | Q(
            statement__statement_id__startswith=asked.lower()
        )
    else:
        name, version = _named(asked)
        owner, slash, bare = name.rpartition("/")
        wanted = Q(pattern_version__pattern__name=bare)
        wanted &= Q(pattern_version__pattern__owner__name=owner) if slash else Q()
        wanted &= Q(pattern_version__version=version) if version else Q()
    rows = SharedVersion.objects.filter(wanted).select_related("pattern_version__pattern__owner").order_by("-pk")
    for row in rows[:FOUND_AT_MOST]:
        pattern = row.pattern_version.pattern
        if not origin_facts.may_preview(user, pattern):
            continue
        leaves = row.outcome == SharedVersion.Outcome.SIGNED
        place = reverse("federation:egress", args=[pattern.owner.name, pattern.name])
        yield Answer(
            pill="leaves" if leaves else "stays",
            word=_("announced") if leaves else _("kept back"),
            name=str(row.pattern_version),
            reason=row.reason or _("it was signed and stands in this node's feed"),
            at=row.decided_at,
            href=f"{place}?version={row.pattern_version.version}",
        )


def _withdrawals(asked: str, user: Any) -> Iterator[Answer]:
    targets = Statement.objects.filter(_of_statement(asked), kind="release")
    if not user.is_staff:
        targets = targets.filter(statement_id__in=_public_targets())
    ids = list(targets.values_list("statement_id", flat=True)[:FOUND_AT_MOST])
    rows = Statement.objects.filter(kind__in=WITHDRAWALS, target__in=ids)
    rows = rows if user.is_staff else rows.filter(is_advice=False)
    known = quarantine_facts.places()
    found = {row.statement_id: row for row in Statement.objects.filter(statement_id__in=ids).defer("payload")}
    for row in rows.order_by("-pk")[:FOUND_AT_MOST]:
        target = found[row.target]
        yield Answer(
            pill="advice" if row.is_advice else "yanked",
            word=_("advised against") if row.is_advice else kind_words(row.kind),
            name=f"{quarantine_facts.foreign_name(target, known)}@{target.version}",
            reason=str(row.predicate.get("reason") or ""),
            at=row.received_at,
            href=reverse("federation:withdrawn"),
        )


def kind_words(kind: str) -> str:
    """A withdrawal in words."""
    return {"yank": _("yanked"), "revoke": _("revoked"), "erase": _("erased")}.get(kind, kind)


# ---------------------------------------------------------------- envelopes


def envelope(request: HttpRequest, statement_id: str) -> HttpResponse:
    """The signed statement behind a version, for whoever may see that version: DSSE JSON, byte for byte."""
    row = Statement.objects.filter(statement_id=statement_id).first()
    if row is None or row.erased_at is not None or not (request.user.is_staff or _is_visible(row, request.user)):
        raise NotThere("statement")
    answer = JsonResponse(row.to_json())
    answer["Content-Type"] = "application/vnd.dsse.envelope.v1+json"
    answer["Content-Disposition"] = f'attachment; filename="{row.kind}-{row.statement_id[:12]}.dsse.json"'
    return answer


def _is_visible(row: Statement, user: Any) -> bool:
    if row.is_held_back:
        return False
    versions = PatternVersion.objects.filter(Q(admitted_from__statement=row) | Q(shared__statement=row))
    return Pattern.objects.filter(pk__in=versions.values("pattern")).visible_to(user).exists()
