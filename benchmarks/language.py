"""The language: statements a second in the machine, and how fast a script is read and compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.harness import Row, median_seconds
from opl.document import read
from opl.script import compile_script, machine

COUNTING = """
STATE i = 0
STATE total = 0
WHILE i < 300000:
  UPDATE i = i + 1
  UPDATE total = total + i
"""
BRANCHING = """
STATE i = 0
STATE even = 0
WHILE i < 200000:
  UPDATE i = i + 1
  IF i % 2 == 0:
    UPDATE even = even + 1
"""
WALKING = """
STATE total = 0
FOREACH n IN RANGE(100000):
  UPDATE total = total + n
  STATE twice = n * 2
"""


def run(source: str) -> dict[str, Any]:
    """A script without events, to its end; gives the state."""
    compilation = compile_script(source)
    assert compilation.program is not None, compilation.problems
    limits = machine.Limits(statements=10_000_000)
    state = machine.start(compilation.program, inputs={}, seed=1, limits=limits)
    state, effects = machine.step(compilation.program, state, [{"kind": "start", "at": 0}])
    assert effects[-1]["kind"] == "end" and effects[-1]["status"] == "succeeded", effects[-1]
    return state


def rate(source: str) -> float:
    """Statements a second, counted as the limit counts them."""
    statements = run(source)["statements"]
    return statements / median_seconds(lambda: run(source), repeats=3)


def largest_library_script() -> str:
    """The longest script that ships."""
    documents = [read(path.read_bytes()).document for path in sorted(Path("library").glob("*.yaml"))]
    return max((script.text for document in documents if document for script in document.scripts), key=len)


def measure() -> list[Row]:
    """Rows of the language."""
    script = largest_library_script()
    per_compile = median_seconds(lambda: compile_script(script), repeats=9)
    lines = script.count("\n")
    return [
        Row(name="machine: counting loop", value=rate(COUNTING), unit="statements/s", reach=1e6, higher_is_better=True),
        Row(name="machine: loop with IF", value=rate(BRANCHING), unit="statements/s", reach=1e6, higher_is_better=True),
        Row(name="machine: FOREACH", value=rate(WALKING), unit="statements/s", reach=1e6, higher_is_better=True),
        Row(
            name="read and compile a script",
            value=per_compile * 1000,
            unit="ms",
            note=f"{lines} lines, {lines / per_compile:,.0f} lines/s",
        ),
    ]
