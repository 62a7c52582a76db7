"""What is recommended, from rows: peers rank what to try, own runs decide what is offered."""

from __future__ import annotations

import pytest

from registry.discovery import voices
from registry.discovery.recommend import recommend
from registry.models import DailyRollup, PatternVersion, Source, User
from tests.registry.factories import NOW, make_user, make_version, record_runs

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """All nodes count whole, but one that nobody trusts."""
    monkeypatch.setattr(voices, "NODE_WEIGHTS", [lambda names: {name: float(name != "stranger") for name in names}])


@pytest.fixture
def ada() -> User:
    return make_user("ada")


def claimed(version: PatternVersion, successes: int, runs: int, *, operator: str, cell: str = "") -> None:
    """What a peer's node says, as federation puts it into the sums."""
    DailyRollup.objects.create(
        version=version,
        pattern=version.pattern,
        day=NOW.date(),
        cell=cell,
        source=Source.ATTESTED,
        reporter_key=operator,
        runs=runs,
        successes=successes,
    )


def names(user: User, **options: object) -> list[str]:
    return [item.pattern.name for item in recommend(context={}, user=user, **options)]  # type: ignore[arg-type]


class TestPeers:
    def test_rank_what_to_try(self, ada: User) -> None:
        make_version("plain", user=ada)
        praised = make_version("praised", user=ada)
        claimed(praised, 95, 100, operator="node-1")

        found = recommend(context={}, user=ada)

        assert found[0].pattern == praised.pattern
        assert any("peers' reports" in reason for reason in found[0].reasons)

    def test_are_believed_as_far_as_own_runs_reproduce_them(self, ada: User) -> None:
        praised, reader = make_version("praised", user=ada), make_user("reader")
        claimed(praised, 100, 100, operator="node-1")
        before = recommend(context={}, user=ada)[0].expected
        record_runs(praised, 2, 18, reporter=reader)

        after = recommend(context={}, user=ada)[0].expected

        # 2 of 20 of our own refute the claim: what is left of it moves nothing.
        own = (2 + 4 * (3 / 22)) / 24
        assert before > 0.8 and after == pytest.approx(own, abs=0.01)

    def test_that_nobody_trusts_are_not_heard(self, ada: User) -> None:
        praised = make_version("praised", user=ada)
        before = recommend(context={}, user=ada)[0].expected
        claimed(praised, 100, 100, operator="stranger")

        assert recommend(context={}, user=ada)[0].expected == before

    def test_have_one_voice_for_each_operator(self, ada: User) -> None:
        praised = make_version("praised", user=ada)
        claimed(praised, 100, 100, operator="node-1")
        once = recommend(context={}, user=ada)[0].expected
        for day in range(1, 5):
            DailyRollup.objects.create(
                version=praised,
                pattern=praised.pattern,
                day=NOW.date().replace(day=day + 2) if NOW.day != day + 2 else NOW.date().replace(day=20),
                source=Source.ATTESTED,
                reporter_key="node-1",
                runs=100,
                successes=100,
            )

        assert recommend(context={}, user=ada)[0].expected == pytest.approx(once)

    def test_lift_nothing_over_the_floor_of_the_incumbent(self, ada: User) -> None:
        reader = make_user("reader")
        good, bad = make_version("good", user=ada), make_version("bad", user=ada)
        record_runs(good, 18, 2, reporter=reader)
        record_runs(bad, 8, 12, reporter=reader)
        assert names(ada, incumbent="ada/good") == ["good"]

        for number in range(5):
            claimed(bad, 60, 100, operator=f"node-{number}")

        assert names(ada, incumbent="ada/good") == ["good"]
