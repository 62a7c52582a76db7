"""One factory per noun; each makes the least that is valid and takes what sets the test's thing apart."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from registry.models import Membership, Outcome, Owner, Pattern, PatternVersion, Source, User
from registry.services import analytics, publishing, tokens

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
_numbers = itertools.count(1)


def make_user(name: str = "", **fields: Any) -> User:
    """A person with an owner of the same name."""
    return User.objects.create_user(name or f"person{next(_numbers)}", password="correct-horse", **fields)


def make_admin(name: str = "root") -> User:
    """An administrator of the hub."""
    return User.objects.create_superuser(name, password="correct-horse")


def make_organisation(name: str = "", **members: User) -> Owner:
    """An organisation; keywords are roles: ``make_organisation("lab", admin=ada, member=bob)``."""
    owner = Owner.objects.create(name=name or f"org{next(_numbers)}", kind=Owner.Kind.ORGANISATION)
    for role, user in members.items():
        Membership.objects.create(owner=owner, user=user, role=role)
    return owner


def opl(
    name: str = "vote",
    *,
    version: str = "1.0.0",
    script: str = 'STATE rounds = 3\nEVENT completion:async {agent_id: "judge", prompt: "Vote"} AS vote\nRETURN vote.output',
    **keys: Any,
) -> bytes:
    """An OPL document; ``version=""`` leaves the version out, keywords become keys of the document."""
    lines = ["type: orchestration_pattern", f"name: {name}"]
    if version:
        lines.append(f"version: {version}")
    lines += [f"{key}: {_flow(value)}" for key, value in keys.items()]
    if script:
        lines += ["dsl: |", *(f"  {line}" for line in script.splitlines())]
    return ("\n".join(lines) + "\n").encode()


def _flow(value: Any) -> str:
    import json

    return json.dumps(value)


COMPONENT = b"""---
component_type: behavior
name: teamwork
version: 1.2.0
description: Ways to work together
---

# Teamwork

```
## Relay: Hand it on
STATE stages = ["draft", "polish"]
FOREACH stage IN stages:
  EVENT completion:async {agent_id: stage, prompt: "Do {{stage}}"} AS answer
```

```
## Poll: Ask around
STATE voters = ["a", "b"]
PARALLEL:
  FOREACH voter IN voters:
    EVENT completion:async {agent_id: voter, prompt: "Vote"} AS vote
```
"""


def make_version(
    name: str = "vote", *, user: User | None = None, source: bytes | None = None, now: datetime = NOW, **options: Any
) -> PatternVersion:
    """A published version of ``user``'s pattern ``name``."""
    user = user or make_user()
    owner = options.pop("owner", None) or user.own_owner
    document = {key: options.pop(key) for key in ("script", "tags", "description", "version") if key in options}
    published = publishing.publish(
        owner=owner,
        user=user,
        source=source if source is not None else opl(name, **document),
        via="web",
        now=now,
        **options,
    )
    return published.versions[0].version


def make_pattern(name: str = "vote", **options: Any) -> Pattern:
    """A pattern with one version."""
    return Pattern.objects.get(pk=make_version(name, **options).pattern_id)


def make_token(user: User, *scopes: str, **options: Any) -> str:
    """The secret of a new token."""
    made = tokens.create(user=user, name="test", scopes=scopes or ("read",), now=options.pop("now", NOW), **options)
    return made.secret


def record_runs(
    version: PatternVersion,
    good: int,
    bad: int = 0,
    *,
    reporter: User | None = None,
    source: str = Source.MEASURED,
    at: datetime = NOW,
    **options: Any,
) -> list[Outcome]:
    """``good`` runs that succeeded, then ``bad`` ones that did not, a second apart."""
    return [
        analytics.record_outcome(
            run_key=f"run-{next(_numbers)}",
            version=version,
            source=source,
            succeeded=number < good,
            ended_at=at + timedelta(seconds=number),
            reporter=reporter,
            **options,
        )
        for number in range(good + bad)
    ]
