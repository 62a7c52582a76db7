"""
A script as a tree of steps, for a flow diagram and for people who do not read code.

A step is ``{kind, label, line, children}``; a child of a choice or of a
parallel block is a ``branch`` step with the condition or name as its label.
What merely computes is gathered into one ``compute`` step.

    >>> outline("WHILE n < 3:\\n  EVENT agent:status {}")[0]["label"]
    'while n < 3'

Source: docs/language.md, section Statements.
"""

from __future__ import annotations

from typing import Any

from opl.script.calls import is_agent_call
from opl.script.compiler import Compilation
from opl.script.parser import parse
from opl.script.scanner import scan
from opl.script.syntax import (
    Await,
    Block,
    Branch,
    Call,
    Const,
    Event,
    Expr,
    ForEach,
    If,
    Loop,
    MethodCall,
    Node,
    ObjectOf,
    Observe,
    Parallel,
    Return,
    Stmt,
    Switch,
    Text,
    Track,
    Try,
    Use,
    Wait,
    While,
    walk,
)
from opl.script.tokens import KEYWORDS, Kind

Step = dict[str, Any]
_KINDS = {
    "completion:async": "ask",
    "optimization:async": "optimize",
    "orchestration:start": "run",
    "orchestration:request_termination": "end",
    "human:ask": "person",
    "agent:spawn": "spawn",
}


def outline(source: str | Compilation) -> list[Step]:
    """The steps of a script; a text that does not compile gives those that can be read."""
    body = parse(source).body if isinstance(source, str) else source.body
    return steps_of(body)


def steps_of(block: Block) -> list[Step]:
    """The steps of a block, neighbouring computations gathered."""
    found: list[Step] = []
    for statement in block:
        step = _step(statement)
        if step["kind"] == "compute" and found and found[-1]["kind"] == "compute":
            found[-1]["label"] = f"{found[-1]['label'].removesuffix(' …')} …"
        else:
            found.append(step)
    return found


def _made(kind: str, label: str, node: Node, inner: list[Step] | None = None) -> Step:
    return {"kind": kind, "label": label, "line": node.at.line, "children": inner or []}


def _step(node: Stmt) -> Step:
    match node:
        case Event():
            return _event(node)
        case If():
            return _choice(node)
        case Switch():
            return _switch(node)
        case While() | Loop() | ForEach():
            return _made("loop", _head(node), node, steps_of(node.body))
        case Parallel():
            return _made("parallel", _head(node), node, [_branch(each) for each in node.branches])
        case Branch():
            return _branch(node)
        case Await():
            inner = [_made("branch", "answered", node, steps_of(node.body))]
            if node.late is not None:
                inner.append(_made("branch", "too late", node, steps_of(node.late)))
            return _made("await", _head(node), node, inner)
        case Try():
            inner = [
                _made("branch", "try", node, steps_of(node.body)),
                _made("branch", "on failure", node, steps_of(node.handler)),
            ]
            return _made("try", "try", node, inner)
        case Observe(callback=callback):
            inner = [_made("branch", "at each event", node, steps_of(callback.body))]
            return _made("await", _head(node), node, inner)
        case Wait():
            return _made("wait", _head(node), node)
        case Track():
            return _made("track", "track progress", node)
        case Return() | Use():
            return _made("end", _head(node), node)
    asks = [each for each in walk(node) if isinstance(each, Call | MethodCall) and is_agent_call(each)]
    if asks:
        return _made("ask", f"ask: {', '.join(dict.fromkeys(each.name for each in asks))}", node)
    return _made("compute", _head(node), node)


def _head(node: Stmt) -> str:
    """The statement's first line as a label: without its colon, keywords in lower case, at most 60 characters."""
    text = node.text.split("#")[0].strip().removesuffix(":").strip()
    words = " ".join(
        word.lower() if word in KEYWORDS or word in ("IN", "FROM", "TO") else word for word in text.split(" ")
    )
    return words if len(words) <= 60 else f"{words[:59]}…"


def _event(node: Event) -> Step:
    kind = _KINDS.get(node.name, "event")
    entries = (
        {key: value for key, value in node.data.entries if isinstance(key, str)}
        if isinstance(node.data, ObjectOf)
        else {}
    )
    label = node.name
    if kind == "ask":
        label = f"ask {_said(entries.get('agent_id')) or 'an agent'}"
        if prompt := _said(entries.get("prompt")):
            label += f": {prompt}"
    elif kind == "run":
        label = f"run {_said(entries.get('pattern')) or 'a pattern'}"
    elif kind == "person":
        label = f"ask a person: {_said(entries.get('question'))}"
    elif kind == "end":
        label = f"end the run: {_said(entries.get('reason'))}".removesuffix(": ")
    elif (status := _said(entries.get("status"))) and node.name == "agent:status":
        label = f"report {status}"
    return _made(kind, shortened_to(label, 80), node)


def _said(node: Expr | None) -> str:
    """What an expression shows: the text of a string, the name of a variable."""
    match node:
        case Const(value=value):
            return value if isinstance(value, str) else ""
        case Text(parts=parts):
            return "".join(part if isinstance(part, str) else part.raw.strip("{}").join("‹›") for part in parts)
        case Call(name="%AGENT", args=[inner]):
            return _said(inner)
        case None:
            return ""
    return str(getattr(node, "name", ""))


def shortened_to(text: str, length: int) -> str:
    """The text, cut with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _choice(node: If) -> Step:
    inner = []
    for number, (condition, block) in enumerate(node.arms):
        label = _head(node).removeprefix("if ") if number == 0 else f"else, line {condition.at.line}"
        inner.append(_made("branch", label, condition, steps_of(block)))
    if node.other is not None:
        inner.append(_made("branch", "otherwise", node, steps_of(node.other)))
    return _made("choice", _head(node), node, inner)


def _switch(node: Switch) -> Step:
    inner = [
        _made("branch", ", ".join(_said(value) or "…" for value in values), values[0], steps_of(block))
        for values, block in node.cases
    ]
    if node.other is not None:
        inner.append(_made("branch", "otherwise", node, steps_of(node.other)))
    return _made("choice", _head(node), node, inner)


def _branch(node: Branch | ForEach) -> Step:
    if isinstance(node, ForEach):
        return _made("branch", f"{_head(node)}, at the same time", node, steps_of(node.body))
    return _made("branch", node.name or _head(node), node, steps_of(node.body))


# ---------------------------------------------------------------- highlighting

_CLASSES = {Kind.NUMBER: "number", Kind.STRING: "string", Kind.TEMPLATE: "template", Kind.OPERATOR: "operator"}
_WORDS = KEYWORDS | {"AND", "OR", "NOT", "IN", "AS", "FROM", "TO", "WITH", "WHERE", "DESC", "ASC", "UNTIL", "WHEN"}


def tokens(source: str) -> list[tuple[int, int, int, str]]:
    """
    The words of a text as ``(line, column, length, class)``, in order, for highlighting.

    Classes: keyword, constant, function, name, number, string, template, operator.
    Comments are not listed.
    """
    lines, _ = scan(source)
    found = []
    for line in lines:
        for index, token in enumerate(line.tokens):
            after = line.tokens[index + 1] if index + 1 < len(line.tokens) else None
            kind = _CLASSES.get(token.kind) or _word_class(
                token.upper, after is not None and after.is_op("(") and not after.spaced
            )
            found.append((token.line, token.column, len(token.text), kind))
    return found


def _word_class(word: str, called: bool) -> str:
    if word in ("TRUE", "FALSE", "NULL"):
        return "constant"
    if word in _WORDS:
        return "keyword"
    return "function" if called else "name"
