"""The language, sentence by sentence: every chunk of every case file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opl.script import compile_script
from tests.opl.script.casefiles import Case, cases, check, run
from tests.opl.script.driver import Outcome

ALL = list(cases())


def compiled(case: Case) -> dict | None:
    """Its program; None for a case that is about the compiler."""
    return compile_script(case.source, first_line=case.line, **case.options.get("compile", {})).program


RUNNING = [case for case in ALL if compiled(case) is not None]


class TestCases:
    @pytest.mark.parametrize("case", ALL, ids=lambda case: case.id)
    def test_holds(self, case: Case) -> None:
        """The announced problems appear, no others, and what is expected is true."""
        faults = check(case)

        assert not faults, "\n".join(faults)

    @pytest.mark.parametrize("case", RUNNING, ids=lambda case: case.id)
    def test_runs_alike_when_saved_and_loaded_between_all_steps(self, case: Case) -> None:
        """A state survives JSON at every step: the effects are the same, byte for byte."""
        program = compiled(case)

        straight = run(case, program)
        saved = run(case, json.loads(json.dumps(program)), between=lambda state: json.loads(json.dumps(state)))

        assert json.dumps(saved.effects) == json.dumps(straight.effects)
        assert saved.variables == straight.variables

    @pytest.mark.parametrize("case", RUNNING, ids=lambda case: case.id)
    def test_runs_alike_in_the_shortest_turns(self, case: Case) -> None:
        """A run that gives way after every event tells and asks the same, in the same order, and ends alike."""
        program = compiled(case)

        straight = run(case, program)
        in_turns = run(case, program, turn=1)

        assert told(in_turns) == told(straight)
        assert (in_turns.status, in_turns.result, in_turns.error) == (straight.status, straight.result, straight.error)
        assert in_turns.variables == straight.variables


def told(outcome: Outcome) -> list[Any]:
    """Everything but the timers, whose numbers the turns take part in."""
    return [effect for effect in outcome.effects if "timer" not in effect["kind"]]
