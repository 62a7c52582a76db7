"""Names and versions: one legal form, one order."""

from __future__ import annotations

import pytest
import semver
from hypothesis import given
from hypothesis import strategies as st

from registry.models.names import is_name, name_from, parse_version, version_sort_key

NUMBERS = st.integers(min_value=0, max_value=10**9 - 1)
PARTS = st.one_of(NUMBERS.map(str), st.from_regex(r"\A[a-zA-Z][0-9A-Za-z-]{0,8}\Z"))
VERSIONS = st.builds(
    lambda a, b, c, pre: f"{a}.{b}.{c}" + (f"-{'.'.join(pre)}" if pre else ""),
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.lists(PARTS, max_size=3),
)


class TestName:
    @pytest.mark.parametrize("name", ["ab", "a-b_c9", "x" * 64])
    def test_is_plain(self, name: str) -> None:
        assert is_name(name)

    @pytest.mark.parametrize("name", ["a", "A1", "1a", "_a", "a b", "ä1", "а1", "x" * 65, "a\n", "../a", ""])
    def test_is_nothing_else(self, name: str) -> None:
        assert not is_name(name)

    @given(st.text(max_size=100))
    def test_made_from_any_title_is_legal_or_empty(self, title: str) -> None:
        assert is_name(name_from(title)) or name_from(title) == ""

    def test_made_from_a_title_reads_like_it(self) -> None:
        assert name_from("Scatter-Gather Pattern") == "scatter-gather-pattern"
        assert name_from("MapReduce_v2!") == "mapreduce_v2"


class TestVersion:
    @pytest.mark.parametrize(
        "text", ["", "1", "1.0", "v1.0.0", "1.0.0.0", "01.0.0", "1.0.0-", "9" * 30 + ".0.0", "1.0.0\n"]
    )
    def test_refuses_what_is_none(self, text: str) -> None:
        assert parse_version(text) is None

    @given(VERSIONS, VERSIONS)
    def test_sorts_as_semver_says(self, one: str, other: str) -> None:
        order = semver.Version.parse(one).compare(other) if parse_version(one) and parse_version(other) else None
        if order is None:
            return
        keys = (version_sort_key(one), version_sort_key(other))
        assert (keys[0] > keys[1]) - (keys[0] < keys[1]) == order
