"""
A place among the tokens of one line, and the error that leaves a statement.

A ``Cursor`` never moves past the end: behind the last token stands one of kind
END, placed where the line stops, so that "something is missing" has a place.
"""

from __future__ import annotations

from opl.errors import Problem, Severity
from opl.script.syntax import At
from opl.script.tokens import Kind, Token


class Unreadable(Exception):
    """A statement cannot be read; the parser reports it and goes on with the next one."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


class Cursor:
    """Reads tokens from left to right."""

    __slots__ = ("end", "index", "tokens")

    def __init__(self, tokens: list[Token], at: At) -> None:
        self.tokens = tokens
        self.index = 0
        last = tokens[-1] if tokens else None
        line, column = (last.line, last.column + len(last.text)) if last else (at.line, at.column)
        self.end = Token(Kind.END, "", line, column, True)

    @property
    def token(self) -> Token:
        """The token to read next."""
        return self.tokens[self.index] if self.index < len(self.tokens) else self.end

    def peek(self, ahead: int = 1) -> Token:
        """A token further on."""
        index = self.index + ahead
        return self.tokens[index] if index < len(self.tokens) else self.end

    def next(self) -> Token:
        """The token, read."""
        token = self.token
        self.index += 1
        return token

    @property
    def at(self) -> At:
        """Where the next token stands."""
        return At(self.token.line, self.token.column)

    @property
    def finished(self) -> bool:
        """Whether the line is read to its end."""
        return self.index >= len(self.tokens)

    def take_op(self, *texts: str) -> Token | None:
        """The operator if it comes next."""
        return self.next() if self.token.is_op(*texts) else None

    def take_word(self, *words: str) -> Token | None:
        """The keyword if it comes next."""
        return self.next() if self.token.is_word(*words) else None

    def expect_op(self, text: str, hint: str) -> Token:
        """The operator, or an error that says what to write."""
        if self.token.is_op(text):
            return self.next()
        raise self.unexpected(f"'{text}'", hint)

    def expect_word(self, word: str, hint: str) -> Token:
        """The keyword, or an error that says what to write."""
        if self.token.is_word(word):
            return self.next()
        raise self.unexpected(word, hint)

    def expect_name(self, what: str, hint: str = "") -> Token:
        """A name, or an error."""
        if self.token.kind is Kind.NAME:
            return self.next()
        raise self.unexpected(what, hint or "a name begins with a letter and goes on with letters, digits and _")

    def unexpected(self, wanted: str, hint: str) -> Unreadable:
        """The error for a token that cannot stand here."""
        token = self.token
        found = "the line ends" if token.kind is Kind.END else f"'{shortened(token.text)}' stands"
        return self.error("opl.syntax.unexpected", f"{found} where {wanted} is needed", hint)

    def error(self, code: str, message: str, hint: str, token: Token | None = None) -> Unreadable:
        """An error at a token, by default the next one."""
        place = token or self.token
        return Unreadable(problem_at(At(place.line, place.column), code, message, hint, length=len(place.text)))


def problem_at(
    at: At, code: str, message: str, hint: str, *, length: int = 1, severity: Severity = Severity.ERROR
) -> Problem:
    """A finding at a place of the text."""
    return Problem(
        code=code,
        message=message,
        hint=hint,
        severity=severity,
        line=at.line,
        column=at.column,
        length=max(length, 1),
    )


def shortened(text: str) -> str:
    """At most 30 characters of a token, for a message."""
    return text if len(text) <= 30 else f"{text[:29]}…"
