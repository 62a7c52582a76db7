"""
Source text as coloured lines, one safe HTML string a line.

Colour never decides anything here: broken texts are coloured too, so this
reads words with a lexer of its own instead of the language's parser. Scripts
inside documents (a YAML block scalar, a Markdown fence) are coloured as
scripts. Classes are those of ``static/hub.css``: k s n c a o h e.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from pygments.lexer import RegexLexer, bygroups, words
from pygments.lexers.data import JsonLexer, YamlLexer
from pygments.lexers.markup import MarkdownLexer
from pygments.token import Comment, Error, Generic, Keyword, Name, Number, Operator, Punctuation, String

from opl.document.text import split_lines

STATEMENTS = (
    "STATE", "UPDATE", "SET", "APPEND", "IF", "ELSE", "ELIF", "SWITCH", "CASE", "DEFAULT", "WHILE", "LOOP",
    "FROM", "TO", "FOREACH", "FOR", "IN", "BREAK", "CONTINUE", "EVENT", "AS", "SEND", "AWAIT", "TIMEOUT",
    "PARALLEL", "BRANCH", "WAIT", "TRACK", "TRY", "CATCH", "PERSIST", "SHARE", "WITH", "RETURN", "USE",
    "WHERE", "AND", "OR", "NOT", "DESC", "ASC",
)  # fmt: skip


class ScriptLexer(RegexLexer):
    """The words of the orchestration language, for colour only."""

    name = "OPL script"
    flags = re.IGNORECASE | re.MULTILINE
    tokens = {
        "root": [
            (r"^##.*$", Generic.Heading),
            (r"#.*$", Comment),
            (r"(EVENT)(\s+)([a-z_]\w*(?::\w+)*)", bygroups(Keyword, Punctuation, Name.Attribute)),  # type: ignore[no-untyped-call]
            # Followed by a colon they open a block where they are in upper case; `timeout: 60` is a key.
            (r"(?-i:\b(?:PARALLEL|BRANCH|ELSE|TRY|CATCH|DEFAULT|TIMEOUT))(?=\s*:)", Keyword),
            (words(STATEMENTS, prefix=r"(?<![\w.])", suffix=r"(?![\w:(])"), Keyword),
            (r"(PARALLEL|ANY|ALL)(?=\()", Keyword),
            (r"(?<![\w.])(true|false|null|none)\b", Number),
            (r"\b\d+(\.\d+)?(e[+-]?\d+)?\b", Number),
            (r'"', String, "double"),
            (r"'", String, "single"),
            (r"[A-Za-z_]\w*(?=\()", Name.Function),
            (r"[A-Za-z_]\w*", Name),
            (r"[-+*/%=<>!?|&]+", Operator),
            (r"[\[\]{}(),.:]", Punctuation),
            (r"\s+", Punctuation),
            (r".", Punctuation),
        ],
        "double": [(r"\{\{[^}\n]*\}\}", Name.Attribute), (r'\\.|[^"\\{\n]+|\{', String), (r'"|\n', String, "#pop")],
        "single": [(r"\{\{[^}\n]*\}\}", Name.Attribute), (r"\\.|[^'\\{\n]+|\{", String), (r"'|\n", String, "#pop")],
    }


# The first type that a token's type lies in decides; None is plain text.
CLASSES: tuple[tuple[Any, str | None], ...] = (
    (Keyword.Constant, "n"),
    (Keyword, "k"),
    (Comment, "c"),
    (Number, "n"),
    (String, "s"),
    (Name.Tag, "a"),
    (Name.Attribute, "a"),
    (Name.Label, "a"),
    (Name.Function, "a"),
    (Generic.Heading, "h"),
    (Generic.Subheading, "h"),
    (Operator, "o"),
    (Error, "e"),
)
LEXERS = {"script": ScriptLexer, "yaml": YamlLexer, "markdown": MarkdownLexer, "json": JsonLexer}
BLOCK_SCALAR = re.compile(r"^(\s*)(?:- )?[\w-]+:\s*[|>][-+0-9]*\s*$")
FENCE = re.compile(r"^(`{3,}|~{3,})\s*([\w-]*)\s*$")
LOOKS_LIKE_A_SCRIPT = re.compile(rf"^\s*(##\s|(?:{'|'.join(STATEMENTS[:32])})\b)")


def language_of(envelope: str) -> str:
    """The language in which an envelope is written: opl and ksi are YAML."""
    return {"component": "markdown", "script": "script", "opl": "yaml", "ksi": "yaml"}.get(envelope, "yaml")


def highlight(text: str, language: str) -> list[SafeString]:
    """
    The lines of ``text``, coloured.

    Args:
        language: script, yaml, markdown, json; anything else stays plain.
    """
    lines = split_lines(text)
    if len(lines) > 1 and not lines[-1]:
        lines.pop()  # a line end at the end of a text begins no line that anybody wrote
    if language not in LEXERS:
        return [_plain(line) for line in lines]
    coloured = _coloured("\n".join(lines), language)
    inner = {"yaml": _scalars, "markdown": _fences}.get(language)
    for start, end in inner(lines) if inner else ():
        coloured[start:end] = _coloured("\n".join(lines[start:end]), "script")
    return coloured


def _coloured(text: str, language: str) -> list[SafeString]:
    rows: list[list[str]] = [[]]
    lexer = LEXERS[language](stripnl=False, ensurenl=False)
    for kind, value in lexer.get_tokens(text):
        name = next((css for outer, css in CLASSES if kind in outer), None)
        for number, part in enumerate(value.split("\n")):
            if number:
                rows.append([])
            if part:
                rows[-1].append(f'<span class="{name}">{escape(part)}</span>' if name else escape(part))
    return [mark_safe("".join(row)) for row in rows]  # noqa: S308


def _plain(line: str) -> SafeString:
    return escape(line)


def _scalars(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Where block scalars that look like scripts stand: first and past-the-last line, from 0."""
    number = 0
    while number < len(lines):
        opening = BLOCK_SCALAR.match(lines[number])
        number += 1
        if not opening:
            continue
        start = number
        while number < len(lines) and (not lines[number].strip() or _indent(lines[number]) > len(opening[1])):
            number += 1
        if any(LOOKS_LIKE_A_SCRIPT.match(line) for line in lines[start:number]):
            yield start, number


def _fences(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Where fenced scripts stand."""
    fence, start = "", 0
    for number, line in enumerate(lines):
        found = FENCE.match(line)
        if not found:
            continue
        if not fence:
            fence, start = found[1], number + 1
        elif found[1].startswith(fence):
            if any(LOOKS_LIKE_A_SCRIPT.match(inside) for inside in lines[start:number]):
                yield start, number
            fence = ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
