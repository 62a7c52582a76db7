"""
Private servers for tests: Redis and PostgreSQL on free loopback ports, from installed binaries.

    python -m tests.servers install                     # what is missing, by apt-get where that works
    python -m tests.servers postgres -- pytest tests    # a command beside a fresh PostgreSQL

Each server lives in its own temporary folder and is stopped by its process id.
PostgreSQL refuses to run as root, so as root it runs as an unprivileged user.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

APT_PACKAGES = {"redis-server": "redis-server", "postgres": "postgresql", "chromium": "chromium", "npm": "npm"}
MOCK_FOLDER = Path(__file__).parent / "mock_messages_api"
NEGENTROPY_FOLDER = Path(__file__).parent / "negentropy_peer"
START_PATIENCE_SECONDS = 30.0


class MissingService(Exception):
    """A server's binary is not on this machine; the text says which and how to get it."""


def binary(name: str) -> str:
    """The path of a server's program, also where Debian hides it."""
    folders = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin")]
    found = shutil.which(name) or next((str(folder / name) for folder in folders if (folder / name).exists()), None)
    if found is None:
        package = APT_PACKAGES.get(name, name)
        raise MissingService(f"{name} is not installed; `apt-get install {package}` brings it")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended while starting (exit {process.returncode})")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port} after {START_PATIENCE_SECONDS:g} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """A Redis of one's own; yields its URL."""
    program, port = binary("redis-server"), free_port()
    with tempfile.TemporaryDirectory(prefix="hub-redis-") as folder:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen([*command, "--loglevel", "warning"], stdout=subprocess.DEVNULL)
        try:
            wait_until_open(port, process)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            stop(process)


@contextlib.contextmanager
def postgres(*, durable: bool = False) -> Iterator[str]:
    """
    A PostgreSQL of one's own with an empty database ``hub``; yields its URL.

    Args:
        durable: sync to disk as a real one does; tests do without.
    """
    initdb, server, port = binary("initdb"), binary("postgres"), free_port()
    user = _unprivileged_user()
    with tempfile.TemporaryDirectory(prefix="hub-postgres-") as folder:
        data = Path(folder) / "data"
        if user is not None:
            account = pwd.getpwnam(user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        options = ["--auth=trust", "--username=hub", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run([initdb, "-D", str(data), *options], check=True, stdout=subprocess.DEVNULL, user=user)
        quick = ["-c", "max_connections=60"]
        if not durable:
            quick += ["-c", "fsync=off", "-c", "full_page_writes=off"]
        where = ["-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", folder]
        process = subprocess.Popen([server, *where, *quick], user=user, stderr=subprocess.DEVNULL)
        try:
            wait_until_open(port, process)
            _create_database(port)
            yield f"postgres://hub@127.0.0.1:{port}/hub"
        finally:
            stop(process)


def _unprivileged_user() -> str | None:
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _create_database(port: int) -> None:
    import psycopg

    deadline = time.monotonic() + START_PATIENCE_SECONDS
    while True:
        try:
            with psycopg.connect(f"host=127.0.0.1 port={port} user=hub dbname=postgres", autocommit=True) as own:
                own.execute("CREATE DATABASE hub")
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextlib.contextmanager
def messages_api(fixtures: Path) -> Iterator[str]:
    """
    The independent mock of the Messages API (npm ``@copilotkit/aimock``); yields its base URL.

    Args:
        fixtures: a JSON file of what it answers, in aimock's own format.
    """
    program, port = MOCK_FOLDER / "node_modules" / ".bin" / "llmock", free_port()
    if not program.exists():
        raise MissingService("aimock is not installed; `make test` brings it where npm works")
    node = binary("node")
    command = [node, str(program.resolve()), "-p", str(port), "-f", str(fixtures), "--strict", "--log-level", "warn"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_open(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(process)


def negentropy_peer() -> list[str]:
    """The command that speaks negentropy as others wrote it (npm ``applesauce-relay`` and ``nostr-tools``)."""
    if not (NEGENTROPY_FOLDER / "node_modules" / "applesauce-relay").is_dir():
        raise MissingService("applesauce-relay is not installed; `make test` brings it where npm works")
    return [binary("node"), str(NEGENTROPY_FOLDER / "peer.js")]


def chromium() -> str:
    """The path of Debian's Chromium."""
    return binary("chromium")


def install() -> None:
    """Install what is missing, where this machine lets us; what stays missing is said and skipped later."""
    missing = [package for name, package in APT_PACKAGES.items() if not _there(name)]
    if missing and shutil.which("apt-get") and os.getuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=False, env=quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", *missing], check=False, env=quiet, stdout=subprocess.DEVNULL)
    for folder in (MOCK_FOLDER, NEGENTROPY_FOLDER):
        if not (folder / "node_modules").is_dir() and _there("npm"):
            command = ["npm", "ci", "--silent", "--no-fund", "--no-audit", "--ignore-scripts"]
            subprocess.run(command, check=False, cwd=folder)
    for name, package in APT_PACKAGES.items():
        if not _there(name):
            print(f"{name} is missing (Debian package {package}); tests that need it are skipped")


def _there(name: str) -> bool:
    try:
        return bool(binary(name))
    except MissingService:
        return False


def main(arguments: list[str]) -> int:
    if arguments == ["install"]:
        install()
        return 0
    kind, separator, *command = arguments
    if kind != "postgres" or separator != "--" or not command:
        print(__doc__)
        return 2
    with postgres() as url:
        return subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
