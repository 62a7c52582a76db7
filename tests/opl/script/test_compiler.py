"""The program: inputs, capabilities, judgements, places, and what a check tells."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from opl.errors import DocumentError, MachineError, Severity
from opl.script import Limits, check_inputs, compile_script, machine, program_hash

ROOT = Path(__file__).parents[3]


def program(source: str, **options: Any) -> dict[str, Any]:
    compiled = compile_script(source, **options)
    assert compiled.program is not None, [str(problem) for problem in compiled.problems]
    return compiled.program


class TestInputs:
    SOURCE = """\
STATE documents = ["a"]
STATE votes = {}
STATE rounds = 1 + 2
STATE computed = LENGTH(documents)
TRACK {documents: documents}
STATE quiet = null
UPDATE votes = {x: limit}
EVENT a:b {who: "{{agent_id}}"}
STATE late = 5
"""

    def test_are_the_constants_before_the_first_event(self) -> None:
        """Those that the script assigns again are initial state."""
        found = program(self.SOURCE)

        assert {name: each["default"] for name, each in found["inputs"].items() if "default" in each} == {
            "documents": ["a"],
            "rounds": 3,
            "quiet": None,
        }
        assert list(found["initial_state"]) == ["votes"]

    def test_are_also_the_names_that_nothing_binds(self) -> None:
        """Required where an expression reads them, optional where only a text does."""
        found = program(self.SOURCE)["inputs"]

        assert found["limit"] == {"type": "any", "required": True, "line": 7}
        assert found["agent_id"]["required"] is False

    def test_are_narrowed_described_and_added_by_the_document(self) -> None:
        """A JSON Schema of parameters."""
        parameters = {
            "type": "object",
            "properties": {
                "rounds": {"type": "integer", "minimum": 1, "description": "how many"},
                "topic": {"type": "string"},
            },
            "required": ["topic"],
        }
        found = program(self.SOURCE, parameters=parameters)

        assert found["inputs"]["rounds"]["description"] == "how many"
        assert found["inputs"]["rounds"]["default"] == 3
        assert found["inputs"]["topic"]["required"] is True
        codes = [problem.code for problem in check_inputs(found, {"rounds": 0, "limit": 1})]
        assert codes == ["opl.input.schema", "opl.input.missing"]

    def test_are_checked_against_their_constant(self) -> None:
        """Unknown names and other types are errors with a remedy."""
        found = program(self.SOURCE)

        problems = check_inputs(found, {"documents": "x", "vote": {}, "limit": 1})

        assert [problem.code for problem in problems] == ["opl.input.type", "opl.input.unknown"]
        assert "did you mean 'votes'" in str(problems[1])
        with pytest.raises(DocumentError):
            machine.start(found, inputs={"documents": "x"})

    def test_that_are_missing_are_a_warning(self) -> None:
        """The script runs on null, as a name that was never bound."""
        problems = check_inputs(program(self.SOURCE), {})

        assert [(problem.code, problem.severity) for problem in problems] == [("opl.input.missing", Severity.WARNING)]


class TestProblems:
    def test_name_file_line_column_code_and_remedy(self) -> None:
        """And show the line with a caret."""
        source = "STATE a = 1\nSTATE b = FILTERR(a)"
        problem = compile_script(source, file="x.opl", first_line=10).problems[0]

        assert str(problem).startswith("x.opl:11:11: ")
        assert problem.excerpt(["", *source.split("\n")] * 6).endswith("^") or problem.line == 11

    def test_about_unbound_names_come_once_per_name(self) -> None:
        """A check reports them beforehand."""
        problems = compile_script("STATE a = ghost\nSTATE b = ghost\nSTATE c = '{{other}} {{a b}}'").problems

        assert sorted(problem.code for problem in problems) == [
            "opl.script.template-text",
            "opl.script.unbound-name",
            "opl.script.unbound-name",
        ]

    def test_of_a_text_that_is_too_long(self) -> None:
        """256 KiB are allowed."""
        compiled = compile_script("# " + "x" * 300_000)

        assert [problem.code for problem in compiled.problems] == ["opl.limit.source-bytes"]

    def test_leave_out_statements_where_lenient(self) -> None:
        """The rest runs."""
        compiled = compile_script("STATE a = 1\nSTATE b = = 2\nRETURN a", lenient=True)

        assert compiled.program is not None
        assert [problem.severity for problem in compiled.problems] == [Severity.ERROR]


class TestProgram:
    def test_lists_what_a_script_may_do(self) -> None:
        """Events, judgements, primitives and builtins."""
        source = 'EVENT a:b {}\nSTATE x = JUDGE(1)\nspawn_agent("p")\nSTATE y = SUM([1])\nSEND z "x"'
        found = program(source, helpers={"JUDGE": "Is it good"})

        assert found["events"] == ["a:b", "completion:async", "judgement:ask", "primitive:spawn_agent"]
        assert found["judgements"] == {"JUDGE": {"definition": "Is it good", "line": 2}}
        assert found["primitives"] == ["spawn_agent"]
        assert found["builtins"] == ["SUM"]
        assert len(found["source_map"]) == len(found["instructions"])

    def test_is_json_and_has_a_stable_name(self) -> None:
        """The hash depends on the content alone."""
        one, two = program("## T\nSTATE a = 1"), program("## T\nSTATE a = 1")

        assert program_hash(one) == program_hash(json.loads(json.dumps(two)))
        assert program_hash(one) != program_hash(program("## T\nSTATE a = 2"))
        assert one["title"] == "T"
        assert one["format"] == "opl-program/1"

    def test_is_the_same_in_every_process(self) -> None:
        """Nothing in it depends on the order of a set, which differs from process to process."""
        source = 'SEND a "x"\nAWAIT r:\n  STATE x = FILTER([r], one > two AND three < four)\nSTATE y = JUDGE(b, c, d)'
        code = f"from opl.script import compile_script as c; import json; print(json.dumps(c({source!r}).program))"

        said = {
            subprocess.run(
                [sys.executable, "-c", code],
                env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                check=True,
                text=True,
            ).stdout
            for seed in ("1", "2", "3")
        }

        assert len(said) == 1


class TestMachine:
    def test_refuses_the_state_of_another_program(self) -> None:
        """A checkpoint belongs to its program."""
        state = machine.start(program("STATE a = 1"))

        with pytest.raises(MachineError):
            machine.step(program("STATE a = 2"), state, [{"kind": "start", "at": 0}])

    def test_takes_no_input_after_the_end(self) -> None:
        """Late replies change nothing."""
        found = program("RETURN 1")
        state, effects = machine.step(found, machine.start(found), [{"kind": "start", "at": 0}])

        state, after = machine.step(found, state, [{"kind": "reply", "seq": 9, "value": 1, "at": 5}])

        assert effects[-1]["kind"] == "end"
        assert after == []

    def test_ends_when_told_to(self) -> None:
        """A budget that ran out is a failure with its code."""
        found = program("WAIT 100")
        state, _ = machine.step(found, machine.start(found), [{"kind": "start", "at": 0}])
        given = {"kind": "terminate", "status": "failed", "reason": "no tokens", "code": "opl.limit.tokens", "at": 1}

        _, effects = machine.step(found, state, [given])

        assert effects[-1]["status"] == "failed"
        assert effects[-1]["error"]["code"] == "opl.limit.tokens"

    def test_takes_a_parameter_while_it_runs(self) -> None:
        """``assign`` sets a declared name of the running script."""
        found = program("STATE limit = 1\nWAIT 5\nRETURN limit")
        state, _ = machine.step(found, machine.start(found), [{"kind": "start", "at": 0}])

        given = [{"kind": "assign", "name": "limit", "value": 7, "at": 1}, {"kind": "timer", "id": 1, "at": 5000}]
        _, effects = machine.step(found, state, given)

        assert effects[-1]["result"] == 7

    def test_does_the_same_however_its_inputs_are_grouped(self) -> None:
        """One step with two inputs is two steps with one."""
        found = program('SEND a "x"\nSEND b "y"\nAWAIT r: STATE one = r\nAWAIT r: STATE two = r')
        replies = [
            {"kind": "reply", "seq": seq, "value": {"agent_id": name}, "at": 5} for seq, name in ((2, "b"), (1, "a"))
        ]

        apart, _ = machine.step(found, machine.start(found), [{"kind": "start", "at": 0}])
        for reply in replies:
            apart, _ = machine.step(found, apart, [reply])
        together, _ = machine.step(found, machine.start(found), [{"kind": "start", "at": 0}, *replies])

        assert apart == together
        assert machine.variables(apart)["one"] == {"agent_id": "b"}

    def test_draws_chance_from_its_seed_alone(self) -> None:
        """The same seed, the same run; another seed, another."""
        found = program("RETURN [RANDOM(1, 1000000), UUID(), SHUFFLE(RANGE(20))]")

        def result(seed: int) -> Any:
            return machine.step(found, machine.start(found, seed=seed), [{"kind": "start", "at": 0}])[1][-1]["result"]

        assert result(1) == result(1)
        assert result(1) != result(2)

    def test_stops_hostile_scripts_in_time(self) -> None:
        """Work that no statement counts has a limit of its own."""
        source = "STATE xs = RANGE(3000)\nSTATE n = COUNT(xs, x => ANY(xs, y => SUM(xs) == y * -1))"
        found = program(source)
        state = machine.start(found, limits=Limits(work=2_000_000))

        _, effects = machine.step(found, state, [{"kind": "start", "at": 0}])

        assert effects[-1]["error"]["code"] == "opl.limit.work"
        assert effects[-1]["error"]["line"] == 2
