"""The smaller parts of reading: inputs, lineage, prose, Markdown, quoted text."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from opl.document.inputs import inputs_of, schema_of
from opl.document.load import load
from opl.document.markdown import fences, slug
from opl.document.prose import first_narrative, is_expression, is_statement, looks_like_script
from opl.document.quoted import offsets


class TestInputs:
    @pytest.mark.parametrize(
        ("written", "default", "required"),
        [
            ("{{n}}", None, True),
            ("{{n|default:3}}", 3, False),
            ("{{ n | default 3 }}", 3, False),
            ("{{n|three}}", "three", False),
            ("{{n|default:'3'}}", "3", False),
            ("{{n|default:true}}", True, False),
        ],
    )
    def test_come_from_a_template_with_a_default(self, written: str, default: object, required: bool) -> None:
        (item,) = inputs_of({"variables": {"n": written}})

        assert (item.default, item.required, item.constant) == (default, required, False)

    def test_come_from_an_object_with_default(self) -> None:
        (item,) = inputs_of({"variables": {"n": {"type": "int", "default": 3, "description": "how many"}}})

        assert (item.default, item.schema, item.description) == (3, {"type": "integer"}, "how many")

    @pytest.mark.parametrize("value", [3, "two {{words}}", [1], None, {"no": "default here"}])
    def test_other_values_are_constants(self, value: object) -> None:
        (item,) = inputs_of({"variables": {"n": value}})

        assert (item.default, item.constant) == (value, True)

    def test_parameters_go_before_variables(self) -> None:
        found = inputs_of({"parameters": {"n": {"type": "string"}}, "variables": {"n": 3, "m": 4}})

        assert [(item.name, item.pointer) for item in found] == [("n", "/parameters/n"), ("m", "/variables/m")]

    def test_make_one_schema(self) -> None:
        found = inputs_of({"variables": {"n": "{{n}}", "m": "{{m|2}}"}})

        assert schema_of(found) == {
            "type": "object",
            "properties": {"n": {}, "m": {"type": "number", "default": 2}},
            "required": ["n"],
        }
        assert schema_of(()) is None


class TestLineage:
    def test_reads_every_way_of_saying_it(self, document) -> None:
        found = document(
            "type: orchestration_pattern\nname: ab\n"
            "lineage: {op: merge, parents: [aaa, {digest: bbb}], reason: both were good}\n"
            "metadata:\n  forked_from: old\n  forked_at: '2025-07-15'\n"
            "  lineage: {parent: 'older@1.0.0', fork_author: ada}\n"
            "  forks: [{name: young, reason: speed}, {reason: nameless}]\n"
        )

        assert [(p.op, p.reference, p.reason, p.author, p.at) for p in found.lineage] == [
            ("merge", "aaa", "both were good", "", ""),
            ("merge", "bbb", "both were good", "", ""),
            ("fork", "older@1.0.0", "", "ada", ""),
            ("fork", "old", "", "", "2025-07-15"),
        ]
        assert [(fork.name, fork.reason) for fork in found.forks] == [("young", "speed")]

    def test_counts_one_edge_once(self, document) -> None:
        found = document("type: orchestration\nname: ab\nmetadata: {forked_from: old, lineage: {parent: old}}\n")

        assert [(p.op, p.reference) for p in found.lineage] == [("fork", "old")]


class TestProse:
    @pytest.mark.parametrize(
        "line",
        [
            "STATE a = 1",
            "  foreach x in xs:",
            "IF done: BREAK",
            "ELSE:",
            "EVENT a:b {",
            "results = parallel_map(agents, evaluate)",
            "queue.shift()",
            "rows[0].name = 1",
            'use "swiss_pairing"',
            "return weighted_mean(results)",
            "TRACK {a: 1}",
            "PARALLEL(limit: 3):",
            "SEND worker task",
        ],
    )
    def test_knows_a_statement(self, line: str) -> None:
        assert is_statement(line)

    @pytest.mark.parametrize(
        "line",
        [
            "WHEN all are ready:",
            "Return single JSON event",
            "1. Send the content",
            "- IF [condition]",
            "Wait for everybody to finish",
            "SEND the result to the worker",
            "Key: value",
            "IF everybody seems tired",
        ],
    )
    def test_knows_narrative(self, line: str) -> None:
        assert not is_statement(line)

    def test_a_misspelt_keyword_is_no_narrative(self) -> None:
        assert first_narrative("STATE a = 1\nFOREACHH x IN xs:\n  WAIT 1\n") is None

    def test_names_the_first_narrative_line(self) -> None:
        assert first_narrative("STATE a = 1\n# words\nMONITOR the agents\n") == (2, "MONITOR the agents")

    def test_passes_over_brackets_and_raw_text(self) -> None:
        text = "EVENT a:b {\n  prompt: |\n    Tell me all\n  deep: [\n  many words here\n  ]\n}\nRETURN 1\n"

        assert first_narrative(text) is None
        assert looks_like_script(text)

    @pytest.mark.parametrize("text", ["a < 1", "done", "NOT a.b", "len(xs) > 3 AND ok", "time > 30s"])
    def test_knows_an_expression(self, text: str) -> None:
        assert is_expression(text)

    @pytest.mark.parametrize("text", ["agents disagree often (more than twice)", "scores stop improving", ""])
    def test_knows_a_condition_in_words(self, text: str) -> None:
        assert not is_expression(text)


class TestMarkdown:
    @pytest.mark.parametrize(
        ("title", "name"),
        [
            ("Pipeline: Data Analysis", "pipeline"),
            ("Scatter-Gather", "scatter-gather"),
            ("3. The Third  Way!", "the-third-way"),
            ("Ünïcode", "n-code"),
            ("123", ""),
            ("x" * 80, "x" * 64),
        ],
    )
    def test_slugs_are_names(self, title: str, name: str) -> None:
        assert slug(title) == name

    def test_a_fence_closes_with_as_many_marks(self) -> None:
        text = "````\n```\ninside\n```\n````\n~~~ yaml extra\na: 1\n~~~\n```\nopen"

        assert [(f.text, f.language, f.closed) for f in fences(text)] == [
            ("```\ninside\n```\n", "", True),
            ("a: 1\n", "yaml", True),
            ("open", "", False),
        ]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80), st.sampled_from(['"', "'"]))
def test_quoted_text_maps_back_to_its_source(value: str, style: str) -> None:
    text = yaml.safe_dump({"k": value}, default_style=style, width=20, allow_unicode=True)
    loaded = load(text.encode())
    node = loaded.node("/k")
    if node is None or node.value != value or not node.style:
        return  # libyaml writes what it cannot read back, or chose another style

    places = offsets(loaded.text[node.start : node.end], node.style, value, node.start)

    assert places is not None
    assert len(places) == len(value) + 1
    assert list(places) == sorted(places)
    for char, place in zip(value, places, strict=False):
        assert loaded.text[place] in (char, "\\", " ", "\n", "\r", "\t", "'")
