"""The verdict in words."""

from __future__ import annotations

from execution.shadow.wording import _more


class TestPairsStillNeeded:
    def test_are_told_in_the_singular_when_it_is_one(self) -> None:
        assert _more(1) == "About 1 further pair would decide it, if it is like those seen."

    def test_are_told_in_the_plural_otherwise(self) -> None:
        assert _more(2).startswith("About 2 further pairs would")

    def test_are_none_where_no_number_would_do(self) -> None:
        assert "no number" in _more(None)
