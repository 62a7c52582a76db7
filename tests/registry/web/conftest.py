"""Who looks at the pages, and what is there to see."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.core.cache import cache
from django.test import Client

from registry.models import PatternVersion, User
from registry.services import channels, feedback
from tests.registry.factories import NOW, make_organisation, make_user, make_version, record_runs

SCRIPT = """STATE voters = ["a", "b"]
PARALLEL:
  FOREACH voter IN voters:
    EVENT completion:async {agent_id: voter, prompt: "Vote"} AS vote
RETURN vote.output"""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A small registry with a bit of everything."""

    owner: User
    stranger: User
    moderator: User
    first: PatternVersion  # ada/vote@1.0.0
    second: PatternVersion  # ada/vote@1.1.0, stable
    private: PatternVersion  # ada/secret@1.0.0, which only ada may see


@pytest.fixture
def world(db: None) -> World:
    """Two versions with runs, ratings, a thread, an organisation, and something private."""
    cache.clear()
    ada, grace, root = make_user("ada"), make_user("grace"), make_user("root", is_staff=True)
    first = make_version("vote", user=ada, description="Ask and count", tags=["voting"], script=SCRIPT)
    second = make_version(
        "vote", user=ada, description="Ask and count", tags=["voting"], version="1.1.0", script=SCRIPT + "\n# more"
    )
    channels.move(pattern=second.pattern, name="stable", version=second, user=ada, via="web", now=NOW)
    record_runs(second, 8, 2, reporter=grace, cell="task=review", duration_seconds=3.0, failure_type="timeout")
    record_runs(second, 3, source="simulated")
    feedback.rate(version=second, user=grace, stars=4, words="Good **enough**", now=NOW)
    asked = feedback.comment(pattern=second.pattern, user=grace, text="Why two?", now=NOW, version=second)
    feedback.comment(pattern=second.pattern, user=ada, text="Because.", now=NOW, version=second, parent=asked)
    private = make_version("secret", user=ada, visibility="private", script=SCRIPT + "\n# hidden")
    make_organisation("lab", admin=ada)
    return World(owner=ada, stranger=grace, moderator=root, first=first, second=second, private=private)


@pytest.fixture
def as_owner(client: Client, world: World) -> Client:
    """A browser in which ada is signed in."""
    client.force_login(world.owner)
    return client
