"""The JSON of a request: one reading, or a 400 that says what is wrong."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError
from rest_framework.test import APIClient

from registry.api.json_parser import OneReadingParser
from registry.models import User
from tests.registry.api.conftest import as_user


def parse(raw: bytes) -> Any:
    return OneReadingParser().parse(io.BytesIO(raw))


class TestOneReadingParser:
    def test_reads_what_json_writes(self) -> None:
        assert parse(b'{"a": [1, 2.5, null, "\\u00e4"]}') == {"a": [1, 2.5, None, "ä"]}

    def test_reads_past_a_byte_order_mark(self) -> None:
        assert parse(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}

    @pytest.mark.parametrize(
        ("raw", "says"),
        [
            (b"[" * 200_000, "nested too deeply"),
            (b'{"a": 1, "a": 2}', 'the key "a" stands twice'),
            (b'{"a": NaN}', "JSON has no NaN"),
            (b'{"a": \xff}', "position 6"),
            (b'{"a": 1,\n  b}', "line 2, column 3"),
            (b"1" * 5000, "4300 digits"),
        ],
        ids=["deep", "twice", "nan", "no-utf8", "no-json", "long-number"],
    )
    def test_refuses_and_says_why(self, raw: bytes, says: str) -> None:
        with pytest.raises(ParseError, match=says):
            parse(raw)

    @given(st.binary(max_size=200))
    def test_makes_a_value_or_a_parse_error_of_any_bytes(self, raw: bytes) -> None:
        try:
            found = parse(raw)
        except ParseError:
            return

        json.dumps(found)


class TestApi:
    def test_answers_deep_nesting_with_400(self, ada: User) -> None:
        raw = b'{"source": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"

        answer = as_user(ada).post("/api/v1/check", raw, content_type="application/json")

        assert (answer.status_code, answer.json()["code"]) == (400, "parse-error")

    def test_asks_for_an_object_without_words_of_the_framework(self, ada: User) -> None:
        answer = as_user(ada, "run").post("/api/v1/runs", [1], format="json")

        assert answer.status_code == 400
        assert answer.json()["detail"] == "send a JSON object"
        assert "non_field_errors" not in answer.content.decode()


@pytest.mark.django_db
class TestDescription:
    def test_is_json_for_whoever_asks_for_nothing_in_particular(self) -> None:
        answer = APIClient().get("/api/v1/openapi.json")

        assert answer["Content-Type"].startswith("application/")
        assert json.loads(answer.content)["openapi"].startswith("3.1")
