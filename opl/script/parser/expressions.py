"""
Expressions.

Ranks, loosest first: ``a IF c ELSE b`` · ``c ? a : b`` · OR · AND · NOT ·
comparison and IN · ``a..b`` · ``+ -`` · ``* / // %`` · ``-`` and ``!`` ·
``.field``, ``[index]`` and calls. ``[`` and ``(`` belong to what stands before
them only without a blank between.

Source: docs/language.md, section Expressions.
"""

from __future__ import annotations

from opl.script import templates
from opl.script.parser.cursor import Cursor, Unreadable
from opl.script.scanner import scan
from opl.script.syntax import (
    At,
    Call,
    Chain,
    Compare,
    Const,
    Expr,
    Interval,
    Lambda,
    ListOf,
    Logic,
    MethodCall,
    Name,
    ObjectOf,
    Path,
    SlotPart,
    Step,
    Ternary,
    Text,
    Unary,
    Where,
)
from opl.script.tokens import MAX_NESTING, Kind, Token

_LITERALS = {"TRUE": True, "FALSE": False, "NULL": None}
_OPERATOR_WORDS = ("AND", "OR", "IN", "WHERE", "NOT")
_OR, _AND, _NOT, _COMPARISON, _INTERVAL, _SUM, _PRODUCT = range(1, 8)  # ranks, loosest first
_RANKS = {
    "||": _OR,
    "&&": _AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), _COMPARISON),
    "..": _INTERVAL,
    **dict.fromkeys(("+", "-"), _SUM),
    **dict.fromkeys(("*", "/", "//", "%"), _PRODUCT),
}
_WORD_RANKS = {"OR": _OR, "AND": _AND, "IN": _COMPARISON}


def parse_expression(source: str, at: At, depth: int = 0) -> Expr | None:
    """The expression that is the whole of a text, or None where the text is none."""
    lines, problems = scan(f"({source.replace(chr(10), ' ')}\n)")
    if problems or len(lines) != 1:
        return None
    tokens = [
        Token(each.kind, each.text, at.line, max(at.column + each.column - 2, 1), each.spaced, each.value)
        for each in lines[0].tokens
    ]
    cursor = Cursor(tokens[1:-1], at)
    try:
        found = Expressions(cursor, depth).expression()
    except Unreadable:
        return None
    return found if cursor.finished else None


