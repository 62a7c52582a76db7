"""Pages of runs: start, watch, steer; for the starter, for a stranger, for nobody."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from django.test import Client

from execution.models import Run
from execution.worker import run_until_idle
from registry.models import PatternVersion, User
from tests.registry.factories import make_user, make_version

SCRIPT = """STATE people = ["ada", "grace"]
STATE notes = []
PARALLEL:
  FOREACH person IN people:
    EVENT completion:async {agent_id: person, prompt: "Hello {{person}}"} AS reply
    APPEND notes reply.output
    TRACK {progress_percent: notes.length * 50}
EVENT human:ask {question: "Who <b>is</b> best?", choices: ["ada", "grace"]} AS best
EVENT human:ask {question: "Why?"} AS why
EVENT orchestrator:decision {decision_type: "best", rationale: why}
RETURN {best: best, notes: notes}"""
BROKEN = "STATE n = 0\nSTATE x = 1 / n\nRETURN x"

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A pattern that asks agents and then a person."""

    starter: User
    stranger: User
    version: PatternVersion


@pytest.fixture
def stage(client: Client) -> Stage:
    """ada, signed in, with her pattern."""
    ada = make_user("ada")
    client.force_login(ada)
    return Stage(starter=ada, stranger=make_user("grace"), version=make_version("asking", user=ada, script=SCRIPT))


def started(client: Client, pattern: str = "asking", **inputs: str) -> Run:
    data = {"backend": "simulated", "tokens": "100000", "cost": "5", "seed": "7", "start": "1"}
    given = {f"input-{name}": value for name, value in inputs.items()}
    answer = client.post(f"/patterns/ada/{pattern}/run/", {**data, **given})
    assert answer.status_code == 302, answer.content.decode()
    return Run.objects.latest("pk")


def page(client: Client, run: Run, tail: str = "") -> str:
    answer = client.get(f"/runs/{run.pk}/{tail}")
    assert answer.status_code == 200
    return answer.content.decode()


class TestStart:
    def test_draws_the_form_from_the_inputs(self, client: Client, stage: Stage) -> None:
        form = client.get("/patterns/ada/asking/run/").content.decode()

        assert "ada\ngrace" in form
        assert "list of text, one on each line" in form

    def test_starts_with_what_was_changed(self, client: Client, stage: Stage) -> None:
        run = started(client, people="alan\nemmy\nkurt")

        assert run.input_values() == {"people": ["alan", "emmy", "kurt"]}
        assert (run.started_by, run.seed, run.simulated) == (stage.starter, 7, True)

    def test_rehearses_without_storing_anything(self, client: Client, stage: Stage) -> None:
        answer = client.post(
            "/patterns/ada/asking/run/",
            {"backend": "simulated", "tokens": "1", "cost": "1", "input-people": "alan", "rehearse": "1"},
        )

        assert "How it would go" in answer.content.decode()
        assert "alan" in answer.content.decode().split("How it would go")[1]
        assert not Run.objects.exists()

    def test_says_what_does_not_fit_and_keeps_the_rest(self, client: Client, stage: Stage) -> None:
        answer = client.post(
            "/patterns/ada/asking/run/", {"backend": "simulated", "tokens": "-1", "cost": "1", "input-people": "alan"}
        )

        assert answer.status_code == 422
        assert b'id="id_tokens_error"' in answer.content
        assert b"alan" in answer.content

    def test_asks_to_sign_in(self, client: Client, stage: Stage) -> None:
        client.logout()

        assert client.get("/patterns/ada/asking/run/").headers["Location"].startswith("/accounts/login/")


