"""Patterns that start patterns."""

from __future__ import annotations

import pytest

from execution.models import Run
from execution.services import controlling
from execution.worker import run_until_idle
from tests.execution.factories import Clock, make_run, make_user, make_version

pytestmark = pytest.mark.django_db(transaction=True)

CHILD = """
STATE n = 1
EVENT completion:async {agent_id: "a", prompt: "{{n}}"} AS r
RETURN {double: n * 2}
"""
PARENT = """
EVENT orchestration:start {pattern: "child", inputs: {n: 21}} AS made
RETURN made.double
"""


def reload(run: Run) -> Run:
    return Run.objects.get(pk=run.pk)


class TestChildRun:
    def test_replies_to_its_parent(self, clock: Clock) -> None:
        owner = make_user().own_owner
        make_version(CHILD, owner=owner, name="child")
        run = make_run(version=make_version(PARENT, owner=owner, name="parent"))

        run_until_idle(clock=clock)

        assert reload(run).result_value() == 42
        assert run.children.get().depth == 1

    def test_spends_its_parents_budget(self, clock: Clock) -> None:
        owner = make_user().own_owner
        make_version(CHILD, owner=owner, name="child")
        run = make_run(version=make_version(PARENT, owner=owner, name="parent"))
        run_until_idle(clock=clock)

        assert reload(run).tokens_used == run.children.get().tokens_used > 0
        assert reload(run).tokens_reserved == 0

    def test_is_refused_where_the_parent_cannot_pay(self, clock: Clock) -> None:
        owner = make_user().own_owner
        make_version(CHILD, owner=owner, name="child")
        version = make_version(PARENT, owner=owner, name="parent")
        run = make_run(version=version, policy={"limits": {"tokens": 10}})
        run_until_idle(clock=clock)

        assert run.children.get().error["code"] == "opl.limit.tokens"
        assert run.children.get().tokens_used == 0

    def test_of_an_unknown_pattern_is_a_failure_as_a_value(self, clock: Clock) -> None:
        run = make_run('EVENT orchestration:start {pattern: "no/where"} AS r\nRETURN r.error.type')
        run_until_idle(clock=clock)

        assert reload(run).result_value() == "refused"

    def test_of_the_same_pattern_is_refused_as_a_cycle(self, clock: Clock) -> None:
        owner = make_user().own_owner
        script = 'EVENT orchestration:start {pattern: "loop"} AS r\nRETURN r.error.message'
        run = make_run(version=make_version(script, owner=owner, name="loop"))
        run_until_idle(clock=clock)

        assert "already at work" in reload(run).result_value()

    def test_ends_with_its_parent(self, clock: Clock) -> None:
        owner = make_user().own_owner
        make_version("WAIT 100", owner=owner, name="child")
        script = 'EVENT orchestration:start {pattern: "child"} AS r'
        run = make_run(version=make_version(script, owner=owner, name="parent"))
        run_until_idle(clock=clock)

        controlling.cancel(run_id=run.pk, now=clock())

        assert run.children.get().status == "cancelled"
