"""Numbers for what may be announced, and a page stored at a price that does not grow with what is held."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from federation.models import Statement, ThisNode
from federation.protocol import feed
from federation.services import accepting, storing
from tests.federation import makers
from tests.federation.conftest import Remote

needs_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="reads the plans of SQLite")


def plans(captured: CaptureQueriesContext) -> Iterator[tuple[str, str]]:
    """(statement, how SQLite goes about it) for everything that was asked of the database."""
    for query in captured.captured_queries:
        if query["sql"].startswith(("SELECT", "INSERT")) and "federation_statement" in query["sql"]:
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN QUERY PLAN " + query["sql"])
                yield query["sql"], "; ".join(str(row[3]) for row in cursor.fetchall())


class TestNumbering:
    def test_gives_root_documents_the_first_numbers(self, node: ThisNode, remote: Remote) -> None:
        lines = [feed.line(each, via=[remote.identity.id]) for each in [*remote.introduced(), remote.release()]]
        with transaction.atomic():
            accepting.accept(lines, peer=remote.row, now=timezone.now())
        Statement.objects.filter(kind="release").update(is_announced=True)
        storing.number()  # the root of this node has its number before anything else waits
        late = Statement.objects.filter(kind="root", seq__isnull=True)
        late.update(is_announced=True)
        Statement.objects.filter(kind="release").update(seq=None)

        waiting = storing.unnumbered(most=10)

        kinds = dict(Statement.objects.values_list("pk", "kind"))
        assert [kinds[pk] for pk in waiting] == ["root", "root", "release"]

    def test_takes_no_more_than_it_is_asked_for(self, node: ThisNode) -> None:
        Statement.objects.update(seq=None)

        assert storing.unnumbered(most=1) == [Statement.objects.get().pk]
        assert storing.unnumbered(most=0) == []

    @needs_sqlite
    def test_does_not_look_through_what_is_in_quarantine(self, node: ThisNode) -> None:
        with CaptureQueriesContext(connection) as captured:
            storing.number()

        assert [plan for sql, plan in plans(captured) if "federation_unnumbered" in plan]
        assert not [plan for sql, plan in plans(captured) if "(seq=?)" in plan]


class TestAPage:
    @needs_sqlite
    def test_is_stored_without_reading_through_all_that_is_held(
        self, remote: Remote, django_capture_on_commit_callbacks: Callable[..., object]
    ) -> None:
        roots = [feed.line(each, via=[remote.identity.id]) for each in remote.introduced()]
        page = [feed.line(remote.release(name=f"ada/echo-{n}"), via=[remote.identity.id]) for n in range(3)] + [
            feed.line(makers.withdrawal("yank", remote.author, "0" * 64), via=[remote.identity.id])
        ]
        with transaction.atomic():
            accepting.accept(roots, peer=remote.row, now=timezone.now())

        with (
            CaptureQueriesContext(connection) as captured,
            django_capture_on_commit_callbacks(execute=True),
            transaction.atomic(),
        ):
            outcomes = accepting.accept(page, peer=remote.row, now=timezone.now())

        assert [outcome.status for outcome in outcomes] == ["accepted"] * 4
        found = list(plans(captured))
        assert found
        for sql, plan in found:
            # Withdrawals by kind are few; releases by kind are everything that was ever held.
            assert "SCAN federation_statement" not in plan or "federation_unnumbered" in plan, sql
            assert "federation_statement_kind" not in plan or "kind\" = 'revoke'" in sql, sql
            assert "(seq=?)" not in plan, sql
