"""
A rehearsal told in a terminal: a timeline, then what came of it.

Each line of the timeline is a moment: virtual time, branch, who, and what,
cut to the width of the terminal. Text from documents and agents is shown
without its control characters, so that no file can steer the terminal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opl.errors import Problem, Severity
from opl.script.rehearse.play import Rehearsal
from opl.script.values import number_text, stringify, to_text

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_MAX_MOMENTS = 2000  # shown; the rest is in --json
_NOTHING = (None, {"status": "emitted"})  # replies that say nothing
_RESERVED = frozenset({"agent_id", "success", "output", "error", "duration", "usage"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How text is set off; every field is an ANSI sequence, or "" without color."""

    bold: str = ""
    dim: str = ""
    red: str = ""
    green: str = ""
    yellow: str = ""
    blue: str = ""
    cyan: str = ""
    magenta: str = ""
    off: str = ""


PLAIN = Style()
COLOR = Style(
    bold="\x1b[1m",
    dim="\x1b[2m",
    red="\x1b[31m",
    green="\x1b[32m",
    yellow="\x1b[33m",
    blue="\x1b[34m",
    cyan="\x1b[36m",
    magenta="\x1b[35m",
    off="\x1b[0m",
)


def told(rehearsal: Rehearsal, *, width: int = 100, color: bool = False) -> str:
    """The whole story as text that ends with a line end."""
    return "\n".join(_Teller(rehearsal, max(60, width), COLOR if color else PLAIN).lines()) + "\n"


