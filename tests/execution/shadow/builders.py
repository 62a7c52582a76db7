"""Pairs, plans and reports for tests, named for what sets them apart."""

import random

from execution.shadow.evidence import Pair
from execution.shadow.plan import TrialPlan
from execution.shadow.report import Setting, Subject

SUCCESS_ONLY = TrialPlan.of_profile("standard", metrics=("success",))
SEED = bytes(range(32))


def pairs_of(contrasts, *, metric="success", strata=()):
    """One pair per contrast, enrolled in this order."""
    return [
        Pair(
            position=n,
            contrasts={metric: float(contrast)},
            stratum=strata[(n - 1) % len(strata)] if strata else "",
            input_id=f"{n:032x}",
        )
        for n, contrast in enumerate(contrasts, 1)
    ]


def noisy_pairs(count, *, seed=1, better=0.3, worse=0.1, cheaper=0.1):
    """Pairs with success, cost, tokens and latency, drawn from a seed."""
    rng = random.Random(seed)
    return [
        Pair(
            position=n,
            input_id=f"{n:032x}",
            stratum=rng.choice(("short", "long")),
            contrasts={
                "success": rng.choices((1.0, -1.0, 0.0), (better, worse, 1 - better - worse))[0],
                "cost": round(rng.uniform(-0.2, 0.2) + cheaper, 6),
                "tokens": round(rng.uniform(-0.2, 0.2), 6),
                "latency": round(rng.uniform(-0.3, 0.3), 6),
            },
        )
        for n in range(1, count + 1)
    ]


def setting(plan, **changes):
    """A trial of two made-up versions."""
    values = {
        "trial": "trial-1",
        "control": Subject(name="ada/plain@1.0.0", digest="sha256:" + "0" * 64),
        "candidate": Subject(name="ada/plain@2.0.0", digest="sha256:" + "1" * 64),
        "plan": plan,
        "seed": SEED,
        "backend": "simulated",
        "started_at": "2025-06-11T08:00:00Z",
        "ended_at": "2025-06-11T08:05:00Z",
    }
    return Setting(**{**values, **changes})
