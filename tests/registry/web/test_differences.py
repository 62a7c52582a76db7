"""Differences as lines of a page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opl.document.changes import Change, Way
from opl.document.diff import unified
from registry.web.differences import meaning, text_difference

OLD = "\n".join(f"line {n}" for n in range(1, 21))


class TestTextDifference:
    def test_numbers_both_sides(self) -> None:
        lines = text_difference(unified(OLD, OLD.replace("line 10\n", "line ten\nmore\n")))

        changed = [(line.sign, line.old, line.new) for line in lines if line.sign in "+-"]
        assert changed == [("-", 10, None), ("+", None, 10), ("+", None, 11)]

    def test_says_how_much_lies_between(self) -> None:
        lines = text_difference(unified(OLD, OLD.replace("line 10", "line ten")))

        assert [str(line.text) for line in lines if line.sign == "gap"] == ["6 lines unchanged"]

    def test_marks_what_differs_in_a_line(self) -> None:
        lines = text_difference(unified("a = 0.1", "a = 0.5"))

        assert [str(line.text) for line in lines] == ["a = 0.<del>1</del>", "a = 0.<ins>5</ins>"]

    def test_equal_texts_have_none(self) -> None:
        assert text_difference(unified(OLD, OLD)) == []

    def test_escapes_what_it_shows(self) -> None:
        lines = text_difference(unified("<b>1</b>", "<b>2</b>"))

        assert "<b>" not in "".join(str(line.text) for line in lines)

    @given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
    def test_the_numbers_are_those_of_the_texts(self, old: list[str], new: list[str]) -> None:
        for line in text_difference(unified("\n".join(old), "\n".join(new))):
            if line.sign == " ":
                assert old[line.old - 1] == new[line.new - 1] == line.text


class TestMeaning:
    def test_says_what_changed_and_where(self) -> None:
        change = Change(section="rules", way=Way.CHANGED, name="1", old={"if": 1}, new={"if": 2}, new_line=7)

        shown = meaning([change])[0]

        assert (shown.kind, shown.words) == ("changed", "rule 1 (line 7)")
        assert (shown.before, shown.after) == ('{"if": 1}', '{"if": 2}')
