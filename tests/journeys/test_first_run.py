"""
The main job, as a person does it in a browser: sign in, publish a component, run what it holds, watch, rate.

The component is the seed beside the project (read, never copied): its five
scripts become five patterns, and each is started with changed inputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import browser, browser_page  # noqa: F401  fixtures
from tests.journeys import hubs

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# pattern → the inputs that are changed, as they are typed
CHANGES = {
    "pipeline": {"pipeline_stages": '["gather", "write"]'},
    "scatter-gather": {"documents": '["a.txt", "b.txt"]'},
    "orchestrator-worker": {"worker_pool": '["anna", "bert"]'},
    "consensus": {"participants": '["ada", "bob"]', "max_rounds": "1"},
    "self-improving": {"improvement_threshold": "0.3"},
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hubs.Hub]:
    with hubs.running(tmp_path_factory.mktemp("hub")) as running:
        yield running


def sign_in(page: Any, hub: hubs.Hub) -> None:
    page.goto(f"{hub.url}/accounts/login/")
    page.fill("input[name=username]", hub.username)
    page.fill("input[name=password]", hub.password)
    page.click("main button.primary")


def publish(page: Any, hub: hubs.Hub, file: Path) -> list[str]:
    """Upload a file on the publish page; gives the names of the patterns that appear."""
    page.goto(f"{hub.url}/publish/")
    page.set_input_files("input[type=file]", str(file))
    page.click("main button[name=publish]")
    page.wait_for_selector("h1:has-text('published')")
    links = [link.get_attribute("href") for link in page.query_selector_all("main a[href^='/patterns/']")]
    return [match[1] for href in links if (match := re.match(r"/patterns/[^/]+/([^/]+)/", href))]


def start(page: Any, hub: hubs.Hub, name: str, inputs: dict[str, str]) -> None:
    """Fill the form drawn from the script and start the run."""
    page.goto(f"{hub.url}/patterns/{hub.username}/{name}/run/")
    for field, text in inputs.items():
        page.fill(f"[name='input-{field}']", text)
    page.click("main button[name=start]")
    page.wait_for_url(re.compile(r"/runs/\d+/"))


class TestFirstRun:
    def test_publishes_runs_watches_and_rates(self, hub: hubs.Hub, browser_page: Any, shared: Path) -> None:  # noqa: F811
        page = browser_page
        page.set_default_timeout(90_000)
        sign_in(page, hub)

        names = publish(page, hub, shared / "seeds" / "dsl_orchestration_patterns.md")
        assert sorted(set(names)) == sorted(CHANGES)

        for name, inputs in CHANGES.items():
            start(page, hub, name, inputs)
            # The page is alive: it says by itself when the run has ended.
            page.wait_for_selector("main :text('succeeded')")
            changed = next(iter(inputs.values()))
            page.click("summary:has-text('Inputs')")
            assert re.sub(r"\s", "", changed) in re.sub(r"\s", "", page.inner_text("main"))

        page.goto(f"{hub.url}/patterns/{hub.username}/consensus/rate/")
        page.check("input[name=stars][value='4']", force=True)
        page.fill("textarea", "Reaches a decision in one round.")
        page.click("main button.primary")
        page.goto(f"{hub.url}/patterns/{hub.username}/consensus/discussion/")
        said = page.inner_text("main")
        assert "Reaches a decision in one round." in said
        assert "ran it" in said
        assert page.reported == []
