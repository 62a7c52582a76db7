"""Every page of the federation is looked at in a browser; an address that is forgotten there fails here."""

from __future__ import annotations

from django.urls import resolve

from federation.web.urls import urlpatterns
from tests.federation.web.conftest import World
from tests.registry.web.test_urls import names

# Acts and files; "create-node" is asked for where there is no node yet.
NO_PAGES = {"try", "retry", "envelope", "create-node", "pause", "sync"}


class TestEveryPage:
    def test_is_looked_at(self, world: World) -> None:
        looked_at = {resolve(path.split("?")[0]).view_name.rpartition(":")[2] for path in world.everywhere}

        assert set(names(urlpatterns)) - looked_at - NO_PAGES == set()
