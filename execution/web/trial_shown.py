"""What a trial's page says, in words and pictures: made from the facts of ``trial_facts``, no query of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from execution.models import Run, Trial, TrialPair
from execution.models.trial import TrialMode
from execution.services.trial_facts import MetricRow, TrialPage
from execution.shadow.contrast import RULES, Metric
from execution.shadow.detector import ALARM
from execution.shadow.figures import percent, signed
from execution.web.evidence_curve import NARROW, Stand, difference, evidence_curve, stands_of

CURVE_ROWS = 12  # of the table behind the picture

# Row of the verdict table → the pill that shows it: a known status for its colour and shape, and a word.
OUTCOMES: dict[str, tuple[str, Any]] = {
    "promote": ("better", gettext_lazy("better")),
    "promote_scoped": ("better", gettext_lazy("better in part")),
    "reject_harm": ("rejected", gettext_lazy("worse")),
    "reject_guard": ("rejected", gettext_lazy("breaks a limit")),
    "reject_futile": ("dismissed", gettext_lazy("no gain")),
    "inconclusive": ("open", gettext_lazy("undecided")),
    "invalid": ("failed", gettext_lazy("spoiled")),
    "needs_more": ("running", gettext_lazy("needs more")),
}
HEADLINES: dict[str, Any] = {
    "promote": gettext_lazy(
        "The new version may take over: it is better on balance and not worse anywhere that counts."
    ),
    "promote_scoped": gettext_lazy("The new version may take over, except for the groups of inputs that it harms."),
    "reject_harm": gettext_lazy("Keep the old version: the new one succeeds less often."),
    "reject_guard": gettext_lazy("Keep the old version: the new one breaks a limit."),
    "reject_futile": gettext_lazy("Keep the old version: an improvement worth having is ruled out."),
    "inconclusive": gettext_lazy("Undecided: the planned pairs are used up."),
    "invalid": gettext_lazy("No verdict: the trial was spoiled."),
}
METRICS: dict[str, Any] = {
    "success": gettext_lazy("success"),
    "quality": gettext_lazy("quality"),
    "preference": gettext_lazy("preference of the judge"),
    "cost": gettext_lazy("cost"),
    "tokens": gettext_lazy("tokens"),
    "latency": gettext_lazy("duration"),
}
# What less and more of an amount is called.
AMOUNTS: dict[str, tuple[Any, Any]] = {
    "cost": (gettext_lazy("%(n)d %% cheaper"), gettext_lazy("%(n)d %% dearer")),
    "tokens": (gettext_lazy("%(n)d %% fewer tokens"), gettext_lazy("%(n)d %% more tokens")),
    "latency": (gettext_lazy("%(n)d %% faster"), gettext_lazy("%(n)d %% slower")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMetric:
    """One row of the table of metrics."""

    name: str
    words: str  # the difference as a person says it
    low: str  # ends of the confidence sequence, the candidate's worst first
    high: str
    limit: str  # how much worse it may be
    guard: str  # whether that binds
    is_broken: bool
    primary: bool
    pairs: int
    picture: SafeString


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownJudge:
    """Who is asked which answer is better, and whether they may be."""

    criteria: str
    says: str  # how the examination stands or went, in a sentence
    percent: int  # of the pairs it needs
    is_over: bool
    qualified: bool
    examined_in: int | None  # the trial that is the examination


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTrial:
    """Everything on a trial's page that is not the trial's own column."""

    facts: TrialPage
    pill: tuple[str, Any]
    headline: str
    detail: str  # the service's sentence, with the numbers
    percent: int  # of the pairs at most needed
    curve: SafeString
    narrow_curve: SafeString  # the same for a telephone
    stands: list[Stand]
    curve_rows: list[dict[str, Any]]
    metrics: list[ShownMetric]
    plan: list[tuple[str, str]]
    watch_share: float | None  # of the way to the alarm, in percent
    judge: ShownJudge | None


def shown_trial(facts: TrialPage) -> ShownTrial:
    """The page's parts."""
    trial = facts.trial
    return ShownTrial(
        facts=facts,
        pill=pill_of(trial),
        headline=headline_of(facts),
        detail=facts.sentence,
        percent=round(100 * facts.progress),
        curve=evidence_curve(facts.curve, facts.thresholds, title=_("Evidence after each pair")),
        narrow_curve=evidence_curve(facts.curve, facts.thresholds, title=_("Evidence after each pair"), frame=NARROW),
        stands=stands_of(facts.curve, facts.thresholds),
        curve_rows=_rows(facts.curve),
        metrics=[_metric(row, facts.broken) for row in facts.metrics],
        plan=plan_words(trial),
        watch_share=_watch_share(facts),
        judge=_judge(facts),
    )


