"""
Is this text a script, or does it only tell what to do?

Two questions with cheap answers by the look of the lines: ``looks_like_script``
for a file or a fence that says nothing about itself, and ``first_narrative``
for text that may be either. A line counts as formal when it begins as a
statement of the language does. Lines inside brackets and below a ``key: |``
continue the statement before them and are not judged.
"""

from __future__ import annotations

import difflib
import re

from opl.document.text import split_lines

STATEMENTS = frozenset(
    """
    STATE UPDATE SET APPEND IF ELSE ELIF SWITCH CASE DEFAULT WHILE LOOP FOREACH FOR BREAK CONTINUE EVENT SEND
    AWAIT PARALLEL BRANCH WAIT TRACK TRY CATCH PERSIST SHARE RETURN USE TIMEOUT EMIT SPAWN AGGREGATE TERMINATE
    ASSERT COMPUTE CALCULATE STORE
    """.split()  # noqa: SIM905 - forty words read better than forty strings
)
_NO_OPERAND = frozenset(
    ["ELSE", "DEFAULT", "BREAK", "CONTINUE", "PARALLEL", "TRY", "CATCH", "TIMEOUT", "BRANCH", "RETURN"]
)
_MOST_MISSPELT = 20  # lines; a text with more is no script with slips
_WORD = re.compile(r"([A-Za-z_]\w*)")
_PLACE = re.compile(r"[A-Za-z_]\w*(?:\.\w+|\[[^\]]*\])*\s*(?:[-+*/]?=(?!=)|\()")
_METHOD = re.compile(r"[A-Za-z_]\w*(?:\.\w+|\[[^\]]*\])+\(")
_OPERATOR = re.compile(r"[<>=!()\[\]+*/%&|]|\?.*:|\b(?:and|or|not|in|AND|OR|NOT|IN)\b")
_PATH = re.compile(r"[A-Za-z_][\w.]*")
_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_RAW = re.compile(r":\s*[|>][-+]?\s*$")
_ARTICLES = frozenset(("THE", "EVERY", "YOUR", "THEIR", "THIS", "THAT"))
_PROSE_WORDS = re.compile(r"[A-Za-z]+")


def looks_like_script(text: str) -> bool:
    """Whether most statement lines of a text begin as statements of the language do."""
    lines = _statement_lines(text)
    formal = sum(is_statement(line) for _, line in lines)
    strong = any(_keyword(line) for _, line in lines)
    return bool(lines) and strong and formal * 2 > len(lines)


def first_narrative(text: str) -> tuple[int, str] | None:
    """
    The first line that is no statement and no misspelt one, as (index from 0, text).

    None where every line may be meant as a statement.
    """
    misspelt = 0
    for index, line in _statement_lines(text):
        if is_statement(line):
            continue
        misspelt += 1
        if misspelt > _MOST_MISSPELT or not _misspelt(line):
            return index, line.strip()
    return None


def is_statement(line: str) -> bool:
    """Whether a line begins as a statement does: a keyword and what belongs to it, an assignment, a call."""
    text = line.strip()
    return bool(_keyword(text) or _PLACE.match(text) or _METHOD.match(text))


def is_expression(text: str) -> bool:
    """Whether a condition is meant as an expression: it has an operator or a call, and no sentence."""
    bare = text.strip()
    if _sentence(f" {bare}", ""):
        return False
    return bool(_OPERATOR.search(bare)) or bool(_PATH.fullmatch(bare))


def _keyword(line: str) -> bool:
    text = line.strip()
    match = _WORD.match(text)
    if not match or match[1].upper() not in STATEMENTS:
        return False
    word, rest = match[1], text[match.end() :]
    if not (word.isupper() or word.islower()):
        return False
    if word.upper() in _NO_OPERAND and rest.strip() in ("", ":"):
        return True
    if rest[:1] not in (" ", "\t", "(", "{"):
        return False
    return not _sentence(rest, word)


def _sentence(rest: str, word: str) -> bool:
    """Whether what follows a keyword reads as words: three or more in a row without an operator."""
    bare = _STRING.sub('""', rest.split("#", 1)[0])
    run = re.search(r"(?:\b[A-Za-z]\w*\s+){2}[A-Za-z]\w*\b", bare)
    if not run:
        return False
    words = {part.upper() for part in _PROSE_WORDS.findall(run[0])}
    operators = {
        "IN",
        "FROM",
        "TO",
        "AND",
        "OR",
        "NOT",
        "AS",
        "WITH",
        "WHERE",
        "UNTIL",
        "TIMEOUT",
        "DESC",
        "ASC",
        "FOR",
        "IF",
        "ELSE",
    }
    return bool(words & _ARTICLES) or not words & operators


def _misspelt(line: str) -> bool:
    """Whether a line begins with an upper-case word that is nearly a keyword."""
    match = _WORD.match(line.strip())
    if not match or not match[1].isupper() or len(match[1]) < 4:
        return False
    return bool(difflib.get_close_matches(match[1], STATEMENTS, n=1, cutoff=0.84))


def _statement_lines(text: str) -> list[tuple[int, str]]:
    """The lines that begin a statement, with their index; comments and continuations left out."""
    found = []
    depth = 0
    raw_indent = -1
    for index, line in enumerate(split_lines(text)):
        bare = line.strip()
        indent = len(line) - len(line.lstrip())
        if not bare or (raw_indent >= 0 and indent > raw_indent):
            continue
        raw_indent = -1
        if bare.startswith("#"):
            continue
        if depth == 0 and bare[0] not in "}])":
            found.append((index, line))
        code = _STRING.sub('""', line).split("#", 1)[0]
        depth = max(0, depth + sum(map(code.count, "([{")) - sum(map(code.count, ")]}")))
        if _RAW.search(code):
            raw_indent = indent
    return found
