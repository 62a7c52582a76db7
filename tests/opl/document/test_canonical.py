"""Canonical JSON and the digests made of it."""

from __future__ import annotations

import hashlib
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opl.document.canonical import NotCanonical, canonical, digest, script_value, semantic_digest


class TestCanonical:
    @pytest.mark.parametrize(
        ("value", "written"),
        [
            ({"b": 1, "a": [True, None]}, b'{"a":[true,null],"b":1}'),
            (1.0, b"1"),
            (-0.0, b"0"),
            (1e21, b"1e+21"),
            (0.000001, b"0.000001"),
            (1e-7, b"1e-7"),
            ("é\n\u2028\x1f", '"é\\n\u2028\\u001f"'.encode()),
            ({"\u20ac": 1, "\r": 2, "\U0001f600": 3, "\ufb33": 4}, '{"\\r":2,"€":1,"😀":3,"\ufb33":4}'.encode()),
        ],
    )
    def test_is_rfc_8785(self, value: object, written: bytes) -> None:
        assert canonical(value) == written

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**60, "\ud800", {"a": object()}])
    def test_refuses_what_json_cannot_hold(self, value: object) -> None:
        with pytest.raises(NotCanonical, match="no canonical form") as caught:
            canonical(value)

        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)

    def test_digests_are_sha256_in_hex(self) -> None:
        assert digest(b"") == hashlib.sha256(b"").hexdigest()
        assert semantic_digest({"a": 1.0}) == semantic_digest({"a": 1}) == digest(b'{"a":1}')

    def test_a_script_loses_trailing_blanks_only(self) -> None:
        assert script_value("  a  \r\n\tb\t\r\n\n\n") == {"script": "  a\n\tb"}


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(_JSON)
def test_means_the_same_and_is_its_own_canonical_form(value: object) -> None:
    again = json.loads(canonical(value), parse_int=float)  # every number of JSON is a double

    assert again == value
    assert canonical(again) == canonical(value)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner),
)  # fmt: skip


class TestTheShortWay:
    @given(ANY_JSON)
    def test_writes_what_the_library_writes(self, value: object) -> None:
        import rfc8785

        assert canonical(value) == rfc8785.dumps(value)
