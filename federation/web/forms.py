"""What people tell the pages of the federation."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from federation.protocol import fields
from federation.protocol.problems import Refused
from federation.protocol.tiers import Tier


class AddressForm(forms.Form):
    """Where a node is."""

    url = forms.CharField(
        label=_("Address of the node"),
        max_length=300,
        widget=forms.URLInput(attrs={"placeholder": "https://hub.example", "autocomplete": "off"}),
        help_text=_("It is asked who it is. Nothing is stored and nothing else is sent before you confirm."),
    )

    def clean_url(self) -> str:
        """Without the slash at the end."""
        return str(self.cleaned_data["url"]).strip().rstrip("/")


class AddForm(AddressForm):
    """A node that was met, its eight words compared."""

    url = forms.CharField(max_length=300, widget=forms.HiddenInput)
    fingerprint = forms.CharField(max_length=200, widget=forms.HiddenInput)
    label = forms.CharField(
        label=_("Name it"), max_length=100, required=False, help_text=_("What people here call it; empty: its host.")
    )
    tier = forms.TypedChoiceField(
        label=_("How far do you trust it?"),
        coerce=int,
        initial=int(Tier.PROBATION),
        choices=[
            (int(Tier.UNKNOWN), _("Decide later: only send the request")),
            (int(Tier.PROBATION), _("T2 probation: everything waits in quarantine for you")),
            (int(Tier.APPROVED), _("T3 approved: objects are scanned and tried, then admitted")),
            (int(Tier.OWN), _("T4 own organisation: objects are admitted after the scan")),
        ],
        widget=forms.RadioSelect,
    )
    message = forms.CharField(
        label=_("Message to its people"),
        max_length=2_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Stands in your peer request over there."),
    )
    compared = forms.BooleanField(
        label=_("I compared the eight words with somebody over there, by another way than this address"),
        required=False,
    )

    def clean(self) -> dict[str, Any]:
        """More than a request takes compared words."""
        values = super().clean() or {}
        if values.get("tier", 0) > Tier.UNKNOWN and not values.get("compared"):
            self.add_error("compared", _("Compare the words first, or choose to decide later."))
        return values


class TierForm(forms.Form):
    """A decision about a peer."""

    reason = forms.CharField(
        label=_("Reason"), max_length=500, required=False, help_text=_("Kept with the decision in the audit log.")
    )


class ReasonForm(forms.Form):
    """A decision about an object."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=1_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Kept with the object; whoever asks why reads it."),
    )

    def __init__(self, *args: Any, required: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = required


class BlockForm(ReasonForm):
    """Whom to block, and why."""

    author_id = forms.CharField(
        label=_("Author id"),
        max_length=64,
        widget=forms.TextInput(attrs={"placeholder": "opla1…", "autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Stands on the page of any of the author's objects. Names can be taken by anybody; ids cannot."),
    )
    field_order = ("author_id", "reason")

    def clean_author_id(self) -> str:
        """An id of the right form."""
        value = str(self.cleaned_data["author_id"]).strip()
        try:
            return fields.author(value, "the id")
        except Refused as refusal:
            raise forms.ValidationError(refusal.detail) from refusal


class SwitchForm(forms.Form):
    """Why everything is switched off."""

    reason = forms.CharField(
        label=_("Reason"), max_length=500, help_text=_("Shown on every page of the federation while it is off.")
    )