def pill_of(trial: Trial) -> tuple[str, Any]:
    """The verdict where there is one, else the status."""
    if trial.status == "decided" and trial.outcome in OUTCOMES:
        return OUTCOMES[trial.outcome]
    return str(trial.status), None


# ---------------------------------------------------------------- words


def headline_of(facts: TrialPage) -> str:
    """How the trial stands, in one sentence."""
    trial = facts.trial
    if trial.mode == TrialMode.WATCH:
        return _watch_words(facts)
    if trial.mode == TrialMode.EXAM:
        return _("The old version meets itself, and the judge is asked which answer is better.")
    if trial.status == "decided":
        if trial.is_same_version and trial.outcome == "inconclusive":
            return _("Equal versions: this is your noise floor, and nothing is adopted.")
        said = str(HEADLINES.get(trial.outcome, facts.sentence))
        return _("In the simulation, %(said)s") % {"said": said[:1].lower() + said[1:]} if facts.simulated else said
    if trial.status == "cancelled":
        return _("Ended without a verdict.")
    if not trial.settled and facts.judge is not None and facts.judge["qualified"] is None:
        return _("Its judge is being examined; the pairs that count come after that.")
    if not trial.settled:
        return _("No pair counts yet: the first ones are under way.")
    found = {row.metric: row for row in facts.metrics if row.pairs}
    parts = [_success_words(found.get("success"), facts), *_amount_words(found)]
    return _("%(found)s so far; %(more)s.") % {"found": _listed(parts), "more": _more_words(facts)}


def _success_words(row: MetricRow | None, facts: TrialPage) -> str:
    proven = {one.key for one in stands_of(facts.curve, facts.thresholds) if one.crossed_at}
    if row is None:
        return _("Nothing measured")
    if row.low > 0:
        return _("Better than the old one by %(points)s of success") % {"points": _points(row.mean)}
    if row.high < 0 or "harm" in proven:
        return _("Worse than the old one by %(points)s of success") % {"points": _points(-row.mean)}
    if "noninferior" in proven:
        return _("As good as the old one")
    if abs(row.mean) < 0.005:
        return _("No difference in success, though not yet shown to be as good")
    if row.mean > 0:
        return _("%(points)s better on success, which may still be chance") % {"points": _points(row.mean)}
    return _("%(points)s worse on success, which may still be chance") % {"points": _points(-row.mean)}


def _points(mean: float) -> str:
    whole = round(abs(mean) * 100)
    return ngettext("%(n)d point", "%(n)d points", whole) % {"n": whole}


def _amount_words(found: dict[str, MetricRow]) -> Iterable[str]:
    """Cost, or else duration: the one that a person asks for next."""
    for name in ("cost", "latency"):
        if name in found and abs(ratio_of(found[name].mean) - 1.0) >= 0.005:
            yield amount_words(name, found[name].mean)
            return


def _more_words(facts: TrialPage) -> str:
    if facts.trial.is_same_version:
        return _("both arms are the same version, so this shows the noise")
    if facts.pairs_needed is None:
        return _("as it looks, more pairs would not lead to its adoption")
    if facts.pairs_needed < 1:
        return _("the next pairs decide")
    return ngettext("about %(n)d more pair to be sure", "about %(n)d more pairs to be sure", facts.pairs_needed) % {
        "n": facts.pairs_needed
    }


def _listed(parts: Sequence[str]) -> str:
    # A part that has a comma of its own is set apart by another.
    return (_(", and ") if "," in parts[0] else _(" and ")).join(parts)


