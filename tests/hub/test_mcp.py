"""The MCP endpoint: what its tools do for a token, and what they refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

from execution.models import Run
from execution.worker import run_until_idle
from hub.mcp import tools
from hub.mcp.server import make_application, make_server
from registry.models import User
from registry.services import publishing, tokens

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCRIPT = b"## Greeting: say hello\nSTATE name = 'world'\nRETURN 'hello ' + name\n"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def open_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool of a real process closes stale connections; here it would close the test's own."""
    monkeypatch.setattr(tools, "close_old_connections", lambda: None)


@pytest.fixture
def ada() -> User:
    user = User.objects.create_user("ada", password="correct-horse")
    publishing.publish(owner=user.own_owner, user=user, source=SCRIPT, name="greeting", via="cli", now=NOW)
    return user


@contextmanager
def calling(user: User, *scopes: str) -> Iterator[None]:
    """A call with a token of this person."""
    made = tokens.create(user=user, name="agent", scopes=list(scopes), now=NOW)
    row: Any = getattr(made, "token", made)
    access = AccessToken(token="t", client_id=str(row.pk), scopes=list(scopes))
    before = auth_context_var.set(AuthenticatedUser(access))
    try:
        yield
    finally:
        auth_context_var.reset(before)


class TestTools:
    def test_find_and_load_a_pattern(self, ada: User) -> None:
        with calling(ada, "read"):
            found = tools.search_patterns("greeting")
            loaded = tools.load_pattern("ada/greeting")

        assert [pattern["pattern"] for pattern in found["patterns"]] == ["ada/greeting"]
        assert (loaded["version"], loaded["mode"]) == ("1.0.0", "executable")

    def test_start_a_run_and_read_its_result(self, ada: User) -> None:
        with calling(ada, "read", "run"):
            run = tools.start_run("ada/greeting", {"name": "harbour"})
            run_until_idle()
            ended = tools.get_run(run["run"])

        assert (ended["status"], ended["result"]) == ("succeeded", "hello harbour")

    def test_let_a_run_publish_only_what_the_token_may(self, ada: User) -> None:
        with calling(ada, "run"):
            run = tools.start_run("ada/greeting")

        assert Run.objects.get(pk=run["run"]).policy["publish"] is False

    def test_refuse_a_token_without_the_scope(self, ada: User) -> None:
        with calling(ada, "read"), pytest.raises(tools.ToolRefused, match="lacks the scope run"):
            tools.start_run("ada/greeting")

    def test_refuse_a_call_without_a_token(self, ada: User) -> None:
        with pytest.raises(tools.ToolRefused, match="needs a token"):
            tools.search_patterns("greeting")

    def test_say_what_is_not_there_in_words(self, ada: User) -> None:
        with calling(ada, "read"), pytest.raises(tools.ToolRefused, match="nobody/nothing"):
            tools.load_pattern("nobody/nothing")


class TestEndpoint:
    def test_answers_401_without_a_token(self) -> None:
        async def ask() -> httpx2.Response:
            server = make_server()
            application = make_application(server)
            async with server.session_manager.run():
                transport = httpx2.ASGITransport(app=application)
                async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                    return await client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})

        answer = asyncio.run(ask())

        assert answer.status_code == 401
        assert "Bearer" in answer.headers["www-authenticate"]
