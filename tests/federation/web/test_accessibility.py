"""Every page of the federation in a real Chromium: axe finds nothing, the policy blocks nothing, nothing is cut off."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from federation.services import trusting
from tests.browser import browser, browser_page, sideways, violations  # noqa: F401  fixtures
from tests.federation import makers
from tests.federation.web.conftest import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def signed_in(live_server: Any, browser_page: Any, world: World) -> Any:  # noqa: F811
    """A tab in which the administrator is signed in."""
    client = Client()
    client.force_login(world.root)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    browser_page.context.add_cookies([cookie])
    return browser_page


class TestEveryPage:
    def test_has_no_violation_in_light_and_dark_at_both_widths(
        self, live_server: Any, signed_in: Any, world: World
    ) -> None:
        found: list[str] = []
        for path in world.everywhere:
            signed_in.goto(live_server.url + path)
            for width, scheme in ((1280, "light"), (390, "dark")):
                signed_in.set_viewport_size({"width": width, "height": 900})
                signed_in.emulate_media(color_scheme=scheme)
                found += [f"{path} {width} {scheme}: {one}" for one in violations(signed_in)]
                found += [f"{path} {width}: {pixels} px too wide" for pixels in [sideways(signed_in)] if pixels]

        assert not found, "\n".join(found)
        assert signed_in.reported == []


class TestMeeting:
    def test_shows_the_words_without_violations(
        self, live_server: Any, signed_in: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        identity = makers.node("a new north")
        found = trusting.Met(chain=identity.chain, base_url="https://north.example", features=("push",), contact="ops")
        monkeypatch.setattr(trusting, "meet", lambda url: found)
        signed_in.goto(live_server.url + "/peers/add/")
        signed_in.locator("#id_url").fill("https://north.example")

        signed_in.get_by_role("button", name="Ask who it is").click()

        signed_in.locator(".words").wait_for()
        assert violations(signed_in) == []
        signed_in.set_viewport_size({"width": 390, "height": 900})
        assert sideways(signed_in) == 0


class TestDialogs:
    def test_say_over_the_page_what_changes(self, live_server: Any, signed_in: Any, world: World) -> None:
        signed_in.goto(f"{live_server.url}/peers/{world.south.identity.id}/")

        signed_in.get_by_role("link", name="Block it").click()

        dialog = signed_in.locator("dialog[open]")
        dialog.wait_for()
        assert "answered with 403" in dialog.inner_text()


class TestWhy:
    def test_answers_while_typing(self, live_server: Any, signed_in: Any) -> None:
        signed_in.goto(live_server.url + "/peers/why/")

        signed_in.locator("#why-q").press_sequentially("eve/relay")

        signed_in.locator("#answers li").first.wait_for(timeout=5000)
        assert "/relay@1.0.0" in signed_in.locator("#answers").inner_text()
