"""The limit of the state is that of its JSON, found before anything of it is stored."""

from __future__ import annotations

import pytest

from opl.script import Limits, compile_script
from opl.script.machine import start, step

SCRIPT = """\
STATE block = JOIN(MAP(RANGE(1000), n => "0123456789"), "")
STATE kept = []
LOOP i FROM 1 TO pieces:
  APPEND kept block
WAIT 1
APPEND kept block
RETURN LENGTH(kept)
"""
MIB = 1024 * 1024


def run(pieces: int) -> tuple[str, int, int]:
    """How a run over so many blocks of 10 kB ends, at which line, and after how many inputs."""
    program = compile_script(SCRIPT).program
    assert program is not None
    state = start(program, inputs={"pieces": pieces}, limits=Limits(state_bytes=4 * MIB))
    state, effects = step(program, state, [{"kind": "start", "at": 0}])
    fed = 1
    if effects[-1]["kind"] == "timer":
        state, effects = step(program, state, [{"kind": "timer", "id": 1, "at": 1000}])
        fed = 2
    end = effects[-1]
    return end["error"]["code"] if end["error"] else end["status"], (end["error"] or {}).get("line", 0), fed


class TestStateLimit:
    @pytest.mark.parametrize("pieces", [300, 417])
    def test_lets_pass_what_is_below(self, pieces: int) -> None:
        assert run(pieces) == ("succeeded", 0, 2)

    def test_is_found_in_the_input_that_goes_beyond(self) -> None:
        assert run(418) == ("opl.limit.state-bytes", 6, 2)

    @pytest.mark.parametrize("pieces", [419, 430, 480])
    def test_is_found_before_the_run_waits(self, pieces: int) -> None:
        code, _, fed = run(pieces)

        assert (code, fed) == ("opl.limit.state-bytes", 1)
