"""
What differs between machines, read once from environment variables.

Every variable the hub knows stands in ``Environment``, with its default and
its meaning; nothing else in the project reads ``os.environ``. Secrets come
only from here. For a first run on a laptop, ``manage.py serve --setup`` writes
generated secrets to ``var/secrets.env`` (readable by its owner only), and that
file is read as if its lines had been exported; a real variable wins.

    >>> Environment.read({"DATABASE_URL": "sqlite:///tmp/x.sqlite3"}, base=Path("/srv")).database["ENGINE"]
    'django.db.backends.sqlite3'
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

SECRETS_FILE = "secrets.env"
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


class EnvironmentProblem(Exception):
    """A variable holds something the hub cannot use; the text names it and says what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The settings of one machine; see docs/operating.md for the table."""

    data_dir: Path  # HUB_DATA: where the SQLite file, blobs and generated secrets live
    debug: bool  # HUB_DEBUG: 1 on a developer's machine only
    secret_key: str  # HUB_SECRET_KEY: signs sessions and forms
    key_encryption_key: str  # HUB_KEY_ENCRYPTION_KEY: encrypts signing keys at rest
    public_url: str  # HUB_PUBLIC_URL: how people and peers reach this hub, no trailing slash
    allowed_hosts: tuple[str, ...]  # HUB_ALLOWED_HOSTS, comma separated
    database: Mapping[str, Any]  # DATABASE_URL: sqlite:///path or postgres://user:password@host:port/name
    broker_url: str  # CELERY_BROKER_URL: redis://… ; empty means embedded workers
    cache_url: str  # HUB_CACHE_URL: redis://… for what web processes share; by default the broker's, if that is a Redis
    metrics_token: str  # HUB_METRICS_TOKEN: what a scraper of /metrics shows; empty: only this machine may read it
    anthropic_api_key: str  # ANTHROPIC_API_KEY: real agents; empty means simulated ones
    anthropic_base_url: str  # ANTHROPIC_BASE_URL: for a proxy or a mock server
    ksi_socket: str  # KSI_SOCKET: the socket of a KSI daemon, empty for none
    federation_allow_loopback: bool  # FEDERATION_ALLOW_LOOPBACK: for the demo and tests only
    registration_open: bool  # HUB_REGISTRATION: "open" (default) or "closed"
    simulated_pace: float  # HUB_SIMULATED_PACE: of the backend "watchable", as a share of its agents' own latency
    otlp_endpoint: str  # OTEL_EXPORTER_OTLP_ENDPOINT: where spans go, empty for nowhere

    @property
    def scaled(self) -> bool:
        """Whether Celery workers carry the load instead of embedded ones."""
        return bool(self.broker_url)

    @classmethod
    def read(cls, variables: Mapping[str, str], *, base: Path) -> Environment:
        """
        Read the variables; ``base`` is the project's root.

        Raises:
            EnvironmentProblem: a variable cannot be understood.
        """
        data_dir = Path(variables.get("HUB_DATA", "") or base / "var")
        values = {**stored_secrets(data_dir), **variables}
        debug = _flag(values, "HUB_DEBUG")
        public_url = values.get("HUB_PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
        hosts = values.get("HUB_ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
        host = urlsplit(public_url).hostname or ""
        return cls(
            data_dir=data_dir,
            debug=debug,
            secret_key=values.get("HUB_SECRET_KEY", ""),
            key_encryption_key=values.get("HUB_KEY_ENCRYPTION_KEY", ""),
            public_url=public_url,
            allowed_hosts=tuple(dict.fromkeys([*filter(None, hosts.split(",")), host])),
            database=database_settings(values.get("DATABASE_URL", f"sqlite:///{data_dir / 'hub.sqlite3'}")),
            broker_url=(broker := values.get("CELERY_BROKER_URL", "")),
            cache_url=values.get("HUB_CACHE_URL", broker if broker.startswith(REDIS_SCHEMES) else ""),
            metrics_token=values.get("HUB_METRICS_TOKEN", "").strip(),
            anthropic_api_key=values.get("ANTHROPIC_API_KEY", ""),
            anthropic_base_url=values.get("ANTHROPIC_BASE_URL", ""),
            ksi_socket=values.get("KSI_SOCKET", ""),
            federation_allow_loopback=_flag(values, "FEDERATION_ALLOW_LOOPBACK"),
            simulated_pace=_number(values, "HUB_SIMULATED_PACE", 0.6),
            registration_open=values.get("HUB_REGISTRATION", "open") == "open",
            otlp_endpoint=_otlp_endpoint(values),
        )


def _number(values: Mapping[str, str], name: str, default: float) -> float:
    text = values.get(name, "").strip()
    try:
        number = float(text) if text else default
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise EnvironmentProblem(f"{name} is {text!r}; write a number from 0 to 100")
    return number


def _otlp_endpoint(values: Mapping[str, str]) -> str:
    """Where spans go, by the variables of the OpenTelemetry specification; "" for nowhere."""
    if values.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ""
    if values.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() not in ("", "otlp"):
        return ""
    return values.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "") or values.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")


def _flag(values: Mapping[str, str], name: str) -> bool:
    text = values.get(name, "").strip().lower()
    if text in ("", "0", "no", "false", "off"):
        return False
    if text in ("1", "yes", "true", "on"):
        return True
    raise EnvironmentProblem(f"{name} is {text!r}; write 1 or 0")


def database_settings(url: str) -> dict[str, Any]:
    """Django's ``DATABASES["default"]`` for a URL; the settings of page 3, section 3.2."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        # One writer at a time, waiting politely for it, and nothing lost when the power goes. The log is copied into
        # the database every 16 MiB instead of every 4: pages that many commits touch are copied once (decision 0140).
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": unquote(parts.path[1:]) or ":memory:",
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": (
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                    " PRAGMA wal_autocheckpoint=4000;"
                ),
            },
        }
    if parts.scheme in ("postgres", "postgresql"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path[1:]),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(parts.hostname or ""),
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
            # The hot path prepares what comes again (execution.models.hot); Django's own cursors never do.
            "OPTIONS": {"prepare_threshold": 5, **dict(parse_qsl(parts.query))},
        }
    raise EnvironmentProblem(
        f"DATABASE_URL begins with {parts.scheme or url!r}; write sqlite:///path or postgres://user:password@host/name"
    )


