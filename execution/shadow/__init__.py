"""
Shadow verification: is the candidate better, or as good and cheaper, whenever one looks.

Pure: values in, values out; no clock, no database, no network. The flow is

    observation → contrast → (enrolment order) → evidence → claims → verdict → report → recheck

What is always true here: a pair enters the evidence only when every pair
enrolled before it has; the evidence of disjoint inputs adds, exactly and in
any order; and a report carries all that its verdict was computed from.

Example:
    >>> from execution.shadow.plan import TrialPlan
    >>> from execution.shadow.assessment import Pair, assess
    >>> plan = TrialPlan.of_profile("standard", metrics=("success",))
    >>> pairs = [Pair(position=n, contrasts={"success": 1.0}) for n in range(1, 31)]
    >>> str(assess(plan, pairs).verdict.outcome)
    'promote'
"""
