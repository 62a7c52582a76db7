"""Every page of the registry is looked at in a browser; an address that is forgotten there fails here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.urls import URLPattern

from registry.web.urls import urlpatterns
from tests.registry.web.test_accessibility import names_of_pages

# Acts and data: they answer with a redirect, a fragment of a page above, or a file.
NO_PAGES = {
    "raw", "analytics-csv", "version", "protect", "rate", "comment", "publish-check", "delete-draft", "draft", "revoke-token",
    "remove-webhook", "approve-webhook", "replay", "resolve-report", "theme", "logout",
}  # fmt: skip


def names(patterns: Iterable[Any]) -> Iterator[str]:
    for one in patterns:
        if isinstance(one, URLPattern):
            yield str(one.name)
        else:
            yield from names(one.url_patterns)


class TestEveryPage:
    def test_is_looked_at(self) -> None:
        looked_at = {name.rpartition(":")[2] for name in names_of_pages()}

        assert set(names(urlpatterns)) - looked_at - NO_PAGES == set()
