"""Text with slots."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opl.script.templates import FILTERS, Slot, default_value, has_slots, split


def sources(text: str) -> list[str]:
    return [part.source for part in split(text) if isinstance(part, Slot)]


class TestSplit:
    def test_finds_text_and_slots(self) -> None:
        first, slot, last = split("Hello {{ name }}!")

        assert (first, last) == ("Hello ", "!")
        assert slot == Slot("name", 9, (), "{{ name }}")

    def test_points_at_the_expression(self) -> None:
        text = "a {{  b  |upper}} {{c}}"

        for part in split(text):
            if isinstance(part, Slot):
                assert text[part.offset :].startswith(part.source)

    @pytest.mark.parametrize(
        ("text", "source"),
        [
            ("{{ {a: {b: 1}} }}", "{a: {b: 1}}"),
            ('{{f("}}")}}', 'f("}}")'),
            ("{{f('}}', {x: \"{\"})}}", "f('}}', {x: \"{\"})"),
            (r'{{"a \" }} b"}}', r'"a \" }} b"'),
            ("{{JSON.stringify(rows[0])}}", "JSON.stringify(rows[0])"),
        ],
    )
    def test_is_not_fooled_by_braces_inside(self, text: str, source: str) -> None:
        assert sources(text) == [source]

    def test_finds_the_slots_after_one_that_is_no_expression(self) -> None:
        assert sources("{{don't}} {{name}} {{it's}}") == ["don't", "name", "it's"]

    def test_begins_a_slot_as_late_as_it_can(self) -> None:
        assert sources("write {{ to open, as in {{name}}") == ["name"]
        assert split("{{{{x}}}}") == ("{{", Slot("x", 4, (), "{{x}}"), "}}")

    @pytest.mark.parametrize("part", ["{{((( }}", "{{'", "{{a{ }}", "{{", "{{{ '", '{{"\\'])
    def test_takes_linear_time(self, part: str) -> None:
        start = time.perf_counter()

        split(part * (256 * 1024 // len(part)))

        assert time.perf_counter() - start < 3

    @pytest.mark.parametrize("text", ["plain", "{{open", "{{}}", "{{   }}", "}} {{", "{a}", ""])
    def test_leaves_other_text_alone(self, text: str) -> None:
        assert split(text) == ((text,) if text else ())
        assert not has_slots(text)

    @given(st.text(alphabet="{}|'\"ab:\\ ([", max_size=40))
    def test_loses_nothing(self, text: str) -> None:
        parts = split(text)

        assert "".join(part if isinstance(part, str) else part.raw for part in parts) == text
        assert all(parts)


class TestFilters:
    @pytest.mark.parametrize(
        ("text", "filters"),
        [
            ("{{x|upper}}", (("upper", None),)),
            ("{{x | default some text}}", (("default", "some text"),)),
            ("{{x|default:text}}", (("default", "text"),)),
            ("{{x|default:'a|b'}}", (("default", "a|b"),)),
            ('{{x|default("y")|upper}}', (("default", "y"), ("upper", None))),
            ("{{x|default:a: b}}", (("default", "a: b"),)),
        ],
    )
    def test_are_taken_off(self, text: str, filters: object) -> None:
        (slot,) = split(text)

        assert isinstance(slot, Slot)
        assert (slot.source, slot.filters) == ("x", filters)

    @pytest.mark.parametrize("source", ["a || b", "f('|')", "[a || b]", '{"k": "x|y"}'])
    def test_are_not_seen_where_there_are_none(self, source: str) -> None:
        (slot,) = split("{{" + source + "}}")

        assert isinstance(slot, Slot)
        assert (slot.source, slot.filters) == (source, ())

    @pytest.mark.parametrize(
        ("name", "value", "argument", "result"),
        [
            ("upper", "ab", None, "AB"),
            ("lower", "AB", None, "ab"),
            ("slugify", " A new_Idea! ", None, "a-new-idea"),
            ("default", None, "text", "text"),
            ("default", None, "10", 10),
            ("default", None, None, ""),
            ("default", 0, "10", 0),
            ("json", {"a": 1}, None, '{"a":1}'),
            ("length", [1, 2], None, 2),
            ("join", ["a", 1], None, "a, 1"),
            ("title", "two words", None, "Two Words"),
        ],
    )
    def test_apply(self, name: str, value: object, argument: str | None, result: object) -> None:
        assert FILTERS[name](value, argument) == result

    def test_a_default_may_be_a_list(self) -> None:
        assert default_value("['a', 'b']") == ["a", "b"]
        assert default_value("it's") == "it's"
