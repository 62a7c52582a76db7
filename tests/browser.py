"""
A real Chromium for tests and for looking: fixtures, the axe check, screenshots.

    def test_home(live_server, browser_page): ...          # marker `browser`
    python -m tests.browser http://127.0.0.1:8000 out / /patterns/   # PNGs at 1280 and 390 px, light and dark

Playwright runs an event loop in the thread of the test, which Django's ORM
refuses; ``allowing_the_orm`` tells it that this is meant.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.conftest import refuse

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser; raises MissingService where none is installed."""
    path = servers.chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def allowing_the_orm() -> Iterator[None]:
    """Let the ORM be used in a thread that has an event loop."""
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
        else:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium for the tests of one module; skipped without it, failed under REQUIRE_SERVICES=1."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(allowing_the_orm())
        try:
            yield stack.enter_context(chromium())
        except servers.MissingService as missing:
            refuse(missing)


@pytest.fixture
def browser_page(browser: Any) -> Iterator[Any]:
    """A fresh tab of 1280 px; anything the page reports as an error fails the test that has it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.reported = []
    page.on("console", lambda message: page.reported.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.reported.append(str(error)))
    yield page
    context.close()


def violations(page: Any) -> list[str]:
    """What axe finds against WCAG 2.2 A and AA on the page as it is: one line a rule, with where."""
    from axe_playwright_python.sync_playwright import Axe

    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": tags}})
    return [
        f"{rule['id']}: {node['target'][0]}: {node['failureSummary'].splitlines()[-1].strip()}"
        for rule in found.response["violations"]
        for node in rule["nodes"][:3]
    ]


def sideways(page: Any) -> int:
    """How many pixels the page is wider than its window; 0 is right."""
    return int(page.evaluate("Math.max(0, document.documentElement.scrollWidth - innerWidth)"))


def screenshots(base: str, folder: Path, paths: list[str], cookies: list[dict[str, Any]] | None = None) -> list[Path]:
    """Every path at every width in both schemes, as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    taken: list[Path] = []
    with chromium() as browser:
        for width in WIDTHS:
            for scheme in SCHEMES:
                context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
                context.add_cookies(cookies or [])
                page = context.new_page()
                for path in paths:
                    page.goto(base + path)
                    name = path.strip("/").replace("/", "_").replace("?", "_") or "home"
                    taken.append(folder / f"{name[:80]}-{width}-{scheme}.png")
                    page.screenshot(path=taken[-1], full_page=True)
                context.close()
    return taken


if __name__ == "__main__":
    for picture in screenshots(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]):
        print(picture)
