"""
Bundles: the same statements in a file, for nodes that no wire connects.

A bundle is zstd NDJSON: a first line that says whose it is, then feed lines
without numbers, root documents first, and a last line in which that node signs
all of it. Reading one passes the same checks as a push, and everything in it
goes through the quarantine. Whatever the first line says, only the signature
makes a file count as brought by a peer; without it everything waits for a
person, as if a stranger had brought it.

    export(path, rows); import_(path, now=now)

Source: OPL-Fed/1, "For people"; docs/decisions/0146.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import zstandard
from django.db import transaction

from federation.errors import BadBundle, Unable
from federation.models import Peer, RootDocument, Statement
from federation.protocol import envelope, feed, fields, keys, limits, strictjson
from federation.protocol.feed import BadLine, Line
from federation.protocol.problems import Refused
from federation.services import accepting, identities, offering, scanning, storing
from federation.services.accepting import Outcome
from federation.services.showing import Viewer

FORMAT = "opl-fed-bundle/1"
MOST_STATEMENTS = 100_000
LINE_BYTES = 2 * limits.EQUIVOCATION_BYTES  # a payload of quotes doubles as a JSON string
_BATCH = 500


def choose(*, names: Sequence[str] = (), to: Peer | None = None) -> list[Statement]:
    """
    What a bundle holds: all that may leave, or the releases of these patterns with their withdrawals.

    Args:
        names: ``owner/name`` with or without ``@version``; none for everything.
        to: only what this peer may have; None stands for a stranger, who gets what is public.
    """
    node = identities.node()
    viewer = Viewer.of(to, node) if to is not None else _stranger(node)
    rows = [row for row in Statement.objects.filter(seq__isnull=False).order_by("seq") if viewer.may_have(row)]
    if not names:
        return rows
    wanted = {row.statement_id for row in rows if row.kind == "release" and _is_named(row, names)}
    return [row for row in rows if row.statement_id in wanted or (row.target and row.target in wanted)]


def export(path: Path, rows: Sequence[Statement], *, now: datetime, progress: Callable[[str, int], None]) -> int:
    """
    Write a bundle, signed by this node; answers how many statements stand in it.

    Raises:
        Unable: the file cannot be written.
    """
    releases = [row for row in rows if row.kind != "root"]
    ordered = _with_roots(rows, releases)
    head = {"bundle": FORMAT, "node_id": identities.node().node_id, "created": fields.written(int(now.timestamp())),
            "count": len(ordered)}  # fmt: skip
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as raw, zstandard.ZstdCompressor(level=9).stream_writer(raw) as out:
            seal = hashlib.sha256()
            for number, line in enumerate(_lines(head, ordered)):
                seal.update(line)
                out.write(line)
                if number % _BATCH == _BATCH - 1:
                    progress("written", number)
            out.write(_sealed(seal.hexdigest()))
        temporary.replace(path)
    except OSError as error:
        raise Unable(f"{path} cannot be written: {error.strerror}") from error
    return len(ordered)


def _lines(head: dict[str, Any], rows: Sequence[Statement]) -> Iterator[bytes]:
    yield strictjson.dumps(head) + b"\n"
    for row in rows:
        yield row.line(numbered=False).to_bytes() + b"\n"


def _sealed(digest: str) -> bytes:
    """The last line: this node's signature under everything before it."""
    signers = identities.publish_keys(identities.node().node_id)[:1]
    signed = [envelope.Signature(key.keyid, key.sign(_to_sign(digest))).to_json() for key in signers]
    return strictjson.dumps({"end": FORMAT, "sha256": digest, "sig": signed}) + b"\n"


def _to_sign(digest: str) -> bytes:
    return f"{FORMAT}\n{digest}".encode()


def import_(path: Path, *, now: datetime, progress: Callable[[str, int], None]) -> list[Outcome]:
    """
    Take in a bundle; what is here already is a duplicate, so a file that was cut off is simply read again.

    What it brings is treated as its maker's tier says, where the maker's signature holds, else as a stranger's.

    Raises:
        BadBundle: it is none. What was read before a broken place stays.
    """
    outcomes: list[Outcome] = []
    sender, peer = maker(path)
    lines = _opened(path)
    next(lines)
    batch: list[Line | BadLine] = []
    for raw in lines:
        if not _is_end(raw):
            batch.append(_line(raw, sender))
        if len(batch) == _BATCH:
            outcomes += _take(batch, peer, now=now)
            progress("read", len(outcomes))
            batch = []
    return outcomes + _take(batch, peer, now=now)


