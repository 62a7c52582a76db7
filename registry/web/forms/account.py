"""Signing up, tokens and webhooks."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import UserCreationForm
from django.utils.translation import gettext_lazy as _

from registry.models import Owner, Scope, User
from registry.services.webhooks import EVENTS

SCOPES = [
    (Scope.READ.value, _("read: find and fetch patterns, runs and trials")),
    (Scope.PUBLISH.value, _("publish: publish, fork, rate and comment")),
    (Scope.RUN.value, _("run: start and steer runs, which may cost money")),
    (Scope.VERIFY.value, _("verify: start, steer and adopt trials")),
    (Scope.FEDERATE.value, _("federate: peers and quarantine")),
    (Scope.ADMIN.value, _("admin: everything you may do")),
]
EVENT_WORDS = {
    "version.published": _("a version is published"),
    "version.yanked": _("a version is yanked"),
    "channel.moved": _("a channel moves"),
    "pattern.forked": _("somebody forks a pattern"),
    "pattern.rated": _("somebody rates a pattern"),
    "pattern.commented": _("somebody comments"),
    "run.finished": _("a run ends"),
    "trial.finished": _("a trial ends"),
}


class SignUpForm(UserCreationForm):
    """A new account; its name is also the name it publishes under."""

    class Meta:
        model = User
        fields = ("username",)

    def clean_username(self) -> str:
        """Refuse a name that an organisation has, before the database does."""
        name: str = self.cleaned_data["username"]
        if Owner.objects.filter(name=name).exists() or User.objects.filter(username=name).exists():
            raise forms.ValidationError(_("Somebody has this name already; choose another."))
        return name


class TokenForm(forms.Form):
    """What a token is for."""

    name = forms.CharField(
        label=_("Name"), max_length=100, help_text=_("What it is for, so that you know later which one to revoke.")
    )
    scopes = forms.MultipleChoiceField(
        label=_("It may"), widget=forms.CheckboxSelectMultiple, choices=SCOPES, initial=["read"]
    )
    days = forms.TypedChoiceField(
        label=_("Expires"),
        coerce=int,
        choices=[(30, _("after 30 days")), (90, _("after 90 days")), (365, _("after a year")), (0, _("never"))],
        initial=90,
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not user.is_superuser:
            self.fields["scopes"].choices = [choice for choice in SCOPES if choice[0] != Scope.ADMIN]  # type: ignore[attr-defined]


class WebhookForm(forms.Form):
    """Whom to tell about what."""

    owner = forms.ModelChoiceField(label=_("Events of"), queryset=Owner.objects.none(), to_field_name="name")
    url = forms.URLField(
        label=_("Address"), max_length=500, assume_scheme="https", help_text=_("https, reachable from this hub.")
    )
    events = forms.MultipleChoiceField(
        label=_("Which"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(event, EVENT_WORDS.get(event, event)) for event in EVENTS],
        help_text=_("None chosen: all of them."),
    )

    def __init__(self, *args: Any, owners: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].queryset = owners  # type: ignore[attr-defined]
        self.fields["owner"].empty_label = None  # type: ignore[attr-defined]
