"""The library as a person tries it in a browser: every pattern from the form as it stands, offline, to a result."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import browser, browser_page  # noqa: F401  fixtures
from tests.conftest import ROOT
from tests.journeys import hubs
from tests.journeys.test_first_run import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAMES = sorted(path.stem for path in (ROOT / "library").glob("*.yaml"))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hubs.Hub]:
    with hubs.running(tmp_path_factory.mktemp("hub")) as running:
        yield running


class TestLibrary:
    @pytest.mark.timeout(600)
    def test_runs_from_the_form_as_it_stands(self, hub: hubs.Hub, browser_page: Any, tmp_path: Path) -> None:  # noqa: F811
        page = browser_page
        page.set_default_timeout(60_000)
        sign_in(page, hub)
        ended = {}

        for name in NAMES:
            page.goto(f"{hub.url}/patterns/library/{name}/run/")
            page.click("main button[name=start]")
            page.wait_for_url(re.compile(r"/runs/\d+/"))
            page.wait_for_selector("main :text('succeeded')")
            ended[name] = page.inner_text("main")

        assert len(ended) == len(NAMES) >= 20
        assert [name for name, text in ended.items() if "simulated" not in text] == []
        assert "winner" in ended["tournament_v2"]
        assert page.reported == []

    def test_says_what_a_run_takes(self, hub: hubs.Hub, browser_page: Any) -> None:  # noqa: F811
        browser_page.goto(f"{hub.url}/patterns/library/tournament_v2/")

        text = browser_page.inner_text("main")
        assert re.search(r"26 completions, \d+ tokens a run, the mean of 20 runs with simulated agents", text)
