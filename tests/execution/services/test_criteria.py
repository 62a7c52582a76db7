"""Words that a run is judged by and that cannot be computed: nothing is decided on them, and the trial says why."""

from __future__ import annotations

import pytest

from execution.models import Trial
from execution.services import judging
from execution.states import TrialStatus
from tests.execution.trials import carry_out, make_trial, make_version

pytestmark = pytest.mark.django_db(transaction=True)

PLAIN = 'STATE n = 0\nEVENT completion:async {agent_id: "solo", prompt: "Task {{n}}"} AS r\nRETURN {ok: r.success, word: "good"}'


def tried(**words: str) -> Trial:
    version = make_version(PLAIN, success_when="ok")
    return carry_out(make_trial(version, version, 12, **words))


class TestTrialWhoseWordsCannotBeComputed:
    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ({"success_when": "zzz > 1"}, "success_when cannot be computed: the run has no 'zzz'"),
            ({"success_when": "n / 0 > 1"}, "success_when cannot be computed: "),
            ({"score": "word"}, 'score is no number from 0 to 1: it is "good"'),
            ({"score": "zzz"}, "score cannot be computed: the run has no 'zzz'"),
        ],
        ids=["unknown-name", "division", "text", "unknown-score"],
    )
    def test_pauses_and_says_why_before_anything_is_decided(self, words: dict[str, str], says: str) -> None:
        trial = tried(**words)

        assert (trial.status, trial.settled) == (TrialStatus.PAUSED, 0)
        assert says in trial.note and "of the control" in trial.note
        pair = trial.pairs.filter(status="settled").first()
        assert pair is not None and says in pair.control["error"]

    def test_goes_on_where_some_runs_can_be_judged(self) -> None:
        version = make_version(PLAIN.replace("RETURN", "IF n > 2:\n  RETURN {}\nRETURN"), success_when="ok")

        trial = carry_out(make_trial(version, version, 12))

        assert trial.status != TrialStatus.PAUSED and trial.settled > 0


class TestEvaluate:
    def test_gives_the_value_or_what_is_wrong(self) -> None:
        assert judging.evaluate("n + 1", {"n": 2}) == judging.Computed(value=3, problem="")
        assert judging.evaluate("n + m", {"n": 2}).problem == "the run has no 'm'"
        assert "zero" in judging.evaluate("n / 0", {"n": 2}).problem
        assert judging.evaluate("n +", {"n": 2}).problem == "'n +' is no expression of the language"

    def test_reads_a_name_that_is_there_as_null(self) -> None:
        assert judging.evaluate("m == null", {"m": None}).value is True
