"""
Stored values: JSON text in a column, or a blob where it is 512 bytes or more.

``put`` gives what to write into the column, ``load`` the value again. Blobs
that this process has seen are not written again, which is what makes a shape
or a program that thousands of effects share cost nothing.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import zstandard
from django.db import connection

from execution.models.blob import Blob
from execution.models.fields import dumps

BLOB_BYTES = 512
SEEN_DIGESTS = 10_000
SEEN_SECONDS = 600.0  # how long a process trusts that a blob is there; pruning waits for longer


class BlobWriter:
    """
    Collects the blobs of one transaction and writes them in one statement.

    A writer belongs to one thread; ``flush`` is called inside the transaction.
    A digest counts as known only when a later transaction finds it committed.
    """

    def __init__(self) -> None:
        self.pending: dict[str, str] = {}

    def put(self, value: Any, *, always_blob: bool = False) -> str:
        """The column's text for ``value``."""
        return self.put_text(dumps(value), always_blob=always_blob)

    def put_text(self, text: str, *, always_blob: bool = False) -> str:
        """The column's text for a value that is JSON text already (ASCII, so characters are bytes)."""
        if len(text) < BLOB_BYTES and not always_blob:
            return text
        digest = hashlib.sha256(text.encode("ascii")).hexdigest()
        if _seen.get(digest, 0.0) < time.monotonic():
            self.pending[digest] = text
        return "@" + digest

    def flush(self, cursor: Any) -> None:
        """Write what is new."""
        if self.pending:
            cursor.executemany(
                "INSERT INTO execution_blob (digest, size_bytes, data) VALUES (%s, %s, %s) ON CONFLICT (digest)"
                " DO UPDATE SET unused_since = NULL",
                [(digest, len(text), compress(text)) for digest, text in self.pending.items()],
            )

    def committed(self) -> None:
        """The transaction is through: remember the digests."""
        until = time.monotonic() + SEEN_SECONDS
        for digest in self.pending:
            _seen[digest] = until
        while len(_seen) > SEEN_DIGESTS:
            _seen.popitem(last=False)
        self.pending = {}


_seen: OrderedDict[str, float] = OrderedDict()  # digest → until when it counts as known, monotonic seconds


def forget_seen() -> None:
    """Drop what this process knows about blobs; tests that empty the database need it."""
    _seen.clear()


def compress(text: str) -> bytes:
    """zstandard, level 3."""
    # A compressor object must not be used by two threads at once; making one is cheap beside the write.
    return zstandard.ZstdCompressor(level=3).compress(text.encode("utf-8"))


def decompress(data: bytes | memoryview) -> str:
    """The text of ``compress``."""
    return zstandard.ZstdDecompressor().decompress(bytes(data)).decode("utf-8")


def load(stored: str | None) -> Any:
    """The value of one column; None for an empty one."""
    if not stored:
        return None
    if stored[0] != "@":
        return json.loads(stored)
    return json.loads(text_of(stored[1:]))


def text_of(digest: str) -> str:
    """The text of one blob."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT data FROM execution_blob WHERE digest = %s", [digest])
        row = cursor.fetchone()
    if row is None:
        raise Blob.DoesNotExist(f"the blob {digest} is missing from this database")
    return decompress(row[0])


def load_many(columns: Iterable[str | None]) -> list[Any]:
    """The values of several columns with one query for all their blobs."""
    listed = list(columns)
    digests = {column[1:] for column in listed if column and column[0] == "@"}
    texts: dict[str, str] = {}
    for chunk in _chunks(sorted(digests), 500):
        for digest, data in Blob.objects.filter(digest__in=chunk).values_list("digest", "data"):
            texts[digest] = decompress(data)
    return [None if not column else json.loads(texts[column[1:]] if column[0] == "@" else column) for column in listed]


def _chunks(items: list[str], size: int) -> Iterable[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
