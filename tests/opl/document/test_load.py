"""Reading YAML from strangers: values, places, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opl.document.load import LoadLimits, load, pointer_of
from opl.errors import Severity


def codes(data: bytes, **limits: int) -> list[str]:
    return [problem.code for problem in load(data, limits=LoadLimits(**limits)).problems]


class TestValues:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("yes", "yes"),
            ("on", "on"),
            ("True", "True"),
            ("Null", "Null"),
            ("2025-07-10", "2025-07-10"),
            ("0x1F", "0x1F"),
            ("1_000", "1_000"),
            ("010", "010"),
            (".5", ".5"),
            ("+1", "+1"),
            (".inf", ".inf"),
            ("1e999", "1e999"),
            ("12:30", "12:30"),
            ("9007199254740992", "9007199254740992"),
            ("9007199254740991", 9007199254740991),
            ("-0", 0),
            ("1.50", 1.5),
            ("1e3", 1000.0),
            ("true", True),
            ("false", False),
            ("null", None),
            ("~", None),
            ("", None),
            ('"1"', "1"),
            ("'null'", "null"),
        ],
    )
    def test_reads_plain_scalars_as_json_or_text(self, text: str, value: object) -> None:
        loaded = load(f"key: {text}\n".encode())

        assert loaded.ok
        assert loaded.value == {"key": value}
        assert type(loaded.value["key"]) is type(value)

    def test_keeps_keys_as_text(self) -> None:
        assert load(b"1: a\ntrue: b\nnull: c\n").value == {"1": "a", "true": "b", "null": "c"}

    def test_reads_json(self) -> None:
        value = {"a": [1, 2.5, None, True], "b": {"c": "d\n"}}

        assert load(json.dumps(value).encode()).value == value

    def test_reads_the_surrogate_pairs_of_json(self) -> None:
        value = {"a": "\U0001f600 \\ud83d\\ude00", "b": 1}
        loaded = load(json.dumps(value).encode())

        assert loaded.value == value

    def test_merges_keys_without_overwriting(self) -> None:
        loaded = load(b"base: &b {x: 1, y: 2}\nmine:\n  <<: *b\n  y: 3\n")

        assert loaded.value["mine"] == {"y": 3, "x": 1}

    def test_gives_an_alias_its_own_copy(self) -> None:
        value = load(b"a: &l [1]\nb: *l\n").value

        value["b"].append(2)

        assert value["a"] == [1]


class TestPlaces:
    def test_names_line_and_column_of_values_and_keys(self) -> None:
        loaded = load("é: 1\nlist:\n  - a\n  - {b: c}\n".encode())

        assert loaded.position("/list/1/b") == (4, 9)
        assert loaded.key_position("/list/1/b") == (4, 6)
        assert loaded.key_position("/list") == (2, 1)

    def test_counts_lines_as_editors_do(self) -> None:
        loaded = load('a: "\u2028\u0085"\r\nb: 1\rc: 2\n'.encode())

        assert loaded.position("/b") == (2, 4)
        assert loaded.position("/c") == (3, 4)

    def test_falls_back_to_the_nearest_ancestor(self) -> None:
        assert load(b"a:\n  b: 1\n").position("/a/missing/deeper") == (2, 3)

    def test_counts_from_the_first_line_given(self) -> None:
        assert load(b"a: 1\nb: 2\n", first_line=10).position("/b") == (11, 4)

    def test_escapes_keys_in_pointers(self) -> None:
        loaded = load(b"a/b~c: 7\n")

        assert loaded.node(pointer_of("a/b~c")).value == 7


class TestRefusals:
    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"", "opl.document.empty"),
            (b"# nothing\n", "opl.document.empty"),
            (b"a: [1\n", "opl.document.syntax"),
            (b"a: 1\na: 2\n", "opl.document.duplicate-key"),
            (b"a: 1\n'a': 2\n", "opl.document.duplicate-key"),
            (b"\xff\xfea\x00", "opl.document.encoding"),
            (b"a: \xc3\x28\n", "opl.document.encoding"),
            (b"a: b\x00c\n", "opl.document.control-character"),
            (b"a: !!python/object/apply:os.system [x]\n", "opl.document.tag"),
            (b"a: !custom 1\n", "opl.document.tag"),
            (b"a: !!int x\n", "opl.document.tag"),
            (b"a: *nobody\n", "opl.document.alias"),
            (b"a: &a [*a]\n", "opl.document.alias"),
            (b"? [a]\n: 1\n", "opl.document.key"),
            (b"rate: {{rate}}\n", "opl.document.key"),
            (b"<<: 3\n", "opl.document.merge-key"),
            (b"a: 1\n---\nb: 2\n", "opl.document.several-documents"),
        ],
    )
    def test_says_what_is_wrong(self, data: bytes, code: str) -> None:
        loaded = load(data)

        assert not loaded.ok
        assert code in [problem.code for problem in loaded.problems]
        assert all(problem.line >= 1 and problem.hint for problem in loaded.problems)

    def test_reports_every_duplicate_at_once(self) -> None:
        loaded = load(b"a: 1\na: 2\nb:\n  c: 1\n  c: 2\n")

        assert [(problem.line, problem.column) for problem in loaded.problems] == [(2, 1), (5, 3)]

    def test_warns_of_a_byte_order_mark_and_reads_on(self) -> None:
        loaded = load(b"\xef\xbb\xbfa: 1\n")

        assert loaded.value == {"a": 1}
        assert [problem.severity for problem in loaded.problems] == [Severity.WARNING]

    def test_admits_the_greatest_depth_and_refuses_one_more(self) -> None:
        assert load(b"[" * 64 + b"]" * 64).ok
        assert codes(b"[" * 65 + b"]" * 65) == ["opl.document.depth"]

    def test_counts_the_depth_that_aliases_add(self) -> None:
        steps = ["a0: &a0 [[[[[[[[x]]]]]]]]"]
        steps += [f"a{n}: &a{n} [[[[[[[[*a{n - 1}]]]]]]]]" for n in range(1, 9)]

        assert codes("\n".join(steps).encode()) == ["opl.document.depth"]

    def test_counts_the_text_that_aliases_repeat(self) -> None:
        data = b"a: &a " + b"x" * 100_000 + b"\nb: [" + b"*a, " * 20 + b"]\n"

        assert codes(data) == ["opl.document.expansion"]

    def test_counts_nodes_bytes_and_characters_against_given_limits(self) -> None:
        assert codes(b"[1, 2, 3]", nodes=3) == ["opl.document.nodes"]
        assert codes(b"[1, 2, 3]", source_bytes=8) == ["opl.document.too-large"]
        assert codes(b"abcdef", characters=5) == ["opl.document.expansion"]


class TestFederation:
    @pytest.mark.parametrize(
        ("data", "line"),
        [
            (b"a: 1\nb: &x 1\n", 2),
            (b"a: !!str 1\n", 1),
            (b"[" * 33 + b"]" * 33, 1),
            (b"[" + b"1," * 20_001 + b"]", 1),
        ],
    )
    def test_tells_what_other_nodes_would_refuse(self, data: bytes, line: int) -> None:
        loaded = load(data)

        assert loaded.ok
        assert [problem.code for problem in loaded.unfederable] == ["not-federable"]
        assert loaded.unfederable[0].line == line

    def test_is_silent_about_plain_documents(self) -> None:
        assert load(b"a: [1, {b: c}]\n").unfederable == ()


@given(st.binary(max_size=300))
def test_any_bytes_give_a_value_or_our_problems(data: bytes) -> None:
    loaded = load(data)

    assert loaded.ok or loaded.problems


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#,? \n\t<1.0~", max_size=120))
def test_any_text_gives_json_or_our_problems(text: str) -> None:
    loaded = load(text.encode())

    if loaded.ok:
        assert json.loads(json.dumps(loaded.value, allow_nan=False)) == loaded.value
    else:
        assert loaded.problems


_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff\ufeff"), max_size=20)
_SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _TEXT


@given(st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner)), st.booleans())
def test_json_is_read_as_json_reads_it(value: object, ascii_only: bool) -> None:
    loaded = load(json.dumps(value, ensure_ascii=ascii_only).encode())

    assert loaded.ok, loaded.problems
    assert loaded.value == value
