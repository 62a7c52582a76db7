"""Runs over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.urls import Resolver404, resolve
from rest_framework.test import APIClient

from execution.models import Run
from execution.worker import run_until_idle
from registry.services import tokens
from tests.execution.factories import make_run, make_user, make_version

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.execution.urls")]

ASK = 'STATE rounds = 1\nEVENT human:ask {question: "Go on?", choices: ["yes", "no"]} AS choice\nRETURN choice'


def client_of(user: Any, *scopes: str) -> APIClient:
    made = tokens.create(user=user, name="test", scopes=scopes or ("run",), now=datetime.now(UTC))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {made.secret}")
    return client


class Api:
    """A person with a token of the scope ``run``."""

    def __init__(self) -> None:
        self.user = make_user()
        self.client = client_of(self.user)
        self.version = make_version(ASK, owner=self.user.own_owner, name="ask")

    def start(self, **body: Any) -> Any:
        reference = f"{self.user.username}/ask"
        return self.client.post("/api/v1/runs", {"pattern": reference, "backend": "simulated", **body}, format="json")


@pytest.fixture
def api() -> Api:
    return Api()


class TestStart:
    def test_makes_a_queued_run(self, api: Api) -> None:
        answer = api.start(inputs={"rounds": 3}, seed=5)

        assert answer.status_code == 201, answer.json()
        body = answer.json()
        assert (body["status"], body["seed"], body["inputs"]) == ("queued", 5, {"rounds": 3})
        assert answer.headers["Location"] == f"/api/v1/runs/{body['id']}"

    def test_lists_every_problem_of_the_inputs(self, api: Api) -> None:
        answer = api.start(inputs={"rounds": "three", "other": 1})

        assert answer.status_code == 422 and answer.headers["Content-Type"].startswith("application/problem+json")
        assert {p["pointer"] for p in answer.json()["problems"]} == {"/inputs/rounds", "/inputs/other"}

    def test_lists_every_problem_of_the_policy(self, api: Api) -> None:
        policy = {"limits": {"tokens": -1, "sugar": 2}, "attempts": 0, "hat": 1, "in_doubt": "guess"}
        answer = api.start(policy=policy)

        assert answer.status_code == 422 and len(answer.json()["problems"]) == 5

    def test_refuses_a_backend_that_is_not_there(self, api: Api) -> None:
        answer = api.start(backend="os.system")

        assert answer.status_code == 422 and answer.json()["code"] == "execution.backend-unknown"

    def test_takes_the_version_apart_from_the_name(self, api: Api) -> None:
        assert api.start(version="1.0.0").json()["version"] == "1.0.0"
        assert api.start(version="7.0.0").status_code == 404

    def test_takes_a_version_once(self, api: Api) -> None:
        answer = api.start(pattern=f"{api.user.username}/ask@1.0.0", version="1.0.0")

        assert answer.status_code == 422 and "leave one of them out" in answer.json()["detail"]

    def test_refuses_text_that_no_database_keeps(self, api: Api) -> None:
        answer = api.start(inputs={"rounds": "a\0b"})

        assert answer.status_code == 422 and "NUL" in answer.json()["detail"]

    def test_is_404_for_a_pattern_that_is_not_there(self, api: Api) -> None:
        assert api.start(pattern="no/where").status_code == 404

    def test_needs_the_scope(self, api: Api) -> None:
        api.client = client_of(api.user, "publish")

        assert api.start().status_code == 403

    def test_needs_somebody(self, api: Api) -> None:
        api.client = APIClient()

        assert api.start().status_code == 401

    @pytest.mark.parametrize(
        "body",
        [
            {"inputs": []},
            {"seed": -1},
            {"seed": 2**60},
            {"policy": 3},
            {"pattern": None},
            {"inputs": {"rounds": 1e400}},
        ],
    )
    def test_answers_nonsense_with_a_problem(self, api: Api, body: dict[str, Any]) -> None:
        answer = api.client.post(
            "/api/v1/runs",
            json.dumps({"pattern": f"{api.user.username}/ask", **body}),
            content_type="application/json",
        )

        assert answer.status_code in (400, 422), answer.content


class TestRead:
    def test_shows_a_run_to_its_starter_only(self, api: Api) -> None:
        run_id = api.start().json()["id"]

        assert api.client.get(f"/api/v1/runs/{run_id}").status_code == 200
        assert client_of(make_user()).get(f"/api/v1/runs/{run_id}").status_code == 404
        assert APIClient().get(f"/api/v1/runs/{run_id}").status_code == 404

    def test_lets_everyone_watch_a_public_run_and_nobody_steer_it(self, api: Api) -> None:
        run_id = api.start(public=True).json()["id"]
        other = client_of(make_user())

        assert other.get(f"/api/v1/runs/{run_id}").status_code == 200
        assert other.post(f"/api/v1/runs/{run_id}/cancel", {}, format="json").status_code == 403

    def test_lists_by_status_and_pattern(self, api: Api) -> None:
        api.start()
        make_run(ASK)

        found = api.client.get("/api/v1/runs", {"status": "queued", "pattern": f"{api.user.username}/ask"}).json()

        assert len(found["results"]) == 1 and found["next"] is None
        assert api.client.get("/api/v1/runs", {"status": "asleep"}).status_code == 422

    def test_pages_events_effects_and_journal(self, api: Api) -> None:
        run_id = api.start().json()["id"]
        run_until_idle()
        base = f"/api/v1/runs/{run_id}"

        events = api.client.get(f"{base}/events", {"after": 1, "limit": 1}).json()
        effects = api.client.get(f"{base}/effects").json()["results"]
        journal = api.client.get(f"{base}/journal").json()["results"]

        assert events["results"][0]["sequence"] == 2 and events["last"] == 2
        assert effects[0]["name"] == "human:ask" and effects[0]["request"]["question"] == "Go on?"
        assert journal[0]["rounds"][0][0]["kind"] == "start"
        assert api.client.get(f"{base}/state").json()["variables"]["rounds"] == 1

    @pytest.mark.parametrize("query", [{"after": "x"}, {"limit": "501"}, {"after": "9" * 30}, {"limit": "-1"}])
    def test_refuses_numbers_that_are_none(self, api: Api, query: dict[str, str]) -> None:
        run_id = api.start().json()["id"]

        assert api.client.get(f"/api/v1/runs/{run_id}/events", query).status_code == 422

    def test_is_404_for_a_number_too_large_for_a_row(self, api: Api) -> None:
        assert api.client.get(f"/api/v1/runs/{'9' * 18}").status_code == 404
        with pytest.raises(Resolver404):
            resolve(f"/api/v1/runs/{'9' * 19}")


class TestSteer:
    def test_answers_a_question(self, api: Api) -> None:
        run_id = api.start().json()["id"]
        run_until_idle()
        question = api.client.get(f"/api/v1/runs/{run_id}").json()["questions"][0]

        wrong = api.client.post(f"/api/v1/runs/{run_id}/answer", {"seq": question["seq"], "answer": "x"}, format="json")
        right = api.client.post(
            f"/api/v1/runs/{run_id}/answer", {"seq": question["seq"], "answer": "no"}, format="json"
        )
        again = api.client.post(
            f"/api/v1/runs/{run_id}/answer", {"seq": question["seq"], "answer": "no"}, format="json"
        )

        assert (wrong.status_code, right.status_code, again.status_code) == (422, 200, 409)
        assert api.client.get(f"/api/v1/runs/{run_id}").json()["result"] == "no"

    def test_pauses_resumes_and_cancels(self, api: Api) -> None:
        run_id = api.start().json()["id"]
        run_until_idle()
        base = f"/api/v1/runs/{run_id}"

        assert api.client.post(f"{base}/pause").json() == {"id": run_id, "status": "paused"}
        assert api.client.post(f"{base}/pause").status_code == 409
        assert api.client.post(f"{base}/resume").json()["status"] == "queued"
        assert api.client.post(f"{base}/cancel", {"reason": "done"}, format="json").json()["status"] == "cancelled"
        assert api.client.post(f"{base}/cancel", {}, format="json").status_code == 409

    def test_branches_off(self, api: Api) -> None:
        run_id = api.start().json()["id"]
        run_until_idle()
        base = f"/api/v1/runs/{run_id}"
        marked = api.client.post(f"{base}/checkpoints", {"label": "here"}, format="json").json()

        made = api.client.post(f"{base}/branch", {"tick": marked["tick"]}, format="json")

        assert made.status_code == 201 and made.json()["forked_from"] == run_id
        assert api.client.post(f"{base}/branch", {"tick": 99}, format="json").status_code == 404
        assert api.client.post(f"{base}/retry").status_code == 409
        assert api.client.post(f"{base}/rollback", {"tick": 1}, format="json").status_code == 201
        assert Run.objects.get(pk=run_id).status == "cancelled"


class TestBackends:
    def test_lists_those_that_can_answer(self, api: Api) -> None:
        names = [one["name"] for one in api.client.get("/api/v1/backends").json()["results"]]

        assert names == ["simulated", "watchable"]


class TestPublishing:
    def test_is_not_for_runs_of_a_token_that_may_not(self, api: Api) -> None:
        started = Run.objects.get(pk=api.start().json()["id"])

        assert started.policy["publish"] is False
        assert api.start(policy={"publish": True}).status_code == 403


class TestEstimate:
    def estimate(self, api: Api, name: str, **body: Any) -> Any:
        return api.client.post(f"/api/v1/patterns/{api.user.username}/{name}/estimate", body, format="json")

    def test_rehearses_and_bounds_what_a_run_may_take(self, api: Api) -> None:
        script = 'STATE n = 2\nFOREACH i IN RANGE(n):\n  EVENT completion:async {agent_id: "a", prompt: "{{i}}"} AS r\nWAIT 60'
        make_version(script, owner=api.user.own_owner, name="asks")

        two, five = self.estimate(api, "asks").json(), self.estimate(api, "asks", inputs={"n": 5}).json()

        assert (two["completions"], five["completions"]) == (2, 5) and two["virtual_seconds"] == 62
        assert 0 < two["tokens_bound"] < five["tokens_bound"] and five["cost_usd_bound"] > two["cost_usd_bound"] > 0
        assert not Run.objects.exists()

    def test_includes_child_runs(self, api: Api) -> None:
        make_version(
            'EVENT completion:async {agent_id: "a", prompt: "x"} AS r\nRETURN {n: 1}',
            owner=api.user.own_owner,
            name="one",
        )
        make_version(
            'EVENT orchestration:start {pattern: "one"} AS c\nRETURN c.n', owner=api.user.own_owner, name="two"
        )

        found = self.estimate(api, "two").json()

        assert (found["completions"], found["child_runs"], found["not_included"]) == (1, 1, [])

    def test_lists_what_is_wrong_with_the_inputs(self, api: Api) -> None:
        assert self.estimate(api, "ask", inputs={"nothing": 1}).status_code == 422

    def test_is_404_for_what_is_not_there(self, api: Api) -> None:
        assert self.estimate(api, "nowhere").status_code == 404


class TestDistil:
    def test_refuses_a_run_of_a_script(self, api: Api) -> None:
        run = api.start().json()["id"]

        answer = api.client.post(f"/api/v1/runs/{run}/distill", {"publish": False}, format="json")

        assert answer.status_code == 422 and answer.json()["code"] == "execution.not-distillable"

    def test_proposes_a_script_of_a_guided_run(self, api: Api) -> None:
        from tests.execution.services.test_guiding import PROSE, publish

        publish(PROSE, api.user)
        body = {"pattern": f"{api.user.username}/reading_circle", "backend": "simulated", "seed": 3}
        run = api.client.post("/api/v1/runs", body, format="json").json()["id"]
        run_until_idle()

        looked = api.client.post(f"/api/v1/runs/{run}/distill", {"publish": False}, format="json")
        refused = api.client.post(f"/api/v1/runs/{run}/distill", {}, format="json")
        publisher = client_of(api.user, "run", "publish")
        made = publisher.post(f"/api/v1/runs/{run}/distill", {}, format="json")

        assert refused.status_code == 403
        assert looked.status_code == 200 and "spawn_agent(" in looked.json()["script"]
        assert made.status_code == 201 and made.json()["version"] != "1.0.0", made.json()
        guided = api.client.post(
            f"/api/v1/patterns/{api.user.username}/reading_circle/estimate", {"version": "1.0.0"}, format="json"
        )
        assert guided.json()["completions"] >= 4 and guided.json()["status"] == "succeeded", guided.json()
