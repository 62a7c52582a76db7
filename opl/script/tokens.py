"""
The words of a script, and the logical lines they stand on.

A token knows its place and whether a blank stands before it, which decides
what an opening bracket belongs to. Keywords are names; their case is no matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MAX_NESTING = 64  # of brackets, and of blocks


class Kind(StrEnum):
    """What a token is."""

    NAME = "name"
    NUMBER = "number"
    STRING = "string"
    TEMPLATE = "template"  # a bare {{expression}}
    OPERATOR = "operator"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One word of the text."""

    kind: Kind
    text: str  # as written
    line: int  # counts from 1, of the file
    column: int  # counts from 1
    spaced: bool  # a blank, a line end or nothing stands before it
    value: Any = None  # of a number or string: what it means

    @property
    def upper(self) -> str:
        """A name as keywords are compared; any other token as it is."""
        return self.text.upper() if self.kind is Kind.NAME else self.text

    def is_op(self, *texts: str) -> bool:
        """Whether the token is one of these operators."""
        return self.kind is Kind.OPERATOR and self.text in texts

    def is_word(self, *words: str) -> bool:
        """Whether the token is one of these keywords, in any case."""
        return self.kind is Kind.NAME and self.text.upper() in words


@dataclass(slots=True)
class Line:
    """A logical line."""

    indent: int  # blanks before its first token
    number: int  # of the physical line it begins on
    tokens: list[Token] = field(default_factory=list)
    broken: bool = False  # the scanner already reported what is wrong with it


# Words that begin a statement, in the dialect of the seeds and in the wider one.
KEYWORDS = frozenset(
    [
        "STATE",
        "UPDATE",
        "SET",
        "APPEND",
        "IF",
        "ELSE",
        "ELIF",
        "SWITCH",
        "CASE",
        "DEFAULT",
        "WHILE",
        "LOOP",
        "FOR",
        "FOREACH",
        "BREAK",
        "CONTINUE",
        "EVENT",
        "SEND",
        "AWAIT",
        "TIMEOUT",
        "PARALLEL",
        "BRANCH",
        "WAIT",
        "TRACK",
        "TRY",
        "CATCH",
        "PERSIST",
        "SHARE",
        "RETURN",
        "USE",
        "SPAWN",
        "EMIT",
        "AGGREGATE",
        "TERMINATE",
        "ASSERT",
        "COMPUTE",
        "CALCULATE",
        "STORE",
    ]
)
