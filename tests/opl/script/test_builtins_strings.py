"""Strings, JSON, time, chance and methods."""

from __future__ import annotations

import re
import time

import pytest

from opl.errors import BadArgument, LimitExceeded, TypeMismatch
from tests.opl.script.bench import START_MS, Bench


def call(name: str, *arguments: object) -> object:
    return Bench().call(name, *arguments)


class TestStrings:
    def test_transforms(self) -> None:
        assert call("UPPER", "aß") == "ASS"
        assert call("TRIM", " a \n") == "a"
        assert call("SPLIT", "a,b", ",") == ["a", "b"]
        assert call("SPLIT", " a  b ") == ["a", "b"]
        assert call("SPLIT", "ab", "") == ["a", "b"]
        assert call("JOIN", ["a", 1, None, [2]], "-") == "a-1--[2]"
        assert call("REPLACE", "a.b.c", ".", 1) == "a1b1c"
        assert call("STARTS_WITH", "abc", "ab") is True
        assert call("ENDS_WITH", "abc", "ab") is False

    @pytest.mark.parametrize("name", ["UPPER", "LOWER", "TRIM", "SPLIT"])
    @pytest.mark.parametrize("value", [None, 5, []])
    def test_refuses_what_is_no_string(self, name: str, value: object) -> None:
        with pytest.raises(TypeMismatch, match=f"{name} needs a string"):
            call(name, value)

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [
            ("JOIN", (["x" * 1000] * 2000,)),
            ("REPLACE", ("a" * 1000, "a", "b" * 2000)),
            ("SPLIT", ("a" * 1_000_001, "")),
        ],
    )
    def test_refuses_a_result_that_is_too_large(self, name: str, arguments: tuple[object, ...]) -> None:
        with pytest.raises(LimitExceeded):
            call(name, *arguments)


