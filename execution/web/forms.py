"""The form that starts a run, drawn from the inputs of a version."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from execution.agents import roster
from execution.services import guiding
from opl.errors import Problem
from registry.models import PatternVersion
from registry.web.facts import kind_of

PREFIX = "input-"
# The language's names of types, as JSON Schema calls them.
TYPES = {"text": "string", "list": "array", "bool": "boolean"}


class LinesField(forms.CharField):
    """A list of texts, one on each line."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        """The list as lines; what was typed stays as typed."""
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        """The lines that are not empty."""
        text = super().clean(value)
        return [line.strip() for line in text.splitlines() if line.strip()]


class ValueField(forms.CharField):
    """Any JSON value; text that is no JSON is taken as text where the input takes any value."""

    widget = forms.Textarea

    def __init__(self, *, strict: bool, **options: Any) -> None:
        super().__init__(**options)
        self.strict = strict

    def prepare_value(self, value: Any) -> Any:
        """The value as JSON; what was typed stays as typed."""
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)

    def clean(self, value: Any) -> Any:
        """The value."""
        text = super().clean(value)
        try:
            return json.loads(text, parse_constant=_refuse) if text.strip() else None
        except (ValueError, RecursionError):
            if self.strict:
                raise forms.ValidationError(_('Write JSON, such as {"a": 1} or [1, 2].')) from None
            return text


def _refuse(name: str) -> Any:
    raise ValueError(name)


class RunForm(forms.Form):
    """Inputs first, then how to run."""

    backend = forms.ChoiceField(label=gettext_lazy("Agents"))
    tokens = forms.IntegerField(
        label=gettext_lazy("At most so many tokens"), min_value=1, max_value=10**9, initial=2_000_000
    )
    cost = forms.FloatField(
        label=gettext_lazy("At most so many US dollars"), min_value=0, max_value=100_000, initial=20
    )
    seed = forms.IntegerField(
        label=gettext_lazy("Seed"),
        required=False,
        min_value=0,
        max_value=2**53 - 1,
        help_text=gettext_lazy("Empty: drawn at random. The same seed draws the same chances."),
    )
    public = forms.BooleanField(label=gettext_lazy("Everyone may watch this run"), required=False)

    def __init__(self, *args: Any, version: PatternVersion, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        listed = roster.listed()
        backend = self.fields["backend"]
        backend.choices = [(one.alias, one.title) for one in listed]  # type: ignore[attr-defined]
        backend.initial = roster.watched_backend()
        self.inputs = [item for item in guiding.form_inputs(version) if isinstance(item, Mapping) and item.get("name")]
        own = {PREFIX + str(item["name"]): _field(item) for item in self.inputs}
        self.fields = {**own, **self.fields}

    def shown_inputs(self) -> Iterator[BoundField]:
        """The inputs that a run is usually given."""
        return (self[PREFIX + str(item["name"])] for item in self.inputs if not item.get("initial"))

    def folded_inputs(self) -> list[BoundField]:
        """State that a run begins with, rarely changed."""
        return [self[PREFIX + str(item["name"])] for item in self.inputs if item.get("initial")]

    def given(self) -> dict[str, Any]:
        """The inputs that differ from their defaults; what is left empty takes its default."""
        values: dict[str, Any] = {}
        for item in self.inputs:
            key, default = PREFIX + str(item["name"]), item.get("default")
            value = self.cleaned_data.get(key)
            if value in (None, "", []) and not isinstance(value, bool):
                # Only texts and lists can be emptied on purpose; an empty number is one that nobody gave.
                if key not in self.data or not default or not isinstance(default, str | list):
                    continue
                value = type(default)()
            if value != default or isinstance(value, bool) != isinstance(default, bool) or item.get("required"):
                values[str(item["name"])] = value
        return values

    def policy(self) -> dict[str, Any]:
        """The limits."""
        return {"limits": {"tokens": self.cleaned_data["tokens"], "cost_usd": self.cleaned_data["cost"]}}

    def blame(self, problems: Sequence[Problem]) -> None:
        """Show what a service refused at the field that it is about."""
        for problem in problems:
            parts = problem.pointer.strip("/").split("/")
            name = PREFIX + parts[1] if len(parts) > 1 and parts[0] == "inputs" else None
            said = f"{problem.message}; {problem.hint}" if problem.hint else problem.message
            text = f"{said[:1].upper()}{said[1:]}."
            self.add_error(name if name in self.fields else None, text)


def _field(item: Mapping[str, Any]) -> forms.Field:
    """The field for one input: as simple as its type allows."""
    found = item.get("schema")
    schema: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    default = item.get("default")
    kind = TYPES.get(str(item.get("type")), str(item.get("type") or "any"))
    if kind == "any" and isinstance(schema.get("type"), str):
        kind = schema["type"]
    common: dict[str, Any] = {
        "label": str(item["name"]),
        "required": bool(item.get("required")),
        "initial": default,
        "help_text": _help(item),
    }
    if isinstance(schema.get("enum"), list) and all(isinstance(one, str) for one in schema["enum"]):
        return forms.ChoiceField(choices=[(one, one) for one in schema["enum"]], **common)
    if kind == "boolean":
        return forms.BooleanField(**{**common, "required": False})
    if kind == "number" and schema.get("type") == "integer":
        kind = "integer"
    if kind == "integer":
        return forms.IntegerField(min_value=schema.get("minimum"), max_value=schema.get("maximum"), **common)
    if kind == "number":
        return NumberField(min_value=schema.get("minimum"), max_value=schema.get("maximum"), **common)
    if kind == "string":
        long = isinstance(default, str) and (len(default) > 60 or "\n" in default)
        widget = forms.Textarea(attrs={"rows": 3}) if long else forms.TextInput()
        return forms.CharField(strip=False, widget=widget, **common)
    if kind == "array" and _is_texts(default, schema):
        rows = min(10, max(3, len(default or ()) + 1))
        return LinesField(widget=forms.Textarea(attrs={"rows": rows}), **common)
    lines = 3 if default in (None, "", [], {}) else min(10, json.dumps(default, indent=1).count("\n") + 2)
    widget = forms.Textarea(attrs={"rows": lines, "class": "code-input", "spellcheck": "false"})
    return ValueField(strict=kind in ("array", "object"), widget=widget, **common)


class NumberField(forms.FloatField):
    """A number; a whole one stays whole, as the language prints it."""

    def clean(self, value: Any) -> Any:
        """The number."""
        number = super().clean(value)
        return int(number) if number is not None and number == int(number) and abs(number) < 2**53 else number


def _is_texts(default: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a list is one of plain one-line texts."""
    if isinstance(default, list) and default:
        return all(isinstance(one, str) and one.strip() == one and one and "\n" not in one for one in default)
    items = schema.get("items")
    return isinstance(items, Mapping) and items.get("type") == "string"


def _help(item: Mapping[str, Any]) -> str:
    """What the document says of the input, and what is expected."""
    said = str(item.get("description") or "").strip()
    kind = kind_of(item)
    one_a_line = _("one on each line") if kind == _("list of %(kind)s") % {"kind": _("text")} else ""
    expected = ", ".join(part for part in (kind, one_a_line) if part)
    return f"{said} ({expected})" if said else expected
