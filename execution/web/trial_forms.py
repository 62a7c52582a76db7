"""The form that starts a trial: two versions, inputs, how sure to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from execution.agents import roster
from execution.errors import TrialRefused
from execution.models.trial import TrialMode
from execution.services import judging, trial_inputs, trial_plans, verifying
from execution.services.preferring import Judge
from execution.services.trial_inputs import GivenInput
from execution.services.verifying import Budget
from execution.shadow.errors import PlanInvalid
from execution.shadow.plan import PROFILES, Mode, TrialPlan
from execution.web.trial_arms import Arms
from registry.errors import NotThere
from registry.models import PatternVersion
from registry.services import finding

MOST_RECORDED = 400
DEFAULTS, RECORDED, LINES, FILE, LIVE = "defaults", "recorded", "lines", "file", "live"
EVERYONE, MYSELF = "everyone", "myself"
# Names that the service uses for what went wrong, as this form's fields.
FIELDS = {"mode": "source"}
CAPS = {"cap_tokens": "tokens", "cap_cost": "cost_usd", "cap_seconds": "seconds"}


class TrialForm(forms.Form):
    """The few things that differ from trial to trial; all others have defaults that fit most."""

    candidate = forms.ChoiceField(
        label=gettext_lazy("New version"), help_text=gettext_lazy("The one that wants in: the candidate.")
    )
    control = forms.ChoiceField(
        label=gettext_lazy("Against"), help_text=gettext_lazy("The one it would replace: the control.")
    )
    other = forms.CharField(
        label=gettext_lazy("Another new version"),
        required=False,
        max_length=300,
        help_text=gettext_lazy("owner/name@version, say a fork. It takes the place of the choice above."),
    )
    other_control = forms.CharField(
        label=gettext_lazy("Against another"),
        required=False,
        max_length=300,
        help_text=gettext_lazy("owner/name@version. It takes the place of the choice above."),
    )
    source = forms.ChoiceField(label=gettext_lazy("Inputs"), widget=forms.RadioSelect)
    lines = forms.CharField(
        label=gettext_lazy("Inputs, one JSON object on each line"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "class": "code-input", "spellcheck": "false"}),
    )
    file = forms.FileField(
        label=gettext_lazy("File"),
        required=False,
        help_text=gettext_lazy("One JSON object on each line, a JSON array, or a YAML list."),
    )
    share = forms.FloatField(
        label=gettext_lazy("Percent of real runs that also run the new version"),
        required=False,
        min_value=0.1,
        max_value=100,
        initial=10,
    )
    daily_cost = forms.FloatField(
        label=gettext_lazy("US dollars a day, at most"),
        required=False,
        min_value=0,
        max_value=1e9,
        initial=verifying.LIVE_BUDGET.daily_cost_usd,
    )
    daily_tokens = forms.IntegerField(
        label=gettext_lazy("Tokens a day, at most"),
        required=False,
        min_value=0,
        max_value=2**53,
        initial=verifying.LIVE_BUDGET.daily_tokens,
    )
    profile = forms.ChoiceField(label=gettext_lazy("How sure to be"), widget=forms.RadioSelect)
    backend = forms.ChoiceField(label=gettext_lazy("Agents of both"))
    cost = forms.FloatField(
        label=gettext_lazy("US dollars for the whole trial, at most"),
        required=False,
        min_value=0,
        max_value=1e9,
        help_text=gettext_lazy(
            "Empty: no limit beside those of each run. A trial that reaches it ends without a verdict."
        ),
    )
    looks = forms.ChoiceField(label=gettext_lazy("When it may end"), widget=forms.RadioSelect, required=False)
    visibility = forms.ChoiceField(label=gettext_lazy("Who sees it"), required=False)
    at_once = forms.IntegerField(
        label=gettext_lazy("Pairs at the same time"),
        required=False,
        initial=8,
        min_value=1,
        max_value=verifying.MOST_AT_ONCE,
        help_text=gettext_lazy(
            "More is faster and loads your agents more. It changes no result: pairs count in order."
        ),
    )
    cap_tokens = forms.IntegerField(
        label=gettext_lazy("Tokens"),
        required=False,
        min_value=1,
        max_value=2**53,
        initial=int(verifying.DEFAULT_CAPS["tokens"]),
    )
    cap_cost = forms.FloatField(
        label=gettext_lazy("US dollars"),
        required=False,
        min_value=0,
        max_value=1e6,
        initial=verifying.DEFAULT_CAPS["cost_usd"],
    )
    cap_seconds = forms.IntegerField(
        label=gettext_lazy("Seconds"),
        required=False,
        min_value=1,
        max_value=31_536_000,
        initial=int(verifying.DEFAULT_CAPS["seconds"]),
    )
    repeats = forms.IntegerField(
        label=gettext_lazy("Runs of each on one input"),
        required=False,
        initial=1,
        min_value=1,
        max_value=verifying.MOST_REPEATS,
        help_text=gettext_lazy("Their mean counts as one observation; costs as many times as much."),
    )
    success_when = forms.CharField(
        label=gettext_lazy("A run is a success when"),
        required=False,
        max_length=2000,
        help_text=gettext_lazy("An expression over the result. Empty: the control's own condition."),
    )
    score = forms.CharField(
        label=gettext_lazy("Quality, 0 to 1"),
        required=False,
        max_length=2000,
        help_text=gettext_lazy("An expression over the result. Empty: the control's own score, where it has one."),
    )

    judge = forms.CharField(
        label=gettext_lazy("Ask a judge which answer is better"),
        required=False,
        max_length=trial_plans.MOST_CRITERIA,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy(
            "By what, in words: “more helpful, and says nothing false”. It is examined first. Empty: nobody is asked."
        ),
    )

    def __init__(self, *args: Any, user: Any, arms: Arms, earlier: int, may_shadow: bool, **kwargs: Any) -> None:
        """
        Args:
            arms: the versions to choose from.
            earlier: runs of the control's pattern whose inputs could be used again.
            may_shadow: whether this person answers for that pattern.
        """
        super().__init__(*args, **kwargs)
        self.user, self.arms = user, arms
        listed = [one for one in roster.listed() if one.alias != roster.WATCHABLE]  # a trial is not for watching
        agents = [(one.alias, one.title) for one in listed]
        if earlier:
            agents.append((verifying.RECORDED, _("Answers of the earlier runs, where the same was asked")))
        choices = {
            "candidate": arms.choices(),
            "control": arms.choices(),
            "source": _sources(earlier, may_shadow),
            "profile": [(name, profile_words(name)) for name in PROFILES],
            "backend": agents,
            "looks": _looks(),
            "visibility": _visibilities(),
        }
        for name, offered in choices.items():
            self.fields[name].choices = offered  # type: ignore[attr-defined]
        self.fields["backend"].initial = roster.default_backend()
        self.fields["looks"].initial = Mode.ALWAYS.value
        self.simulated = {one.alias for one in listed if one.capabilities.simulated}

    def clean(self) -> dict[str, Any]:
        """The versions and the inputs themselves."""
        data = super().clean() or {}
        self._find_arms(data)
        given: list[GivenInput] = []
        try:
            given = self._inputs(data)
        except TrialRefused as error:
            self.blame(error)
        data["inputs"] = given
        return data

    def _find_arms(self, data: dict[str, Any]) -> None:
        for arm, other in (("control", "other_control"), ("candidate", "other")):
            data[f"{arm}_version"] = self.arms.find(data.get(arm) or "")
            if not data.get(other):
                continue
            try:
                data[f"{arm}_version"] = finding.version(data[other], self.user)
            except NotThere:
                self.add_error(other, _("There is no such version that you may see."))

    def _inputs(self, data: dict[str, Any]) -> list[GivenInput]:
        source, control = data.get("source"), data.get("control_version")
        if source == LINES:
            return trial_inputs.read_inputs(data.get("lines", "").encode("utf-8", "replace"))
        if source == FILE:
            if not data.get("file"):
                self.add_error("file", _("Choose a file."))
                return []
            if data["file"].size > trial_inputs.MOST_BYTES:
                raise TrialRefused("inputs", _("the file is too large; give fewer inputs"))
            return trial_inputs.read_inputs(data["file"].read())
        if source == RECORDED and control is not None:
            return trial_inputs.recorded(version=control, user=self.user, limit=MOST_RECORDED)
        if source == DEFAULTS and data.get("backend") not in (*self.simulated, None):
            # The same input again is the same observation: one pair would be all there is.
            self.add_error(
                "source",
                _("With these agents the defaults give a single pair. Give different inputs, or simulate the agents."),
            )
        return []

    def options(self) -> dict[str, Any]:
        """What ``start_trial`` takes; raises TrialRefused for a plan that no trial can run with."""
        data = self.cleaned_data
        return {
            "control": data["control_version"],
            "candidate": data["candidate_version"],
            "mode": TrialMode.LIVE.value if data["source"] == LIVE else TrialMode.BATCH.value,
            "inputs": data["inputs"],
            "profile": data["profile"],
            "plan": self._plan(),
            "backend": data["backend"],
            "caps": {cap: data[name] for name, cap in CAPS.items() if data[name] is not None},
            "at_once": data["at_once"] or 8,
            "share": (10 if data["share"] is None else data["share"]) / 100,
            "repeats": data["repeats"] or 1,
            "budget": self._budget(),
            "success_when": data["success_when"],
            "score": data["score"],
            "judge": Judge(criteria=data["judge"]) if data["judge"].strip() else None,
            "is_public": {EVERYONE: True, MYSELF: False}.get(data["visibility"]),
        }

    def _plan(self) -> TrialPlan | None:
        """The profile's plan with looks at fixed numbers of pairs; None for the usual one."""
        data = self.cleaned_data
        if data["looks"] != Mode.SCHEDULED:
            return None
        control: PatternVersion = data["control_version"]
        scored = bool(data["score"] or judging.own_criterion(control.pk)[1])
        judged = bool(data["judge"].strip() or trial_plans.wishes_of(control).judge)
        strata = tuple(dict.fromkeys(one.stratum for one in data["inputs"] if one.stratum))
        try:
            plan = trial_plans.plan_for(
                # Where no expression tells the quality, the judge's scores do.
                control=control,
                profile=data["profile"],
                scored=scored or judged,
                strata=strata,
                judged=judged,
            )
            return replace(plan, mode=Mode.SCHEDULED, looks=())
        except PlanInvalid as error:
            raise TrialRefused("profile", str(error)) from None

    def _budget(self) -> Budget | None:
        data = self.cleaned_data
        if data["source"] != LIVE:
            return Budget(cost_usd=data["cost"]) if data["cost"] is not None else None
        usual = verifying.LIVE_BUDGET
        # A live trial spends without anybody looking: an empty field is the usual limit, not none.
        return Budget(
            cost_usd=data["cost"],
            daily_tokens=usual.daily_tokens if data["daily_tokens"] is None else data["daily_tokens"],
            daily_cost_usd=usual.daily_cost_usd if data["daily_cost"] is None else data["daily_cost"],
        )

    def blame(self, error: TrialRefused) -> None:
        """Show what a service refused at the field that it is about."""
        name: str | None = FIELDS.get(error.field, error.field)
        if name == "inputs":
            name = {LINES: "lines", FILE: "file"}.get(self.data.get("source", ""), "source")
        text = error.message[:1].upper() + error.message[1:]
        self.add_error(name if name in self.fields else None, text if text.endswith(".") else f"{text}.")