class TestMatches:
    def test_finds(self) -> None:
        assert call("MATCHES", "round 12", r"\d+$") is True
        assert call("MATCHES", "round", r"^\d") is False
        assert call("MATCHES", "größe", "ö.e") is True
        assert call("MATCHES", "\ud800", "x") is False

    def test_takes_linear_time(self) -> None:
        start = time.perf_counter()

        assert call("MATCHES", "a" * 50_000 + "b", r"^(a+)+$") is False
        assert time.perf_counter() - start < 2

    @pytest.mark.parametrize("pattern", ["(", r"(a)\1", "x{10001}", "a" * 1001])
    def test_refuses_what_is_no_expression(self, pattern: str, capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(BadArgument, match="regular expression"):
            call("MATCHES", "a", pattern)

        assert capfd.readouterr().err == ""


class TestJson:
    def test_writes_and_reads(self) -> None:
        assert call("JSON.STRINGIFY", {"a": [1.0, None]}) == '{"a":[1,null]}'
        assert call("JSON.STRINGIFY", [1], None, 2) == "[\n  1\n]"
        assert call("JSON.PARSE", '{"a": 1.0}') == {"a": 1}

    def test_leaves_alone_what_is_parsed_already(self) -> None:
        assert call("JSON.PARSE", {"a": 1}) == {"a": 1}

    def test_refuses_what_is_no_json(self) -> None:
        with pytest.raises(BadArgument, match="no JSON"):
            call("JSON.PARSE", "{a: 1}")


class TestTime:
    def test_never_gives_the_same_timestamp_twice(self) -> None:
        bench = Bench()

        first, second = bench.call("TIMESTAMP"), bench.call("TIMESTAMP")

        assert (first, second) == (START_MS + 1500, START_MS + 1501)

    def test_tells_the_time(self) -> None:
        assert call("NOW") == "2023-11-14T22:13:21.500Z"
        assert call("ELAPSED") == 1.5

    def test_measures_in_milliseconds(self) -> None:
        assert call("DURATION", START_MS) == 1500
        assert call("ELAPSED_TIME", START_MS) == 1500
        assert call("DURATION", str(START_MS), START_MS + 20) == 20
        assert call("DURATION", "2023-11-14T22:13:20Z") == 1500

    def test_refuses_what_is_no_time(self) -> None:
        with pytest.raises(BadArgument, match="ISO 8601"):
            call("DURATION", "yesterday")


class TestChance:
    def test_is_the_seeds(self) -> None:
        drawn = [(b.call("RANDOM", 1, 6), b.call("SHUFFLE", [1, 2, 3]), b.call("UUID")) for b in (Bench(), Bench())]

        assert drawn[0] == drawn[1]

    def test_keeps_the_bounds(self) -> None:
        bench = Bench()

        assert {bench.call("RANDOM", 1, 3) for _ in range(60)} == {1, 2, 3}
        assert all(0 <= bench.call("RANDOM") < 1 for _ in range(60))
        assert all(0.5 <= bench.call("RANDOM", 1.5, 0.5) <= 1.5 for _ in range(60))

    def test_of_nothing_is_null(self) -> None:
        assert call("RANDOM_CHOICE", []) is None
        assert call("SAMPLE", [1], 5) == [1]


class TestGenerateTasks:
    def test_makes_tasks(self) -> None:
        tasks = call("GENERATE_TASKS", "birds", 2)

        assert [task["id"] for task in tasks] == ["task_1", "task_2"]  # type: ignore[attr-defined]
        assert "birds" in tasks[0]["description"]  # type: ignore[index]

    def test_cycles_through_the_input(self) -> None:
        assert Bench(tasks=["a", "b"]).call("GENERATE_TASKS", 3) == ["a", "b", "a"]

    def test_refuses_an_input_that_is_no_list(self) -> None:
        with pytest.raises(TypeMismatch, match="'tasks'"):
            Bench(tasks="a").call("GENERATE_TASKS", 3)


class TestMethods:
    @pytest.mark.parametrize(
        ("name", "receiver", "arguments", "result"),
        [
            ("shift", [1, 2], (), (1, [2])),
            ("shift", [], (), (None, [])),
            ("pop", [1, 2], (), (2, [1])),
            ("pop", [1, 2], (0,), (1, [2])),
            ("push", [1], (2, 3), (3, [1, 2, 3])),
            ("push", None, (1,), (1, [1])),
            ("append", [1], (2,), ([1, 2], [1, 2])),
            ("unshift", [2], (1,), (2, [1, 2])),
            ("insert", [1, 3], (1, 2), ([1, 2, 3], [1, 2, 3])),
            ("remove", [1, 2, 1], (1,), (True, [2, 1])),
        ],
    )
    def test_mutating_ones_give_result_and_receiver(
        self, name: str, receiver: object, arguments: tuple[object, ...], result: object
    ) -> None:
        assert Bench().method(name, receiver, *arguments) == result

    @pytest.mark.parametrize(
        ("name", "receiver", "arguments", "result"),
        [
            ("includes", [1, 2], (2,), True),
            ("includes", "abc", ("b",), True),
            ("indexOf", ["a"], ("b",), -1),
            ("slice", [1, 2, 3], (1,), [2, 3]),
            ("join", [1, 2], (" ",), "1 2"),
            ("join", ", ", (["a", "b"],), "a, b"),
            ("concat", [1], ([2], 3), [1, 2, 3]),
            ("toUpperCase", "a", (), "A"),
            ("split", "a-b", ("-",), ["a", "b"]),
            ("replace", "aa", ("a", "b"), "bb"),
            ("startsWith", "abc", ("a",), True),
            ("repeat", "ab", (2,), "abab"),
            ("get", {"a": None}, ("a", 5), 5),
            ("items", {"a": 1}, (), [["a", 1]]),
            ("find", [1, 2, 3], (lambda n: n > 1,), 2),
            ("map", [1, 2], (lambda n: n * 2,), [2, 4]),
            ("toString", 25.0, (), "25"),
        ],
    )
    def test_others_give_the_result(
        self, name: str, receiver: object, arguments: tuple[object, ...], result: object
    ) -> None:
        assert Bench().method(name, receiver, *arguments) == result

    def test_names_the_wrong_receiver(self) -> None:
        with pytest.raises(TypeMismatch, match=re.escape(".shift() works on a list, not on a string")):
            Bench().method("shift", "abc")

    def test_refuses_to_repeat_too_often(self) -> None:
        with pytest.raises(LimitExceeded):
            Bench().method("repeat", "ab", 2**50)
