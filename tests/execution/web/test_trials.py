"""Pages of trials: start, watch, steer, adopt; for the owner, for a stranger, for nobody."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from execution.models import ShadowShare, Trial, TrialPair, VerificationReport
from execution.services import trial_facts, verifying
from execution.shadow.recheck import recheck
from execution.web.evidence_curve import power_of_ten
from registry.models import Channel, Pattern, PatternVersion, User
from registry.services import channels
from tests.execution.factories import NOW, make_run, make_user
from tests.execution.services.test_promoting import across
from tests.execution.trials import GOOD_ON, PLAIN, carry_out, good_on, make_trial, next_version

pytestmark = pytest.mark.django_db(transaction=True)

VERIFY = "/patterns/ada/vote/verify/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A pattern with a stable version and a better one."""

    owner: User
    stranger: User
    old: PatternVersion
    new: PatternVersion

    def trial(self, count: int = 80, **options: Any) -> Trial:
        return make_trial(self.old, self.new, count, **{"user": self.owner, **options})

    def decided(self, **options: Any) -> Trial:
        return carry_out(self.trial(**options))


@pytest.fixture
def stage(client: Client, settings: Any) -> Stage:
    """ada, signed in, with her pattern."""
    settings.AGENT_BACKENDS = PLAIN
    ada = make_user("ada")
    old = good_on(4, owner=ada.own_owner, name="vote")
    new = next_version(old, GOOD_ON.format(share=9))
    channels.point(
        pattern=old.pattern, name="stable", version=old, channel=None, user=None, via="t", reason="", now=NOW
    )
    Pattern.objects.filter(pk=old.pattern_id).update(newest=new)
    client.force_login(ada)
    return Stage(owner=ada, stranger=make_user("grace"), old=old, new=new)


def form(**fields: Any) -> dict[str, Any]:
    known = {
        "candidate": "1.1.0",
        "control": "1.0.0",
        "source": "lines",
        "lines": "\n".join(f'{{"n": {n}}}' for n in range(40)),
        "profile": "quick",
        "backend": "simulated",
        "start": "1",
    }
    return {**known, **fields}


def started(client: Client, **fields: Any) -> Trial:
    return started_at(client, VERIFY, **fields)


def started_at(client: Client, path: str, **fields: Any) -> Trial:
    answer = client.post(path, form(**fields))
    assert answer.status_code == 302, re.sub(r"\s+", " ", answer.content.decode())
    return Trial.objects.shown().latest("pk")


