"""What replies to a script's events look like."""

from __future__ import annotations

from opl.script.effects import child_result


class TestChildResult:
    def test_of_a_run_that_ended_and_missed_its_criterion_says_so(self) -> None:
        reply = child_result(run_id=3, status="succeeded", succeeded=False, result={"score": 0.4}, error=None)

        assert reply["error"] == {
            "type": "not_met",
            "message": "the child run ended, but its success_when does not hold",
        }
        assert (reply["success"], reply["score"]) == (False, 0.4)

    def test_of_a_run_that_was_ended_names_how(self) -> None:
        reply = child_result(run_id=3, status="cancelled", succeeded=False, result=None, error=None)

        assert reply["error"] == {"type": "cancelled", "message": "the child run ended as cancelled"}

    def test_keeps_the_error_of_the_run_under_the_name_that_catch_reads(self) -> None:
        error = {"code": "opl.limit.tokens", "message": "used up", "line": 3, "column": 0}

        told = child_result(run_id=3, status="failed", succeeded=False, result=None, error=error)["error"]

        assert told == {"type": "opl.limit.tokens", **error}
