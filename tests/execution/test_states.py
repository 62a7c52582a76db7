"""The tables of runs, effects and trials."""

from __future__ import annotations

import pytest

from execution import states


class TestTables:
    @pytest.mark.parametrize("table", [states.RUN, states.EFFECT, states.TRIAL])
    def test_lead_from_the_first_status_to_every_other(self, table: states.Table) -> None:
        first = next(iter(table))
        reached, waiting = {str(first)}, [str(first)]
        while waiting:
            for target in map(str, table[waiting.pop()].values()):
                if target not in reached:
                    reached.add(target)
                    waiting.append(target)

        assert reached == {str(status) for status in table}

    def test_end_runs_in_the_five_final_statuses(self) -> None:
        assert {"succeeded", "failed", "terminated", "cancelled", "stuck"} == states.RUN_ENDED

    def test_keep_a_finished_effect_finished(self) -> None:
        assert states.terminal(states.EFFECT) == {"done", "late"}
        with pytest.raises(states.ImpossibleMove, match="nothing that is done can cancel"):
            states.move(states.EFFECT, "done", "cancel")

    def test_refuse_a_table_with_a_hole(self) -> None:
        with pytest.raises(ValueError, match="one row for each status"):
            states.check({"queued": {}}, states.RunStatus)

    def test_draw_themselves(self) -> None:
        drawn = states.mermaid(states.RUN)

        assert "queued --> running: advance" in drawn and "stuck --> [*]" in drawn

    def test_say_from_where_a_move_is_possible(self) -> None:
        assert states.sources(states.EFFECT, "claim") == {"queued", "in_doubt"}
