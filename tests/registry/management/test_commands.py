"""The registry's commands: what they print, their JSON, their exit codes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from registry.models import Pattern, PatternVersion, Token, User
from tests.registry.factories import COMPONENT, make_admin, make_user, make_version, opl, record_runs

pytestmark = pytest.mark.django_db


@pytest.fixture
def root() -> User:
    return make_admin("root")


def run(*words: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of a command."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(*words, stdout=out, stderr=err)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def run_json(*words: str) -> dict[str, Any]:
    return json.loads(run(*words, "--json")[1])  # type: ignore[no-any-return]


class TestPublish:
    def test_publishes_files_as_the_first_administrator(self, root: User, tmp_path: Path) -> None:
        (tmp_path / "vote.yaml").write_bytes(opl())
        (tmp_path / "team.md").write_bytes(COMPONENT)

        code, out, _ = run("publish", str(tmp_path / "vote.yaml"), str(tmp_path / "team.md"))

        assert code == 0
        assert [line.split()[1] for line in out.splitlines()[:3]] == [
            "root/vote@1.0.0",
            "root/relay@1.2.0",
            "root/poll@1.2.0",
        ]
        assert PatternVersion.objects.first().published_via == "cli"

    def test_exits_1_and_shows_the_place_of_every_problem(self, root: User, tmp_path: Path) -> None:
        file = tmp_path / "bad.yaml"
        file.write_bytes(opl(script="STATE x =\nSTATE y = (1"))

        code, _, err = run("publish", str(file))

        assert code == 1
        assert f"{file}:5:" in err
        assert f"{file}:6:" in err

    def test_prints_json_for_errors_too(self, root: User, tmp_path: Path) -> None:
        file = tmp_path / "bad.yaml"
        file.write_bytes(b"nothing here")

        answer = run_json("publish", str(file))

        assert answer["ok"] is False
        assert answer["problems"]

    def test_publishes_the_good_files_beside_a_bad_one(self, root: User, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_bytes(opl())
        (tmp_path / "b.yaml").write_bytes(b"nothing here")

        code, out, _ = run("publish", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"))

        assert code == 1
        assert "published" in out
        assert "refused" in out

    def test_says_which_file_cannot_be_read(self, root: User) -> None:
        with pytest.raises(CommandError, match=r"none\.yaml"):
            call_command("publish", "/tmp/none.yaml")

    def test_asks_for_somebody_to_act_as(self, db: Any, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_bytes(opl())

        with pytest.raises(CommandError, match="createsuperuser"):
            call_command("publish", str(tmp_path / "a.yaml"))


class TestToken:
    def test_makes_one_that_is_shown_once(self, root: User) -> None:
        answer = run_json("token", "create", "ci", "--scope", "publish")

        assert answer["token"].startswith("oplt_")
        assert answer["token"] not in run("token", "list")[1]
        assert Token.objects.get().scopes == ["publish"]

    def test_revokes_it(self, root: User) -> None:
        number = run_json("token", "create", "ci")["id"]

        code, out, _ = run("token", "revoke", str(number))

        assert (code, out.split()[0]) == (0, "revoked")
        assert Token.objects.get().revoked_at is not None

    def test_exits_1_for_one_that_is_not_there(self, root: User) -> None:
        assert run("token", "revoke", "99")[0] == 1


class TestOthers:
    def test_fork_copies_under_the_actor_s_name(self, root: User) -> None:
        make_version(user=make_user("ada"))

        answer = run_json("fork", "ada/vote")

        assert (answer["forked"], answer["as"]) == ("ada/vote@1.0.0", "root/vote@1.0.0")

    def test_yank_says_where_the_channels_went(self, root: User) -> None:
        ada = make_user("ada")
        make_version(user=ada)
        make_version(user=ada, version="1.1.0")

        answer = run_json("yank", "ada/vote@1.0.0", "--reason", "loops")

        assert answer["channels"] == {"latest": "1.1.0", "stable": "1.1.0"}

    def test_channel_moves_and_protects(self, root: User) -> None:
        ada = make_user("ada")
        make_version(user=ada)
        make_version(user=ada, version="1.1.0")

        answer = run_json("channel", "ada/vote", "stable", "1.1.0", "--protect")

        assert [(row["version"], row["protected"]) for row in answer["channels"]] == [("1.1.0", True)]

    def test_channel_refuses_a_version_that_is_not_there(self, root: User) -> None:
        make_version(user=make_user("ada"))

        assert run("channel", "ada/vote", "stable", "9.9.9")[0] == 1

    def test_export_prints_a_document_with_real_counts(self, root: User) -> None:
        version = make_version(user=make_user("ada"))
        record_runs(version, 3, 1)

        code, out, _ = run("export_pattern", "ada/vote")

        assert code == 0
        assert "successes: 3" in out

    def test_export_refuses_before_there_are_runs(self, root: User) -> None:
        make_version(user=make_user("ada"))

        assert run("export_pattern", "ada/vote")[0] == 1

    def test_maintain_reports_three_numbers(self, db: Any) -> None:
        assert run_json("maintain") == {"ok": True, "delivered": 0, "emerging": 0, "forgotten": 0}


class TestLoadLibrary:
    def test_loads_a_folder_once(self, db: Any, tmp_path: Path) -> None:
        (tmp_path / "vote.yaml").write_bytes(opl())

        first = run_json("load_library", str(tmp_path))
        second = run_json("load_library", str(tmp_path))

        assert first["published"] == ["library/vote@1.0.0"]
        assert (second["published"], second["unchanged"]) == ([], 1)

    def test_gives_a_changed_file_a_new_version_once(self, db: Any, tmp_path: Path) -> None:
        (tmp_path / "vote.yaml").write_bytes(opl())
        run("load_library", str(tmp_path))
        (tmp_path / "vote.yaml").write_bytes(opl(description="clearer"))

        second = run_json("load_library", str(tmp_path))
        third = run_json("load_library", str(tmp_path))

        assert second["published"] == ["library/vote@1.0.1"]
        assert third["published"] == []

    def test_loads_what_ships(self, db: Any) -> None:
        answer = run_json("load_library")

        assert answer["ok"], answer
        assert Pattern.objects.filter(owner__name="library").count() >= answer["files"] / 2