class Expressions:
    """Reads expressions from a cursor; ``depth`` counts how deep they are nested."""

    def __init__(self, cursor: Cursor, depth: int = 0) -> None:
        self.cursor = cursor
        self.depth = depth

    # ------------------------------------------------------------ ranks

    def expression(self) -> Expr:
        """Any expression, lambdas excepted."""
        self.depth += 1
        if self.depth > MAX_NESTING + 1:
            raise self._too_deep("the expression is nested")
        found = self._choice()
        self.depth -= 1
        return found

    def _too_deep(self, what: str) -> Unreadable:
        hint = "give an inner part a name with STATE"
        return self.cursor.error("opl.limit.nesting", f"{what} more than {MAX_NESTING} levels", hint)

    def _choice(self) -> Expr:
        cursor = self.cursor
        found = self._binary(_OR)
        at = cursor.at
        if cursor.take_op("?"):
            then = self.expression()
            cursor.expect_op(":", "write condition ? value : other value")
            return Ternary(at=at, condition=found, then=then, other=self.expression())
        if cursor.token.is_word("IF") and not cursor.peek().is_op("("):
            cursor.next()
            condition = self._binary(_OR)
            cursor.expect_word("ELSE", "write value IF condition ELSE other value")
            return Ternary(at=at, condition=condition, then=found, other=self.expression())
        return found

    def _binary(self, rank: int) -> Expr:
        """An expression whose operators bind at least as tightly as ``rank``."""
        cursor = self.cursor
        at, count = cursor.at, 0
        while rank <= _NOT and cursor.take_word("NOT"):
            count += 1
        left = self._negated(self._binary(_COMPARISON), at, count) if count else self._unary()
        while (ahead := self._rank_ahead()) >= rank:
            left = self._joined(left, ahead)
        return left

    def _rank_ahead(self) -> int:
        """The rank of the operator that comes next; 0 where none does."""
        token = self.cursor.token
        if token.kind is Kind.OPERATOR:
            return _RANKS.get(token.text, 0)
        if token.kind is not Kind.NAME:
            return 0
        if token.upper == "NOT":
            return _COMPARISON if self.cursor.peek().is_word("IN") else 0
        return _WORD_RANKS.get(token.upper, 0)

    def _joined(self, left: Expr, rank: int) -> Expr:
        """What stands to the left of an operator, joined with what stands to its right."""
        if rank in (_OR, _AND):
            return self._logic(left, rank)
        if rank == _COMPARISON:
            return self._comparison(left)
        if rank == _INTERVAL:
            at = self.cursor.at
            self.cursor.next()
            return Interval(at=at, low=left, high=self._binary(_SUM))
        return self._chain(left, rank)

    def _logic(self, left: Expr, rank: int) -> Expr:
        at, operands = self.cursor.at, [left]
        while self._rank_ahead() == rank:
            self.cursor.next()
            operands.append(self._binary(rank + 1))
        return Logic(at=at, operator="or" if rank == _OR else "and", operands=operands)

    def _comparison(self, left: Expr) -> Expr:
        cursor = self.cursor
        at = cursor.at
        operator = cursor.next().text.lower()
        if operator == "not":
            cursor.next()
            operator = "not in"
        found = Compare(at=at, operator=operator, left=left, right=self._binary(_INTERVAL))
        if self._rank_ahead() == _COMPARISON:
            raise cursor.error(
                "opl.syntax.comparison", "two comparisons follow each other", "join them: a < b AND b < c"
            )
        return found

    def _chain(self, left: Expr, rank: int) -> Expr:
        rest = []
        while self._rank_ahead() == rank:
            token = self.cursor.next()
            rest.append((token.text, self._binary(rank + 1), At(token.line, token.column)))
        return Chain(at=rest[0][2], first=left, rest=rest)

    def _negated(self, found: Expr, at: At, count: int) -> Expr:
        if count:
            found = Unary(at=at, operator="not", operand=found)
        if count and count % 2 == 0:
            found = Unary(at=at, operator="not", operand=found)
        return found

    def _unary(self) -> Expr:
        cursor = self.cursor
        if not cursor.token.is_op("-", "!"):
            return self._postfix()
        at, signs, nots = cursor.at, 0, 0
        while cursor.token.is_op("-", "!"):
            if cursor.next().text == "-":
                signs += 1
            else:
                nots += 1
        if signs and nots:
            raise cursor.error("opl.syntax.unexpected", "'-' and '!' stand together", "use parentheses")
        found = self._postfix()
        if signs % 2 and isinstance(found, Const) and type(found.value) in (int, float):
            return Const(at=at, value=-found.value if found.value else 0)
        if signs:
            found = Unary(at=at, operator="-", operand=found)
        if signs and signs % 2 == 0:
            found = Unary(at=at, operator="-", operand=found)
        return self._negated(found, at, nots)

    # ------------------------------------------------------------ paths and calls

    def _postfix(self) -> Expr:
        cursor, start = self.cursor, self.cursor.token
        found, length = self._primary(), 0
        while True:
            token = cursor.token
            length += 1
            if length > MAX_NESTING + 1:
                raise self._too_deep("the path has")
            if token.is_op("[") and not token.spaced and start.kind is not Kind.NUMBER:
                found = self._step(found, self._index())
            elif token.is_op(".") and cursor.peek().kind is Kind.NAME:
                found = self._member(found)
            elif token.is_op("(") and not token.spaced and isinstance(found, Name):
                found = self._call(found)
            else:
                return found

    def _index(self) -> Step:
        at = self.cursor.at
        self.cursor.next()
        index = self.expression()
        self.cursor.expect_op("]", "close the index with ']'")
        return Step(at=at, index=index)

    def _member(self, found: Expr) -> Expr:
        cursor = self.cursor
        cursor.next()
        name = cursor.next()
        at = At(name.line, name.column)
        if not (cursor.token.is_op("(") and not cursor.token.spaced):
            return self._step(found, Step(at=at, field=name.text))
        args, keywords = self._arguments()
        if isinstance(found, Name) and found.name.upper() == "JSON":
            return Call(at=found.at, name=f"JSON.{name.text.upper()}", args=args, keywords=keywords)
        return MethodCall(at=at, receiver=found, name=name.text, args=args, keywords=keywords)

    def _step(self, found: Expr, step: Step) -> Expr:
        if isinstance(found, Path):
            found.steps.append(step)
            return found
        return Path(at=found.at, base=found, steps=[step])

    def _call(self, name: Name) -> Expr:
        args, keywords = self._arguments()
        if name.name.upper() == "INDEX" and len(args) == 1 and not keywords:
            return Name(at=name.at, name="FOREACH_INDEX")  # INDEX(item): of the loop's own element
        return Call(at=name.at, name=name.name, args=args, keywords=keywords)

    def _arguments(self) -> tuple[list[Expr], dict[str, Expr]]:
        """What stands between the parentheses of a call."""
        cursor = self.cursor
        opener = cursor.next()
        args: list[Expr] = []
        keywords: dict[str, Expr] = {}
        while not cursor.take_op(")"):
            if cursor.finished:
                raise cursor.unexpected("')'", f"close the call that line {opener.line} begins")
            if cursor.token.kind is Kind.NAME and cursor.peek().is_op("=", ":"):
                keyword = cursor.next()
                cursor.next()
                keywords[keyword.text.lower()] = self.argument()
            elif keywords:
                raise cursor.unexpected("a keyword argument", "put arguments without a name first")
            else:
                args.extend(self._ordered(self.argument()))
            if not cursor.token.is_op(")"):
                cursor.expect_op(",", "separate arguments with ',' and close the call with ')'")
        return args, keywords

    def _ordered(self, argument: Expr) -> list[Expr]:
        """An argument; ``key DESC`` is two."""
        word = self.cursor.token
        if word.is_word("DESC", "ASC", "DESCENDING", "ASCENDING"):
            self.cursor.next()
            return [argument, Const(at=At(word.line, word.column), value=word.text.upper()[:4].rstrip("E"))]
        return [argument]

    def argument(self) -> Expr:
        """An argument: a lambda, ``list WHERE condition``, or an expression."""
        params = self._lambda_params()
        if params is not None:
            at = self.cursor.at
            return Lambda(at=at, params=params, body=self.expression())
        found, at = self.expression(), self.cursor.at
        if self.cursor.take_word("WHERE"):
            return Where(at=at, source=found, condition=self.expression())
        return found

    def _lambda_params(self) -> list[str] | None:
        """The names before ``=>``, read, or None where no lambda begins."""
        cursor = self.cursor
        if cursor.token.kind is Kind.NAME and cursor.peek().is_op("=>"):
            name = cursor.next().text
            cursor.next()
            return [name]
        if not cursor.token.is_op("("):
            return None
        ahead, names = 1, []
        while cursor.peek(ahead).kind is Kind.NAME:
            names.append(cursor.peek(ahead).text)
            ahead += 1
            if not cursor.peek(ahead).is_op(","):
                break
            ahead += 1
        if not (cursor.peek(ahead).is_op(")") and cursor.peek(ahead + 1).is_op("=>")):
            return None
        if len(names) > 2 or len(set(names)) != len(names):
            raise cursor.error(
                "opl.syntax.lambda", "a lambda has one or two different names", "write x => … or (key, value) => …"
            )
        cursor.index += ahead + 2
        return names

    # ------------------------------------------------------------ primaries

    def _primary(self) -> Expr:
        cursor = self.cursor
        token = cursor.token
        at = At(token.line, token.column)
        match token.kind:
            case Kind.NUMBER:
                cursor.next()
                return Const(at=at, value=token.value)
            case Kind.STRING:
                cursor.next()
                return self.text(token)
            case Kind.TEMPLATE:
                cursor.next()
                return self._bare_template(token)
            case Kind.NAME if token.upper not in _OPERATOR_WORDS:
                return self._name(token)
        if cursor.take_op("("):
            found = self.expression()
            cursor.expect_op(")", "close the parenthesis with ')'")
            return found
        if cursor.take_op("["):
            return self._list(at)
        if cursor.take_op("{"):
            return self._object(at)
        raise cursor.unexpected("a value", "write a name, a number, a string, [ ] or { }")

    def _name(self, token: Token) -> Expr:
        self.cursor.next()
        at = At(token.line, token.column)
        if token.upper in _LITERALS:
            return Const(at=at, value=_LITERALS[token.upper])
        if self.cursor.token.is_op("=>"):
            raise self.cursor.error(
                "opl.syntax.lambda", "a lambda may only be an argument of a function", "write FILTER(list, x => …)"
            )
        return Name(at=at, name=token.text)

    def _list(self, at: At) -> Expr:
        items: list[Expr] = []
        while not self.cursor.take_op("]"):
            items.append(self.expression())
            if not self.cursor.token.is_op("]"):
                self.cursor.expect_op(",", "separate elements with ',' and close the list with ']'")
        return ListOf(at=at, items=items)

    def _object(self, at: At) -> Expr:
        entries: list[tuple[str | Expr, Expr]] = []
        while not self.cursor.take_op("}"):
            entries.append(self._entry())
            if not self.cursor.token.is_op("}"):
                self.cursor.expect_op(",", "separate fields with ',' and close the object with '}'")
        return ObjectOf(at=at, entries=entries)

    def _entry(self) -> tuple[str | Expr, Expr]:
        cursor = self.cursor
        token = cursor.token
        at = At(token.line, token.column)
        key: str | Expr
        if token.kind is Kind.NAME:
            cursor.next()
            key = token.text
            while cursor.token.is_op(".") and cursor.peek().kind is Kind.NAME:
                cursor.next()
                key = f"{key}.{cursor.next().text}"
            if cursor.token.is_op(",", "}"):
                return key, Name(at=at, name=token.text)
        elif token.kind is Kind.STRING:
            cursor.next()
            text = self.text(token)
            key = text.value if isinstance(text, Const) else text
        elif token.kind is Kind.NUMBER:
            cursor.next()
            key = Const(at=at, value=token.value)
        elif token.kind is Kind.TEMPLATE:
            cursor.next()
            key = self._bare_template(token)
        elif cursor.take_op("["):
            key = self.expression()
            cursor.expect_op("]", "close the computed key with ']'")
        else:
            raise cursor.unexpected("a field name", "write {name: value}")
        cursor.expect_op(":", "write {name: value}")
        return key, self.expression()

    # ------------------------------------------------------------ templates

    def text(self, token: Token) -> Expr:
        """A string token: a constant, or a template with its slots parsed."""
        at, value = At(token.line, token.column), token.value
        if "{{" not in value:
            return Const(at=at, value=value)
        parts: list[str | SlotPart] = []
        for part in templates.split(value):
            if isinstance(part, str):
                parts.append(part)
            else:
                place = At(at.line, at.column + 1 + part.offset)
                inner = parse_expression(part.source, place, self.depth + 1)
                parts.append(SlotPart(raw=part.raw, value=inner, filters=part.filters))
        if all(isinstance(part, str) for part in parts):
            return Const(at=at, value=value)
        return Text(at=at, parts=parts)

    def _bare_template(self, token: Token) -> Expr:
        found = self.text(token)
        if isinstance(found, Text) and len(found.parts) == 1:
            part = found.parts[0]
            if isinstance(part, SlotPart) and part.value is not None:
                found.bare = True
                return found
        raise self.cursor.error("opl.syntax.template", f"{token.text} holds no expression", "write {{name}}", token)
