"""Careless arguments of the commands: told in a sentence, before anything is done."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from execution.models import Trial
from execution.services import distilling
from tests.execution.factories import make_run
from tests.execution.trials import good_on
from tests.registry.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)


def refused(*arguments: str) -> str:
    """What a command says that it does not carry out; its exit status is not 0."""
    told = io.StringIO()
    with pytest.raises((CommandError, SystemExit)) as raised:
        call_command(*arguments, stdout=told, stderr=told)
    if isinstance(raised.value, SystemExit):
        assert raised.value.code
        return told.getvalue()
    return str(raised.value)


class TestPrune:
    @pytest.mark.parametrize("days", ["nan", "inf", "1e308", "-1", "5000000"])
    def test_takes_days_that_a_calendar_has(self, days: str) -> None:
        assert "--days is a number from 0 to" in refused("prune", "--days", days)


class TestVerify:
    @pytest.fixture
    def named(self, tmp_path: Path) -> list[str]:
        version = good_on(5)
        inputs = tmp_path / "inputs.json"
        inputs.write_text('[{"n": 1}]', "utf-8")
        return ["verify", str(version), "--against", str(version), "--inputs", str(inputs), "--detach"]

    @pytest.mark.parametrize("option", ["--cost-usd", "--daily-cost-usd"])
    @pytest.mark.parametrize("dollars", ["nan", "inf", "-1", "1e300"])
    def test_takes_a_budget_that_somebody_could_pay(self, named: list[str], option: str, dollars: str) -> None:
        make_user("root", is_superuser=True)

        assert "US dollars" in refused(*named, f"{option}={dollars}")
        assert not Trial.objects.exists()

    def test_is_public_or_private(self, named: list[str]) -> None:
        make_user("root", is_superuser=True)

        assert "not allowed with" in refused(*named, "--public", "--private")

    def test_simulates_at_least_one_trial(self) -> None:
        assert "trials: give 1" in refused("verify", "--self-check", "--trials", "0")


class TestWorker:
    @pytest.mark.parametrize(
        "option", ["--in-flight=0", "--poll=0", "--poll=nan", "--reap=-1", "--beat=inf", "--lease=0"]
    )
    def test_takes_numbers_with_which_it_can_work(self, option: str) -> None:
        name = option.partition("=")[0]

        assert f"{name} is a number above 0" in refused("worker", "--until-idle", option)


class TestDistill:
    def test_says_where_it_cannot_write(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        made = distilling.Distilled(script="RETURN 1", source=b"x", version=None)
        monkeypatch.setattr(distilling, "distil", lambda **_: made)
        run = make_run("RETURN 1")

        said = refused("distill", str(run.pk), "--output", str(tmp_path / "none" / "x.yaml"))

        assert "x.yaml: No such file or directory" in said
