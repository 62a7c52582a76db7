"""What the hub reads from its environment, and how it says what it cannot read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hub.environment import SECRETS_FILE, Environment, EnvironmentProblem, generate_secrets, shared_cache


class TestRead:
    def test_runs_on_sqlite_with_embedded_workers_by_default(self, tmp_path: Path) -> None:
        environment = Environment.read({}, base=tmp_path)

        assert environment.database["ENGINE"].endswith("sqlite3")
        assert environment.database["NAME"] == str(tmp_path / "var" / "hub.sqlite3")
        assert not environment.scaled

    def test_loses_nothing_on_sqlite_when_the_power_goes(self, tmp_path: Path) -> None:
        options = Environment.read({}, base=tmp_path).database["OPTIONS"]

        assert "synchronous=FULL" in options["init_command"]
        assert options["transaction_mode"] == "IMMEDIATE"

    def test_takes_one_variable_each_for_database_and_broker(self, tmp_path: Path) -> None:
        variables = {
            "DATABASE_URL": "postgres://hub:p%40ss@db.example:5433/hub",
            "CELERY_BROKER_URL": "redis://cache.example:6379/0",
        }

        environment = Environment.read(variables, base=tmp_path)

        assert environment.database["PASSWORD"] == "p@ss"
        assert (environment.database["HOST"], environment.database["PORT"]) == ("db.example", "5433")
        assert environment.scaled

    @pytest.mark.parametrize(
        ("name", "value", "says"),
        [("HUB_DEBUG", "maybe", "write 1 or 0"), ("DATABASE_URL", "mysql://x/y", "begins with 'mysql'")],
    )
    def test_says_which_variable_it_cannot_use(self, tmp_path: Path, name: str, value: str, says: str) -> None:
        with pytest.raises(EnvironmentProblem, match=says) as caught:
            Environment.read({name: value}, base=tmp_path)

        assert name in str(caught.value)

    def test_has_no_secret_that_anybody_could_know(self, tmp_path: Path) -> None:
        environment = Environment.read({}, base=tmp_path)

        assert (environment.secret_key, environment.key_encryption_key) == ("", "")


class TestGenerateSecrets:
    def test_makes_them_once_and_for_their_owner_only(self, tmp_path: Path) -> None:
        made = generate_secrets(tmp_path)
        again = generate_secrets(tmp_path)

        assert (made, again) == (True, False)
        assert stat.S_IMODE((tmp_path / SECRETS_FILE).stat().st_mode) == 0o600

    def test_are_read_as_if_exported_and_a_real_variable_wins(self, tmp_path: Path) -> None:
        generate_secrets(tmp_path)

        read = Environment.read({"HUB_DATA": str(tmp_path)}, base=tmp_path)
        overridden = Environment.read({"HUB_DATA": str(tmp_path), "HUB_SECRET_KEY": "mine"}, base=tmp_path)

        assert len(read.secret_key) > 40
        assert overridden.secret_key == "mine"
        assert overridden.key_encryption_key == read.key_encryption_key


class TestSharedCache:
    def test_is_the_broker_s_redis_where_there_is_one(self, tmp_path: Path) -> None:
        scaled = Environment.read({"CELERY_BROKER_URL": "redis://cache.example:6379/0"}, base=tmp_path)

        assert scaled.cache_url == "redis://cache.example:6379/0"
        assert shared_cache(scaled.cache_url, tmp_path)["BACKEND"].endswith("RedisCache")

    def test_is_a_file_of_the_machine_otherwise(self, tmp_path: Path) -> None:
        rabbit = Environment.read({"CELERY_BROKER_URL": "amqp://broker.example"}, base=tmp_path)

        assert rabbit.cache_url == ""
        assert shared_cache("", tmp_path)["LOCATION"] == str(tmp_path / "counters.sqlite3")

    def test_refuses_an_address_that_is_no_redis(self, tmp_path: Path) -> None:
        with pytest.raises(EnvironmentProblem, match="HUB_CACHE_URL begins with 'memcached'"):
            shared_cache("memcached://cache.example", tmp_path)
