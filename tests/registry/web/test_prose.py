"""Markdown of strangers: words and code, never markup of their own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.web.prose import prose


class TestProse:
    @pytest.mark.parametrize(
        "text",
        ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "![x](http://evil/)"],
    )
    def test_passes_no_markup_and_no_script_address(self, text: str) -> None:
        html, _ = prose(text)

        assert "<script" not in html
        assert "<img" not in html
        assert 'href="javascript' not in html

    def test_gives_links_no_credit(self) -> None:
        assert 'rel="nofollow ugc"' in prose("[x](https://example.org)")[0]

    def test_headings_have_anchors_of_their_own(self) -> None:
        _, headings = prose("# Text\n\n## Text\n\n## `x`")

        assert [heading.anchor for heading in headings] == ["text", "text-2", "x"]

    def test_shifts_headings_below_those_of_the_page(self) -> None:
        assert prose("# Hello", shift=3, anchors=False)[0].strip() == "<h4>Hello</h4>"

    def test_colours_a_script(self) -> None:
        assert '<span class="k">STATE</span>' in prose("```\nSTATE a = 1\n```")[0]

    @given(st.text(max_size=200))
    def test_takes_any_text(self, text: str) -> None:
        assert "<script" not in prose(text)[0]
