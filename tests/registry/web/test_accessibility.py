"""Every page in a real Chromium: axe finds nothing, nothing is blocked by the policy, nothing is cut off."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import resolve

from tests.browser import browser, browser_page, sideways, violations  # noqa: F401  fixtures
from tests.registry.web.conftest import World
from tests.registry.web.test_pages import EVERYTHING

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
# Pages of higher apps: what they show of a pattern of ours.
RUNS = ["/runs/", "/patterns/ada/vote/run/", "/patterns/ada/vote/runs/"]
FILES = ("raw", ".csv")
PAGES = [path for path in EVERYTHING if not path.endswith(FILES)] + [*RUNS, "/nothing/"]


def names_of_pages() -> set[str]:
    """The names of the addresses that are looked at here."""
    return {resolve(path.split("?")[0]).view_name for path in PAGES if path != "/nothing/"}


@pytest.fixture
def signed_in(live_server: Any, browser_page: Any, world: World) -> Any:  # noqa: F811
    """A tab in which ada, made administrator, is signed in."""
    world.owner.is_staff = world.owner.is_superuser = True
    world.owner.save()
    client = Client()
    client.force_login(world.owner)
    browser_page.context.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
    )
    return browser_page


class TestEveryPage:
    def test_has_no_violation_in_light_and_dark_at_both_widths(self, live_server: Any, signed_in: Any) -> None:
        found: list[str] = []
        for path in PAGES:
            signed_in.goto(live_server.url + path)
            for width, scheme in ((1280, "light"), (390, "dark")):
                signed_in.set_viewport_size({"width": width, "height": 900})
                signed_in.emulate_media(color_scheme=scheme)
                found += [f"{path} {width} {scheme}: {one}" for one in violations(signed_in)]
                found += [f"{path} {width}: {pixels} px too wide" for pixels in [sideways(signed_in)] if pixels]

        reported = [text for text in signed_in.reported if "404" not in text]
        assert not found, "\n".join(found)
        assert reported == []


class TestKeyboard:
    def test_slash_focuses_the_search(self, live_server: Any, signed_in: Any) -> None:
        signed_in.goto(live_server.url + "/patterns/ada/vote/")

        signed_in.keyboard.press("/")

        assert signed_in.evaluate("document.activeElement.name") == "q"

    def test_escape_closes_a_menu_and_returns_to_it(self, live_server: Any, signed_in: Any) -> None:
        signed_in.goto(live_server.url + "/")
        signed_in.locator("details.menu summary").click()
        assert signed_in.locator("details.menu[open]").count() == 1

        signed_in.keyboard.press("Escape")

        assert signed_in.locator("details.menu[open]").count() == 0


class TestDialogs:
    def test_open_over_the_page_with_scripts(self, live_server: Any, signed_in: Any) -> None:
        signed_in.goto(live_server.url + "/patterns/ada/vote/versions/")

        signed_in.get_by_role("link", name="Promote").first.click()

        dialog = signed_in.locator("dialog[open]")
        dialog.wait_for()
        assert "Everyone who pulls" in dialog.inner_text()


class TestEditor:
    def test_checks_while_typing_and_leads_to_the_place(self, live_server: Any, signed_in: Any) -> None:
        signed_in.goto(live_server.url + "/publish/")
        editor = signed_in.locator("#id_source")

        editor.fill("type: orchestration_pattern\nname: live\nversion: 1.0.0\ndsl: |\n  STATE a = (\n")
        signed_in.locator("#check [data-place]").first.click(timeout=5000)

        line = signed_in.evaluate(
            "document.querySelector('#id_source').value.slice(0, document.querySelector('#id_source').selectionStart).split('\\n').length"
        )
        assert line == 5
