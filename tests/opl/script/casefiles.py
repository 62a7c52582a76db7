"""
Reads case files: tests of the language, written in the language.

Chunks are separated by a line ``---``. In a chunk

- ``### "regex"`` announces a problem of its line: an error, or a warning, of
  the compiler or of the run; an error that is not announced fails the case;
- ``# => expression`` must be true at the end. It may use the script's
  variables and ``status result error events tracked rules warnings elapsed
  statements``;
- ``#! {…}`` gives ``replies``, ``inputs``, ``limits``, ``seed``, or arguments
  of ``compile_script`` under ``compile``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opl.errors import Severity
from opl.script import Limits, compile_script
from tests.opl.script.driver import Driver, Outcome

FOLDER = Path(__file__).parent / "cases"
_ANNOUNCED = re.compile(r'###\s*"(.*)"\s*$')
_EXPECTED = re.compile(r"#\s*=>\s*(.*)$")


@dataclass
class Case:
    """One chunk of a case file."""

    file: str
    line: int  # of its first line
    source: str
    announced: dict[int, list[str]] = field(default_factory=dict)
    expected: list[tuple[int, str]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.file}:{self.line}"


def cases() -> Iterator[Case]:
    """Every chunk of every case file."""
    for path in sorted(FOLDER.glob("*.opl")):
        yield from read(path)


def read(path: Path) -> Iterator[Case]:
    """The chunks of one file."""
    lines, start = path.read_text(encoding="utf-8").split("\n"), 0
    for number, line in [*enumerate(lines), (len(lines), "---")]:
        if line.strip() == "---":
            if any(each.strip() for each in lines[start:number]):
                yield _case(path.stem, start + 1, lines[start:number])
            start = number + 1


def _case(file: str, first: int, lines: list[str]) -> Case:
    case = Case(file, first, "\n".join(lines))
    for number, line in enumerate(lines, first):
        if found := _ANNOUNCED.search(line):
            case.announced.setdefault(number, []).append(found[1])
        elif found := _EXPECTED.search(line):
            case.expected.append((number, found[1]))
        elif line.startswith("#!"):
            case.options.update(json.loads(line[2:]))
    return case


def check(case: Case) -> list[str]:
    """What is wrong with a case; nothing where it holds."""
    compiled = compile_script(case.source, first_line=case.line, **case.options.get("compile", {}))
    found = [(p.line, f"{p.message}; {p.hint} [{p.code}]", p.severity is Severity.ERROR) for p in compiled.problems]
    outcome = Outcome(status="refused")
    if compiled.program is not None:
        outcome = run(case, compiled.program)
        found += [(w["line"], f"{w['message']} [{w['code']}]", False) for w in outcome.warnings]
        if outcome.error is not None:
            found.append((outcome.error["line"], f"{outcome.error['message']} [{outcome.error['code']}]", True))
    faults = _compare(case, found)
    if compiled.program is not None:
        asked = any("status" in text for _, text in case.expected)
        if outcome.status != "succeeded" and outcome.error is None and not asked:
            faults.append(f"the run ended as {outcome.status}")
        faults += [f"{line}: not true: {text}" for line, text in case.expected if not holds(text, outcome)]
    elif case.expected:
        faults.append("refused by the compiler")
    return faults


def run(case: Case, program: dict[str, Any], **changes: Any) -> Outcome:
    """Run a case as its options say."""
    options = case.options
    return Driver(
        program,
        replies=options.get("replies"),
        inputs=options.get("inputs"),
        limits=Limits(**options["limits"]) if "limits" in options else None,
        seed=options.get("seed", 1),
        **changes,
    ).run()


def _compare(case: Case, found: list[tuple[int, str, bool]]) -> list[str]:
    faults = []
    for line, patterns in case.announced.items():
        for pattern in patterns:
            if not any(at == line and re.search(pattern, text) for at, text, _ in found):
                here = [text for at, text, _ in found if at == line]
                faults.append(f"{line}: announced but missing: {pattern!r}; found {here or 'nothing'}")
    for line, text, is_error in found:
        if is_error and not any(re.search(pattern, text) for pattern in case.announced.get(line, [])):
            faults.append(f"{line}: not announced: {text}")
    return faults


def holds(text: str, outcome: Outcome) -> bool:
    """Whether an expression is true of the final state."""
    values = {
        **outcome.variables,
        "status": outcome.status,
        "result": outcome.result,
        "error": outcome.error,
        "events": outcome.events,
        "tracked": outcome.tracked,
        "rules": outcome.rules,
        "warnings": outcome.warnings,
        "elapsed": outcome.elapsed,
        "statements": outcome.statements,
    }
    compiled = compile_script(f"RETURN ({text})")
    assert compiled.program is not None, [str(problem) for problem in compiled.problems]
    known = compiled.program["inputs"]
    ended = Driver(compiled.program, inputs={name: value for name, value in values.items() if name in known}).run()
    assert ended.status == "succeeded", (text, ended.error)
    return bool(ended.result)


ALL_SOURCES = [case.source for case in cases()]
