"""
What should not leave a node, or should not be trusted when it arrives.

    for finding in scan(document):
        print(finding.line, finding.code, finding.excerpt)

Secrets, private addresses, names that look like others, and phrases that try
to command the reading agent. The rules are data (``schemas/scan/rules.json``)
and run on RE2, whose time is linear in the text; all of them together look
once over a text, and only those that match are asked where. The same scan stands at
publish, at egress and at ingress. Excerpts never repeat a secret.

Source: the token formats are those that their issuers document; the choice
follows gitleaks without its generic rule.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

import re2

from opl.document import reading
from opl.document.compose import Node
from opl.document.model import Document
from opl.document.schemas import FOLDER
from opl.document.text import Lines
from opl.errors import Problem, Severity

_MOST = 200  # findings of one text
# For the states of the automaton: far above what it ever holds at once, as RE2 answers "nothing" where it cannot hold one.
_SET_BYTES = 64 * 1024 * 1024


class Category(StrEnum):
    """What kind of finding it is, which decides what follows."""

    SECRET = "secret"  # noqa: S105 - a word, not one; opens something: nothing that holds one leaves the node
    PRIVATE = "private"  # a person's or a network's address: a person decides
    NAME = "name"  # looks like another name, or hides characters
    INJECTION = "injection"  # speaks to the agent that reads it: shown, not trusted


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One suspicious place."""

    code: str  # "secret.github-token", "injection.override", …
    category: Category
    severity: Severity
    message: str  # what it looks like, one sentence without a full stop
    excerpt: str  # redacted where it is a secret
    line: int  # counts from 1
    column: int  # counts from 1, in characters
    length: int
    pointer: str = ""  # of the value, where the source hides the text behind escapes

    def to_problem(self, file: str = "") -> Problem:
        """The same finding as a problem of a document."""
        return Problem(
            code=f"opl.scan.{self.code}",
            message=f"{self.message}: {self.excerpt}",
            hint=_HINTS[self.category],
            severity=self.severity,
            file=file,
            line=self.line,
            column=self.column,
            length=self.length,
            pointer=self.pointer,
        )


