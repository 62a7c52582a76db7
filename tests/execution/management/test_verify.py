"""The commands of trials: what they print, their JSON, their exit codes."""

from __future__ import annotations

import asyncio
import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from execution.agents.base import Answer, Capabilities, Request, Reservation
from execution.management.commands import verify
from execution.models import Effect, Run, Trial
from execution.services import verifying
from execution.worker import Worker, WorkerSettings
from registry.models import PatternVersion, User
from registry.services import libraries
from tests.conftest import ROOT
from tests.execution.factories import NOW, make_version
from tests.execution.trials import ASKING, good_on

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("root", password="x")


@pytest.fixture
def inputs(tmp_path: Path) -> str:
    path = tmp_path / "inputs.jsonl"
    path.write_text("\n".join(json.dumps({"n": n}) for n in range(30)), "utf-8")
    return str(path)


def run(*words: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of a command."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(*words, stdout=out, stderr=err)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


class TestVerify:
    def test_carries_a_trial_out_and_prints_the_verdict(self, root: User, inputs: str, tmp_path: Path) -> None:
        control, candidate = good_on(4), good_on(9)
        report = tmp_path / "report.json"
        words = ("verify", str(candidate), "--against", str(control), "--inputs", inputs, "--profile", "quick")

        code, out, err = run(*words, "--report", str(report))

        assert code == 0
        assert out.startswith("promote: Adopt the candidate")
        assert "of at most 200 pairs" in err
        assert run("recheck", str(report))[1].startswith("confirmed promote")

    def test_prints_one_object_with_json(self, root: User, inputs: str) -> None:
        words = ("verify", str(good_on(3)), "--against", str(good_on(9)), "--inputs", inputs, "--profile", "quick")

        code, out, err = run(*words, "--json")

        body = json.loads(out)
        assert (code, body["ok"], body["outcome"], err) == (0, True, "reject_harm", "")

    def test_takes_files_as_private_versions(self, root: User, inputs: str, tmp_path: Path) -> None:
        for name, share in (("old", 9), ("new", 2)):
            text = (
                f"type: orchestration_pattern\nname: {name}\nversion: 1.0.0\nsuccess_when: ok\n"
                f"dsl: |\n  STATE n = 0\n  RETURN {{ok: (n * 7) % 10 < {share}}}\n"
            )
            (tmp_path / f"{name}.yaml").write_text(text, "utf-8")
        words = ("verify", str(tmp_path / "new.yaml"), "--against", str(tmp_path / "old.yaml"), "--inputs", inputs)

        body = json.loads(run(*words, "--profile", "quick", "--json")[1])

        assert body["outcome"] == "reject_harm"
        assert set(PatternVersion.objects.values_list("pattern__visibility", flat=True)) == {"private"}
        assert body["public"] is False

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (("verify", "no/such", "--against", "no/other"), "no/other"),
            (("verify", "CANDIDATE", "--against", "CONTROL", "--inputs", "missing.json"), "missing.json"),
            (("verify", "CANDIDATE", "--against", "CONTROL", "--backend", "nobody"), "nobody"),
            (("verify", "CANDIDATE", "--against", "CONTROL", "--recorded", "5"), "no ended runs"),
            (("verify", "missing.yaml", "--against", "CONTROL"), "missing.yaml"),
        ],
    )
    def test_says_what_is_wrong(self, root: User, words: tuple[str, ...], told: str) -> None:
        names = {"CANDIDATE": str(good_on(5)), "CONTROL": str(good_on(5))}

        code, _, err = run(*(names.get(word, word) for word in words))

        assert code == 1
        assert told in err

    def test_needs_both_arms(self, root: User) -> None:
        with pytest.raises(CommandError, match="CANDIDATE and a CONTROL"):
            run("verify")

    def test_checks_itself(self) -> None:
        code, out, _ = run("verify", "--self-check", "--trials", "60", "--json")

        body = json.loads(out)
        assert code == 0
        assert body["type_i_error"] <= 0.15 and body["power"] >= 0.9


