"""Publishing, forking, editing, moving channels, yanking."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from registry.models import Owner, Pattern

MAX_SOURCE = 1024 * 1024


class OwnerField(forms.ModelChoiceField):
    """One of the owners under whose name this person may publish."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=Owner.objects.none(), to_field_name="name", empty_label=None, **kwargs)


class OwnedForm(forms.Form):
    """A form with an ``owner`` field, filled with the owners of a person."""

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        owners = Owner.objects.publishable_by(user).exclude(kind=Owner.Kind.REMOTE).order_by("name")
        self.fields["owner"].queryset = owners  # type: ignore[attr-defined]
        if not self.is_bound and "owner" not in self.initial:
            self.initial["owner"] = user.get_username()


class PublishForm(OwnedForm):
    """A source text, typed or uploaded, and where it goes."""

    source = forms.CharField(
        label=_("Document"),
        required=False,
        strip=False,
        max_length=MAX_SOURCE,
        widget=forms.Textarea(
            attrs={"rows": 24, "class": "code-input", "data-editor": "", "spellcheck": "false", "autocomplete": "off"}
        ),
        help_text=_("A pattern (YAML), a composition, a component (Markdown), or only a script."),
    )
    upload = forms.FileField(
        label=_("Or a file"), required=False, widget=forms.FileInput(attrs={"data-into": "id_source"})
    )
    filename = forms.CharField(required=False, max_length=200, widget=forms.HiddenInput)
    owner = OwnerField(label=_("Publish as"))
    name = forms.CharField(
        label=_("Name"), required=False, max_length=64, help_text=_("Empty: as the document calls itself.")
    )
    version = forms.CharField(
        label=_("Version"),
        required=False,
        max_length=64,
        help_text=_("Empty: as the document says, else the smallest that its changes allow."),
    )
    visibility = forms.ChoiceField(
        label=_("Who may see it"), choices=Pattern.Visibility.choices, initial=Pattern.Visibility.PUBLIC
    )

    def clean(self) -> dict[str, Any]:
        """The bytes to publish: an uploaded file's exactly, else the typed text with plain line ends."""
        cleaned = super().clean() or {}
        upload = cleaned.get("upload")
        if upload is not None:
            if upload.size > MAX_SOURCE:
                self.add_error("upload", _("A document may have 1 MiB."))
                return cleaned
            cleaned["bytes"] = upload.read()
            cleaned["filename"] = cleaned.get("filename") or upload.name
        else:
            cleaned["bytes"] = (cleaned.get("source") or "").replace("\r\n", "\n").encode()
        if not cleaned["bytes"].strip():
            self.add_error("source", _("Paste a document, or choose a file."))
        return cleaned


class ForkForm(OwnedForm):
    """A copy under another name."""

    owner = OwnerField(label=_("Fork as"))
    name = forms.CharField(label=_("Name"), max_length=64)
    visibility = forms.ChoiceField(
        label=_("Who may see it"), choices=Pattern.Visibility.choices, initial=Pattern.Visibility.PUBLIC
    )
    reason = forms.CharField(
        label=_("Why"),
        required=False,
        max_length=500,
        help_text=_("What you want to change; it is kept with the lineage."),
    )


class ExportForm(OwnedForm):
    """What runs taught, as a new version."""

    owner = OwnerField(label=_("Publish as"))
    name = forms.CharField(label=_("Name"), required=False, max_length=64, help_text=_("Empty: a version of this one."))
    lessons = forms.CharField(
        label=_("Lessons"),
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("In your words, one on each line; they are kept in the document."),
    )

    def learnings(self) -> list[str]:
        """The lessons."""
        return [line.strip() for line in self.cleaned_data["lessons"].splitlines() if line.strip()]


class EditForm(forms.Form):
    """What may be changed of a published pattern; its versions may not."""

    title = forms.CharField(label=_("Title"), required=False, max_length=200)
    description = forms.CharField(
        label=_("Description"), required=False, max_length=10000, widget=forms.Textarea(attrs={"rows": 6})
    )
    tags = forms.CharField(label=_("Tags"), required=False, max_length=2000, help_text=_("Separated by commas."))
    visibility = forms.ChoiceField(label=_("Who may see it"), choices=Pattern.Visibility.choices)

    def clean_tags(self) -> list[str]:
        """The tags as a list."""
        return [tag.strip() for tag in self.cleaned_data["tags"].split(",") if tag.strip()]


class PromoteForm(forms.Form):
    """Which channel is to point at a version, and why."""

    channel = forms.CharField(
        label=_("Channel"),
        max_length=64,
        initial="stable",
        widget=forms.TextInput(attrs={"list": "channels", "autocomplete": "off"}),
        help_text=_("stable, candidate, or one of your own."),
    )
    reason = forms.CharField(label=_("Why"), required=False, max_length=500)
    revision = forms.IntegerField(required=False, widget=forms.HiddenInput)


class YankForm(forms.Form):
    """Why a version is advised against, and what to use instead."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Everyone who uses the version reads it."),
    )
    successor = forms.CharField(
        label=_("Successor"),
        required=False,
        max_length=200,
        help_text=_("A version of this pattern (2.1.1), or another pattern's (owner/name@version)."),
    )
