"""Coloured source: the text stays what it was, whatever it is."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opl.document.text import split_lines
from registry.web.highlight import highlight


def plain(lines: list[str]) -> list[str]:
    """The lines without their colours."""
    return [html.unescape(re.sub(r"<[^>]*>", "", line)) for line in lines]


class TestHighlight:
    @pytest.mark.parametrize("language", ["script", "yaml", "markdown", "json", "plain"])
    @given(text=st.text(st.characters(blacklist_categories=("Cs", "Cc"), whitelist_characters="\n\t"), max_size=200))
    def test_changes_nothing_of_the_text(self, language: str, text: str) -> None:
        assert plain(highlight(text, language)) == (
            split_lines(text)[:-1] if text.endswith("\n") else split_lines(text)
        )

    def test_colours_keywords_strings_and_what_is_asked(self) -> None:
        line = highlight('EVENT completion:async {prompt: "Ask {{name}}"}', "script")[0]

        assert '<span class="k">EVENT</span>' in line
        assert '<span class="a">completion:async</span>' in line
        assert '<span class="a">{{name}}</span>' in line

    def test_a_keyword_that_is_a_name_stays_plain(self) -> None:
        assert 'class="k"' not in highlight("x.state", "script")[0]

    def test_colours_the_script_inside_a_document(self) -> None:
        lines = highlight("name: x\ndsl: |\n  STATE a = 1\nother: 2", "yaml")

        assert '<span class="k">STATE</span>' in lines[2]
        assert '<span class="k">' not in lines[3]

    def test_colours_the_scripts_of_a_component(self) -> None:
        lines = highlight("# Title\n\n```\nFOREACH x IN y:\n```\nFOREACH text", "markdown")

        assert '<span class="k">FOREACH</span>' in lines[3]
        assert "<span" not in lines[5]

    def test_lets_no_markup_through(self) -> None:
        assert "<script" not in "".join(highlight("<script>alert(1)</script>", "yaml"))
