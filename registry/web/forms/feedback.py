"""Rating, commenting, reporting."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


class RatingForm(forms.Form):
    """Stars and words; one per person and pattern."""

    stars = forms.TypedChoiceField(
        label=_("Your rating"),
        coerce=int,
        widget=forms.RadioSelect,
        choices=[
            (5, _("5 — does what it says, better than what I had")),
            (4, _("4 — good, with small faults")),
            (3, _("3 — works")),
            (2, _("2 — works sometimes")),
            (1, _("1 — does not work for me")),
        ],
    )
    words = forms.CharField(
        label=_("In words"),
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("In what context you used it, and what happened. Markdown."),
    )


class CommentForm(forms.Form):
    """One contribution to the discussion."""

    text = forms.CharField(
        label=_("Your comment"),
        max_length=10000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("Markdown."),
    )
    parent = forms.IntegerField(required=False, widget=forms.HiddenInput)


class ReportForm(forms.Form):
    """What the moderators should look at, and why."""

    reason = forms.CharField(
        label=_("What is wrong"),
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("Moderators of this hub read it; the author does not see who wrote it."),
    )
