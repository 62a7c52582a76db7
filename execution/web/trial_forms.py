"""The form that starts a trial: two versions, inputs, how sure to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from execution.agents import roster
from execution.errors import TrialRefused
from execution.models.trial import TrialMode
from execution.services import trial_inputs, verifying
from execution.services.trial_inputs import GivenInput
from execution.services.verifying import Budget
from execution.shadow.plan import PROFILES
from registry.errors import NotThere
from registry.models import PatternVersion
from registry.services import finding

MOST_RECORDED = 400
DEFAULTS, RECORDED, LINES, FILE, LIVE = "defaults", "recorded", "lines", "file", "live"
# Names that the service uses for what went wrong, as this form's fields.
FIELDS = {"mode": "source", "share": "share", "candidate": "candidate", "control": "control"}


class TrialForm(forms.Form):
    """The few things that differ from trial to trial; all others have defaults that fit most."""

    candidate = forms.ChoiceField(label=gettext_lazy("New version"), help_text=gettext_lazy("The candidate."))
    control = forms.ChoiceField(
        label=gettext_lazy("Against"), help_text=gettext_lazy("The control: what the new version would replace.")
    )
    other = forms.CharField(
        label=gettext_lazy("Or a version of another pattern as the new one"),
        required=False,
        max_length=300,
        help_text=gettext_lazy("owner/name@version, say a fork. It takes the place of the choice above."),
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
    profile = forms.ChoiceField(label=gettext_lazy("How sure to be"), widget=forms.RadioSelect)
    backend = forms.ChoiceField(label=gettext_lazy("Agents of both"))
    cost = forms.FloatField(
        label=gettext_lazy("At most so many US dollars for the whole trial"),
        required=False,
        min_value=0,
        max_value=1e9,
        help_text=gettext_lazy("Empty: no limit beside those of each run. A trial that reaches it waits."),
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

    def __init__(
        self, *args: Any, user: Any, versions: Sequence[PatternVersion], earlier: int, may_shadow: bool, **kwargs: Any
    ) -> None:
        """
        Args:
            versions: of the pattern, newest first; those that can be run.
            earlier: runs of the pattern whose inputs could be used again.
            may_shadow: whether this person answers for the pattern.
        """
        super().__init__(*args, **kwargs)
        self.user, self.versions = user, {version.version: version for version in versions}
        named = [(one.version, one.version) for one in versions]
        self.fields["candidate"].choices = named  # type: ignore[attr-defined]
        self.fields["control"].choices = named  # type: ignore[attr-defined]
        self.fields["source"].choices = _sources(earlier, may_shadow)  # type: ignore[attr-defined]
        self.fields["profile"].choices = [(name, _profile(name)) for name in PROFILES]  # type: ignore[attr-defined]
        listed = [one for one in roster.listed() if one.alias != roster.WATCHABLE]  # a trial is not for watching
        agents = [(one.alias, one.title) for one in listed]
        if earlier:
            agents.append((verifying.RECORDED, _("Answers of the earlier runs, where the same was asked")))
        self.fields["backend"].choices = agents  # type: ignore[attr-defined]
        self.fields["backend"].initial = roster.default_backend()
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
        data["control_version"] = self.versions.get(data.get("control", ""))
        data["candidate_version"] = self.versions.get(data.get("candidate", ""))
        if not data.get("other"):
            return
        try:
            data["candidate_version"] = finding.version(data["other"], self.user)
        except NotThere:
            self.add_error("other", _("There is no such version that you may see."))

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
        """What ``start_trial`` takes."""
        data = self.cleaned_data
        live = data["source"] == LIVE
        budget = Budget(cost_usd=data["cost"]) if data["cost"] is not None else None
        if live and data["cost"] is not None:
            usual = verifying.LIVE_BUDGET
            budget = Budget(cost_usd=data["cost"], daily_tokens=usual.daily_tokens, daily_cost_usd=usual.daily_cost_usd)
        return {
            "control": data["control_version"],
            "candidate": data["candidate_version"],
            "mode": TrialMode.LIVE.value if live else TrialMode.BATCH.value,
            "inputs": data["inputs"],
            "profile": data["profile"],
            "backend": data["backend"],
            "share": (10 if data["share"] is None else data["share"]) / 100,
            "repeats": data["repeats"] or 1,
            "budget": budget,
            "success_when": data["success_when"],
            "score": data["score"],
        }

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
            "Those of %(n)d earlier run, each different one once",
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


def _profile(name: str) -> str:
    margin, most = PROFILES[name]
    words = {"quick": _("Quick"), "standard": _("Standard"), "strict": _("Strict")}
    return _("%(name)s: not worse by %(points)d points or more, at most %(most)s pairs") % {
        "name": words.get(name, name),
        "points": round(margin * 100),
        "most": f"{most:,}",
    }