_HINTS = {
    Category.SECRET: "remove it, and revoke it where it was issued",
    Category.PRIVATE: "replace it by a placeholder if it is not meant to be public",
    Category.NAME: "write it in one script, without invisible characters",
    Category.INJECTION: "read it before an agent does",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    code: str
    category: Category
    severity: Severity
    message: str
    pattern: Any
    keywords: tuple[str, ...]  # one of them must stand in the lower-cased text; none: always look
    allowed: Any  # matches of this are no finding; None: all are


@lru_cache(maxsize=1)
def _rules() -> tuple[_Rule, ...]:
    data = json.loads((FOLDER / "scan" / "rules.json").read_text(encoding="utf-8"))
    return tuple(_rule(item) for item in data["rules"])


@lru_cache(maxsize=1)
def _together() -> Any:
    """All rules in one automaton: one pass over a text tells which of them match anywhere in it."""
    options = re2.Options()
    options.max_mem = _SET_BYTES
    together = re2.Set.SearchSet(options)
    for rule in _rules():
        together.Add(rule.pattern.pattern)
    together.Compile()
    return together


def _matching(text: str) -> tuple[_Rule, ...]:
    """The rules that match somewhere in a text, in their order: none of most texts."""
    return tuple(_rules()[index] for index in sorted(_together().Match(text) or ()))


def _rule(item: Mapping[str, Any]) -> _Rule:
    category = Category(item["category"])
    allowed = item.get("allowed")
    return _Rule(
        code=f"{category}.{item['id']}",
        category=category,
        severity=Severity(item["severity"]),
        message=item["message"],
        pattern=re2.compile(item["pattern"]),
        keywords=tuple(item.get("keywords", ())),
        allowed=re2.compile(allowed) if allowed else None,
    )


def scan(subject: str | Document) -> tuple[Finding, ...]:
    """
    All findings in a text or a document, in order of the text.

    Of a document also the values are looked at whose source is escaped or
    folded, and its names.
    """
    if isinstance(subject, str):
        return _ordered(_scan_text(subject))
    found = list(_scan_text(subject.text))
    seen = {(finding.code, finding.excerpt) for finding in found}
    for finding in (*_scan_hidden(subject), *_scan_names(subject)):
        if (finding.code, finding.excerpt) not in seen:
            seen.add((finding.code, finding.excerpt))
            found.append(finding)
    return _ordered(found)


def secrets(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The findings that keep a document from leaving the node."""
    return tuple(finding for finding in findings if finding.category is Category.SECRET)


def _ordered(found: Any) -> tuple[Finding, ...]:
    unique = dict.fromkeys(found)
    return tuple(sorted(unique, key=lambda finding: (finding.line, finding.column, finding.code)))[:_MOST]


def _scan_text(text: str) -> Iterator[Finding]:
    lines: Lines | None = None  # made for the first finding: most texts have none
    lowered = text.lower()
    taken: list[tuple[int, int]] = []
    for rule in _matching(text):
        if rule.keywords and not _holds_one(lowered, rule.keywords):
            continue
        for match in rule.pattern.finditer(text):
            group = 1 if rule.pattern.groups and match.start(1) >= 0 else 0
            start, end = match.span(group)
            told = match.group(group)
            if rule.allowed is not None and rule.allowed.search(match.group(0)):
                continue
            if any(first <= start < last for first, last in taken):
                continue  # a more specific rule, which stands earlier, has named it
            if rule.category is Category.SECRET:
                taken.append((start, end))
            lines = lines or Lines(text)
            yield _finding(rule, told, lines.place(start), end - start)
    if not text.isascii():
        yield from _mixed_words(text, lines or Lines(text))


def _holds_one(lowered: str, keywords: tuple[str, ...]) -> bool:
    """A plain loop: a generator per rule and text was a quarter of a scan's time."""
    for keyword in keywords:  # noqa: SIM110
        if keyword in lowered:
            return True
    return False


def _finding(rule: _Rule, told: str, place: tuple[int, int], length: int) -> Finding:
    return Finding(
        code=rule.code,
        category=rule.category,
        severity=rule.severity,
        message=rule.message,
        excerpt=redacted(told, rule.category),
        line=place[0],
        column=place[1],
        length=length,
    )


def redacted(text: str, category: Category) -> str:
    """What may be shown of a finding: four characters of a secret, the first and the host of an address."""
    if category is Category.SECRET:
        return f"{text[:4] if len(text) > 12 else ''}… ({len(text)} characters)"
    if category is Category.PRIVATE and "@" in text:
        return f"{text[0]}…@{text.rpartition('@')[2]}"
    visible = "".join(char if char.isprintable() else f"<U+{ord(char):04X}>" for char in text[:80])
    return visible if len(text) <= 80 else f"{visible}…"


def _scan_hidden(document: Document) -> Iterator[Finding]:
    """Values that stand in the source as something else: escaped, folded, or over several lines."""
    hidden = list(_hidden(document))
    if not any(_scan_text("\n".join(text for _, text, _ in hidden))):
        return
    for pointer, text, node in hidden:
        line, column = document.loaded.lines.place(node.start)
        for finding in _scan_text(text):
            yield replace(finding, line=line, column=column, length=1, pointer=pointer)


def _hidden(document: Document) -> Iterator[tuple[str, str, Node]]:
    source = document.loaded.text
    for pointer, text, _ in reading.leaves(document.loaded.value):
        node = document.loaded.node(pointer)
        if node is None or node.style == "|":
            continue
        quotes = 1 if node.style in ("'", '"') else 0
        if source[node.start + quotes : node.end - quotes] != text:
            yield pointer, text, node


# ---------------------------------------------------------------- names

_LOOKS_LIKE = (
    "аa еe оo рp сc уy хx іi ѕs јj ԁd ԛq ԝw һh ьb кk мm тt вb нh "  # Cyrillic
    "αa εe ιi κk νv οo ρp τt υu χx γy βb "  # Greek
    "0o 1l"
)
_CONFUSABLE = {ord(pair[0]): pair[1] for pair in _LOOKS_LIKE.split()}


def skeleton(name: str) -> str:
    """
    What a name looks like: two names with one skeleton can be taken for each other.

    Compatibility forms, case, common look-alikes of other alphabets, and the
    digits 0 and 1 are folded; marks, separators and invisible characters fall away.
    """
    folded = unicodedata.normalize("NFKD", name).casefold().translate(_CONFUSABLE)
    return "".join(char for char in folded if char.isalnum()).replace("rn", "m").replace("vv", "w")


def scan_name(name: str) -> tuple[Finding, ...]:
    """Findings about one name, such as that of an author: mixed alphabets and hidden characters."""
    return _ordered(finding for finding in _scan_text(name) if finding.category is Category.NAME)


def _scan_names(document: Document) -> Iterator[Finding]:
    for pointer, name in (("/name", document.name), ("/author", document.author)):
        line, column = document.position(pointer)
        for finding in scan_name(name):
            yield replace(finding, line=line, column=column, pointer=pointer)


def _mixed_words(text: str, lines: Lines) -> Iterator[Finding]:
    """Words with letters of one alphabet that pass for letters of the one around them."""
    start = -1
    for index, char in enumerate(f"{text} "):
        if char.isalnum():
            start = index if start < 0 else start
            continue
        if start >= 0 and _mixes(text[start:index]):
            line, column = lines.place(start)
            yield Finding(
                code="name.mixed-script",
                category=Category.NAME,
                severity=Severity.WARNING,
                message="this word mixes alphabets that look alike",
                excerpt=text[start:index][:80],
                line=line,
                column=column,
                length=index - start,
            )
        start = -1


def _mixes(word: str) -> bool:
    if word.isascii():
        return False
    foreign = [char for char in word if char.isalpha() and _alphabet(char) in ("CYRILLIC", "GREEK")]
    latin = any(_alphabet(char) == "LATIN" for char in word if char.isalpha())
    return latin and any(ord(char.casefold()[0]) in _CONFUSABLE for char in foreign)


def _alphabet(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0]
