"""JSON that two parsers could read differently is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol import strictjson
from federation.protocol.problems import Refused

REFUSED = {
    "a duplicate key": b'{"a": 1, "a": 1}',
    "a duplicate key deep inside": b'[{"x": {"a": 1, "b": 2, "a": 3}}]',
    "a duplicate key behind an escape": b'{"a": 1, "\\u0061": 2}',
    "NaN": b"NaN",
    "infinity": b"[-Infinity]",
    "infinity by overflow": b"1e999",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "an escaped NUL": b'"a\\u0000b"',
    "a raw NUL": b'"a\0b"',
    "a raw control character": b'"a\nb"',
    "a lone high surrogate": b'"\\ud800"',
    "a lone low surrogate": b'"\\udc00"',
    "a high surrogate before another escape": b'"\\ud800\\u0041"',
    "a high surrogate before a character": b'"\\ud800x\\udc00"',
    "surrogates in the wrong order": b'"\\udc00\\ud800"',
    "a surrogate as UTF-8 bytes": b'"\xed\xa0\x80"',
    "bytes that are not UTF-8": b'"\xff"',
    "something after the value": b"{} {}",
    "nothing": b"",
    "an integer with very many digits": b"1" * 5_000,
    "very deep nesting": b"[" * 100_000,
}


class TestLoads:
    @pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
    def test_refuses(self, raw):
        with pytest.raises(Refused) as refusal:
            strictjson.loads(raw)
        assert refusal.value.code == "schema-invalid"

    def test_refuses_a_lone_surrogate_in_text(self):
        with pytest.raises(Refused):
            strictjson.loads('"\ud800"')

    @pytest.mark.parametrize(
        ("raw", "value"),
        [
            (b'"\\ud83d\\ude00"', "\U0001f600"),
            (b'"\\\\u0000"', "\\u0000"),
            ('"é"'.encode(), "é"),
            (b' {"a": [1, 2.5, true, null]} ', {"a": [1, 2.5, True, None]}),
        ],
    )
    def test_reads(self, raw, value):
        assert strictjson.loads(raw) == value

    def test_refuses_needless_escapes_where_a_payload_is_read(self):
        assert strictjson.loads(b'"\\u00e9"') == "é"
        with pytest.raises(Refused, match="beyond ASCII"):
            strictjson.loads(b'"\\u00e9"', plain_escapes=True)

    def test_reads_escaped_control_characters_in_a_payload(self):
        assert strictjson.loads(b'"\\u001b"', plain_escapes=True) == "\x1b"

    @given(st.binary(max_size=200))
    def test_gives_a_value_or_our_error_for_any_bytes(self, raw):
        try:
            strictjson.loads(raw)
        except Refused as refusal:
            assert refusal.code == "schema-invalid"

    @given(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(2**53), 2**53)
            | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), inner)
            ),
            max_leaves=20,
        )
    )
    def test_reads_what_dumps_writes(self, value):
        assert strictjson.loads(strictjson.dumps(value), plain_escapes=True) == value

    def test_reads_what_the_standard_library_reads(self):
        raw = json.dumps({"a": ["é", "\U0001f600", 1e-7]}).encode()

        assert strictjson.loads(raw) == json.loads(raw)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
)


class TestTheQuickWay:
    """What ``_quick`` answers is what the thorough way answers; it may only be unsure more often."""

    @given(ANY_JSON, st.booleans(), st.sampled_from([(",", ":"), (", ", ": ")]))
    def test_reads_what_the_thorough_way_reads(self, value, ascii_only, separators):
        try:
            raw = json.dumps(value, ensure_ascii=ascii_only, separators=separators).encode()
        except UnicodeEncodeError:
            return

        quick = strictjson._quick(raw)

        if quick is not strictjson._UNSURE:
            thorough = strictjson._DECODER.decode(raw.decode())
            assert quick == thorough
            assert repr(quick) == repr(thorough)

    @given(st.binary(max_size=60) | st.text(alphabet='{}[]",:01a\\u.e-+ \0\x7f\ud800\ufeff', max_size=40))
    def test_is_unsure_of_whatever_is_refused(self, raw):
        quick = strictjson._quick(raw)
        if quick is strictjson._UNSURE:
            return

        text = raw.decode() if isinstance(raw, bytes) else raw
        assert repr(strictjson._DECODER.decode(text)) == repr(quick)
        assert "\0" not in repr(quick).replace("\\x00", "\0")

    @pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
    def test_is_unsure_of_each_of_these(self, raw):
        assert strictjson._quick(raw) is strictjson._UNSURE

    def test_is_sure_of_a_compact_statement(self):
        assert strictjson._quick(strictjson.dumps({"b": [1, "é", None], "a": 2.5})) == {"a": 2.5, "b": [1, "é", None]}


TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)


class TestPlainDumps:
    @given(
        st.recursive(
            TEXT | st.integers(0, 2**53 - 1) | st.none(),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
            max_leaves=12,
        )
    )
    def test_writes_the_bytes_that_dumps_writes(self, value):
        assert strictjson.dumps_plain(value) == strictjson.dumps(value)
