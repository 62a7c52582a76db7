"""The form of a run: as simple as each input allows, and nothing that was typed is lost."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict

from execution.web.forms import RunForm
from opl.errors import Problem
from registry.models import PatternVersion

BASE = {"backend": "simulated", "tokens": "1000", "cost": "1"}


def version(*inputs: dict[str, Any]) -> PatternVersion:
    return PatternVersion(inputs=[{"required": False, "description": "", "schema": {}, **one} for one in inputs])


def filled(form_of: PatternVersion, **typed: str) -> RunForm:
    data = QueryDict(mutable=True)
    data.update(BASE | {f"input-{name}": text for name, text in typed.items()})
    form = RunForm(data, version=form_of)
    form.is_valid()
    return form


class TestRunForm:
    @pytest.mark.parametrize(
        ("item", "typed", "value"),
        [
            ({"type": "string", "default": "a"}, "b", "b"),
            ({"type": "number", "default": 1}, "2", 2),
            ({"type": "number", "default": 1}, "2.5", 2.5),
            ({"type": "list", "default": ["a", "b"]}, "c\n\n d \n", ["c", "d"]),
            ({"type": "list", "default": [1, 2]}, "[3]", [3]),
            ({"type": "object", "default": {"a": 1}}, '{"b": 2}', {"b": 2}),
            ({"type": "any", "default": None}, "plain words", "plain words"),
            ({"type": "any", "default": None}, "[1]", [1]),
            ({"type": "boolean", "default": False}, "on", True),
        ],
    )
    def test_reads_each_type(self, item: dict[str, Any], typed: str, value: Any) -> None:
        form = filled(version({"name": "x", **item}), x=typed)

        assert form.errors == {}
        assert form.given() == {"x": value}

    def test_what_is_left_as_it_was_takes_its_default(self) -> None:
        form = filled(version({"name": "x", "type": "number", "default": 3}), x="3")

        assert form.given() == {}

    def test_an_emptied_list_is_an_empty_list(self) -> None:
        form = filled(version({"name": "x", "type": "list", "default": ["a"]}), x="")

        assert form.given() == {"x": []}

    def test_a_list_of_texts_is_shown_line_by_line(self) -> None:
        form = RunForm(version=version({"name": "x", "type": "list", "default": ["one", "two"]}))

        assert form["input-x"].value() == "one\ntwo"

    def test_bad_json_is_said_at_its_field_and_stays_typed(self) -> None:
        form = filled(version({"name": "x", "type": "object", "default": {}}), x='{"a": ')

        assert "Write JSON" in str(form["input-x"].errors)
        assert form["input-x"].value() == '{"a": '

    def test_an_enumeration_is_a_choice(self) -> None:
        form = RunForm(version=version({"name": "x", "type": "string", "default": "a", "schema": {"enum": ["a", "b"]}}))

        assert [value for value, _ in form.fields["input-x"].choices] == ["a", "b"]

    def test_folds_away_what_is_rarely_changed(self) -> None:
        form = RunForm(version=version({"name": "x", "type": "number", "default": 1, "initial": True}))

        assert [field.label for field in form.folded_inputs()] == ["x"]
        assert list(form.shown_inputs()) == []

    def test_a_refusal_stands_at_the_input_it_is_about(self) -> None:
        form = filled(version({"name": "x", "type": "number", "default": 1}), x="2")

        form.blame([Problem(code="c", message="too many", pointer="/inputs/x"), Problem(code="c", message="else")])

        assert form["input-x"].errors == ["Too many."]
        assert form.non_field_errors() == ["Else."]
