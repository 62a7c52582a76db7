"""The timeline: whoever was asked has a row, and every bar stays where its times are."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from execution.web.timeline import MOST_ROWS, NAMES, WIDTH, Bar, Mark, timeline


def bar(row: str = "ada", **times: int | None) -> Bar:
    known = {"asked_at": 0, "sent_at": 0, "ended_at": 500, **times}
    return Bar(row=row, status="done", label=row, href="/x/", **known)


def drawn(*bars: Bar, marks: tuple[Mark, ...] = (), end: int = 1000) -> ElementTree.Element:
    return ElementTree.fromstring(timeline(bars, marks, start=0, end=end, title="t"))


class TestTimeline:
    def test_has_a_row_for_each_who_was_asked(self) -> None:
        names = [found.text for found in drawn(bar("ada"), bar("grace"), bar("ada")).iter("text")]

        assert (names.count("ada"), names.count("grace")) == (1, 1)

    def test_a_bar_is_as_long_as_the_answer_took(self) -> None:
        done = next(found for found in drawn(bar()).iter("rect") if found.get("class") == "span good")

        assert abs(float(done.get("width", "0")) - (WIDTH - NAMES - 26) / 2) < 1

    def test_how_it_ended_is_a_sign_and_not_only_a_colour(self) -> None:
        failed = Bar(row="a", asked_at=0, sent_at=0, ended_at=9, status="failed", label="a", ends_as="timeout")

        assert "✗ timeout" in [found.text for found in drawn(failed).iter("text")]

    def test_counts_those_who_have_no_row(self) -> None:
        words = [found.text for found in drawn(*(bar(f"agent {n}") for n in range(60))).iter("text")]

        assert f"and {60 - MOST_ROWS + 2} more" in words

    def test_a_rule_that_fired_has_a_shape_of_its_own(self) -> None:
        plain, fired = (drawn(marks=(Mark(at=5, kind=kind),)) for kind in ("event", "rule"))

        assert ElementTree.tostring(plain) != ElementTree.tostring(fired)

    @given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**7), st.booleans()), max_size=12))
    def test_draws_any_times(self, rows: list[tuple[int, int, bool]]) -> None:
        bars = [
            bar(str(n), asked_at=a, sent_at=a, ended_at=a + b if done else None) for n, (a, b, done) in enumerate(rows)
        ]

        for rect in drawn(*bars, end=3 * 10**7).iter("rect"):
            assert float(rect.get("width", "0")) >= 0

    def test_leaves_out_the_sign_of_success_where_bars_stand_close(self) -> None:
        close = [bar("a", asked_at=n * 10, sent_at=n * 10, ended_at=n * 10 + 9) for n in range(40)]
        failed = Bar(row="a", asked_at=401, sent_at=401, ended_at=402, status="failed", label="a")

        words = [found.text for found in drawn(*close, failed, bar("a", asked_at=404, ended_at=500)).iter("text")]

        assert words.count("✓") == 1
        assert words.count("✗") == 1
