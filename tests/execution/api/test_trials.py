"""Trials over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from execution.models import Trial
from execution.shadow.recheck import recheck
from registry.models import Channel
from registry.services import channels
from tests.execution.api.test_runs import client_of
from tests.execution.factories import NOW, make_user
from tests.execution.trials import GOOD_ON, carry_out, good_on, make_trial, next_version

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.execution.urls")]


class Api:
    """A person with a token of the scope ``verify`` and a pattern in two versions."""

    def __init__(self) -> None:
        cache.clear()
        self.user = make_user()
        self.client = client_of(self.user, "verify")
        self.old = good_on(4, owner=self.user.own_owner, name="vote")
        self.new = next_version(self.old, GOOD_ON.format(share=9))
        channels.point(
            pattern=self.old.pattern,
            name="stable",
            version=self.old,
            channel=None,
            user=None,
            via="t",
            reason="",
            now=NOW,
        )

    def start(self, **body: Any) -> Any:
        sent = {
            "candidate": str(self.new),
            "control": str(self.old),
            "backend": "simulated",
            "profile": "quick",
            "inputs": [{"n": n} for n in range(40)],
            **body,
        }
        return self.client.post("/api/v1/trials", sent, format="json")

    def decided(self) -> Trial:
        return carry_out(Trial.objects.get(pk=self.start().json()["id"]))

    def post(self, trial: Trial, what: str, **body: Any) -> Any:
        return self.client.post(f"/api/v1/trials/{trial.pk}/{what}", body, format="json")

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1/trials{path}")


@pytest.fixture
def api() -> Api:
    return Api()


class TestStart:
    def test_answers_with_the_trial_and_its_commitment(self, api: Api) -> None:
        answer = api.start()

        body = answer.json()
        assert answer.status_code == 201, body
        assert (body["status"], body["mode"], body["pairs"]["enrolled"]) == ("running", "batch", 200)
        assert body["seed_commitment"].startswith("sha256:")
        assert "seed" not in body and "salt" not in body
        assert answer.headers["Location"] == f"/api/v1/trials/{body['id']}"

    def test_looks_only_at_planned_numbers_of_pairs_where_that_is_asked(self, api: Api) -> None:
        plan = api.start(test="scheduled").json()["plan"]
        assert (plan["mode"], plan["looks"], plan["n_max"]) == ("scheduled", [40, 80, 120, 160, 200], 200)

        plan = api.start(looks=[30, 60]).json()["plan"]
        assert (plan["mode"], plan["looks"], plan["n_max"], plan["profile"]) == ("scheduled", [30, 60], 60, "custom")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"looks": [60, 30]}, "looks"),
            ({"looks": [30], "test": "always"}, "looks"),
            ({"test": "sometimes"}, "test"),
            ({"looks": [0]}, "looks"),
            ({"caps": {"statments": 3}}, "policy"),
            ({"at_once": 65}, "at_once"),
        ],
    )
    def test_refuses_what_no_trial_can_run_with(self, api: Api, body: dict[str, Any], field: str) -> None:
        answer = api.start(**body)

        assert answer.status_code in (400, 422), answer.json()
        assert field in json.dumps(answer.json()) and not Trial.objects.exists()

    def test_takes_caps_size_and_visibility(self, api: Api) -> None:
        body = api.start(caps={"tokens": 1234}, at_once=3, public=False, repeats=2).json()

        assert body["caps"] == {"tokens": 1234, "cost_usd": 2.0, "seconds": 3600}
        assert (body["at_once"], body["public"], body["repeats"]) == (3, False, 2)

    def test_needs_the_scope_verify(self, api: Api) -> None:
        api.client = client_of(api.user, "run")
        assert api.start().status_code == 403

    @pytest.mark.parametrize(
        "body",
        [
            {"inputs": [{"unknown": 1}]},
            {"inputs": ["text"]},
            {"profile": "sloppy"},
            {"success_when": "1 +"},
            {"mode": "live", "share": 7},
            {"caps": {"nonsense": 1}},
            {"backend": "nobody"},
            {"budget": {"tokens": -1}},
            {"control": "no/such"},
        ],
    )
    def test_says_what_is_wrong(self, api: Api, body: dict[str, Any]) -> None:
        answer = api.start(**body)

        assert answer.status_code in (400, 404, 422), answer.json()
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        assert not Trial.objects.exists()

    def test_shadows_real_runs_of_the_caller_s_own_pattern(self, api: Api) -> None:
        body = api.start(mode="live", share=0.25, inputs=[]).json()
        assert (body["mode"], body["share"], body["pairs"]["enrolled"]) == ("live", 0.25, 0)


class TestRead:
    def test_gives_the_verdict_with_its_evidence(self, api: Api) -> None:
        trial = api.decided()

        body = api.get(f"/{trial.pk}").json()

        assert (body["status"], body["outcome"]) == ("decided", "promote")
        assert {row["metric"] for row in body["metrics"]} == {"success", "cost", "tokens", "latency"}
        assert body["wins"] > body["losses"]
        assert body["adoption_obstacle"] is None

    def test_gives_pairs_in_the_order_of_enrolment(self, api: Api) -> None:
        trial = api.decided()

        first = api.get(f"/{trial.pk}/pairs?limit=5").json()
        second = api.get(f"/{trial.pk}/pairs?limit=5&cursor={first['next']}").json()

        assert [pair["n"] for pair in first["results"] + second["results"]] == list(range(1, 11))
        assert all(len(pair["control_runs"]) == 1 for pair in first["results"])

    def test_gives_the_curve_with_its_thresholds(self, api: Api) -> None:
        trial = api.decided()

        body = api.get(f"/{trial.pk}/curve").json()

        assert [point["n"] for point in body["points"]] == list(range(1, trial.settled + 1))
        assert body["points"][-1]["noninferior"] >= body["thresholds"]["noninferior"]

    def test_gives_the_report_byte_for_byte(self, api: Api) -> None:
        trial = api.decided()

        answer = api.get(f"/{trial.pk}/report")

        assert answer.content == bytes(trial.report.data)
        assert recheck(answer.content).outcome == "promote"
        again = api.client.get(f"/api/v1/trials/{trial.pk}/report", HTTP_IF_NONE_MATCH=answer.headers["ETag"])
        assert again.status_code == 304

    def test_has_no_report_before_the_verdict(self, api: Api) -> None:
        assert api.get(f"/{api.start().json()['id']}/report").status_code == 404

    def test_hides_trials_of_versions_that_the_caller_may_not_see(self, api: Api) -> None:
        trial = make_trial(api.old, api.new, is_public=False, user=make_user())

        assert api.get(f"/{trial.pk}").status_code == 404
        assert api.get("").json()["results"] == []

    def test_lists_by_pattern_and_status(self, api: Api) -> None:
        trial = api.decided()
        api.start()

        listed = api.get(f"?pattern={api.old.pattern}&status=decided").json()["results"]

        assert [row["id"] for row in listed] == [trial.pk]
        assert APIClient().get(f"/api/v1/trials/{trial.pk}").status_code == 200


class TestSteer:
    def test_pauses_resumes_and_cancels(self, api: Api) -> None:
        trial = Trial.objects.get(pk=api.start().json()["id"])

        assert api.post(trial, "pause").json()["status"] == "paused"
        assert api.post(trial, "resume").json()["status"] == "running"
        assert api.post(trial, "cancel", kill=True).json()["status"] == "cancelled"
        again = api.post(trial, "resume")
        assert (again.status_code, again.json()["code"]) == (409, "execution.trial-not-possible")

    def test_is_for_the_person_who_started_it(self, api: Api) -> None:
        trial = Trial.objects.get(pk=api.start().json()["id"])
        api.client = client_of(make_user(), "verify")

        assert api.post(trial, "cancel").status_code == 403

    def test_adopts_the_candidate(self, api: Api) -> None:
        trial = api.decided()

        body = api.post(trial, "adopt").json()

        assert body["adopted_at"] is not None
        assert body["watch"]["state"] == "watching"
        assert Channel.objects.get(pattern=api.old.pattern, name="stable").version == api.new
        assert api.post(trial, "adopt").status_code == 409

    @pytest.mark.parametrize("kill", [False, True])
    def test_ends_a_watch_together_with_its_trial(self, api: Api, kill: bool) -> None:
        trial = api.decided()
        watching = Trial.objects.get(pk=api.post(trial, "adopt").json()["watch"]["trial"])

        body = api.post(watching, "cancel", reason="enough", kill=kill).json()

        assert (body["status"], body["watch"]["state"], body["watch"]["reason"]) == ("cancelled", "ended", "enough")
        assert body["watch"]["ended_at"] is not None

    def test_stops_every_trial_by_an_administrator_s_kill_switch(self, api: Api) -> None:
        decided = api.decided()
        api.start()
        refused = api.client.post("/api/v1/trials/kill", {"reason": "the key leaked"}, format="json")
        assert refused.status_code == 403
        api.user.is_superuser = True
        api.user.save()

        answer = api.client.post("/api/v1/trials/kill", {"reason": "the key leaked"}, format="json")

        assert answer.json() == {"killed": 1}
        killed = Trial.objects.exclude(pk=decided.pk).get()
        assert (killed.status, killed.note, killed.killed_at is not None) == ("cancelled", "the key leaked", True)

    def test_lets_no_stranger_adopt(self, api: Api) -> None:
        trial = api.decided()
        api.client = client_of(make_user(), "verify")

        assert api.post(trial, "adopt").status_code == 403  # a matter of rights, as all steering is
