"""Bradley–Terry standings of a family, from the pairs of its trials."""

from __future__ import annotations

from typing import Any

import pytest

from execution.services import standings
from tests.execution.factories import make_user
from tests.execution.trials import GOOD_ON, PLAIN, carry_out, good_on, make_trial, next_version

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _plain(settings: Any) -> None:
    settings.AGENT_BACKENDS = PLAIN


class TestStandings:
    def test_rank_versions_by_the_pairs_that_they_won(self) -> None:
        user = make_user()
        old = good_on(3, owner=user.own_owner)
        new = next_version(old, GOOD_ON.format(share=9))
        carry_out(make_trial(old, new, 60, backend="plain"))

        first, second = standings.standings(pattern=old.pattern, user=user)

        assert (first.version, second.version) == (new, old)
        assert first.standing.rank == 1 and second.standing.rank == 2
        assert first.standing.rating > 1500 > second.standing.rating
        assert first.in_words.endswith("drawn")

    def test_say_that_two_cannot_be_told_apart(self) -> None:
        old = good_on(5)
        new = next_version(old, GOOD_ON.format(share=5) + "\n# again")
        carry_out(make_trial(old, new, 10, backend="plain"))

        places = standings.standings(pattern=old.pattern, user=None)

        assert [place.standing.rank for place in places] == [1, 1]
        assert "not to be told apart" in places[0].in_words

    def test_keep_simulated_trials_apart(self) -> None:
        old = good_on(3)
        carry_out(make_trial(old, next_version(old, GOOD_ON.format(share=9)), backend="simulated"))

        assert standings.standings(pattern=old.pattern, user=None) == []
        assert len(standings.standings(pattern=old.pattern, user=None, simulated=True)) == 2

    def test_list_the_trials_of_a_pattern(self) -> None:
        old, other = good_on(3), good_on(4)
        trial = make_trial(old, other, 2)

        assert [row.trial for row in standings.verdicts_of(pattern=old.pattern, user=None)] == [trial]
        assert [row.is_candidate for row in standings.verdicts_of(pattern=other.pattern, user=None)] == [True]
