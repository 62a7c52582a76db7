"""
Verifying, as a person does it in a browser: from a pattern's page to a verdict that anyone can recompute.

The library's second tournament meets the plain one, offline, with simulated
agents. The report is downloaded like any file, `manage.py recheck` confirms
it, and refuses it with a byte changed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import browser, browser_page, violations  # noqa: F401  fixtures
from tests.conftest import ROOT
from tests.journeys import hubs
from tests.journeys.test_first_run import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hubs.Hub]:
    with hubs.running(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def page(hub: hubs.Hub, browser_page: Any) -> Any:  # noqa: F811
    browser_page.set_default_timeout(30_000)
    sign_in(browser_page, hub)
    return browser_page


def decided(page: Any) -> str:
    """Wait on the trial's page, which draws itself anew, until there is a verdict; the word in its pill."""
    page.wait_for_url(re.compile(r"/trials/\d+/"))
    page.wait_for_selector("#trial-head a[download]", timeout=180_000)
    return str(page.inner_text("#trial-head .pill >> nth=0")).splitlines()[-1].strip()


def recheck(file: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """What anybody would do with the file, on any machine: no database of the hub is needed."""
    environment = {**os.environ, "HUB_DATA": str(folder), "DATABASE_URL": f"sqlite:///{folder}/none.sqlite3"}
    command = [sys.executable, "manage.py", "recheck", str(file)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


class TestTournament:
    def test_from_its_page_to_a_verdict_that_recheck_confirms(self, hub: hubs.Hub, page: Any, tmp_path: Path) -> None:
        page.goto(f"{hub.url}/patterns/library/tournament_v2/")

        page.click("main a.button:has-text('Verify')")
        chosen = [page.input_value(f"[name={arm}]") for arm in ("candidate", "control")]
        expected = page.inner_text("#expected")
        page.click("main button[name=start]")
        word = decided(page)
        with page.expect_download() as downloading:
            page.click("#trial-head a[download]")
        report = tmp_path / downloading.value.suggested_filename
        downloading.value.save_as(report)

        # The older edition stands; the one that one looked at wants in.
        assert re.fullmatch(r"2\.\d+\.\d+", chosen[0]) and re.fullmatch(r"library/tournament@1\.\d+\.\d+", chosen[1])
        assert re.search(r"\d+ pairs expected, 400 at most\s+about \$", expected) or "cost not known yet" in expected
        assert word in {"better", "no gain", "undecided", "worse", "breaks a limit"}
        assert json.loads(report.read_bytes())
        confirmed = recheck(report, tmp_path)
        assert confirmed.returncode == 0, confirmed.stdout + confirmed.stderr
        changed = bytearray(report.read_bytes())
        place = changed.index(b'"digest"') + 12
        changed[place] = ord("0") if changed[place] != ord("0") else ord("1")
        report.write_bytes(changed)
        refused = recheck(report, tmp_path)
        assert refused.returncode != 0, refused.stdout
        assert page.reported == []

    def test_shows_the_evidence_while_it_runs_and_after(self, hub: hubs.Hub, page: Any) -> None:
        page.goto(f"{hub.url}/patterns/library/tournament/verify/?candidate=1.1.0&control=1.1.0")
        page.check("input[name=profile][value=quick]")
        page.click("main button[name=start]")

        word = decided(page)

        # The same version on both sides is never adopted, whatever the numbers say.
        assert word not in {"better", "better in part"}
        assert page.locator("#trial-head a:text-is('Adopt')").count() == 0
        assert page.locator("figure.chart svg polyline").count() >= 5
        assert "proven at" in page.inner_text("#trial-data")
        assert violations(page) == []
