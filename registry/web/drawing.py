"""
A script as steps for the flow diagram.

The steps are read from the outline (indentation and brackets), not from the
compiled program, so that a script that does not compile, or is written in a
foreign dialect, is drawn as well. Assignments that follow one another are one
step: the picture is about who is asked and what is waited for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from opl.document.envelopes import read
from opl.document.outline import Statement, outline
from opl.document.text import split_lines
from registry.models import PatternVersion
from registry.web.charts.flow import Lane, Step, flow_diagram, walk

MOST_STEPS = 150  # beyond, inner blocks are folded: a picture of more shows nothing any more
MOST_LANES = 4  # side by side; further branches are counted
DATA = frozenset(("STATE", "UPDATE", "SET", "APPEND"))
AGENT = re.compile(r"\bagent_id\s*:\s*(\"[^\"]*\"|'[^']*'|[\w.\[\]]+)")
EVENT = re.compile(r"EVENT\s+([\w]+(?::\w+)*)", re.IGNORECASE)
KEY = re.compile(r"[{,](\w+)\s*:")
FOLLOWS = {"IF": ("ELSE", "ELIF", "ELSEIF"), "TRY": ("CATCH",), "AWAIT": ("TIMEOUT",)}


def script_flow(version: PatternVersion, *, href: str = "") -> SafeString | str:
    """
    The flow diagram of a version's script; "" where there is none to draw.

    Args:
        href: the page whose line anchors the steps link to; "" for this page.
    """
    steps = steps_of_source(version.digest, version.source_bytes)
    if not steps:
        return ""
    title = _("Flow of %(version)s") % {"version": version}
    shown = folded(steps, MOST_STEPS)
    drawn = flow_diagram(shown, title=title, href=href)
    if shown is steps:
        return drawn
    said = _(
        "%(count)d steps are too many for one picture: blocks marked + are folded. Their lines lead to the source."
    )
    caption = said % {"count": len(walk(steps))}
    return format_html('<figcaption class="muted small">{}</figcaption>{}', caption, drawn)


def folded(steps: tuple[Step, ...], most: int) -> tuple[Step, ...]:
    """The steps with the innermost blocks folded until at most ``most`` are left; the same object where all fit."""
    depth = _depth(steps)
    shown = steps
    while len(walk(shown)) > most and depth > 0:
        depth -= 1
        shown = tuple(_folded(step, depth) for step in steps)
    if len(walk(shown)) > most:
        more = _("and %(count)d more") % {"count": len(shown) - most + 1}
        shown = (*shown[: most - 1], Step(label=more, line=shown[most - 1].line))
    return shown


def _depth(steps: Sequence[Step]) -> int:
    """How many blocks stand in one another."""
    inner = [_depth(lane.steps) for step in steps for lane in step.lanes]
    return 1 + max(inner) if inner else 0


def _folded(step: Step, depth: int) -> Step:
    """The step with blocks down to a depth; a deeper one becomes a step that says how many it holds."""
    if not step.lanes:
        return step
    if depth > 0:
        lanes = [replace(lane, steps=tuple(_folded(inner, depth - 1) for inner in lane.steps)) for lane in step.lanes]
        return replace(step, lanes=tuple(lanes))
    inside = sum(len(walk(lane.steps)) for lane in step.lanes)
    return replace(step, label=f"+{inside} {step.label}", lanes=())


@lru_cache(maxsize=256)
def script_lines(digest: str, source: bytes) -> tuple[int, int | None]:
    """The first and the last line of a source's script; the whole source where there is none."""
    document = read(source).document
    script = document.script() if document is not None else None
    if script is None:
        return 1, None
    return script.first_line, script.first_line + len(split_lines(script.text.rstrip())) - 1


@lru_cache(maxsize=256)
def steps_of_source(digest: str, source: bytes) -> tuple[Step, ...]:
    """The steps of the first script of a source; its digest names the source, so an answer stays right."""
    document = read(source).document
    script = document.script() if document is not None else None
    if script is None:
        return ()
    return tuple(steps_of(outline(script.text, script.first_line)))


def steps_of(statements: Sequence[Statement]) -> list[Step]:
    """The steps of statements that follow one another."""
    steps: list[Step] = []
    for group in _grouped(statements):
        head = group[0]
        if head.kind in DATA or _is_assignment(head):
            steps.append(_data(group))
        else:
            steps.append(_step(head, group[1:]))
    return steps


def _grouped(statements: Sequence[Statement]) -> Iterator[list[Statement]]:
    """Statements that make one step together: assignments in a row, IF with its ELSE, TRY with its CATCH."""
    at = 0
    while at < len(statements):
        group = [statements[at]]
        head = group[0]
        follows = FOLLOWS.get(head.kind, ())
        is_data = head.kind in DATA or _is_assignment(head)
        at += 1
        while at < len(statements):
            other = statements[at]
            joins = (other.kind in DATA or _is_assignment(other)) if is_data else other.kind in follows
            if not joins:
                break
            group.append(other)
            at += 1
        yield group


