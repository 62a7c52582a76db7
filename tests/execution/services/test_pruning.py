"""Forgetting old runs and unused blobs, and never what somebody still stands on."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import models

from execution.models import Blob, Effect, Run, stored
from execution.services import branching, pruning
from execution.services.clock import to_datetime
from execution.services.pruning import prune
from execution.worker import run_until_idle
from tests.execution.factories import Clock, make_run

pytestmark = pytest.mark.django_db(transaction=True)

LONG = 'EVENT completion:async {agent_id: "solo", prompt: "' + "long " * 200 + '"} AS r\nRETURN r.output'


def later(clock: Clock, *, days: float = 0, hours: float = 0) -> None:
    clock.forward(timedelta(days=days, hours=hours).total_seconds())


def ended_run(clock: Clock, script: str = LONG) -> Run:
    run = make_run(script, now=to_datetime(clock()))
    run_until_idle(clock=clock)
    run.refresh_from_db()
    assert run.has_ended
    return run


class TestPrune:
    def test_deletes_what_ended_long_ago_with_its_journal(self, clock: Clock) -> None:
        ended_run(clock)
        later(clock, days=91)
        young = ended_run(clock)

        pruned = prune(now=to_datetime(clock()), days=90)

        assert pruned.runs == 1
        assert list(Run.objects.all()) == [young]
        assert set(Effect.objects.values_list("run_id", flat=True)) == {young.pk}

    def test_keeps_what_has_not_ended(self, clock: Clock) -> None:
        waiting = make_run('EVENT human:ask {question: "go?"} AS said\nRETURN said')
        run_until_idle(clock=clock)
        later(clock, days=400)

        assert prune(now=to_datetime(clock()), days=90).runs == 0
        assert Run.objects.filter(pk=waiting.pk).exists()

    def test_keeps_a_run_that_a_branch_stands_on_until_the_branch_goes(self, clock: Clock) -> None:
        origin = ended_run(clock)
        branch = branching.branch(run=origin, tick=1, now=to_datetime(clock()))
        later(clock, days=91)

        first = prune(now=to_datetime(clock()), days=90)
        run_until_idle(clock=clock)
        later(clock, days=91)
        second = prune(now=to_datetime(clock()), days=90)

        assert (first.runs, first.kept_runs) == (0, 1)
        assert second.runs == 2 and not Run.objects.filter(pk=branch.pk).exists()


class TestSweep:
    def test_removes_blobs_an_hour_after_nobody_holds_them(self, clock: Clock) -> None:
        ended_run(clock)
        held = Blob.objects.count()
        later(clock, days=91)

        marked = prune(now=to_datetime(clock()), days=90)
        later(clock, hours=1)
        removed = prune(now=to_datetime(clock()), days=90)

        assert held and (marked.blobs, marked.marked) == (0, held)
        assert removed.blobs == held and not Blob.objects.exists()

    def test_keeps_what_is_taken_up_again_in_between(self, clock: Clock) -> None:
        ended_run(clock)
        later(clock, days=91)
        prune(now=to_datetime(clock()), days=90)
        stored.forget_seen()
        again = ended_run(clock)
        later(clock, hours=2)

        prune(now=to_datetime(clock()), days=90)

        (effect,) = Effect.objects.filter(run=again)
        assert effect.data()["prompt"].startswith("long")
        assert not Blob.objects.filter(digest=effect.request[1:], unused_since__isnull=False).exists()

    def test_waits_longer_than_a_process_trusts_its_memory(self) -> None:
        assert pruning.UNUSED_MS > 2 * stored.SEEN_SECONDS * 1000

    def test_looks_into_every_column_that_may_hold_a_blob(self) -> None:
        found = {
            (model._meta.db_table, field.column)
            for model in apps.get_app_config("execution").get_models()
            for field in model._meta.get_fields()
            if type(field) is models.TextField
        }
        plain = {("execution_effect", "key"), ("execution_attempt", "message")}

        assert set(pruning.STORED) <= found
        unlisted = found - set(pruning.STORED) - plain
        assert not [one for one in unlisted if "stored value" in help_of(*one).lower()]


def help_of(table: str, column: str) -> str:
    model = next(m for m in apps.get_app_config("execution").get_models() if m._meta.db_table == table)
    field = next(f for f in model._meta.get_fields() if getattr(f, "column", None) == column)
    return str(field.help_text)


class TestCommand:
    def test_says_what_it_did(self, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("prune", days=90)
        assert "Deleted 0 runs" in capsys.readouterr().out

        call_command("prune", days=90, json=True)
        assert json.loads(capsys.readouterr().out) == {"runs": 0, "kept_runs": 0, "blobs": 0, "marked": 0}
