"""
Several threads publish at once, in a process and a database of their own; prints what came of it as JSON.

    HUB_DATA=/tmp/x DATABASE_URL=… python -m tests.registry.racing

Apart from the suite because its database lives in memory, where threads do not meet as they do in a file.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from registry.models import Channel, Owner, Pattern, PatternVersion, User  # noqa: E402
from registry.services import publishing  # noqa: E402
from tests.registry.factories import NOW, make_user, opl  # noqa: E402

THREADS = 8


def at_once(work: Callable[[int], str]) -> dict[str, int]:
    """What eight threads answered that set out together: outcome → how often."""
    start, outcomes = threading.Barrier(THREADS), Counter[str]()

    def one(number: int) -> None:
        start.wait()
        try:
            outcomes[work(number)] += 1
        except Exception as error:
            outcomes[f"{type(error).__name__}: {error}"[:200]] += 1
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(outcomes)


def publish(owner: Owner, user: User, source: bytes) -> str:
    """Publish; "new" or "known", or the code of the refusal."""
    try:
        done = publishing.publish(owner=owner, user=user, source=source, via="api", now=NOW)
    except publishing.VersionTaken as refused:
        return refused.code
    return "new" if done.created else "known"


def main() -> None:
    """Three races, each of eight threads."""
    call_command("migrate", verbosity=0)
    user = make_user("ada")
    owner = user.own_owner
    same = at_once(lambda number: publish(owner, user, opl(name="same")))
    other = at_once(lambda number: publish(owner, user, opl(name="other", script=f"RETURN {number}")))
    apart = at_once(
        lambda number: publish(owner, user, opl(name="apart", version=f"1.{number}.0", script=f"RETURN {number}"))
    )
    rows = Counter(PatternVersion.objects.values_list("pattern__name", flat=True))
    latest = Channel.objects.get(pattern__name="apart", name="latest").version.version
    newest = Pattern.objects.get(name="apart").newest
    heads = [latest, newest.version if newest else None]
    print(json.dumps({"same": same, "other": other, "apart": apart, "rows": rows, "heads": heads}))


if __name__ == "__main__":
    main()
