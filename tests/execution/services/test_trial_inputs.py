"""Inputs of a trial, read from whatever a person has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.errors import TrialRefused
from execution.services.trial_inputs import read_inputs


class TestFile:
    @pytest.mark.parametrize(
        "data",
        [
            b'[{"n": 1}, {"n": 2}]',
            b'{"n": 1}\n\n{"n": 2}\n',
            b"- n: 1\n- n: 2\n",
            b'\xef\xbb\xbf[{"n": 1}, {"n": 2}]',
            b'[{"inputs": {"n": 1}}, {"n": 2}]',
        ],
    )
    def test_may_be_json_json_lines_or_yaml(self, data: bytes) -> None:
        assert [one.values for one in read_inputs(data)] == [{"n": 1}, {"n": 2}]

    def test_names_the_stratum_of_an_item(self) -> None:
        (one,) = read_inputs(b'[{"inputs": {"n": 1}, "stratum": "long"}]')
        assert one.stratum == "long"

    def test_that_is_one_object_is_one_input(self) -> None:
        assert [one.values for one in read_inputs(b'{"n": 1}')] == [{"n": 1}]

    def test_counts_an_input_that_comes_twice_once(self) -> None:
        assert len(read_inputs(b'[{"a": 1, "b": 2}, {"b": 2, "a": 1}]')) == 1

    @pytest.mark.parametrize(
        ("data", "told"),
        [
            (b"", "nothing in it"),
            (b"[]", "at least one"),
            (b"[1]", "item 1"),
            (b'{"n": 1}\nnonsense', "line 2"),
            (b"\xff\xfe\x00", "UTF-8"),
            (b"a: [", "neither JSON nor YAML"),
            (b'[{"inputs": {}, "stratum": 7}]', "stratum"),
        ],
    )
    def test_says_where_it_is_wrong(self, data: bytes, told: str) -> None:
        with pytest.raises(TrialRefused, match=told):
            read_inputs(data)

    @given(st.binary(max_size=300))
    def test_of_any_bytes_gives_inputs_or_our_refusal(self, data: bytes) -> None:
        try:
            assert read_inputs(data)
        except TrialRefused as refused:
            assert refused.field == "inputs"