def shared_cache(url: str, data_dir: Path) -> dict[str, Any]:
    """
    Django's ``CACHES["shared"]``: counts that every web process must see.

    Raises:
        EnvironmentProblem: the address is not that of a Redis.
    """
    if not url:
        return {"BACKEND": "hub.counters.SharedCounters", "LOCATION": str(data_dir / "counters.sqlite3")}
    if not url.startswith(REDIS_SCHEMES):
        raise EnvironmentProblem(
            f"HUB_CACHE_URL begins with {urlsplit(url).scheme or url!r}; write redis://host:6379/1"
        )
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": url,
        "KEY_PREFIX": "hub",
        # A Redis that hangs must not hang the pages with it.
        "OPTIONS": {"socket_timeout": 1.0, "socket_connect_timeout": 1.0},
    }


def stored_secrets(data_dir: Path) -> dict[str, str]:
    """The generated secrets of a first run, empty where there are none."""
    path = data_dir / SECRETS_FILE
    if not path.is_file():
        return {}
    lines = path.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def generate_secrets(data_dir: Path) -> bool:
    """Write fresh secrets unless the file is there; True when it was written."""
    path = data_dir / SECRETS_FILE
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return False
    path.write_text(
        "# Made for this machine by `manage.py serve --setup`. Keep it private, and keep it:\n"
        "# without the second line the node's signing keys cannot be read any more.\n"
        f"HUB_SECRET_KEY={secrets.token_urlsafe(48)}\n"
        f"HUB_KEY_ENCRYPTION_KEY={secrets.token_urlsafe(32)}\n",
        "utf-8",
    )
    return True