class TestRunPage:
    def test_shows_a_run_that_waits_for_a_person(self, client: Client, stage: Stage) -> None:
        run = started(client)
        run_until_idle()

        shown = page(client, run)

        assert "The run asks you" in shown
        assert "Who &lt;b&gt;is&lt;/b&gt; best?" in shown
        assert re.search(r'<li id="L\d+" class="lit" aria-current="step">', shown)
        assert f'data-live="/live/runs/{run.pk}"' in shown

    def test_goes_on_when_it_is_answered_to_its_end(self, client: Client, stage: Stage) -> None:
        run = started(client)
        run_until_idle()
        for value, kind in (('"grace"', "json"), ("She asks better.", "text")):
            seq = re.search(rf"/runs/{run.pk}/answer/(\d+)/", page(client, run))
            assert seq is not None
            client.post(f"/runs/{run.pk}/answer/{seq[1]}/", {"answer": value, "kind": kind})
            run_until_idle()

        shown = page(client, run)

        run.refresh_from_db()
        assert run.status == "succeeded"
        assert run.result_value()["best"] == "grace"
        assert "She asks better." in shown
        assert "data-live" not in shown
        assert "data-ended" in shown

    def test_an_answer_that_is_no_choice_is_refused_with_the_reason(self, client: Client, stage: Stage) -> None:
        run = started(client)
        run_until_idle()
        seq = re.search(rf"/runs/{run.pk}/answer/(\d+)/", page(client, run))
        assert seq is not None

        answer = client.post(f"/runs/{run.pk}/answer/{seq[1]}/", {"answer": '"alan"', "kind": "json"}, follow=True)

        assert b"The answer is one of: ada, grace" in answer.content

    def test_a_failure_names_its_line(self, client: Client, stage: Stage) -> None:
        make_version("broken", user=stage.starter, script=BROKEN)
        run = started(client, "broken")
        run_until_idle()

        shown = page(client, run)

        assert "It did not finish" in shown
        assert "division by zero" in shown
        assert 'class="has-problem"' in shown

    def test_the_parts_are_put_in_their_places(self, client: Client, stage: Stage) -> None:
        run = started(client)
        run_until_idle()

        parts = page(client, run, "parts/")

        assert "<html" not in parts
        for name in ("run-head", "run-questions", "run-timeline", "run-data"):
            assert re.search(rf'id="{name}" hx-swap-oob="true"', parts)

    def test_one_question_in_detail(self, client: Client, stage: Stage) -> None:
        run = started(client)
        run_until_idle()
        seq = run.effects.filter(agent_id="ada").get().seq

        shown = page(client, run, f"effects/{seq}/")

        assert "Hello ada" in shown
        assert "[simulated]" in shown


class TestSteering:
    def test_pauses_resumes_and_cancels(self, client: Client, stage: Stage) -> None:
        run = started(client)
        run_until_idle()
        seen = []
        for act in ("pause", "resume", "cancel"):
            client.post(f"/runs/{run.pk}/{act}/")
            run.refresh_from_db()
            seen.append(run.status)

        assert seen == ["paused", "queued", "cancelled"]

    def test_what_is_not_possible_says_why(self, client: Client, stage: Stage) -> None:
        run = started(client)
        client.post(f"/runs/{run.pk}/cancel/")

        answer = client.post(f"/runs/{run.pk}/pause/", follow=True)

        assert b"has ended (cancelled)" in answer.content

    def test_branches_off_from_a_checkpoint(self, client: Client, stage: Stage) -> None:
        run = started(client)
        run_until_idle()
        client.post(f"/runs/{run.pk}/checkpoints/", {"label": "before the question"})
        assert "before the question" in page(client, run)
        tick = run.checkpoints.get().tick

        client.post(f"/runs/{run.pk}/branch/", {"tick": str(tick)})

        made = Run.objects.latest("pk")
        assert (made.forked_from_id, made.forked_at_tick) == (run.pk, tick)
        assert f"branched off run {run.pk}" in page(client, made)

    @pytest.mark.parametrize("tick", ["", "x", "-1", "99999999999"])
    def test_no_such_place_is_refused(self, client: Client, stage: Stage, tick: str) -> None:
        run = started(client)

        assert client.post(f"/runs/{run.pk}/branch/", {"tick": tick}).status_code in (302, 422)
        assert Run.objects.count() == 1


class TestWhoMaySee:
    @pytest.mark.parametrize("tail", ["", "parts/", "effects/1/"])
    def test_a_strangers_run_is_not_there(self, client: Client, stage: Stage, tail: str) -> None:
        run = started(client)
        run_until_idle()
        client.force_login(stage.stranger)

        assert client.get(f"/runs/{run.pk}/{tail}").status_code == 404

    def test_a_public_run_may_be_watched_and_not_steered(self, client: Client, stage: Stage) -> None:
        run = started(client)
        Run.objects.filter(pk=run.pk).update(is_public=True)
        run_until_idle()
        client.force_login(stage.stranger)

        assert "Only the person who started the run can answer." in page(client, run)
        assert client.post(f"/runs/{run.pk}/cancel/").status_code == 403

    def test_lists_show_only_what_one_may_see(self, client: Client, stage: Stage) -> None:
        run = started(client)
        client.force_login(stage.stranger)

        for path in ("/runs/?whose=all", "/patterns/ada/asking/runs/", "/"):
            assert f'href="/runs/{run.pk}/"' not in client.get(path).content.decode()

    @pytest.mark.parametrize(
        "path", ["/runs/", "/runs/?status=failed", "/runs/?cursor=x&status=nothing", "/patterns/ada/asking/runs/"]
    )
    def test_lists_answer(self, client: Client, stage: Stage, path: str) -> None:
        started(client)

        assert client.get(path).status_code == 200

    def test_a_number_no_run_can_have_is_not_there(self, client: Client, stage: Stage) -> None:
        assert client.get(f"/runs/{10**30}/").status_code == 404
        assert client.get(f"/runs/1/effects/{10**30}/").status_code == 404