def _watch_words(facts: TrialPage) -> str:
    watch = facts.watch
    if watch is None:
        return _("It watches a promoted version.")
    if watch.state == "rolled_back":
        return _("Alarm: the promoted version had become worse, and the old one is back.")
    if watch.state == "ended":
        return _("The watch is over.")
    pairs = ngettext("%(n)d pair", "%(n)d pairs", watch.pairs) % {"n": watch.pairs}
    return _("Watching the promoted version: %(pairs)s, no alarm.") % {"pairs": pairs}


def _watch_share(facts: TrialPage) -> float | None:
    if facts.watch is None:
        return None
    stand = facts.watch.log_statistic
    return 0.0 if stand is None else round(100 * min(max(stand / math.log(ALARM), 0.0), 1.0), 1)


def _judge(facts: TrialPage) -> ShownJudge | None:
    """The judge, from what the service tells."""
    told = facts.judge
    if told is None:
        return None
    found = told["examination"] or {}
    if told["qualified"] is None:
        says = _("It is being examined on the old version against itself: %(asked)d of %(needed)d pairs so far.") % told
    elif told["qualified"]:
        says = _("It may serve: it agreed with itself in %(share)d %% of %(pairs)d pairs, whichever answer came first.")
        says %= {"share": round(100 * found.get("consistency", 0.0)), "pairs": found.get("pairs", 0)}
    else:
        says = _("It may not serve: %(reason)s.") % {"reason": told["reason"]}
    return ShownJudge(
        criteria=told["criteria"],
        says=says,
        percent=min(100, round(100 * told["asked"] / max(told["needed"], 1))),
        is_over=told["qualified"] is not None,
        qualified=bool(told["qualified"]),
        examined_in=told["examined_in"],
    )


# ---------------------------------------------------------------- metrics


def ratio_of(contrast: float) -> float:
    """How much the candidate takes where the control takes 1, from a contrast of amounts."""
    held = min(max(contrast, -0.999), 0.999)
    return (1.0 - held) / (1.0 + held)


def amount_words(name: str, contrast: float) -> str:
    """``24 % cheaper``."""
    ratio = ratio_of(contrast)
    whole = round(abs(1.0 - ratio) * 100)
    if not whole:
        return _("the same")
    less, more = AMOUNTS[name]
    return str(less if ratio < 1.0 else more) % {"n": whole}


def _metric(row: MetricRow, broken: Sequence[str]) -> ShownMetric:
    name = str(METRICS.get(row.metric, row.metric))
    return ShownMetric(
        name=name,
        words=_difference(row, row.mean) if row.pairs else "–",
        low=_difference(row, row.low) if row.pairs else "–",
        high=_difference(row, row.high) if row.pairs else "–",
        limit=_limit(row),
        guard={"hard": _("binding"), "soft": _("shown only")}.get(row.guard, ""),
        is_broken=row.metric in broken,
        primary=row.primary,
        pairs=row.pairs,
        picture=difference(
            mean=row.mean,
            low=row.low,
            high=row.high,
            bound=RULES[Metric(row.metric)].clip,
            title=_("Difference in %(metric)s") % {"metric": name},
        ),
    )


def _difference(row: MetricRow, contrast: float) -> str:
    if row.relative:
        return amount_words(row.metric, contrast)
    if row.metric == "success":
        return _("%(n)s points") % {"n": signed(contrast * 100, 1)}
    return signed(contrast, 3)


def _limit(row: MetricRow) -> str:
    if row.metric == "success":
        return _("at most %(n)g points worse") % {"n": round(row.margin * 100, 2)}
    if not row.guard:
        return "–"
    if row.relative:
        return _("at most %(n)g %% more") % {"n": round(row.margin * 100, 2)}
    return _("at most %(n)g worse") % {"n": row.margin}


def _rows(curve: Sequence[dict[str, float]]) -> list[dict[str, Any]]:
    """Some points of the curve as E, the last one among them."""
    step = math.ceil(len(curve) / CURVE_ROWS) or 1
    chosen = [*curve[::-1][::step]][::-1]
    return [{"n": int(point["n"]), "stands": stands_of([point], {})} for point in chosen]


