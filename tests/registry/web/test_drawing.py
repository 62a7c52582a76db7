"""From a script to the steps of its picture."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opl.document.outline import outline
from registry.web.charts.flow import Step, walk
from registry.web.drawing import folded, steps_of

SCRIPT = """STATE players = ["a", "b"]
STATE marks = []
PARALLEL(limit: 2):
  FOREACH player IN players:
    EVENT completion:async {agent_id: player, prompt: "x"} AS answer
    APPEND marks answer.score
IF marks.length > 1:
  EVENT human:ask {question: "On?"} AS go
ELSE:
  EVENT orchestration:request_termination {reason: "few"}
TRACK {spread: 1, mean: 2}
RETURN marks
"""


def steps(text: str) -> list[Step]:
    return steps_of(outline(text))


class TestStepsOf:
    def test_reads_a_script_into_few_steps(self) -> None:
        assert [(step.kind, step.label) for step in steps(SCRIPT)] == [
            ("step", "set players, marks"),
            ("parallel", "PARALLEL(limit:2)"),
            ("choice", "IF"),
            ("emit", "track spread, mean"),
            ("end", "RETURN marks"),
        ]

    def test_names_whom_it_asks(self) -> None:
        loop = steps(SCRIPT)[1].lanes[0].steps[0]

        assert [step.label for step in loop.lanes[0].steps] == ["ask player", "set marks"]

    def test_branches_stand_beside_each_other_with_their_condition(self) -> None:
        choice = steps(SCRIPT)[2]

        assert [lane.label for lane in choice.lanes] == ["marks.length>1", "ELSE"]
        assert [lane.steps[0].kind for lane in choice.lanes] == ["human", "end"]

    def test_keeps_the_line_of_every_step(self) -> None:
        assert [step.line for step in steps(SCRIPT)] == [1, 3, 7, 11, 12]

    def test_counts_the_branches_that_have_no_room(self) -> None:
        branches = "".join(f'  EVENT completion:async {{agent_id: "a{n}", prompt: "x"}}\n' for n in range(9))

        lanes = steps("PARALLEL:\n" + branches)[0].lanes

        assert len(lanes) == 4
        assert lanes[-1].steps[0].label == "and 6 more"

    @given(st.text(st.sampled_from("IF ELSEPARALLEL:\n  {}x="), max_size=120))
    def test_takes_any_text(self, text: str) -> None:
        assert isinstance(steps(text), list)


class TestFolded:
    LOOP = "FOREACH a IN [1]:\n" + "".join(f"  EVENT tell {{n: {n}}}\n" for n in range(9))

    def test_leaves_a_picture_that_fits_as_it_is(self) -> None:
        shown = tuple(steps(SCRIPT))

        assert folded(shown, 150) is shown

    def test_folds_the_innermost_blocks_and_says_how_much_they_hold(self) -> None:
        deep = "IF true:\n" + "".join(f"  {line}\n" for line in self.LOOP.splitlines())

        shown = folded(tuple(steps(deep)), 5)

        assert [(step.label, len(step.lanes)) for step in walk(shown)] == [("IF", 1), ("+9 FOREACH a IN [1]", 0)]
        assert shown[0].lanes[0].steps[0].line == 2

    def test_counts_what_has_no_room_in_a_script_without_blocks(self) -> None:
        flat = "".join(f"EVENT tell {{n: {n}}}\n" for n in range(30))

        shown = folded(tuple(steps(flat)), 10)

        assert len(shown) == 10
        assert (shown[-1].label, shown[-1].line) == ("and 21 more", 10)