def shown(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status
    return answer.content.decode()


class TestStart:
    def test_is_three_clicks_away_from_the_pattern(self, client: Client, stage: Stage) -> None:
        pattern = shown(client, "/patterns/ada/vote/")
        link = re.search(r'class="button" href="([^"]+)">Verify<', pattern)
        assert link is not None

        page = shown(client, link[1])
        chosen = dict(re.findall(r'<select name="(candidate|control)".*?<option value="([^"]+)" selected', page, re.S))
        trial = started(client, **chosen, source="defaults", lines="")

        assert chosen == {"candidate": "1.1.0", "control": "1.0.0"}
        assert (trial.control, trial.candidate, trial.started_by) == (stage.old, stage.new, stage.owner)
        assert trial.plan["n_max"] == 200

    def test_says_what_each_profile_would_take(self, client: Client, stage: Stage) -> None:
        page = shown(client, VERIFY)

        assert re.search(r'value="strict" required><b>Strict</b>.*?<b>\d+</b> pairs expected, 2,000 at most', page)
        assert "Nothing is known about the cost" in page

    def test_a_change_of_the_control_asks_for_that_part_alone(self, client: Client, stage: Stage) -> None:
        asked = {"control": "1.1.0", "profile": "quick"}
        part = client.get(VERIFY, asked, headers={"HX-Request": "true"}).content.decode()

        assert "<html" not in part
        assert "2,000" in part
        assert re.findall(r'value="(\w+)" checked', part) == ["quick"]

    def test_takes_a_file(self, client: Client, stage: Stage) -> None:
        data = b'[{"n": 1}, {"inputs": {"n": 2}, "stratum": "long"}]'

        trial = started(client, source="file", file=SimpleUploadedFile("in.json", data))

        assert [one.value() for one in trial.inputs.all()] == [{"n": 1}, {"n": 2}]
        assert trial.plan["strata"] == ["long"]

    def test_takes_the_inputs_of_earlier_runs_each_once(self, client: Client, stage: Stage) -> None:
        for n in (1, 2, 2):
            run = make_run(version=stage.old, inputs={"n": n}, user=stage.owner)
            type(run).objects.filter(pk=run.pk).update(status="succeeded")

        assert "Those of 3 earlier runs" in shown(client, VERIFY)
        trial = started(client, source="recorded", lines="")

        assert sorted(one.value()["n"] for one in trial.inputs.all()) == [1, 2]

    def test_shadows_real_runs_for_those_who_answer_for_the_pattern(self, client: Client, stage: Stage) -> None:
        trial = started(client, source="live", lines="", share="20")

        assert (trial.mode, trial.share) == ("live", 0.2)
        assert trial.daily_tokens_limit

    def test_a_stranger_may_try_and_not_shadow(self, client: Client, stage: Stage) -> None:
        client.force_login(stage.stranger)

        assert 'value="live"' not in shown(client, VERIFY)
        assert client.post(VERIFY, form(source="live")).status_code == 422
        assert started(client).started_by == stage.stranger

    def test_takes_a_version_of_another_pattern(self, client: Client, stage: Stage) -> None:
        fork = good_on(9, owner=stage.stranger.own_owner, name="fork")

        assert started(client, other="grace/fork").candidate == fork

    def test_offers_the_versions_of_patterns_like_it(self, client: Client, stage: Stage) -> None:
        fork = good_on(9, owner=stage.stranger.own_owner, name="vote_v2")

        page = shown(client, VERIFY)
        trial = started(client, candidate="1.0.0", control="grace/vote_v2@1.0.0")

        assert '<optgroup label="patterns like it">' in page
        assert (trial.control, trial.candidate) == (fork, stage.old)

    def test_proposes_two_editions_of_one_name_the_older_as_what_stands(self, client: Client, stage: Stage) -> None:
        old = good_on(4, owner=stage.owner.own_owner, name="cup")
        good_on(9, owner=stage.owner.own_owner, name="cup_v2")
        good_on(9, owner=stage.owner.own_owner, name="cup_v10")

        for name in ("cup", "cup_v2"):
            page = shown(client, f"/patterns/ada/{name}/verify/")
            chosen = re.findall(r'<option value="([^"]+)" selected>', page)
            assert [one.removeprefix(f"ada/{name}@") for one in chosen[:2]].count("1.0.0") == 1
            assert {"ada/cup@1.0.0", "ada/cup_v2@1.0.0"} & set(chosen)
            assert "Two different patterns." in page

        assert started_at(client, "/patterns/ada/cup_v2/verify/", candidate="1.0.0", control=str(old)).control == old

    def test_looks_limits_and_who_sees_it_are_the_person_s_choice(self, client: Client, stage: Stage) -> None:
        trial = started(
            client,
            looks="scheduled",
            visibility="myself",
            at_once="3",
            cap_tokens="500",
            cap_cost="0.25",
            cap_seconds="",
        )

        assert trial.plan["mode"] == "scheduled"
        assert trial.plan["looks"][-1] == trial.plan["n_max"]
        assert (trial.is_public, trial.at_once) == (False, 3)
        assert trial.caps == {"tokens": 500, "cost_usd": 0.25, "seconds": 3600}

    def test_a_live_trial_spends_no_more_a_day_than_was_said(self, client: Client, stage: Stage) -> None:
        said = started(client, source="live", lines="", daily_cost="1.5", daily_tokens="1000")
        silent = started(client, source="live", lines="", daily_cost="", daily_tokens="")

        assert (said.daily_cost_limit, said.daily_tokens_limit) == (1_500_000, 1000)
        assert silent.daily_cost_limit and silent.daily_tokens_limit

    def test_fewer_inputs_than_pairs_are_said_to_be_fewer(self, client: Client, stage: Stage) -> None:
        answer = client.post(VERIFY, form(backend="plain"), follow=True)

        assert b"There are 40 inputs, so the trial ends after that many pairs" in answer.content

    @pytest.mark.parametrize(
        ("fields", "field", "said"),
        [
            ({"lines": '{"n": 1}\n{"n": '}, "lines", "Line 2 is no JSON"),
            ({"lines": ""}, "lines", "There is nothing in it"),
            ({"lines": "[1, 2]"}, "lines", "Item 1 is no object"),
            ({"lines": '{"m": 1}'}, "lines", "Item 1 does not fit"),
            ({"source": "file"}, "file", "Choose a file"),
            ({"source": "file", "file": SimpleUploadedFile("x", b"\xff\xfe\x00")}, "file", "not UTF-8"),
            ({"source": "defaults", "backend": "plain"}, "source", "a single pair"),
            ({"source": "recorded"}, "source", "Select a valid choice"),
            ({"other": "nobody/nothing"}, "other", "There is no such version"),
            ({"other": "\x00"}, "other", "Null characters"),
            ({"candidate": "9.9.9"}, "candidate", "Select a valid choice"),
            ({"repeats": "21"}, "repeats", "less than or equal to 20"),
            ({"success_when": "ok AND"}, "success_when", "no expression"),
            ({"score": "1 +"}, "score", "no expression"),
            ({"cost": "nan"}, "cost", "Enter a number"),
            ({"backend": "nobody"}, "backend", "Select a valid choice"),
        ],
    )
    def test_says_at_the_field_what_does_not_fit(
        self, client: Client, stage: Stage, fields: dict[str, Any], field: str, said: str
    ) -> None:
        answer = client.post(VERIFY, form(**fields))
        page = answer.content.decode()

        assert answer.status_code == 422
        assert said in re.sub(r"&[#x\w]+;", "'", page)
        assert re.search(rf'id="id_{field}_error"', page)
        assert not Trial.objects.exists()

    def test_the_estimate_starts_nothing(self, client: Client, stage: Stage) -> None:
        data = form(estimate="1")
        del data["start"]

        assert client.post(VERIFY, data).status_code == 200
        assert not Trial.objects.exists()

    def test_without_a_newer_version_it_proposes_an_a_a_trial(self, client: Client, stage: Stage) -> None:
        Channel.objects.filter(pattern=stage.old.pattern, name="stable").update(version=stage.new)
        Pattern.objects.filter(pk=stage.old.pattern_id).update(shown=stage.new)

        assert "There is no version after 1.1.0" in shown(client, VERIFY)
        assert "There is no version after" not in shown(client, f"{VERIFY}?version=1.0.0")

    def test_a_pattern_of_prose_says_so(self, client: Client, stage: Stage) -> None:
        PatternVersion.objects.update(mode="guided")

        assert "No version of this pattern has a script" in shown(client, VERIFY)
        assert client.post(VERIFY, form()).status_code == 422

    def test_asks_to_sign_in(self, client: Client, stage: Stage) -> None:
        client.logout()

        for answer in (client.get(VERIFY), client.post(VERIFY, form())):
            assert answer.headers["Location"].startswith("/accounts/login/")


class TestTrialPage:
    def test_begins_with_what_will_happen(self, client: Client, stage: Stage) -> None:
        trial = started(client)

        page = shown(client, f"/trials/{trial.pk}/")

        assert "No pair counts yet" in page
        assert "The curve begins with the first pair that counts." in page
        assert re.search(rf'hx-get="/trials/{trial.pk}/parts/\?seen=[^"]+" hx-trigger="every 2s"', page)

    def test_says_how_it_stands_in_a_sentence(self, client: Client, stage: Stage) -> None:
        trial = stage.trial(success_when="true")
        TrialPair.objects.filter(trial=trial, position__gt=12).update(status="dropped")
        carry_out(trial)

        page = shown(client, f"/trials/{trial.pk}/")
        headline = re.search(r'<p class="lead verdict">([^<]+)</p>', page)

        assert headline is not None
        assert trial.status == "running" and trial.settled == 12
        assert headline[1].startswith("No difference in success")
        assert "so far" in headline[1]

    def test_shows_the_verdict_with_its_evidence(self, client: Client, stage: Stage) -> None:
        trial = stage.decided()

        page = shown(client, f"/trials/{trial.pk}/")

        assert "In the simulation, the new version may take over" in page
        assert "Adopt the candidate: after" in page
        assert "decides at 20" in page
        assert re.search(r"✓ proven at pair \d+", page)
        assert "points</b>" in page
        assert 'hx-trigger="every 2s"' not in page

    def test_simulated_agents_are_no_evidence(self, client: Client, stage: Stage) -> None:
        simulated, plain = stage.trial(), stage.trial(backend="plain")

        assert "Simulated agents: no evidence" in shown(client, f"/trials/{simulated.pk}/")
        assert "Simulated agents: no evidence" not in shown(client, f"/trials/{plain.pk}/")

    def test_an_equal_version_is_an_a_a_trial(self, client: Client, stage: Stage) -> None:
        trial = carry_out(make_trial(stage.old, stage.old, 30, user=stage.owner, backend="plain"))

        page = shown(client, f"/trials/{trial.pk}/")

        assert "Both arms are the same version." in page
        assert "Equal versions: this is your noise floor" in page
        assert ">Adopt<" not in page

    def test_the_parts_are_put_in_their_places_and_end_the_asking(self, client: Client, stage: Stage) -> None:
        trial = stage.trial()
        alive = client.get(f"/trials/{trial.pk}/parts/")
        carry_out(trial)
        ended = client.get(f"/trials/{trial.pk}/parts/")

        assert (alive.status_code, ended.status_code) == (200, 286)
        for name in ("trial-poll", "trial-head", "trial-data"):
            assert re.search(rf'id="{name}" hx-swap-oob="true"', ended.content.decode())
        assert b"<html" not in ended.content

    def test_nothing_new_is_not_drawn_again(self, client: Client, stage: Stage) -> None:
        trial = stage.trial()
        mark = re.search(r"\?seen=([^\"]+)", shown(client, f"/trials/{trial.pk}/"))
        assert mark is not None

        assert client.get(f"/trials/{trial.pk}/parts/?seen={mark[1]}").status_code == 204
        verifying.pause(trial=trial, now=timezone.now())
        assert client.get(f"/trials/{trial.pk}/parts/?seen={mark[1]}").status_code == 200

    def test_the_walk_over_all_pairs_is_done_once_for_each_state(
        self, client: Client, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trial = stage.decided(backend="plain")
        walks: list[Trial] = []
        walk = trial_facts.trial_page
        monkeypatch.setattr(trial_facts, "trial_page", lambda found: walks.append(found) or walk(found))

        pages = [shown(client, f"/trials/{trial.pk}/") for _ in range(2)]
        client.post(f"/trials/{trial.pk}/adopt/", {"share": "10"})
        adopted = shown(client, f"/trials/{trial.pk}/")

        assert len(walks) == 1
        assert pages[0].count(">Adopt<") == 1
        assert ">Adopt<" not in adopted and "Since its adoption" in adopted

    def test_pairs_lead_to_the_runs_one_may_open(self, client: Client, stage: Stage) -> None:
        trial = stage.decided(is_public=True)
        run = TrialPair.objects.get(trial=trial, position=1).arm_runs.first()
        assert run is not None

        assert f'href="/runs/{run.run_id}/"' in shown(client, f"/trials/{trial.pk}/pairs/")
        client.force_login(stage.stranger)
        page = shown(client, f"/trials/{trial.pk}/pairs/")
        assert f"#{run.run_id}" in page
        assert f'href="/runs/{run.run_id}/"' not in page

    def test_all_pairs_stand_on_pages_in_their_order(self, client: Client, stage: Stage) -> None:
        trial = stage.trial(120)

        first = shown(client, f"/trials/{trial.pk}/pairs/")
        second = shown(client, f"/trials/{trial.pk}/pairs/?cursor=100")

        assert 'href="?cursor=100" rel="next"' in first
        numbers = re.findall(r'<th scope="row" class="num">(\d+)</th>', second)
        assert numbers[:2] == ["101", "102"]

    @pytest.mark.parametrize("cursor", ["x", "-1", "9" * 30, "٣", ""])
    def test_a_cursor_that_is_none_shows_the_first_page(self, client: Client, stage: Stage, cursor: str) -> None:
        trial = stage.trial()

        assert ">1</th>" in shown(client, f"/trials/{trial.pk}/pairs/?cursor={cursor}")
        assert f"/trials/{trial.pk}/" in shown(client, f"/trials/?cursor={cursor}")

    def test_the_report_is_the_one_that_recheck_takes(self, client: Client, stage: Stage) -> None:
        trial = stage.decided()

        answer = client.get(f"/trials/{trial.pk}/report/")

        assert answer.content == bytes(VerificationReport.objects.get(trial=trial).data)
        assert recheck(answer.content).outcome == "promote"
        assert f'filename="trial-{trial.pk}-report.json"' in answer.headers["Content-Disposition"]
        again = client.get(f"/trials/{trial.pk}/report/", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304

    def test_without_a_verdict_there_is_no_report(self, client: Client, stage: Stage) -> None:
        shown(client, f"/trials/{stage.trial().pk}/report/", 404)

    def test_what_others_wrote_is_shown_as_text(self, client: Client, stage: Stage) -> None:
        trial = stage.trial(success_when='"<img src=x>" != "\' onload="')
        verifying.pause(trial=trial, now=timezone.now(), note="<script>alert(1)</script>")
        TrialPair.objects.filter(trial=trial, position=1).update(missing="<b>gone</b>", stratum="<i>")

        for path in (f"/trials/{trial.pk}/", f"/trials/{trial.pk}/pairs/", "/trials/"):
            page = shown(client, path)
            assert not re.search(r"<img src=x|<script>alert|<b>gone|<i>", page), path

    def test_no_page_carries_style_or_script(self, client: Client, stage: Stage) -> None:
        trial = stage.decided()

        for path in (VERIFY, "/trials/", "/patterns/ada/vote/trials/", f"/trials/{trial.pk}/adopt/"):
            html = shown(client, path)
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|<script(?![^>]*\ssrc=)[^>]*>", html), path
        html = shown(client, f"/trials/{trial.pk}/")
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|<script(?![^>]*\ssrc=)[^>]*>", html)

    def test_queries_do_not_grow_with_pairs_or_trials(self, client: Client, stage: Stage) -> None:
        few, many = stage.trial(2), stage.trial(80)
        counts: dict[str, list[int]] = {}
        for trial in (few, many):
            carry_out(trial)
            for tail in ("", "pairs/", "parts/"):
                with CaptureQueriesContext(connection) as seen:
                    client.get(f"/trials/{trial.pk}/{tail}")
                counts.setdefault(tail, []).append(len(seen))
        for _ in range(2):
            with CaptureQueriesContext(connection) as seen:
                shown(client, "/trials/")
            counts.setdefault("list", []).append(len(seen))
            for _ in range(4):
                stage.trial(2)

        for name, (first, second) in counts.items():
            assert second <= first + 1, name
            assert second < 32, name


class TestSteering:
    def test_pauses_and_resumes(self, client: Client, stage: Stage) -> None:
        trial = stage.trial()
        seen = []
        for act in ("pause", "resume"):
            client.post(f"/trials/{trial.pk}/{act}/")
            trial.refresh_from_db()
            seen.append(trial.status)

        assert seen == ["paused", "running"]

    def test_ends_after_saying_what_that_means(self, client: Client, stage: Stage) -> None:
        trial = stage.trial()

        assert "cannot be taken up again" in shown(client, f"/trials/{trial.pk}/cancel/")
        trial.refresh_from_db()
        assert trial.status == "running"
        client.post(f"/trials/{trial.pk}/cancel/", {"reason": "a typo"})
        trial.refresh_from_db()
        assert (trial.status, trial.note) == ("cancelled", "a typo")

    def test_what_is_not_possible_says_why(self, client: Client, stage: Stage) -> None:
        trial = stage.trial()
        verifying.cancel(trial=trial, now=timezone.now())

        for act in ("pause", "resume", "cancel"):
            answer = client.post(f"/trials/{trial.pk}/{act}/", follow=True)
            assert b"A trial that is cancelled cannot be told to" in answer.content

    def test_is_for_those_who_started_it(self, client: Client, stage: Stage) -> None:
        trial = stage.trial(is_public=True)
        client.force_login(stage.stranger)

        assert ">Pause<" not in shown(client, f"/trials/{trial.pk}/")
        for act in ("pause", "resume", "cancel"):
            assert client.post(f"/trials/{trial.pk}/{act}/").status_code == 403
        client.logout()
        for act in ("pause", "resume", "cancel", "adopt"):
            assert client.post(f"/trials/{trial.pk}/{act}/").headers["Location"].startswith("/accounts/login/")

    def test_what_has_ended_is_not_asked_about(self, client: Client, stage: Stage) -> None:
        trial = stage.decided()

        assert "cannot be told to cancel" in shown(client, f"/trials/{trial.pk}/cancel/", 409)

    @pytest.mark.parametrize("act", ["pause", "resume"])
    def test_looking_changes_nothing(self, client: Client, stage: Stage, act: str) -> None:
        assert client.get(f"/trials/{stage.trial().pk}/{act}/").status_code == 405


class TestAdoption:
    def test_says_what_is_replaced_and_replaces_it(self, client: Client, stage: Stage) -> None:
        trial = stage.decided(backend="plain")
        dialog = shown(client, f"/trials/{trial.pk}/adopt/")
        assert "1.0.0" in dialog and "1.1.0" in dialog and "would become" in dialog
        assert "word of a simulation" not in dialog

        answer = client.post(f"/trials/{trial.pk}/adopt/", {"share": "25"}, follow=True)

        assert Channel.objects.get(pattern=stage.old.pattern, name="stable").version == stage.new
        assert ShadowShare.objects.get().trial.share == 0.25
        assert b"of ada/vote is 1.1.0 now." in answer.content
        assert b"Since its adoption" in answer.content
        assert b">Adopt<" not in answer.content

    def test_of_another_pattern_s_candidate_says_which_version_its_text_becomes(
        self, client: Client, stage: Stage
    ) -> None:
        trial, owner = across()
        client.force_login(owner)

        dialog = shown(client, f"/trials/{trial.pk}/adopt/")
        answer = client.post(f"/trials/{trial.pk}/adopt/", {"share": "10"}, follow=True)

        assert "becomes version 1.1.0" in dialog and "vote-two@1.0.0" in dialog
        assert f"of {trial.control.pattern} is 1.1.0 now.".encode() in answer.content
        assert Channel.objects.get(pattern=trial.control.pattern, name="stable").version.published_via == "web"

    def test_the_watch_has_a_page_and_ends_as_a_whole(self, client: Client, stage: Stage) -> None:
        trial = stage.decided(backend="plain")
        client.post(f"/trials/{trial.pk}/adopt/", {"share": "10"})
        watch = ShadowShare.objects.get()

        assert "The detector" in shown(client, f"/trials/{watch.trial_id}/")
        assert f'href="/trials/{watch.trial_id}/"' not in shown(client, "/trials/")
        ShadowShare.objects.update(state="rolled_back", reason="after 13 shadowed pairs it is worse")
        told = shown(client, f"/trials/{watch.verdict_of_id}/")
        assert "went back to 1.0.0 by itself" in told and "After 13 shadowed pairs it is worse." in told
        assert "rolled back</" in told and "✓</span>adopted" not in told
        ShadowShare.objects.update(state="watching", reason="")
        client.post(f"/trials/{watch.trial_id}/cancel/", {"reason": "enough"})
        watch.refresh_from_db()
        assert (watch.state, watch.trial.status) == ("ended", "cancelled")

    def test_on_a_simulations_word_it_warns(self, client: Client, stage: Stage) -> None:
        trial = stage.decided()

        assert "word of a simulation" in shown(client, f"/trials/{trial.pk}/adopt/")

    @pytest.mark.parametrize("share", ["0", "101", "nan", "x", ""])
    def test_a_share_that_is_none_keeps_the_dialog(self, client: Client, stage: Stage, share: str) -> None:
        trial = stage.decided()

        assert client.post(f"/trials/{trial.pk}/adopt/", {"share": share}).status_code == 422
        assert Channel.objects.get(pattern=stage.old.pattern, name="stable").version == stage.old

    def test_is_for_publishers_of_the_pattern(self, client: Client, stage: Stage) -> None:
        trial = stage.decided(is_public=True)
        client.force_login(stage.stranger)

        assert ">Adopt<" not in shown(client, f"/trials/{trial.pk}/")
        assert "nly publishers of ada" in shown(client, f"/trials/{trial.pk}/adopt/", 409)
        client.post(f"/trials/{trial.pk}/adopt/", {"share": "10"})
        assert Channel.objects.get(pattern=stage.old.pattern, name="stable").version == stage.old

    def test_an_undecided_trial_adopts_nothing(self, client: Client, stage: Stage) -> None:
        trial = stage.trial()

        answer = client.post(f"/trials/{trial.pk}/adopt/", {"share": "10"}, follow=True)

        assert b"adopts its candidate" in answer.content
        assert Channel.objects.get(pattern=stage.old.pattern, name="stable").version == stage.old

    def test_a_winner_of_another_pattern_says_what_its_adoption_does(self, client: Client, stage: Stage) -> None:
        fork = good_on(9, owner=stage.stranger.own_owner, name="fork")
        trial = carry_out(make_trial(stage.old, fork, 80, user=stage.owner))

        page = re.sub(r"\s+", " ", shown(client, f"/trials/{trial.pk}/adopt/"))

        assert "grace/fork@1.0.0 is another pattern" in page
        assert "published as the next version of ada/vote" in page

    def test_a_winner_that_cannot_be_adopted_says_why(self, client: Client, stage: Stage) -> None:
        # A candidate of another pattern is taken over (decision 0117); one that was yanked is not.
        trial = stage.decided()
        PatternVersion.objects.filter(pk=stage.new.pk).update(yanked_at=NOW, yank_reason="it leaks")

        page = shown(client, f"/trials/{trial.pk}/")

        assert "It cannot be adopted as it is" in page
        assert "ada/vote@1.1.0 was yanked: it leaks" in page


class TestWhoMaySee:
    @pytest.mark.parametrize("tail", ["", "parts/", "pairs/", "report/", "cancel/", "adopt/"])
    def test_a_strangers_private_trial_is_not_there(self, client: Client, stage: Stage, tail: str) -> None:
        trial = stage.decided(is_public=False)
        client.force_login(stage.stranger)

        assert client.get(f"/trials/{trial.pk}/{tail}").status_code == 404

    def test_a_public_one_is_for_everybody(self, client: Client, stage: Stage) -> None:
        trial = stage.decided(is_public=True)
        client.logout()

        for tail in ("", "parts/", "pairs/", "report/"):
            assert client.get(f"/trials/{trial.pk}/{tail}").status_code in (200, 286)
        for path in ("/trials/", "/patterns/ada/vote/trials/"):
            assert f'href="/trials/{trial.pk}/"' in shown(client, path)

    def test_lists_show_only_what_one_may_see(self, client: Client, stage: Stage) -> None:
        trial = stage.trial(is_public=False)
        client.force_login(stage.stranger)

        for path in ("/trials/", "/trials/?whose=mine", "/patterns/ada/vote/trials/"):
            assert f'href="/trials/{trial.pk}/"' not in shown(client, path)

    def test_lists_filter(self, client: Client, stage: Stage) -> None:
        trial = stage.trial()

        assert f'href="/trials/{trial.pk}/"' in shown(client, "/trials/?status=running&whose=mine")
        assert "None with this status." in shown(client, "/trials/?status=decided")
        assert f'href="/trials/{trial.pk}/"' in shown(client, "/trials/?status=nonsense")

    def test_a_pattern_without_trials_says_what_to_do(self, client: Client, stage: Stage) -> None:
        page = shown(client, "/patterns/ada/vote/trials/")

        assert "Not verified so far" in page
        assert f'href="{VERIFY}' in page

    def test_a_number_no_trial_can_have_is_not_there(self, client: Client, stage: Stage) -> None:
        for number in (0, 10**30):
            assert client.get(f"/trials/{number}/").status_code == 404
            assert client.post(f"/trials/{number}/pause/").status_code == 404


class TestJudge:
    CRITERIA = "More helpful, and says nothing false"

    def test_is_asked_for_in_the_form(self, client: Client, stage: Stage) -> None:
        trial = started(client, judge=self.CRITERIA, source="defaults", lines="")

        page = shown(client, f"/trials/{trial.pk}/")

        assert trial.judge is not None and trial.judge["criteria"] == self.CRITERIA
        assert "Its judge is being examined" in page
        assert "0 of 30 pairs so far" in page

    def test_a_scheduled_trial_measures_what_its_judge_says(self, client: Client, stage: Stage) -> None:
        trial = started(client, judge=self.CRITERIA, looks="scheduled", source="defaults", lines="")

        assert trial.plan["mode"] == "scheduled"
        assert "preference" in trial.plan["metrics"]

    def test_its_examination_has_a_page_that_is_no_evidence(self, client: Client, stage: Stage) -> None:
        trial = started(client, judge=self.CRITERIA, source="defaults", lines="")
        exam = Trial.objects.get(follows=trial)

        page = shown(client, f"/trials/{exam.pk}/")

        assert "Its pairs are no evidence about any version." in page
        assert f'href="/trials/{trial.pk}/"' in page
        assert "Evidence after each pair" not in page
        assert f"/trials/{exam.pk}/" not in shown(client, "/trials/")

    def test_what_it_is_worth_stands_on_the_trial(self, client: Client, stage: Stage) -> None:
        trial = carry_out(started(client, judge=self.CRITERIA, source="defaults", lines=""))

        page = shown(client, f"/trials/{trial.pk}/")

        assert ("It may serve: it agreed with itself in" in page) or ("It may not serve:" in page)
        assert "judge prefers" in page or trial.outcome == "invalid"


class TestAxis:
    @pytest.mark.parametrize(
        ("power", "written"), [(0, "1"), (4, "10,000"), (5, "10⁵"), (12, "10¹²"), (-1, "0.1"), (-6, "10⁻⁶")]
    )
    def test_writes_large_numbers_so_that_they_fit(self, power: int, written: str) -> None:
        assert power_of_ten(power) == written
