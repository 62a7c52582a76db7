"""
The hub of the registry benchmark: fills its database, counts queries; told what to do on stdin, a line of JSON each.

The many patterns are copies of one that was published: rows like those that
publishing makes, written by the database itself.
"""

from __future__ import annotations

import json
import os
import random
import sys
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")

COMMON = [
    "vote",
    "review",
    "merge",
    "plan",
    "debate",
    "judge",
    "rank",
    "search",
    "route",
    "draft",
    "critique",
    "summarise",
    "translate",
    "classify",
    "extract",
    "verify",
    "consensus",
    "tournament",
    "cascade",
    "swarm",
    "relay",
    "auction",
    "panel",
    "mentor",
    "scout",
    "editor",
    "planner",
    "oracle",
    "ledger",
    "mosaic",
]
TAGS = [f"tag{n}" for n in range(50)]
OUTCOMES_A_ROLLUP = 25


def source(name: str, *, parts: int = 3) -> str:
    """A small pattern that compiles."""
    line = '  EVENT completion:async {agent_id: "worker", prompt: "Solve part %d"} AS answer%d\n'
    body = "".join(line % (part, part) for part in range(parts))
    return f"type: orchestration_pattern\nname: {name}\nversion: 1.0.0\ndescription: One of many.\ndsl: |\n{body}  RETURN answer1\n"


def main() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(globals()[f"do_{asked.pop('do')}"](**asked)), flush=True)


def do_begin() -> dict[str, Any]:
    """A person with a token, one published pattern, one run that waits for ever."""
    from django.utils import timezone

    from execution.services import starting
    from registry.models import User, Via
    from registry.services import publishing, tokens

    now = timezone.now()
    user = User.objects.create_user("bench", "bench@example.org", "a long passphrase for nobody")
    owner = user.own_owner
    made = publishing.publish(owner=owner, user=user, source=source("first").encode(), via=Via.API, now=now)
    version = made.versions[0].version
    run = starting.start(version=version, user=user, now=now, queue="nobody", is_public=True)
    token = tokens.create(user=user, name="bench", scopes=["read", "publish"], now=now)
    return {"owner": owner.name, "token": token.secret, "run": str(run.pk)}


def do_fill(count: int) -> dict[str, Any]:
    """Patterns up to that number."""
    from django.db import connection, transaction

    from registry.models import Pattern, PatternVersion, StoredDocument

    first = Pattern.objects.get(name="first")
    have, rng = Pattern.objects.count(), random.Random(count)
    numbers = range(have, count)
    place = {n: 10_000_000 + n for n in numbers}  # of a pattern, its version and its document alike
    words = {n: " ".join(rng.choices(COMMON, k=8)) + f" rare{n // 20}x" for n in numbers}
    with transaction.atomic(), connection.cursor() as cursor:
        _copy(
            cursor, StoredDocument, first.newest.document_id, ("id", "digest"), [(place[n], _hex(rng)) for n in numbers]
        )
        rows = [
            (place[n], f"pattern-{n}", words[n], place[n], place[n], rng.random(), rng.randrange(40)) for n in numbers
        ]
        columns = ("id", "name", "description", "newest_id", "shown_id", "success_floor", "ratings_count")
        _copy(cursor, Pattern, first.pk, columns, rows)
        versions = [(place[n], place[n], place[n], _hex(rng), words[n]) for n in numbers]
        _copy(
            cursor,
            PatternVersion,
            first.newest_id,
            ("id", "pattern_id", "document_id", "digest", "description"),
            versions,
        )
        tagged = [(place[n], tag) for n in numbers for tag in rng.sample(TAGS, 2)]
        cursor.executemany("INSERT INTO registry_patterntag (pattern_id, tag) VALUES (%s, %s)", tagged)
        indexed = [(place[n], f"pattern-{n} pattern {n}", "", "", words[n]) for n in numbers]
        cursor.executemany(
            "INSERT INTO registry_pattern_fts (rowid, name, title, tags, body) VALUES (%s,%s,%s,%s,%s)", indexed
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return {"patterns": Pattern.objects.count()}


def _copy(cursor: Any, model: Any, pk: int, changed: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Copies of one row with some columns changed."""
    others = [f.column for f in model._meta.concrete_fields if f.column not in changed]
    names = ", ".join(f'"{name}"' for name in (*changed, *others))
    taken = ", ".join(["%s"] * len(changed) + [f'"{name}"' for name in others])
    table = model._meta.db_table
    cursor.executemany(f'INSERT INTO "{table}" ({names}) SELECT {taken} FROM "{table}" WHERE id = {int(pk)}', rows)


def _hex(rng: random.Random) -> str:
    return rng.randbytes(32).hex()


def do_runs(count: int) -> dict[str, Any]:
    """That many ended runs of the first pattern in their roll-ups: a year of days, contexts and reporters."""
    from datetime import timedelta

    from django.utils import timezone

    from registry.models import DailyRollup, Pattern, Source
    from registry.services import analytics

    pattern, today = Pattern.objects.get(name="first"), timezone.now().date()
    rng = random.Random(1)
    rows = []
    for number in range(count // OUTCOMES_A_ROLLUP):
        day, cell, reporter = number % 365, number // 365 % 10, number // 3650
        good = rng.randint(OUTCOMES_A_ROLLUP // 2, OUTCOMES_A_ROLLUP)
        rows.append(DailyRollup(
            version_id=pattern.newest_id, pattern=pattern, day=today - timedelta(days=day), cell=f"task=kind{cell}",
            source=Source.MEASURED, reporter_key=f"user:{reporter}", runs=OUTCOMES_A_ROLLUP, successes=good,
            duration_seconds_sum=60.0, cost_usd_sum=0.5, tokens_sum=9_000, failures={"timeout": OUTCOMES_A_ROLLUP - good},
        ))  # fmt: skip
    DailyRollup.objects.bulk_create(rows, batch_size=2_000)
    rate = analytics.rates_by_version(pattern)
    return {"rollups": len(rows), "versions": len(rate)}


def do_queries(path: str) -> dict[str, Any]:
    """How many queries one page costs."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        answer = Client(SERVER_NAME="127.0.0.1").get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return {"queries": len(captured)}


if __name__ == "__main__":
    main()