def maker(path: Path) -> tuple[str, Peer | None]:
    """
    The node that a bundle says it is of, and that node as a peer where its signature proves it.

    Reads the file once, and keeps nothing of it but a digest.

    Raises:
        BadBundle: it is none.
    """
    lines, seal, last = _opened(path), hashlib.sha256(), b""
    first = next(lines, b"")
    sender = str(_head(first)["node_id"])
    seal.update(first + b"\n")
    for raw in lines:
        if _is_end(raw):
            last = raw
            break
        seal.update(raw + b"\n")
    is_whole = next(lines, None) is None  # what stands behind the signature was not signed
    proven = bool(last) and is_whole and _holds(last, sender, seal.hexdigest())
    return sender, Peer.objects.filter(node_id=sender).first() if proven else None


def _is_end(raw: bytes) -> bool:
    return raw.startswith(b'{"end":')


def _holds(raw: bytes, sender: str, digest: str) -> bool:
    """Whether a last line is signed by the sender, over this digest."""
    chain = identities.chain_of(sender)
    try:
        told = fields.obj(strictjson.loads(raw), "the last line")
        signed = [
            (fields.hex16(each.get("keyid"), "keyid"), base64.b64decode(str(each.get("sig"))))
            for each in (fields.obj(entry, "a signature") for entry in told.get("sig") or ())
        ]
    except (Refused, ValueError, TypeError):
        return False
    trusted = chain.latest.publish_keys.current if chain is not None else {}
    return told.get("sha256") == digest and any(
        keyid in trusted and keys.verify(trusted[keyid], _to_sign(digest), sig) for keyid, sig in signed
    )


def _take(batch: Sequence[Line | BadLine], peer: Peer | None, *, now: datetime) -> list[Outcome]:
    with transaction.atomic():
        found = accepting.accept(batch, peer=peer, now=now, examine=scanning.examine) if batch else []
    storing.number()
    return found


def _line(raw: bytes, sender: str) -> Line | BadLine:
    line = next(iter(feed.read_lines(raw, numbered=False, most=1)), None)
    if line is None:
        return BadLine(None, raw, "schema-invalid", "the line is empty")
    try:
        if isinstance(line, Line):
            feed.judge_via(line.via, sender=sender, own=identities.node().node_id)
    except Refused as refusal:
        return BadLine(None, raw, refusal.code, refusal.detail)
    return line


def _opened(path: Path) -> Iterator[bytes]:
    """The lines of a bundle, counted while they stream."""
    try:
        with path.open("rb") as raw, zstandard.ZstdDecompressor(max_window_size=2**23).stream_reader(raw) as reader:
            rest, count = b"", 0
            while part := reader.read(64 * limits.KIB):
                *whole, rest = (rest + part).split(b"\n")
                for line in whole:
                    count += 1
                    if count > MOST_STATEMENTS + 1:
                        raise BadBundle(f"it holds more than {MOST_STATEMENTS} statements")
                    if line.strip():
                        yield line
                if len(rest) > LINE_BYTES:
                    raise BadBundle(f"a line is longer than {LINE_BYTES} bytes")
            if rest.strip():
                yield rest
    except OSError as error:
        raise BadBundle(f"the file cannot be read: {error.strerror}") from error
    except zstandard.ZstdError as error:
        raise BadBundle(f"the file is not zstd, or was cut off: {error}") from error


def _head(raw: bytes) -> dict[str, Any]:
    try:
        head: dict[str, Any] = fields.obj(strictjson.loads(raw), "the first line")
        fields.node(head.get("node_id"), "node_id")
    except Refused as refusal:
        raise BadBundle(refusal.detail) from refusal
    if head.get("bundle") != FORMAT:
        raise BadBundle(f"its first line does not say {FORMAT}")
    return head


def _with_roots(rows: Sequence[Statement], others: Sequence[Statement]) -> list[Statement]:
    roots = {row.pk: row for row in [*offering.roots_for(others), *(row for row in rows if row.kind == "root")]}
    versions = dict(RootDocument.objects.values_list("statement_id", "version"))
    ordered = sorted(roots.values(), key=lambda row: (row.signer, versions.get(row.statement_id, 0)))
    return [*ordered, *others]


def _is_named(row: Statement, names: Sequence[str]) -> bool:
    return any(each in (row.subject_name, f"{row.subject_name}@{row.version}", row.name) for each in names)


def _stranger(node: Any) -> Viewer:
    return Viewer(
        node_id="", is_own=False, topics=frozenset(node.public_topics), private=frozenset(node.private_topics)
    )