class TestPanels:
    def test_a_pattern_has_a_tab_and_a_button_for_runs(self, client: Client, stage: Stage) -> None:
        shown = client.get("/patterns/ada/asking/").content.decode()

        assert 'href="/patterns/ada/asking/runs/"' in shown
        assert 'class="button primary" href="/patterns/ada/asking/run/?version=1.0.0">Run<' in shown

    def test_no_page_of_runs_carries_style_or_script(self, client: Client, stage: Stage) -> None:
        run = started(client)
        run_until_idle()

        for path in (
            f"/runs/{run.pk}/",
            "/runs/",
            "/patterns/ada/asking/run/",
            "/patterns/ada/asking/runs/",
            "/health/",
        ):
            html = client.get(path).content.decode()
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|<script(?![^>]*\ssrc=)[^>]*>", html), path


@pytest.mark.django_db(transaction=True)
class TestGuidedStart:
    def test_asks_for_a_task_and_starts(self, client: Client) -> None:
        from tests.execution.services.test_guiding import PROSE, publish

        user = make_user()
        version = publish(PROSE, user)
        client.force_login(user)
        address = f"/patterns/{version.pattern}/run/"

        page = client.get(address).content.decode()
        answer = client.post(
            address,
            {
                "start": "1",
                "backend": "simulated",
                "input-task": "read it",
                "input-readers": "3",
                "tokens": "100000",
                "cost": "1",
            },
        )

        assert "an orchestrator agent carries it out" in page and 'name="input-task"' in page
        assert answer.status_code == 302, answer.content.decode()[-2000:]
        assert Run.objects.get().input_values()["readers"] == 3


class TestRehearsalInAPage:
    """Somebody waits for it, and the script comes from anybody."""

    @pytest.mark.parametrize(
        ("script", "code"),
        [
            ("STATE n = 0\nWHILE true:\n  UPDATE n = n + 1", "limit of statements"),
            ('WHILE true:\n  EVENT completion:async {agent_id: "a", prompt: "x"} AS r', "limit of events"),
            ("WHILE true:\n  STATE xs = RANGE(100000)", "limit of work"),
            ("WHILE true:\n  WAIT 0", "cut off"),
        ],
    )
    def test_is_bounded(
        self, script: str, code: str, client: Client, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_version("endless", user=stage.starter, script=script)
        monkeypatch.setattr("execution.web.running.REHEARSAL_SECONDS", -1 if code == "cut off" else 3600)

        answer = client.post("/patterns/ada/endless/run/", {**self.FORM, "rehearse": "1"})

        assert answer.status_code == 200 and code in answer.content.decode()

    def test_ends_early_by_time(self, client: Client, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        now = iter(range(1000))
        monkeypatch.setattr("execution.web.running.time.monotonic", lambda: float(next(now)))
        make_version("slow", user=stage.starter, script="LOOP i FROM 1 TO 50:\n  WAIT 1\nRETURN 1")

        answer = client.post("/patterns/ada/slow/run/", {**self.FORM, "rehearse": "1"})

        assert "cut off" in answer.content.decode()

    FORM = {"backend": "simulated", "tokens": "1000", "cost": "1"}


class TestPaceOfAForm:
    def test_is_one_that_can_be_watched(self, client: Client, stage: Stage) -> None:
        text = client.get("/patterns/ada/asking/run/").content.decode()

        assert '<option value="watchable" selected>Simulated agents, at a pace to watch</option>' in text

    def test_gives_the_same_run(self, client: Client, stage: Stage, settings: object) -> None:
        settings.SIMULATED_PACE = 0.001  # type: ignore[attr-defined]
        make_version("quick", user=stage.starter, script='RETURN parallel_map(["a", "b"], x => x.greet().output)')
        runs = []
        for backend in ("simulated", "watchable"):
            data = {"backend": backend, "tokens": "10000", "cost": "1", "seed": "7", "start": "1"}
            client.post("/patterns/ada/quick/run/", data)
            runs.append(Run.objects.latest("pk").pk)

        run_until_idle()

        quick, slow = (Run.objects.get(pk=each) for each in runs)
        assert slow.status == "succeeded" and slow.simulated and slow.result_value() == quick.result_value()


class TestSigningInAgain:
    @pytest.mark.parametrize("tail", ["cancel", "pause", "resume", "retry", "branch"])
    def test_leads_to_the_run_whose_button_was_pressed(self, client: Client, stage: Stage, tail: str) -> None:
        run = started(client)
        client.logout()
        asked = client.post(f"/runs/{run.pk}/{tail}/")
        assert f"next=/runs/{run.pk}/{tail}/" in asked["Location"]
        client.force_login(stage.starter)

        answer = client.get(f"/runs/{run.pk}/{tail}/")

        assert answer.status_code == 405
        assert f'href="{run.get_absolute_url()}"' in answer.content.decode()
        assert "press it again" in answer.content.decode()
