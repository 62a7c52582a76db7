"""
The setting up of the chaos test of trials: a trial whose every contrast is known beforehand.

    DJANGO_SETTINGS_MODULE=tests.execution.chaos_settings python -m tests.execution.trial_chaos PAIRS
"""

from __future__ import annotations

import sys
from dataclasses import replace

SCRIPT = """
STATE n = 0
EVENT completion:async {{agent_id: "solo", prompt: "Task {{{{n}}}}"}} AS r
RETURN {{ok: r.success AND n % 10 != {avoid}}}
"""
CONTROL_FAILS, CANDIDATE_FAILS = 3, 8  # where n ends in this digit


def main() -> None:
    """Make the tables, two patterns and a running trial; print its id."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from execution.services import verifying
    from execution.shadow.plan import TrialPlan
    from tests.execution import trials

    call_command("migrate", verbosity=0, skip_checks=True)
    count = int(sys.argv[1])
    trial = verifying.start_trial(
        control=trials.make_version(SCRIPT.format(avoid=CONTROL_FAILS), success_when="ok"),
        candidate=trials.make_version(SCRIPT.format(avoid=CANDIDATE_FAILS)),
        user=None,
        now=timezone.now(),
        inputs=trials.numbers(count),
        backend="logged",
        at_once=6,
        plan=replace(TrialPlan.of_profile("strict"), profile="custom", n_max=count),
    )
    print(trial.pk)


if __name__ == "__main__":
    main()
