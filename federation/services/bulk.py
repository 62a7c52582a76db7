"""
Many rows at once, by the database driver's own loop.

Django's ``bulk_create`` and ``bulk_update`` build one large expression per row;
a page of five hundred statements spends most of its time there (measured: a
scan of 1,500 objects 22 s, of which 11 s in ``bulk_update``; 0.1 s this way).
Only for rows that this app makes whole: no defaults, no signals.

``among`` asks for any number of values in one query: one parameter for all,
where Django binds each of them and SQLite takes a thousand at most.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from django.db import connection
from django.db.models import DateTimeField, Field, JSONField, Model, QuerySet
from django.db.models.expressions import RawSQL

Row = Mapping[str, Any]


def insert(model: type[Model], rows: Sequence[Row]) -> None:
    """
    Insert rows that all name the same columns.

    Args:
        rows: attribute name (``statement_id`` for a foreign key) → value.
    """
    if not rows:
        return
    names = list(rows[0])
    columns = ", ".join(_column(model, name) for name in names)
    marks = ", ".join(["%s"] * len(names))
    table = connection.ops.quote_name(model._meta.db_table)
    _many(f"INSERT INTO {table} ({columns}) VALUES ({marks})", _values(model, names, rows))  # noqa: S608  names of our own models


def update(model: type[Model], rows: Sequence[Row]) -> None:
    """Set columns of rows by their ``pk``; every row names the same ones."""
    if not rows:
        return
    names = [name for name in rows[0] if name != "pk"]
    key = model._meta.pk
    assert key is not None, "every model here has a primary key"
    changes = ", ".join(f"{_column(model, name)} = %s" for name in names)
    table, pk = connection.ops.quote_name(model._meta.db_table), connection.ops.quote_name(str(key.column))
    values = [(*made, row["pk"]) for made, row in zip(_values(model, names, rows), rows, strict=True)]
    _many(f"UPDATE {table} SET {changes} WHERE {pk} = %s", values)  # noqa: S608  names of our own models


def among(values: Iterable[str]) -> RawSQL:
    """The texts as the right side of ``__in``."""
    if connection.vendor == "postgresql":
        return RawSQL("SELECT unnest(%s::text[])", [list(values)])
    return RawSQL("SELECT value FROM json_each(%s)", [json.dumps(list(values))])


def ancestors(model: type[Model], child: str, parent: str, start: Iterable[str], *, most: int) -> list[str]:
    """
    Everything above ``start`` in a graph whose edges are rows ``(child, parent)``, in one query however deep it is.

    Args:
        most: rows to answer; a graph that has more is cut off there.
    """
    table = connection.ops.quote_name(model._meta.db_table)
    below, above = _column(model, child), _column(model, parent)
    begin = among(start)
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE up(digest) AS ("  # noqa: S608  names of our own models
            f" SELECT {above} FROM {table} WHERE {below} IN ({begin.sql})"
            f" UNION SELECT edge.{above} FROM {table} AS edge JOIN up ON edge.{below} = up.digest)"
            f" SELECT digest FROM up LIMIT {int(most)}",
            begin.params,
        )
        return [row[0] for row in cursor.fetchall()]


def keys_among(model: type[Model], names: Sequence[str], wanted: Iterable[Sequence[str]]) -> list[Any]:
    """
    Primary keys of the rows whose columns ``names`` hold one of the combinations.

    One look into the index on these columns for each; ``IN`` with several
    columns would look for every signer with every name.
    """
    quote, table = connection.ops.quote_name, connection.ops.quote_name(model._meta.db_table)
    key = model._meta.pk
    assert key is not None, "every model here has a primary key"
    source, part = _EXPANDED[connection.vendor]
    on = " AND ".join(f"held.{_column(model, name)} = {part % place}" for place, name in enumerate(names))
    sql = f"SELECT held.{quote(str(key.column))} FROM {source} JOIN {table} held ON {on}"  # noqa: S608  names of our own models
    with connection.cursor() as cursor:
        cursor.execute(sql, [json.dumps([list(each) for each in wanted])])
        return [row[0] for row in cursor.fetchall()]


_EXPANDED = {
    "sqlite": ("json_each(%s) AS wanted", "json_extract(wanted.value, '$[%d]')"),
    "postgresql": ("jsonb_array_elements(%s::jsonb) AS wanted(value)", "(wanted.value ->> %d)"),
}


def insert_for(model: type[Model], row: Row, *, key: str, chosen: QuerySet[Any]) -> None:
    """
    The same row for each of some others, in the order of their keys, without fetching these.

    Args:
        row: what all the new rows have alike.
        key: the foreign key to ``chosen``.
    """
    names = list(row)
    columns = ", ".join(_column(model, name) for name in (key, *names))
    marks = "".join(f", {_cast(model, name)}" for name in names)
    found, values = chosen.order_by().values_list("pk").query.sql_with_params()
    table = connection.ops.quote_name(model._meta.db_table)
    sql = f"INSERT INTO {table} ({columns}) SELECT chosen.*{marks} FROM ({found}) AS chosen ORDER BY 1"  # noqa: S608  names of our own models
    with connection.cursor() as cursor:
        cursor.execute(sql, [*_values(model, names, [row])[0], *values])


def _cast(model: type[Model], name: str) -> str:
    """A parameter with its column's type: a SELECT says nothing of what its parameters are."""
    return f"CAST(%s AS {_field(model, name).db_type(connection)})" if connection.vendor == "postgresql" else "%s"


def _many(sql: str, values: Sequence[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(sql, values)


def _values(model: type[Model], names: Sequence[str], rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    found = [(place, _adapter(_field(model, name))) for place, name in enumerate(names)]
    adapters = [(place, adapt) for place, adapt in found if adapt is not None]
    made = []
    for row in rows:
        values = [row[name] for name in names]
        for place, adapt in adapters:
            values[place] = adapt(values[place])
        made.append(tuple(values))
    return made


def _column(model: type[Model], name: str) -> str:
    return connection.ops.quote_name(str(_field(model, name).column))


def _field(model: type[Model], name: str) -> Field[Any, Any]:
    found = next((each for each in model._meta.concrete_fields if name in (each.attname, each.name)), None)
    assert found is not None, f"{model.__name__} has no column {name}"
    return found


def _adapter(field: Field[Any, Any]) -> Callable[[Any], Any] | None:
    """How the database wants a column's values; None where it takes them as they are."""
    if isinstance(field, JSONField):
        return _json
    if isinstance(field, DateTimeField):
        return _time
    return None


def _json(value: Any) -> str:
    return orjson.dumps(value).decode("utf-8")


def _time(value: datetime | None) -> Any:
    return None if value is None else _stored_time(connection.vendor, value)


@lru_cache(maxsize=64)
def _stored_time(vendor: str, value: datetime) -> Any:
    """Kept: the rows of one batch have one time."""
    return connection.ops.adapt_datetimefield_value(value)
