"""
The process ends at every place between transactions of a trial, and whoever comes next finishes it.

The seed is the same everywhere, so whatever a crash does, the trial must come
to the very pairs, looks and verdict of one that nothing interrupted.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from execution.models import ArmRun, Run, Trial
from execution.services import faults, verifying
from execution.services.clock import to_datetime
from execution.worker import Worker, WorkerSettings
from tests.execution.conftest import forget
from tests.execution.factories import Clock, make_run
from tests.execution.trials import PLAIN, carry_out, make_trial, make_version

pytestmark = pytest.mark.django_db(transaction=True)

# Agents are asked, so that a crash can lie between a question and its answer.
SCRIPT = """
STATE n = 0
EVENT completion:async {agent_id: "solo", prompt: "Task {{n}}"} AS r
RETURN {ok: r.success AND n % 5 != AVOID}
"""
PLACES = (
    "pair-started",
    "pair-stepped",
    "before-count-commits",
    "pairs-counted",
    "before-advance-commits",
    "advanced",
    "before-sending",
    "before-result-commits",
    "result-committed",
)


@pytest.fixture(autouse=True)
def _same_seed(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.AGENT_BACKENDS = PLAIN
    monkeypatch.setattr(verifying.secrets, "token_bytes", lambda count: b"7" * count)


def trial_of_12() -> Trial:
    control = make_version(SCRIPT.replace("AVOID", "1"), success_when="ok")
    candidate = make_version(SCRIPT.replace("AVOID", "2"))
    return make_trial(control, candidate, 12, backend="plain", at_once=3, now=timezone.now())


def told(trial: Trial) -> dict[str, Any]:
    """All of a trial that must be the same, whatever happened on the way."""
    trial.refresh_from_db()
    pairs = trial.pairs.order_by("position").values_list("position", "status", "contrasts", "missing", "input_name")
    return {
        "verdict": (trial.status, trial.outcome, trial.settled, trial.missing, trial.sentence),
        "pairs": list(pairs),
        "looks": list(trial.looks.order_by("position").values_list("position", "superiority", "harm")),
        "arms": list(
            ArmRun.objects.filter(pair__trial=trial)
            .order_by("pair__position", "arm", "number", "attempt")
            .values_list("pair__position", "arm", "number", "attempt", "run__seed", "run__status")
        ),
    }


def crash_at(place: str, time: int) -> None:
    """End the process the ``time``-th time it is at ``place``."""
    seen = 0

    def hook(here: str) -> None:
        nonlocal seen
        seen += here == place
        if here == place and seen == time:
            raise faults.Crash(place)

    faults.hook = hook


@pytest.mark.parametrize("place", PLACES)
class TestCrash:
    def test_changes_nothing_about_the_trial(self, place: str, clock: Clock) -> None:
        clock.now = int(timezone.now().timestamp() * 1000)
        undisturbed = told(carry_out(trial_of_12(), clock=clock))

        trial = trial_of_12()
        crashes = 0
        for time in (1, 2, 5, 9):
            crash_at(place, time)
            worker = Worker(WorkerSettings(queue="trials"), clock=clock)
            worker.start()
            try:
                while worker.claim_and_run():
                    pass
            except faults.Crash:
                crashes += 1
            faults.hook = None
            worker._ended.set()  # its heart stops; nothing is given back
            from execution.services import hints

            hints.forget(worker.hint)
            forget()
            clock.forward(30)  # its lease runs out
        carry_out(trial, clock=clock)

        assert crashes >= 1
        assert told(trial) == undisturbed
        assert not Run.objects.alive().exists()


class TestCrashBesideRealRuns:
    def test_enrols_every_drawn_run_once_and_in_order(self, clock: Clock) -> None:
        clock.now = int(timezone.now().timestamp() * 1000)
        version = make_version(SCRIPT.replace("AVOID", "1"), success_when="ok")
        trial = verifying.start_trial(
            control=version,
            candidate=make_version(SCRIPT.replace("AVOID", "2")),
            user=None,
            now=timezone.now(),
            mode="live",
            share=1.0,
            profile="quick",
        )
        from execution.worker import run_until_idle

        runs = []
        for time in range(1, 4):
            # Made at the time of the standing clock: on PostgreSQL a run of the future is not looked at yet.
            made = to_datetime(clock.now)
            runs += [make_run(version=version, inputs={"n": n}, backend="plain", now=made).pk for n in range(4)]
            run_until_idle(clock=clock)
            crash_at("live-enrolled", 1)
            with pytest.raises(faults.Crash):
                carry_out(trial, clock=clock)
            faults.hook = None
            forget()
            assert time
        carry_out(trial, clock=clock)

        arms = ArmRun.objects.filter(pair__trial=trial, arm="control").order_by("pair__position")
        assert list(arms.values_list("run_id", flat=True)) == runs
        assert trial.settled == 12
