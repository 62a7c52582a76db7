"""How much work a long script is: counted in lines of the compiler carried out, not in seconds."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from opl.script import compile_script
from opl.script.kinds import Kind, same
from opl.script.resting import collector_at_rest

LINES = {
    "statements": lambda i: f"UPDATE n = n + {i}\nIF n > {i}:\n  TRACK {{n: n}}\n",
    "questions": lambda i: f'EVENT completion:async {{agent_id: "a", prompt: "{i}"}} AS r{i}\nUPDATE n = r{i}.score\n',
    "judgements": lambda i: f"UPDATE n = ASSESS{i}(n)\n",
    "names that follow names": lambda i: f"STATE v{i + 1} = v{i}\nTRACK {{x: v{i + 1}.q{i % 7}}}\n",
    "fields of one name": lambda i: f"UPDATE held.k{i} = held.a\nTRACK {{x: held.k{i}.q}}\n",
    "blocks": lambda i: f"FOREACH x IN [1]:\n  LOOP k FROM 1 TO 2:\n    UPDATE n = n + k * {i}\n",
    "templates": lambda i: 'TRACK {a: "{{n}} and {{n + 1}}"}\n',
    "branches": lambda i: "PARALLEL:\n  BRANCH:\n    EVENT a:b {n: n}\n  BRANCH:\n    EVENT c:d {n: n}\n",
}
BEGIN = """STATE n = 0
STATE held = {}
EVENT completion:async {agent_id: "a", prompt: "p"} AS v0
UPDATE held.a = v0
"""


def work(source: str) -> int:
    """Lines of the language's code that compiling the source carries out."""
    lines = 0

    def inside(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return inside

    def called(frame: FrameType, event: str, argument: Any) -> Any:
        return inside if "/opl/" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(called)
    try:
        assert compile_script(source).program is not None
    finally:
        sys.settrace(before)
    return lines


class TestCompiling:
    @pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
    def test_twice_as_long_a_script_is_twice_the_work(self, line: Callable[[int], str]) -> None:
        """Not four times: a script of 250 kB must not take minutes."""
        short, long = (BEGIN + "".join(line(i) for i in range(count)) for count in (150, 300))

        assert work(long) < 2.3 * work(short)


class TestKinds:
    def test_of_a_long_chain_are_found_in_few_steps(self) -> None:
        """Each name is asked for what the first one is; the way there is shortened for the next."""
        first = Kind()
        first.get("a")
        kinds = [first]
        for _ in range(5000):
            other = Kind()
            other.get("b")
            same(other, kinds[-1])
            kinds.append(other)

        assert all(kind.root() is kinds[-1] for kind in kinds)
        assert sum(distance(kind) for kind in kinds) < 30 * len(kinds)


def distance(kind: Kind) -> int:
    """Steps from a kind to the one that stands for it."""
    steps = 0
    while kind.up is not None:
        kind, steps = kind.up, steps + 1
    return steps


class TestCollectorAtRest:
    def test_is_at_work_again_afterwards(self) -> None:
        with pytest.raises(ValueError, match="broken"), collector_at_rest():
            assert not gc.isenabled()
            raise ValueError("broken")

        assert gc.isenabled()

    def test_waits_for_the_last_of_several_threads(self) -> None:
        inside, leave = threading.Event(), threading.Event()

        def other() -> None:
            with collector_at_rest():
                inside.set()
                leave.wait(10)

        thread = threading.Thread(target=other)
        thread.start()
        inside.wait(10)
        with collector_at_rest():
            pass
        resting = not gc.isenabled()
        leave.set()
        thread.join(10)

        assert resting and gc.isenabled()

    def test_leaves_one_off_that_was_off(self) -> None:
        gc.disable()
        try:
            with collector_at_rest():
                pass

            assert not gc.isenabled()
        finally:
            gc.enable()

    def test_rests_for_a_long_script(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = []
        monkeypatch.setattr("opl.script.compiler.parse", lambda *args, **more: seen.append(gc.isenabled()) or parsed())

        def parsed() -> Any:
            raise RecursionError

        for length in (10, 20_000):
            compile_script("#" * length)

        assert seen == [True, False]
