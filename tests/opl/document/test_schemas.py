"""The JSON Schemas that ship, their examples, and the data that is held against them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from opl.check import check
from opl.document.load import load
from opl.document.schemas import FOLDER, schemas, security_profiles
from opl.document.security import DEFAULT_PROFILE, POWERFUL, allowance
from opl.document.validate import check_parameters, unknown_keys, validate, validate_with

OURS = (
    "agents",
    "component",
    "composition",
    "inputs",
    "pattern",
    "problem",
    "profile",
    "program",
    "scan-rules",
    "security-profile",
)
_EXPECTED = re.compile(r'# expect: (""|/\S*) (\S+)\n')


def examples(kind: str) -> Iterator[object]:
    for path in sorted((FOLDER / "examples").glob(f"*/{kind}/*")):
        name = path.parent.parent.name
        if name in {file.name.removesuffix(".schema.json") for file in FOLDER.glob("*.schema.json")}:
            yield pytest.param(name, path, id=f"{name}/{path.name}")


class TestSchemas:
    @pytest.mark.parametrize("name", OURS)
    def test_are_schemas_that_name_and_explain_themselves(self, name: str) -> None:
        schema = schemas()[name]

        Draft202012Validator.check_schema(schema)
        assert schema["$id"] == f"https://opl.dev/schemas/{name}/v1"
        assert schema["title"]
        assert schema["description"]

    @pytest.mark.parametrize("name", sorted(schemas()))
    def test_refer_to_what_ships_only(self, name: str) -> None:
        references = re.findall(r'"\$ref": "([^"]*)"', json.dumps(schemas()[name]))
        known = {schema["$id"] for schema in schemas().values()}

        assert all(each.startswith("#/") or each.split("#")[0] in known for each in references)

    def test_have_examples_of_both_kinds(self) -> None:
        for name in ("pattern", "composition", "component", "profile", "agents", "inputs", "problem"):
            for kind in ("valid", "invalid"):
                assert list((FOLDER / "examples" / name / kind).iterdir()), (name, kind)

    @pytest.mark.parametrize(("name", "path"), [*examples("valid")])
    def test_accept_their_valid_examples(self, name: str, path: Path) -> None:
        loaded = load(path.read_bytes())

        assert loaded.ok
        assert validate(loaded.value, name) == []
        assert unknown_keys(loaded.value, name) == []


@pytest.mark.parametrize(("name", "path"), [each for each in examples("invalid") if each.values[0] in OURS])
def test_invalid_examples_are_refused_for_the_reason_they_name(name: str, path: Path) -> None:
    text = path.read_text()
    expected = _EXPECTED.match(text)
    assert expected, f"{path} begins with no '# expect: pointer code' line"
    loaded = load(text.encode())

    problems = validate(loaded.value, name, place=loaded.position)

    assert (expected[1].strip('"'), expected[2]) in [(p.pointer, p.code) for p in problems]
    assert all(p.line >= 2 and p.message and p.hint for p in problems), problems


class TestPrograms:
    def test_are_what_the_compiler_writes(self, tournament) -> None:
        report = check(tournament.encode())

        assert report.programs
        for program in report.programs.values():
            assert validate(program, "program") == []


class TestSecurityProfiles:
    def test_hold_to_their_schema_and_their_file_names(self) -> None:
        for path in sorted((FOLDER / "security").glob("*.json")):
            profile = json.loads(path.read_text())

            assert validate(profile, "security-profile") == []
            assert profile["name"] == path.stem

    def test_default_cannot_spawn_start_or_ask_people(self) -> None:
        allowed = set(security_profiles()[DEFAULT_PROFILE]["events"])

        assert allowed & POWERFUL == {
            "completion:async",
            "optimization:async",
            "orchestration:request_termination",
            "state:entity:create",
            "state:entity:update",
        }

    def test_primitives_count_as_what_they_do(self, document) -> None:
        head = "type: orchestration_pattern\nname: ab\nsecurity_profile: "
        plain, reporter, strong = (
            allowance(document(head + name)) for name in ("dsl_interpreter", "reporter", "orchestrator")
        )

        assert plain.refused(["primitive:spawn_agent", "primitive:broadcast_task"]) == ["primitive:spawn_agent"]
        assert reporter.refused(["judgement:ask", "primitive:track_metrics"]) == ["judgement:ask"]
        assert strong.refused(["primitive:spawn_agent", "primitive:start_pattern", "human:ask"]) == []

    def test_scan_rules_hold_to_theirs(self) -> None:
        rules = json.loads((FOLDER / "scan" / "rules.json").read_text())

        assert validate(rules, "scan-rules") == []
        assert len({rule["id"] for rule in rules["rules"]}) == len(rules["rules"])


class TestStrangersSchemas:
    def test_hold_values(self) -> None:
        schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}

        assert validate_with({"n": 2}, schema) == []
        assert [p.pointer for p in validate_with({"n": 0}, schema)] == ["/n"]
        assert [p.code for p in validate_with({}, schema)] == ["opl.schema.required"]

    def test_run_their_patterns_in_linear_time(self) -> None:
        schema = {"properties": {"a": {"pattern": "^(a+)+$"}}, "patternProperties": {"^(b+)+$": {"type": "null"}}}

        problems = validate_with({"a": "a" * 5_000 + "!", "b" * 5_000 + "!": 1, "bb": 2}, schema)

        assert [p.code for p in problems] == ["opl.schema.pattern", "opl.schema.type"]

    @pytest.mark.parametrize(
        "schema",
        [
            {"$ref": "https://elsewhere.example/schema"},
            {"properties": {"a": {"$ref": "#"}}},
            {"$dynamicRef": "#a"},
            {"pattern": "(?<=a)b"},
            {"patternProperties": {"(": {}}},
            {"type": 3},
            {"minimum": "x"},
        ],
    )
    def test_are_refused_where_they_reach_out_or_make_no_sense(self, schema: dict) -> None:
        assert check_parameters(schema)
        assert validate_with({}, schema)

    def test_may_have_a_property_called_ref(self) -> None:
        assert check_parameters({"properties": {"$ref": {"type": "string"}}}) == []

    def test_deep_ones_are_refused(self) -> None:
        schema: dict = {}
        for _ in range(200):
            schema = {"items": schema}

        assert check_parameters(schema)
