"""One way to write a figure."""

from __future__ import annotations

import pytest

from execution.shadow.figures import percent, signed, typeset


class TestTypeset:
    @pytest.mark.parametrize(
        ("written", "shown"),
        [
            ("34% faster", "34 % faster"),
            ("more than 5%; mend it", "more than 5 %; mend it"),
            ("-0.018 quality", "−0.018 quality"),
            ("lies between -18.2 and +4.1 points", "lies between −18.2 and +4.1 points"),
            ("(+0.0 points, -0.000 quality)", "(0.0 points, 0.000 quality)"),
            ("except for claude-3 and a-1.5-b", "except for claude-3 and a-1.5-b"),
            ("on 2026-11-21", "on 2026-11-21"),
            ("20-8 of them", "20-8 of them"),
            ("100%25", "100%25"),
        ],
    )
    def test_writes_figures_as_pages_do_and_leaves_names(self, written: str, shown: str) -> None:
        assert typeset(written) == shown

    def test_of_what_is_typeset_already_changes_nothing(self) -> None:
        once = typeset("-0.018 quality, 34% faster, +0.0 points")

        assert typeset(once) == once


class TestFigures:
    def test_of_differences_have_a_minus_and_no_sign_at_zero(self) -> None:
        assert [signed(value, 1) for value in (1.5, -1.5, 0.0, -0.01)] == ["+1.5", "−1.5", "0.0", "0.0"]

    def test_of_shares_are_whole_percent(self) -> None:
        assert percent(0.344) == "34 %"
