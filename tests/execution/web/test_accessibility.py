"""The pages of a run in a real Chromium: alive, waiting for a person, and ended."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from execution.services import starting
from execution.worker import run_until_idle
from tests.browser import browser, browser_page, sideways, violations  # noqa: F401  fixtures
from tests.execution.web.test_pages import BROKEN, SCRIPT
from tests.registry.factories import make_user, make_version

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


class TestRunPages:
    def test_have_no_violation_in_light_and_dark_at_both_widths(self, live_server: Any, browser_page: Any) -> None:  # noqa: F811
        ada = make_user("ada")
        client = Client()
        client.force_login(ada)
        cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
        browser_page.context.add_cookies([cookie])
        versions = [
            make_version(name, user=ada, script=text) for name, text in (("asking", SCRIPT), ("broken", BROKEN))
        ]
        runs = [starting.start(version=version, user=ada, now=version.published_at, seed=7) for version in versions]
        run_until_idle()
        found = []
        for path in [*(f"/runs/{run.pk}/" for run in runs), f"/runs/{runs[0].pk}/effects/1/", "/", "/health/"]:
            browser_page.goto(live_server.url + path)
            for width, scheme in ((1280, "light"), (390, "dark")):
                browser_page.set_viewport_size({"width": width, "height": 900})
                browser_page.emulate_media(color_scheme=scheme)
                found += [f"{path} {width} {scheme}: {one}" for one in violations(browser_page)]
                found += [f"{path} {width}: {pixels} px too wide" for pixels in [sideways(browser_page)] if pixels]

        # The live stream belongs to the asynchronous part of the hub, which this server does not have.
        reported = [text for text in browser_page.reported if "404" not in text and "MIME type" not in text]
        assert not found, "\n".join(found)
        assert reported == []