class TestRecheck:
    def test_refuses_a_changed_byte(self, root: User, inputs: str, tmp_path: Path) -> None:
        report = tmp_path / "report.json"
        words = ("verify", str(good_on(9)), "--against", str(good_on(4)), "--inputs", inputs, "--profile", "quick")
        run(*words, "--report", str(report))
        report.write_bytes(report.read_bytes().replace(b"promote", b"promotd", 1))

        code, out, _ = run("recheck", str(report), "--json")

        assert (code, json.loads(out)["ok"]) == (1, False)

    @pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[1]"])
    def test_refuses_whatever_is_no_report(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "report.json"
        path.write_bytes(content)

        code, _, err = run("recheck", str(path))

        assert (code, err.startswith("refused")) == (1, True)

    def test_refuses_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        assert run("recheck", str(tmp_path / "none.json"))[0] == 1


@pytest.mark.timeout(300)
class TestLibrary:
    """The trial that the manual names: the adaptive tournament against the plain one, offline."""

    @pytest.fixture
    def library(self, root: User, monkeypatch: pytest.MonkeyPatch) -> None:
        libraries.load(folder=ROOT / "library", now=NOW)
        # The lot is drawn once and for all, so that the verdict is always the same.
        monkeypatch.setattr("execution.services.verifying.secrets.token_bytes", lambda size: b"7" * size)

    def test_promotes_tournament_v2_against_the_plain_one(self, library: None, tmp_path: Path) -> None:
        report = tmp_path / "report.json"
        words = ("verify", "library/tournament_v2", "--against", "library/tournament", "--profile", "quick")

        body: dict[str, Any] = json.loads(run(*words, "--report", str(report), "--json")[1])

        assert (body["status"], body["outcome"], body["simulated"]) == ("decided", "promote", True)
        assert body["pairs"]["settled"] <= 200 and body["pairs"]["missing"] == 0
        means = {row["metric"]: row["mean"] for row in body["metrics"]}
        assert means["quality"] > -0.05 and means["latency"] > 0
        assert run("recheck", str(report))[1].startswith("confirmed promote")
        for changed in (
            report.read_bytes().replace(b"0", b"1", 1),
            report.read_bytes().replace(b"promote", b"promotd", 1),
        ):
            report.write_bytes(changed)
            assert run("recheck", str(report))[0] == 1

    def test_does_not_promote_the_plain_one_against_itself(self, library: None) -> None:
        words = ("verify", "library/tournament", "--against", "library/tournament", "--profile", "quick")

        body: dict[str, Any] = json.loads(run(*words, "--json")[1])

        assert body["status"] == "decided" and body["outcome"] in ("reject_futile", "inconclusive")

    @pytest.mark.slow
    def test_takes_at_most_400_pairs_on_given_inputs_by_the_standard_profile(
        self, library: None, tmp_path: Path
    ) -> None:
        inputs = tmp_path / "inputs.yaml"
        inputs.write_text("".join(f"- challenge: Explain proverb {n}\n" for n in range(20)), "utf-8")
        words = ("verify", "library/tournament_v2", "--against", "library/tournament", "--inputs", str(inputs))

        body: dict[str, Any] = json.loads(run(*words, "--json")[1])

        assert (body["status"], body["outcome"]) == ("decided", "promote")
        assert body["pairs"]["settled"] <= 400
        assert Trial.objects.get().profile == "standard"


class TestSteering:
    def start(self, *more: str) -> dict[str, Any]:
        control, candidate = good_on(4), good_on(9)
        words = ("verify", str(candidate), "--against", str(control), "--recorded", "0", "--detach", "--json")
        body: dict[str, Any] = json.loads(run(*words, *more)[1])
        return body

    def test_cancels_pauses_and_kills_a_trial_by_its_number(self, root: User) -> None:
        trial = self.start()["id"]

        assert json.loads(run("verify", "--trial", str(trial), "--pause", "--json")[1])["status"] == "paused"
        body = json.loads(run("verify", "--trial", str(trial), "--kill", "--reason", "enough", "--json")[1])
        assert (body["status"], body["note"]) == ("cancelled", "enough")
        assert run("verify", "--trial", str(trial), "--cancel")[0] == 1

    def test_kills_every_trial(self, root: User) -> None:
        self.start()
        self.start()

        assert json.loads(run("verify", "--kill", "--json")[1])["killed"] == 2
        assert set(Trial.objects.values_list("status", flat=True)) == {"cancelled"}

    def test_passes_on_all_that_a_trial_may_be_told(self, root: User) -> None:
        body = self.start(
            *("--looks", "40,80", "--cap", "tokens=500", "--at-once", "5", "--private", "--success-when", "ok"),
            *("--cost-usd", "1.5", "--judge", "Which is kinder?"),
        )

        assert (body["plan"]["mode"], body["plan"]["looks"]) == ("scheduled", [40, 80])
        assert (body["caps"]["tokens"], body["at_once"], body["public"]) == (500, 5, False)
        assert (body["success_when"], body["judge"]["criteria"]) == ("ok", "Which is kinder?")

    def test_starts_a_live_trial_with_a_budget_for_each_day(self, root: User) -> None:
        body = self.start("--live", "--share", "0.5")

        assert (body["mode"], body["share"]) == ("live", 0.5)
        assert Trial.objects.get(pk=body["id"]).daily_cost_limit == 10_000_000

    @pytest.mark.parametrize("wrong", [("--looks", "a,b"), ("--cap", "tokens=many"), ("--cap", "nonsense=3")])
    def test_says_what_is_wrong(self, root: User, wrong: tuple[str, str]) -> None:
        words = ("verify", str(good_on(9)), "--against", str(good_on(4)), "--detach", *wrong)

        code, out, err = run(*words)

        assert code == 1 and wrong[1].split("=")[0].split(",")[0] in out + err


class TestExitCode:
    def test_is_1_where_there_is_no_verdict(self, root: User, inputs: str) -> None:
        words = ("verify", str(good_on(9)), "--against", str(good_on(4)), "--inputs", inputs, "--json")

        code, out, _ = run(*words, "--cost-usd", "0")

        assert (code, json.loads(out)["ok"], json.loads(out)["status"]) == (1, False, "cancelled")

    def test_is_0_for_a_trial_that_is_left_to_the_workers(self, root: User, inputs: str) -> None:
        words = ("verify", str(good_on(9)), "--against", str(good_on(4)), "--inputs", inputs, "--detach")

        assert run(*words)[0] == 0

    def test_is_1_where_the_report_cannot_be_written_and_the_verdict_is_not_lost(
        self, root: User, inputs: str, tmp_path: Path
    ) -> None:
        words = ("verify", str(good_on(9)), "--against", str(good_on(4)), "--inputs", inputs, "--profile", "quick")

        code, _, err = run(*words, "--report", str(tmp_path / "nowhere" / "report.json"))

        trial = Trial.objects.get()
        assert code == 1 and "nowhere" in err and f"--trial {trial.pk}" in err and trial.status == "decided"
        again = run("verify", "--trial", str(trial.pk), "--report", str(tmp_path / "report.json"))
        assert again[0] == 0 and run("recheck", str(tmp_path / "report.json"))[0] == 0

    def test_is_1_where_the_self_check_does_not_hold(self, root: User, monkeypatch: pytest.MonkeyPatch) -> None:
        from execution.management.commands import verify
        from execution.shadow.selfcheck import Check, SelfCheck

        bad = Check(name="A/A", promoted=0.5, pairs=10.0, bound=0.02, at_least=False, good=False)
        found = SelfCheck(checks=(bad,), type_i_error=0.5, power=0.0, trials=10, seconds=0.1)
        monkeypatch.setattr(verify, "self_check", lambda **_: found)

        code, out, _ = run("verify", "--self-check", "--json")

        assert (code, json.loads(out)["ok"], json.loads(out)["type_i_error"]) == (1, False, 0.5)


class Silent:
    """Agents that never answer."""

    name = "silent"
    capabilities = Capabilities(simulated=True)

    async def complete(self, request: Request) -> Answer:
        await asyncio.sleep(3600)
        raise AssertionError

    def reserve(self, request: Request) -> Reservation:
        return Reservation(tokens=1)


class TestLeftovers:
    def test_are_ended_and_nothing_is_in_doubt(
        self,
        root: User,
        inputs: str,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Pairs behind the verdict were under way when it came: their questions are cancelled, and not asked again."""
        settings.AGENT_BACKENDS = {"silent": {"backend": "tests.execution.management.test_verify.Silent"}}
        monkeypatch.setattr(verify, "WorkerSettings", partial(WorkerSettings, drain_seconds=0.0))

        def until_asked(self: Any, trial: Trial, worker: Worker, bar: Any) -> None:
            while not Effect.objects.filter(status="sent").exists():
                worker.claim_and_run()
            Trial.objects.filter(pk=trial.pk).update(status="cancelled", decided_at=NOW)
            verifying.drop_pairs(trial.pk)
            trial.refresh_from_db()

        monkeypatch.setattr(verify.Command, "wait", until_asked)
        version = make_version(ASKING)

        run("verify", str(version), "--against", str(version), "--inputs", inputs, "--backend", "silent")

        assert not Run.objects.alive().exists()
        assert set(Effect.objects.values_list("status", flat=True)) == {"cancelled"}
        assert "in doubt" not in caplog.text