def _sources(earlier: int, may_shadow: bool) -> list[tuple[str, str]]:
    """Where inputs may come from, the best evidence first."""
    found = []
    if earlier:
        words = ngettext(
            "Those of the one earlier run",
            "Those of %(n)d earlier runs, each different one once",
            earlier,
        )
        found.append((RECORDED, words % {"n": earlier}))
    found += [
        (DEFAULTS, _("The pattern's own defaults, drawn again for every pair (simulated agents only)")),
        (LINES, _("Typed or pasted here")),
        (FILE, _("From a file")),
    ]
    if may_shadow:
        found.append((LIVE, _("Real runs from now on: a share of them also runs the new version, unseen")))
    return found


def _looks() -> list[tuple[str, str]]:
    return [
        (Mode.ALWAYS.value, _("As soon as the evidence is enough, whenever anybody looks")),
        (Mode.SCHEDULED.value, _("Only at five planned looks; for those who know how many pairs they will have")),
    ]


def _visibilities() -> list[tuple[str, str]]:
    return [
        (EVERYONE, _("Everyone who sees both versions")),
        (MYSELF, _("Only you, and the administrators of this hub")),
    ]


def profile_words(name: str) -> str:
    """A profile's name as a person reads it."""
    words = {"quick": _("Quick"), "standard": _("Standard"), "strict": _("Strict")}
    return words.get(name, name)
