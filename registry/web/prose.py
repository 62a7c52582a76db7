"""
Markdown as HTML, for our own guides and for what people write.

HTML in the text is never passed through; links get ``rel`` so that a comment
gives no one credit; code is coloured like everywhere else. Headings get ids,
so that a line of a guide can be linked to.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from markdown_it import MarkdownIt
from markdown_it.token import Token

from registry.web.highlight import LEXERS, highlight


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """One heading of a guide, for its table of contents."""

    level: int  # 1 to 6
    text: str
    anchor: str


def prose(text: str, *, shift: int = 0, anchors: bool = True) -> tuple[SafeString, list[Heading]]:
    """
    The text as HTML, with its headings.

    Args:
        shift: added to every heading's level, for text below a page's own headings.
        anchors: whether headings get ids; not where several texts stand on a page.
    """
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "highlight": _code}).enable("table")
    tokens = parser.parse(text)
    headings: list[Heading] = []
    used: set[str] = set()
    for token, following in zip_longest(tokens, tokens[1:]):
        if anchors and token.type == "heading_open" and following is not None:
            headings.append(_anchor(token, following.content, used))
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + shift)}"
        if token.type in ("fence", "code_block"):
            token.attrSet("tabindex", "0")
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("rel", "nofollow ugc")
            if child.type == "image":
                child.type, child.tag, child.content = "text", "", child.content
    return mark_safe(parser.renderer.render(tokens, parser.options, {})), headings  # noqa: S308


def _anchor(token: Token, text: str, used: set[str]) -> Heading:
    base = slugify(text) or "part"
    anchor, number = base, 2
    while anchor in used:
        anchor, number = f"{base}-{number}", number + 1
    used.add(anchor)
    token.attrSet("id", anchor)
    return Heading(level=int(token.tag[1:]), text=text.replace("`", ""), anchor=anchor)


def _code(text: str, language: str, attributes: str) -> str:
    """Coloured lines for the languages of the house; a fence without a name is read as a script."""
    name = {"": "script", "opl": "script", "yml": "yaml", "md": "markdown"}.get(language, language)
    return "\n".join(highlight(text, name)) if name in LEXERS else escape(text)
