"""
The full-text index behind one interface: FTS5 on SQLite, tsvector on PostgreSQL.

One row per pattern: its name and title, its tags, and all other words
(description, insights, rationales). ``match`` gives pattern ids by field, so
that callers can put a hit in the name above one in the body.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from django.db import connection

from registry.models import Pattern

MAX_BODY = 50_000  # characters of a pattern's words that are indexed
MAX_TERMS = 12
_WORD = re.compile(r"[^\W_]+", re.UNICODE)


# What people write is a parameter; ``{place}`` is a number that match_tiers fills in.
_SQLITE_MATCH = (
    "SELECT rowid, {place} FROM registry_pattern_fts WHERE registry_pattern_fts MATCH %s ORDER BY rowid DESC LIMIT %s"
)
_POSTGRES_MATCH = {
    "names": "SELECT pattern_id, {place} FROM registry_pattern_fts "
    "WHERE names @@ to_tsquery('english', %s) ORDER BY pattern_id DESC LIMIT %s",
    "words": "SELECT pattern_id, {place} FROM registry_pattern_fts "
    "WHERE words @@ to_tsquery('english', %s) ORDER BY pattern_id DESC LIMIT %s",
}


class Field(StrEnum):
    """Where the words of a query were found; the order is that of relevance."""

    NAMES = "names"  # name and title
    TAGS = "tags"
    WORDS = "words"  # anywhere


def terms_of(text: str) -> list[str]:
    """The words of a query: letters and digits, folded, without repetition, at most ``MAX_TERMS``."""
    return list(dict.fromkeys(word.casefold() for word in _WORD.findall(text)))[:MAX_TERMS]


def update(pattern: Pattern, *, words: str | None = None) -> None:
    """
    Index a pattern anew, inside the caller's transaction.

    ``words`` are those of its newest version; None keeps what was indexed.
    """
    names = (pattern.name.replace("_", " ").replace("-", " "), pattern.title)
    tags = " ".join(pattern.tag_rows.values_list("tag", flat=True)) + " " + pattern.category
    body = None if words is None else f"{pattern.description}\n{words}"[:MAX_BODY]
    if connection.vendor == "sqlite":
        _update_sqlite(pattern.pk, f"{pattern.name} {names[0]}", names[1], tags, body)
    else:
        _update_postgres(pattern.pk, " ".join(names), tags, body)


def _update_sqlite(pk: int, name: str, title: str, tags: str, body: str | None) -> None:
    with connection.cursor() as cursor:
        if body is None:
            cursor.execute(
                "UPDATE registry_pattern_fts SET name=%s, title=%s, tags=%s WHERE rowid=%s", [name, title, tags, pk]
            )
            return
        cursor.execute("DELETE FROM registry_pattern_fts WHERE rowid=%s", [pk])
        cursor.execute(
            "INSERT INTO registry_pattern_fts (rowid, name, title, tags, body) VALUES (%s,%s,%s,%s,%s)",
            [pk, name, title, tags, body],
        )


def _update_postgres(pk: int, names: str, tags: str, body: str | None) -> None:
    parts = (
        "setweight(to_tsvector('english', %s), 'A') || setweight(to_tsvector('english', %s), 'B')"
        if body is None
        else "setweight(to_tsvector('english', %s), 'A') || setweight(to_tsvector('english', %s), 'B')"
        " || setweight(to_tsvector('english', %s), 'C')"
    )
    values = [names, tags] if body is None else [names, tags, body]
    kept = " || ts_filter(registry_pattern_fts.words, '{c}')" if body is None else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO registry_pattern_fts (pattern_id, names, words) "  # noqa: S608  no foreign text in it
            f"VALUES (%s, to_tsvector('english', %s), {parts}) ON CONFLICT (pattern_id) DO UPDATE "
            f"SET names = excluded.names, words = excluded.words{kept}",
            [pk, names, *values],
        )


def match(terms: Sequence[str], field: Field, *, limit: int) -> list[int]:
    """
    Ids of at most ``limit`` patterns that have every term in ``field``, newest first.

    The last term may be the beginning of a word. Visibility is the caller's business.
    """
    return [pk for pk, _ in match_tiers(terms, (field,), limit=limit)]


def match_tiers(terms: Sequence[str], fields: Sequence[Field], *, limit: int) -> list[tuple[int, int]]:
    """
    (id, place of the field in ``fields``) of at most ``limit`` matches per field; one query.

    An id may come several times, once for each field that matches.
    """
    if not terms or not fields:
        return []
    clause = _sqlite_clause if connection.vendor == "sqlite" else _postgres_clause
    parts: list[str] = []
    values: list[str | int] = []
    for place, field in enumerate(fields):
        sql, query = clause(terms, field)
        parts.append(f"SELECT * FROM ({sql.format(place=place)}) AS t{place}")  # noqa: S608  our own text only
        values += [query, limit]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), values)
        return list(cursor.fetchall())


def _sqlite_clause(terms: Sequence[str], field: Field) -> tuple[str, str]:
    columns = {Field.NAMES: "{name title} : ", Field.TAGS: "{tags} : ", Field.WORDS: ""}[field]
    quoted = [f'"{term}"' for term in terms]
    quoted[-1] += "*"
    return _SQLITE_MATCH, columns + "(" + " AND ".join(quoted) + ")"


def _postgres_clause(terms: Sequence[str], field: Field) -> tuple[str, str]:
    label = {Field.NAMES: "A", Field.TAGS: "B", Field.WORDS: ""}[field]
    column = "names" if field is Field.NAMES else "words"
    weight = "" if column == "names" else label
    queries = [f"{term}:{weight}" if weight else term for term in terms[:-1]]
    queries.append(f"{terms[-1]}:*{weight}")
    return _POSTGRES_MATCH[column], " & ".join(queries)