def plan_words(trial: Trial) -> list[tuple[str, str]]:
    """What was fixed before the first pair."""
    plan = trial.plan
    told = [
        (_("profile"), trial.profile if plan["profile"] != "custom" else f"{trial.profile}, {_('adapted')}"),
        (_("chance of adopting wrongly"), _("at most %(n)g %%") % {"n": round(100 * plan["alpha"], 3)}),
        (_("chance of missing a gain"), _("at most %(n)g %%") % {"n": round(100 * plan["beta"], 3)}),
        (_("when it may end"), _looks_words(plan)),
        (_("pairs"), _("%(low)d to %(high)d") % {"low": plan["n_min"], "high": plan["n_max"]}),
        (_("agents"), f"{trial.backend}, {_('recorded answers first')}" if trial.recorded else trial.backend),
        (_("runs of each arm on one input"), str(trial.repeats)),
        (_("counts as success"), trial.success_when or _("a run that ends without a failure")),
    ]
    if trial.score:
        told.append((_("quality is"), trial.score))
    if trial.share:
        told.append((_("share of real runs"), percent(trial.share)))
    told.append((_("order of the arms, committed"), trial.seed_commitment))
    if trial.inputs_commitment:
        told.append((_("inputs, committed"), trial.inputs_commitment))
    return told


def _looks_words(plan: Mapping[str, Any]) -> str:
    if plan.get("mode") != "scheduled":
        return _("as soon as the evidence is enough")
    looks = ", ".join(str(look) for look in plan.get("looks", ()))
    return _("at planned looks only, after %(looks)s pairs") % {"looks": looks}


# ---------------------------------------------------------------- pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownArm:
    """One arm of a pair."""

    runs: list[tuple[int, bool]]  # run and whether this person may open it
    is_success: bool | None  # None while it has not ended
    cost: float | None  # US dollars
    seconds: float | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPair:
    """One row of the list of pairs."""

    pair: TrialPair
    control: ShownArm
    candidate: ShownArm
    word: str  # who did better on success, or where the pair stands
    tone: str  # a known status, for the pill
    preferred: str  # what the judge preferred in both orders, "" where none was asked
    counts: str  # yes, later (when all before it do), or no


def shown_pairs(trial: Trial, pairs: Sequence[TrialPair], user: Any) -> list[ShownPair]:
    """The rows of a page of pairs; one query finds the runs that ``user`` may open."""
    runs = [one.run_id for pair in pairs for one in pair.arm_runs.all()]
    may_open = set(Run.objects.visible_to(user).filter(pk__in=runs).values_list("pk", flat=True)) if runs else set()
    return [_pair(trial, pair, may_open) for pair in pairs]


def _pair(trial: Trial, pair: TrialPair, may_open: set[int]) -> ShownPair:
    tone, word = _pair_words(pair)
    return ShownPair(
        pair=pair,
        control=_arm(pair, "control", may_open),
        candidate=_arm(pair, "candidate", may_open),
        word=word,
        tone=tone,
        preferred=_preferred(pair),
        counts=_counts(trial, pair),
    )


def _preferred(pair: TrialPair) -> str:
    value = pair.contrasts.get("preference")
    if value is None:
        return ""
    return _("the new one") if value > 0 else _("the old one") if value < 0 else _("neither")


def _counts(trial: Trial, pair: TrialPair) -> str:
    if pair.missing or pair.status != "settled":
        return "no"
    if pair.position <= trial.settled:
        return "yes"
    return "no" if trial.has_ended else "later"


def _pair_words(pair: TrialPair) -> tuple[str, str]:
    if pair.missing:
        return "failed", _("missing")
    if pair.status != "settled":
        return {
            "enrolled": ("queued", _("waits")),
            "running": ("running", _("under way")),
            "dropped": ("cancelled", _("not needed")),
        }[pair.status]
    value = float(pair.contrasts.get("success", 0.0))
    if value > 0:
        return "better", _("new one better")
    return ("rejected", _("old one better")) if value < 0 else ("dismissed", _("equal"))


def _arm(pair: TrialPair, arm: str, may_open: set[int]) -> ShownArm:
    told = getattr(pair, arm) or {}
    success = told.get("success")
    return ShownArm(
        runs=[(one.run_id, one.run_id in may_open) for one in pair.arm_runs.all() if one.arm == arm],
        is_success=None if success is None else float(success) >= 0.5,
        cost=told.get("cost"),
        seconds=told.get("seconds"),
        error="" if str(told.get("error") or "").startswith("success_when") else str(told.get("error") or ""),
    )
