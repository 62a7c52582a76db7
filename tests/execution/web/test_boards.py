"""Standings within families on the leaderboards page and on a pattern's Verification tab."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from execution.models import Trial
from execution.web import boards
from tests.execution.factories import make_user
from tests.execution.trials import GOOD_ON, PLAIN, carry_out, good_on, make_trial, next_version

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _plain(settings: Any) -> None:
    settings.AGENT_BACKENDS = PLAIN
    cache.clear()


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.content.decode())


class TestBoards:
    def test_rank_the_versions_that_met(self, client: Client) -> None:
        ada = make_user("ada")
        old = good_on(3, owner=ada.own_owner, name="vote")
        new = next_version(old, GOOD_ON.format(share=9))
        carry_out(make_trial(old, new, 60, backend="plain", is_public=True))

        shown = page(client, "/leaderboards/")

        assert "ada/vote@1.1.0 is proven stronger than all others." in shown
        places = re.findall(r'<th scope="row" class="num" title="">(\S+)</th>.*?>(ada/vote@\S+)</a>', shown)
        assert places == [("1", "ada/vote@1.1.0"), ("2", "ada/vote@1.0.0")]

    def test_say_that_versions_share_a_rank(self, client: Client) -> None:
        ada = make_user("ada")
        old = good_on(5, owner=ada.own_owner, name="vote")
        new = next_version(old, GOOD_ON.format(share=5) + "\n# again")
        carry_out(make_trial(old, new, 10, backend="plain", is_public=True))

        shown = page(client, "/patterns/ada/vote/trials/")

        assert "Nobody is proven stronger than anybody else so far." in shown
        assert shown.count(">1=</th>") == 2

    def test_keep_simulated_trials_apart_and_say_so(self, client: Client) -> None:
        ada = make_user("ada")
        old = good_on(3, owner=ada.own_owner, name="vote")
        carry_out(make_trial(old, next_version(old, GOOD_ON.format(share=9)), backend="simulated", is_public=True))

        assert [board.simulated for board in boards.all_boards(ada)] == [True]
        assert "simulated agents: no evidence" in page(client, "/leaderboards/")

    def test_do_not_show_what_one_may_not_see(self, client: Client) -> None:
        ada = make_user("ada")
        old = good_on(3, owner=ada.own_owner, name="vote")
        new = next_version(old, GOOD_ON.format(share=9))
        carry_out(make_trial(old, new, 60, backend="plain", user=ada, is_public=False))

        assert "ada/vote@1.1.0" not in page(client, "/leaderboards/")
        client.force_login(ada)
        assert "ada/vote@1.1.0" in page(client, "/leaderboards/")

    def test_put_patterns_that_met_on_one_board(self) -> None:
        ada = make_user("ada")
        one, other, third = (good_on(n, owner=ada.own_owner, name=f"p{n}") for n in (3, 6, 9))
        for control, candidate in ((one, other), (other, third)):
            carry_out(make_trial(control, candidate, 40, backend="plain", is_public=True))

        found = boards.all_boards(None)

        assert len(found) == 1
        assert set(found[0].names) >= {"ada/p3", "ada/p6"}

    def test_walk_over_the_pairs_once_for_each_state(self) -> None:
        ada = make_user("ada")
        old = good_on(3, owner=ada.own_owner, name="vote")
        new = next_version(old, GOOD_ON.format(share=9))
        carry_out(make_trial(old, new, 60, backend="plain", is_public=True))
        first = boards.boards_of(old.pattern, None)

        with CaptureQueriesContext(
            connection,
        ) as queries:
            again = boards.boards_of(old.pattern, None)
        walks = [one for one in queries if "trialpair" in one["sql"]]

        assert [board.pairs for board in again] == [board.pairs for board in first]
        assert walks == []
        Trial.objects.update(settled=1)
        assert boards.boards_of(old.pattern, None)[0].pairs == 1


class TestStopAll:
    def test_ends_every_trial_and_says_why(self, client: Client) -> None:
        root = make_user("root", is_staff=True, is_superuser=True)
        old = good_on(3, owner=root.own_owner, name="vote")
        trial = make_trial(old, next_version(old, GOOD_ON.format(share=9)), 40)
        client.force_login(root)

        assert "The one trial that is alive ends now" in page(client, "/trials/stop/")
        assert client.post("/trials/stop/", {"reason": ""}).status_code == 422
        answer = client.post("/trials/stop/", {"reason": "the bill"}, follow=True)

        trial.refresh_from_db()
        assert b"1 trial was stopped." in answer.content
        assert (trial.status, trial.note) == ("cancelled", "the bill")
        assert trial.killed_at is not None

    def test_is_for_administrators(self, client: Client) -> None:
        client.force_login(make_user("ada"))

        assert client.get("/trials/stop/").status_code == 403
        assert "Stop all" not in page(client, "/trials/")