def _is_assignment(statement: Statement) -> bool:
    return not statement.children and re.match(r"[A-Za-z_][\w.\[\]\"']*\s*=(?!=)", statement.text) is not None


def _data(group: Sequence[Statement]) -> Step:
    names = list(dict.fromkeys(_name_set(statement) for statement in group))
    return Step(label=_("set %(names)s") % {"names": ", ".join(names)}, line=group[0].line, kind="step")


def _name_set(statement: Statement) -> str:
    found = re.match(r"(?:STATE|UPDATE|SET|APPEND)?\s*([A-Za-z_]\w*)", statement.text, re.IGNORECASE)
    return found[1] if found else statement.text[:20]


def _step(head: Statement, rest: Sequence[Statement]) -> Step:
    kind = head.kind
    if kind in ("IF", "TRY", "AWAIT"):
        return _with_branches(head, rest)
    if kind == "SWITCH":
        lanes = [Lane(label=_head(case), steps=tuple(steps_of(case.children))) for case in head.children]
        return Step(label=_head(head), line=head.line, kind="choice", lanes=_few(lanes))
    if kind == "PARALLEL":
        return _parallel(head)
    if kind in ("FOREACH", "FOR", "WHILE", "LOOP"):
        return Step(label=_head(head), line=head.line, kind="loop", lanes=(Lane(steps=tuple(steps_of(head.children))),))
    return _plain(head)


def _with_branches(head: Statement, rest: Sequence[Statement]) -> Step:
    kind = {"IF": "choice", "TRY": "guard", "AWAIT": "wait"}[head.kind]
    first = Lane(label=_head(head)[2:].strip() if kind == "choice" else "", steps=tuple(steps_of(head.children)))
    others = [Lane(label=_head(other), steps=tuple(steps_of(other.children))) for other in rest]
    if kind == "wait" and not head.children and not others:
        return Step(label=_head(head), line=head.line, kind="wait")
    label = "IF" if kind == "choice" else _head(head)
    return Step(label=label, line=head.line, kind=kind, lanes=_few([first, *others]))


def _parallel(head: Statement) -> Step:
    """Each statement is a branch; statements that only ask stand side by side too."""
    lanes = [
        Lane(label=_head(child)[6:].strip(), steps=tuple(steps_of(child.children)))
        if child.kind == "BRANCH"
        else Lane(steps=tuple(steps_of([child])))
        for child in head.children
    ]
    return Step(label=_head(head), line=head.line, kind="parallel", lanes=_few(lanes))


def _few(lanes: list[Lane]) -> tuple[Lane, ...]:
    """At most MOST_LANES side by side; the last then says how many more there are."""
    if len(lanes) <= MOST_LANES:
        return tuple(lanes) or (Lane(steps=()),)
    more = len(lanes) - MOST_LANES + 1
    label = _("and %(count)d more") % {"count": more}
    line = next((step.line for lane in lanes[MOST_LANES - 1 :] for step in lane.steps), 0)
    return (*lanes[: MOST_LANES - 1], Lane(steps=(Step(label=label, line=line),)))


def _plain(statement: Statement) -> Step:
    kind, text = statement.kind, statement.text
    if kind == "EVENT":
        return _event(statement)
    if kind == "SEND":
        return Step(
            label=_("ask %(agent)s") % {"agent": text.split()[1] if " " in text else "?"},
            line=statement.line,
            kind="ask",
        )
    if kind == "TRACK":
        label = _("track %(names)s") % {"names": ", ".join(KEY.findall(text)) or text[5:].strip()}
        return Step(label=label, line=statement.line, kind="emit")
    shape = {"WAIT": "wait", "RETURN": "end", "USE": "end", "BREAK": "end", "CONTINUE": "end"}.get(kind)
    return Step(label=_head(statement), line=statement.line, kind=shape or "step")


def _event(statement: Statement) -> Step:
    found = EVENT.match(statement.text)
    name = found[1].lower() if found else ""
    if name in ("completion:async", "optimization:async"):
        agent = AGENT.search(statement.text)
        who = agent[1].strip("\"'") if agent else _("an agent")
        return Step(label=_("ask %(agent)s") % {"agent": who}, line=statement.line, kind="ask")
    if name == "human:ask":
        return Step(label=_("ask a person"), line=statement.line, kind="human")
    if name == "orchestration:request_termination":
        return Step(label=_("end the run"), line=statement.line, kind="end")
    return Step(label=name or _head(statement), line=statement.line, kind="emit")


def _head(statement: Statement) -> str:
    """A statement on one line without the colon that opens its block, its keyword set apart again."""
    text = re.sub(r"^(\w+)(?=[{\[\"'])", r"\1 ", statement.text.rstrip(":").strip())
    return re.sub(r"\b(IN|TO|AND|OR|NOT)(?=[{\[\"'(])", r"\1 ", text)
