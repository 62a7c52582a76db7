"""What Prometheus reads about runs, and addresses that no database can look for."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from execution.models import Effect, Run
from execution.worker import run_until_idle
from hub.metrics import RunMetrics
from registry.models import User
from tests.execution.factories import Clock, make_run

pytestmark = pytest.mark.django_db(transaction=True)

ASKS = 'EVENT completion:async {agent_id: "solo", prompt: "a"} AS r\nRETURN r.output'


def values(metrics: RunMetrics) -> dict[tuple[str, str], float]:
    """{(name, label): value}."""
    return {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in metrics.collect()
        for sample in family.samples
    }


class TestRunMetrics:
    def test_count_runs_and_effects_by_state(self) -> None:
        clock = Clock()
        make_run(ASKS)
        run_until_idle(clock=clock)
        make_run(ASKS)

        found = values(RunMetrics(clock=clock))

        assert found["opl_runs", "succeeded"] == found["opl_runs", "queued"] == 1
        assert found["opl_runs", "failed"] == 0
        assert found["opl_effects", "done"] == 1
        assert found["opl_tokens_total", "real"] == 0

    def test_show_how_long_work_has_waited(self) -> None:
        clock = Clock()
        make_run(ASKS)
        clock.forward(12)

        assert values(RunMetrics(clock=clock))["opl_queue_age_seconds", "runs"] == 12

    def test_show_questions_that_nobody_claims(self) -> None:
        clock = Clock()
        run = make_run(ASKS)
        run_until_idle(clock=clock)
        Effect.objects.filter(run=run).update(status="queued", due_at=clock())
        clock.forward(3)

        found = values(RunMetrics(clock=clock))

        assert found["opl_queue_age_seconds", "effects"] == 3
        assert found["opl_effects_due", ""] == 1

    def test_tell_real_money_from_simulated_tokens_and_count_what_was_paid_twice(self) -> None:
        run = make_run(ASKS)
        Run.objects.filter(pk=run.pk).update(simulated=False, tokens_used=900, cost_used=2_500_000, repaid=2)

        found = values(RunMetrics())

        assert found["opl_cost_usd_total", "real"] == 2.5
        assert found["opl_tokens_total", "real"] == 900
        assert found["opl_repaid_total", "real"] == 2
        assert found["opl_cost_usd_total", "simulated"] == 0

    def test_read_whole_tables_at_most_every_ten_seconds(self) -> None:
        now = [100.0]
        metrics = RunMetrics(monotonic=lambda: now[0])
        before = values(metrics)
        make_run(ASKS)

        within = values(metrics)
        now[0] += 11

        assert within["opl_runs", "queued"] == before["opl_runs", "queued"] == 0
        assert values(metrics)["opl_runs", "queued"] == 1

    def test_stand_at_their_address_in_the_format_of_prometheus(self, client: Client) -> None:
        make_run(ASKS)

        names = {family.name for family in text_string_to_metric_families(client.get("/metrics").content.decode())}

        assert {"opl_runs", "opl_effects", "opl_queue_age_seconds", "opl_tokens", "opl_cost_usd", "opl_repaid"} <= names


class TestReaders:
    """The client of the tests comes from 127.0.0.1."""

    def test_of_metrics_are_this_machine_s_where_no_token_is_set(self, client: Client) -> None:
        assert client.get("/metrics").status_code == 200
        for elsewhere in ({"REMOTE_ADDR": "203.0.113.9"}, {"HTTP_X_FORWARDED_FOR": "203.0.113.9"}, {"REMOTE_ADDR": ""}):
            answer = client.get("/metrics", **elsewhere)
            assert answer.status_code == 401
            assert b"HUB_METRICS_TOKEN" in answer.content and b"opl_" not in answer.content

    def test_of_metrics_show_the_token_where_one_is_set(self, client: Client, settings: Any) -> None:
        settings.METRICS_TOKEN = "known"

        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"authorization": "Bearer unknown"}).status_code == 401
        assert client.get("/metrics", headers={"authorization": "Basic known"}).status_code == 401
        given = client.get("/metrics", headers={"authorization": "Bearer known"}, REMOTE_ADDR="203.0.113.9")
        assert given.status_code == 200

    def test_of_metrics_are_administrators_too(self, client: Client) -> None:
        client.force_login(User.objects.create_user("root", is_superuser=True))

        assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 200


class TestAddresses:
    def test_with_a_null_character_find_nothing_on_every_database(self, client: Client) -> None:
        assert client.get("/patterns/ada/%00/").status_code == 404
        assert client.get("/patterns/?tag=%00").status_code == 200
