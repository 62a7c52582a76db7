"""Text from strangers: any text compiles or gives our problems, and no script hangs or escapes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opl.errors import MachineError, OplError, Severity
from opl.script import Limits, compile_script, machine
from tests.opl.script.casefiles import ALL_SOURCES
from tests.opl.script.driver import Driver

SMALL = Limits(statements=2_000, events=50, branches=20, work=5_000_000)
WORDS = [
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
    "STORE",
    "FROM",
    "TO",
    "IN",
    "AS",
    "WITH",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "UNTIL",
    "ANY",
    "ALL",
    "x",
    "y",
    "z",
    "r.a",
    "o.b[0]",
    "xs",
    "1",
    "2.5",
    "30s",
    "50%",
    '"s"',
    "'q'",
    '"{{x}}"',
    "{{x}}",
    "{{x|upper}}",
    "null",
    "true",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "[1,2]",
    "{a:1}",
    "{a:1,",
    "=",
    "==",
    "!=",
    "<",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "?",
    ":",
    ",",
    ".",
    "..",
    "=>",
    "+=",
    "|",
    "#",
    "LENGTH(",
    "FILTER(",
    "MAX(",
    "GROUP_BY(",
    "spawn(",
    "parallel_map(",
    "select_best(",
    "JUDGE(",
    "JSON.parse(",
    "x.push(",
    "a:b",
    "completion:async",
    "FOREACH_INDEX",
    "limit:",
]
LINES = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.sampled_from(WORDS), max_size=9)).map(
        lambda pair: "  " * pair[0] + " ".join(pair[1])
    ),
    max_size=12,
).map("\n".join)


def play(source: str, *, lenient: bool = False) -> None:
    """Compile a text and run what comes of it."""
    compiled = compile_script(source, lenient=lenient)
    for problem in compiled.problems:
        assert problem.code.startswith("opl.")
        assert problem.line >= 1
    if compiled.program is None:
        assert any(problem.severity is Severity.ERROR for problem in compiled.problems)
        return
    json.dumps(compiled.program, allow_nan=False)
    outcome = Driver(compiled.program, limits=SMALL, between=lambda state: json.loads(json.dumps(state))).run()
    assert outcome.status in ("succeeded", "failed", "terminated", "stuck")


class TestAnyText:
    @given(st.text(max_size=300))
    @settings(max_examples=150, deadline=None)
    def test_compiles_or_gives_problems(self, source: str) -> None:
        """Whatever the characters are."""
        play(source)

    @given(LINES, st.booleans())
    @settings(max_examples=400, deadline=None)
    def test_made_of_our_words_compiles_or_gives_problems_and_runs_within_its_limits(
        self, source: str, lenient: bool
    ) -> None:
        """Whatever the words are."""
        play(source, lenient=lenient)

    @given(st.sampled_from(ALL_SOURCES), st.data())
    @settings(max_examples=300, deadline=None)
    def test_that_is_a_damaged_case_compiles_or_gives_problems(self, source: str, data: st.DataObject) -> None:
        """Whatever was cut out or put in."""
        start = data.draw(st.integers(0, len(source)))
        stop = data.draw(st.integers(start, min(len(source), start + 12)))
        inserted = data.draw(st.sampled_from(["", " ", "\n", "(", "]", "}", '"', ":", "=>", "?", "\n  ", "IN", "null"]))
        play(source[:start] + inserted + source[stop:], lenient=True)


class TestHostileText:
    @pytest.mark.parametrize(
        "source",
        [
            "STATE x = " + "-" * 50_000 + "1",
            "STATE x = " + "NOT " * 20_000 + "1",
            "STATE x = " + "1 + " * 20_000 + "1",
            "STATE x = " + "1 ? 2 : " * 20_000 + "1",
            "STATE x = a" + ".b" * 40_000,
            "STATE x = a" + "[0]" * 40_000,
            "STATE x = " + "f(" * 20_000,
            "STATE x = " + "[" * 20_000,
            "STATE x = " + "x => " * 20_000 + "1",
            'STATE x = "' + "{{" * 20_000 + '"',
            'STATE x = "' + "{{a}}" * 20_000 + '"',
            "\n".join("  " * depth + "IF true:" for depth in range(300)),
            "IF true: " * 5_000 + "BREAK",
            "IF a: b()\n" + "ELSE IF a: b()\n" * 10_000,
            "x.y" + "(1).z" * 20_000,
            "STATE x = 1 " + "IF 1 ELSE 2 " * 10_000,
            "a" * 300_000,
            "PARALLEL:\n" + "  BRANCH: STATE x = x\n" * 3_000,
            "\n" * 200_000,
        ],
        ids=lambda source: source[:24].strip(),
    )
    def test_is_answered_in_time(self, source: str) -> None:
        """Depth and length end in a problem or a program, never in a crash."""
        play(source)

    @pytest.mark.parametrize("name", ["__class__", "__dict__", "_loc", "mro", "format", "im_self"])
    def test_never_reaches_an_attribute_of_python(self, name: str) -> None:
        """A field is looked up in objects of the language only."""
        compiled = compile_script(
            f"STATE o = {{a: 1}}\nSTATE x = o.{name}\nTRY:\n  STATE y = 'text'.{name}\nCATCH: y = 1"
        )
        assert compiled.program is not None

        outcome = Driver(compiled.program).run()

        assert outcome.variables["x"] is None
        assert outcome.variables["y"] == 1

    def test_that_is_no_program_is_refused_by_the_machine(self) -> None:
        """A foreign program or state is our error, not a traceback."""
        program = compile_script("STATE x = 1").program
        assert program is not None
        with pytest.raises(OplError):
            machine.start({**program, "format": "opl-program/9"}, inputs={})
        with pytest.raises(MachineError):
            machine.step(program, {**machine.start(program), "program": "other"}, [])
