"""In what context a pattern is wanted."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _


class ContextForm(forms.Form):
    """A task, and what is known about it."""

    task = forms.CharField(
        label=_("What is to be done"), max_length=48, help_text=_("One word is enough: review, planning, translation.")
    )
    model = forms.CharField(label=_("With which model"), required=False, max_length=48)
    tags = forms.CharField(label=_("Tags"), required=False, max_length=200, help_text=_("Separated by commas."))

    def context(self) -> dict[str, Any]:
        """As the recommendation reads it."""
        tags = [tag.strip() for tag in self.cleaned_data["tags"].split(",") if tag.strip()][:3]
        return {"task": self.cleaned_data["task"], "model": self.cleaned_data["model"], "tags": tags}