def safe(text: str) -> str:
    """One line without control characters."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split("\n"))).replace("\t", " ")


def clipped(text: str, width: int) -> str:
    """The text in at most ``width`` columns, with an ellipsis where something is missing."""
    text = safe(" ".join(text.split()) if len(text) < 4000 else " ".join(text[:4000].split()))
    if _columns(text) <= width:
        return text
    kept, used = "", 0
    for char in text:
        used += _columns(char)
        if used > width - 1:
            break
        kept += char
    return kept.rstrip() + "…"


def _columns(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


class _Teller:
    def __init__(self, rehearsal: Rehearsal, width: int, style: Style) -> None:
        self.it, self.width, self.style = rehearsal, width, style
        self.last_at: float | None = None  # virtual time of the row above

    def paint(self, text: str, *colors: str) -> str:
        return f"{''.join(colors)}{text}{self.style.off}" if any(colors) else text

    def lines(self) -> Iterator[str]:
        record = self.it.record
        if record is None:
            yield from self._diagnostics()
            return
        yield from self._head()
        yield from self._timeline()
        yield ""
        yield from self._outcome()

    # ------------------------------------------------------------ before

    def _head(self) -> Iterator[str]:
        title = self.it.title or self.it.file or "script"
        yield self.paint(safe(title), self.style.bold)
        record = self.it.record
        simulated = sorted(record.simulated) if record else []
        cast = f"simulated: {', '.join(simulated)}" if simulated else "every answer is scripted"
        if record and not record.events:
            cast = "no events"
        file = self.it.file if self.it.file != title else ""
        about = ", ".join(part for part in (file, f"seed {self.it.seed}", cast) if part)
        yield self.paint(clipped(about, self.width), self.style.dim)
        yield ""

    def _diagnostics(self) -> Iterator[str]:
        for problem in self.it.problems:
            yield from self.problem(problem)
        errors = sum(problem.severity is Severity.ERROR for problem in self.it.problems)
        yield ""
        yield self.paint(f"nothing was rehearsed: {_many(errors, 'error')}", self.style.red, self.style.bold)

    def problem(self, problem: Problem) -> Iterator[str]:
        """A finding with its line and a caret."""
        colors = {
            Severity.ERROR: self.style.red,
            Severity.WARNING: self.style.yellow,
            Severity.NOTE: self.style.blue,
        }
        place = ":".join(str(part) for part in (problem.file, problem.line, problem.column) if part)
        head = self.paint(f"{problem.severity}", colors[problem.severity], self.style.bold)
        yield f"{head} {safe(problem.message)}  {self.paint(safe(place), self.style.dim)}"
        yield from self._excerpt(problem, colors[problem.severity])
        if problem.hint:
            yield f"  {self.paint('help', self.style.green)}: {safe(problem.hint)}"

    def _excerpt(self, problem: Problem, color: str) -> Iterator[str]:
        excerpt = problem.excerpt(self.it.source_lines)
        if not excerpt:
            return
        source, caret = excerpt.split("\n", 1) if "\n" in excerpt else (excerpt, "")
        number = f"{problem.line:>5} "
        bar = self.paint("|", self.style.dim)
        yield f"{self.paint(number, self.style.dim)}{bar} {_UNSAFE.sub('?', source)}"
        if problem.column:
            yield f"{' ' * len(number)}{bar} {self.paint(caret, color)}"

    # ------------------------------------------------------------ the timeline

    def _timeline(self) -> Iterator[str]:
        record = self.it.record
        moments = record.moments if record else []
        events = {event["seq"]: event for event in record.events} if record else {}
        branches = [len(m.get("branch", "")) for m in moments]
        self.branch_width = min(max([4, *branches]), 18)
        moments = [each for each in moments if _says_something(each)]
        for moment in moments[:_MAX_MOMENTS]:
            yield self._moment(moment, events)
        if len(moments) > _MAX_MOMENTS:
            rest = len(moments) - _MAX_MOMENTS
            yield self.paint(f"           … and {rest} more moments; --json has them all", self.style.dim)

    def _moment(self, moment: Mapping[str, Any], events: Mapping[int, Mapping[str, Any]]) -> str:
        kind = moment["kind"]
        if kind == "answer":
            event = events[moment["seq"]]
            return self._answer(moment, event)
        if kind == "track":
            return self._row(moment, "track", self.style.cyan, _fields(moment["data"]), self.style.cyan)
        if kind == "rule":
            text = f"{moment['condition']}  leads to  {moment['action']}"
            return self._row(moment, "rule", self.style.magenta, text, self.style.magenta)
        return self._event(moment)

    def _event(self, moment: Mapping[str, Any]) -> str:
        name, data = moment["name"], moment["data"]
        if name in ("completion:async", "optimization:async"):
            agent = to_text(data.get("agent_id")) or ("optimizer" if name[0] == "o" else "default")
            said = to_text(data.get("prompt")) or _fields(data)
            return self._row(moment, f"→ {agent}", self.style.blue, said)
        if name.startswith("judgement:"):
            return self._row(moment, "→ oracle", self.style.blue, f"{data.get('name')}{_arguments(data)}")
        if name.startswith("primitive:"):
            return self._row(moment, name.removeprefix("primitive:"), self.style.blue, _fields(data))
        if name == "human:ask":
            return self._row(moment, "→ person", self.style.blue, to_text(data.get("question")))
        return self._row(moment, name, self.style.dim, _fields(data), self.style.dim)

    def _answer(self, moment: Mapping[str, Any], event: Mapping[str, Any]) -> str:
        value = moment["value"]
        branch = {**moment, "branch": event["branch"]}
        if isinstance(value, dict) and set(value) >= _RESERVED:
            who = to_text(value["agent_id"])
            if not value["success"]:
                error = value["error"] if isinstance(value["error"], dict) else {}
                text = f"{to_text(error.get('type'))}: {to_text(error.get('message'))}"
                return self._row(branch, f"← {who}", self.style.red, text, self.style.red)
            return self._row(branch, f"← {who}", self.style.green, to_text(value["output"]))
        name = event["name"]
        if name.startswith(("state:entity:", "agent:")):
            return self._row(branch, "  reply", self.style.dim, to_text(value), self.style.dim)
        return self._row(branch, "← answer", self.style.green, to_text(value))

    def _row(self, moment: Mapping[str, Any], who: str, color: str, text: str, shade: str = "") -> str:
        # The time stands where it changes, so that the eye finds what happens at once.
        time = f"{moment['at']:>10.3f}" if moment["at"] != self.last_at else " " * 10
        self.last_at = moment["at"]
        branch = clipped(to_text(moment.get("branch")), self.branch_width).ljust(self.branch_width)
        who = clipped(who, 24)
        who += " " * (24 - _columns(who))
        left = self.width - 10 - self.branch_width - 24 - 6
        shown = self.paint(clipped(text, max(left, 16)), shade)
        dim = self.style.dim
        return f"{self.paint(time, dim)}  {self.paint(branch, dim)}  {self.paint(who, color)}  {shown}"

    # ------------------------------------------------------------ after

    def _outcome(self) -> Iterator[str]:
        record = self.it.record
        if record is None:
            return
        good = record.status == "succeeded"
        color = self.style.green if good else self.style.red
        after = f"after {number_text(record.elapsed)} virtual seconds, {_many(len(record.events), 'event')}"
        yield f"{self.paint(record.status, color, self.style.bold)} {self.paint(after, self.style.dim)}"
        yield from self._error()
        yield from self._section("Result", self._result)
        yield from self._section("Tracked", self._tracked)
        yield from self._section("Rules that fired", self._rules)
        yield from self._section("Decisions", self._decisions)
        yield from self._section("Warnings", self._warnings)

    def _section(self, title: str, content: Callable[[], Iterator[str]]) -> Iterator[str]:
        lines = list(content())
        if lines:
            yield ""
            yield self.paint(title, self.style.bold)
            yield from lines

    def _error(self) -> Iterator[str]:
        error = self.it.error()
        if error is None:
            return
        problem = Problem(
            code=error["code"],
            message=error["message"],
            file=self.it.file,
            line=error["line"],
            column=error["column"],
        )
        yield ""
        yield from self.problem(problem)

    def _result(self) -> Iterator[str]:
        result = self.it.record.result if self.it.record else None
        if isinstance(result, dict) and _is_reply(result):
            yield self.paint(f"  the answer of {to_text(result['agent_id'])}", self.style.dim)
            result = result["output"]
        if result is None:
            return
        text = result if isinstance(result, str) else stringify(result, 2)
        lines = text.split("\n")
        for line in lines[:60]:
            yield f"  {_UNSAFE.sub('?', line)}"
        if len(lines) > 60:
            yield self.paint(f"  … and {len(lines) - 60} more lines; --json has them all", self.style.dim)

    def _tracked(self) -> Iterator[str]:
        """The latest value of every tracked field."""
        latest: dict[str, Any] = {}
        for entry in self.it.record.tracked if self.it.record else ():
            latest.update(entry["data"] if isinstance(entry["data"], dict) else {"value": entry["data"]})
        for name, value in latest.items():
            yield f"  {clipped(name, 28):<28}  {clipped(to_text(value), self.width - 32)}"

    def _rules(self) -> Iterator[str]:
        for rule in self.it.record.rules if self.it.record else ():
            because = f" ({rule['rationale']})" if rule["rationale"] else ""
            text = f"{rule['condition']}: {rule['action']}{because}"
            yield f"{rule['at']:>10.3f}  {clipped(text, self.width - 12)}"

    def _decisions(self) -> Iterator[str]:
        for each in self.it.record.decisions if self.it.record else ():
            details = {k: v for k, v in each.items() if k not in ("at", "decision_type", "decision")}
            kind = to_text(each.get("decision_type"))
            yield f"{each['at']:>10.3f}  {clipped(f'{kind}: {_fields(details)}', self.width - 12)}"

    def _warnings(self) -> Iterator[str]:
        for warning in self.it.warnings():
            times = f" ({warning['count']} times)" if warning["count"] > 1 else ""
            where = f"line {warning['line']}: " if warning["line"] else ""
            yield "  " + self.paint(clipped(f"{where}{warning['message']}{times}", self.width), self.style.yellow)


def _says_something(moment: Mapping[str, Any]) -> bool:
    """Leave out empty replies, and the event that repeats a rule's own row."""
    if moment["kind"] == "answer":
        return moment["value"] not in _NOTHING
    return bool(moment["kind"] != "event" or moment["name"] != "rule:fired")


def _is_reply(value: Any) -> bool:
    """Whether the value is a completion result."""
    return isinstance(value, dict) and set(value) >= _RESERVED


def _fields(data: Any) -> str:
    """An object as ``name: value`` pairs, other values as they print."""
    if not isinstance(data, dict):
        return to_text(data)
    return ", ".join(f"{name}: {to_text(value)}" for name, value in data.items() if value is not None)


def _arguments(data: Mapping[str, Any]) -> str:
    given = data.get("arguments")
    return f"({', '.join(stringify(each) for each in given)})" if isinstance(given, list) else ""


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
