"""Versions and runs for tests of execution; the least that is valid."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from execution.models import Run
from execution.services import starting
from execution.services.clock import to_ms
from opl.script.compiler import compile_script, program_hash
from registry.models import Owner, Pattern, PatternVersion, StoredDocument, User

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
_numbers = itertools.count(1)


def make_user(name: str = "", **fields: Any) -> User:
    """A person with an owner of the same name."""
    return User.objects.create_user(name or f"runner{next(_numbers)}", password="correct-horse", **fields)


def make_version(
    script: str, *, owner: Owner | None = None, name: str = "", now: datetime = NOW, **fields: Any
) -> PatternVersion:
    """A published version of a pattern that is this script."""
    owner = owner or make_user().own_owner
    name = name or f"pattern{next(_numbers)}"
    compiled = compile_script(script, rules=fields.pop("rules", ()), actions=fields.pop("actions", {}))
    assert compiled.program is not None, "\n".join(map(str, compiled.problems))
    pattern = Pattern.objects.create(owner=owner, name=name, created_at=now, updated_at=now)
    source = script.encode()
    document = StoredDocument.objects.create(
        digest=f"{next(_numbers):064x}",
        semantic_digest="0" * 64,
        source=source,
        size_bytes=len(source),
        envelope="script",
        created_at=now,
    )
    version = PatternVersion.objects.create(
        pattern=pattern,
        version="1.0.0",
        source=source,
        semantic_digest="0" * 64,
        document=document,
        envelope="script",
        mode="executable",
        program=compiled.program,
        program_hash=program_hash(compiled.program),
        published_via="cli",
        published_at=now,
        **fields,
    )
    Pattern.objects.filter(pk=pattern.pk).update(newest=version, shown=version)
    return version


def make_run(script: str = "", *, version: PatternVersion | None = None, **options: Any) -> Run:
    """A queued run with simulated agents and seed 7."""
    known = {"now": NOW, "seed": 7, "backend": "simulated", **options}
    return starting.start(version=version or make_version(script), **known)


def scripted(script: str, agents: dict[str, Any], **options: Any) -> Run:
    """A queued run whose agents say what they are told to."""
    policy = {**options.pop("policy", {}), "agents": agents}
    return make_run(script, backend="scripted", policy=policy, **options)


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, at: datetime = NOW) -> None:
        self.now = to_ms(at)

    def __call__(self) -> int:
        return self.now

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * 1000)
