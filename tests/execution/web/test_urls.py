"""Every page of runs and trials is looked at in a browser; an address that is forgotten there fails here."""

from __future__ import annotations

from execution.web.urls import pages
from tests.execution.web.test_accessibility import RUN_PAGES, TRIAL_PAGES
from tests.registry.web.test_accessibility import names_of_pages

# Acts and data: they answer with a redirect, a fragment of a page above, or a file.
NO_PAGES = {
    "parts", "cancel", "pause", "resume", "answer", "resolve", "mark", "branch", "retry",
    "trial-parts", "trial-report", "trial-pause", "trial-resume",
}  # fmt: skip


class TestEveryPage:
    def test_is_looked_at(self) -> None:
        looked_at = {name.removeprefix("execution:") for name in RUN_PAGES | TRIAL_PAGES | names_of_pages()}

        assert {page.name for page in pages} - looked_at - NO_PAGES == set()
