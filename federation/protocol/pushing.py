"""
Offering statements to a peer: only those it lacks, in transactions that may be repeated.

Source: OPL-Fed/1, "Endpoints", "Requests and answers".
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from hashlib import sha256
from typing import Any

from federation.protocol import feed, fields, limits, strictjson
from federation.protocol.exchange import Answer, Ask, Result, Session, Settled, Step, Summary, fetched, judged
from federation.protocol.feed import Line


def push(lines: Sequence[Line], *, ask_first: bool = True) -> Session:
    """
    Offer statements to a peer, in order, and only those it lacks.

    The transaction number is the hash of the content, so a push that is
    repeated after a crash is the same transaction and finds its receipt.
    """
    wanted = list(lines)
    if ask_first:
        missing = yield from _have([line.envelope.id for line in lines])
        wanted = [line for line in lines if line.envelope.id in missing]
    accepted, rejected = 0, dict[str, int]()
    duplicate = len(lines) - len(wanted)
    for body, count in _batches(wanted):
        txn = sha256(body).hexdigest()[:32]
        asked = Ask(method="PUT", path=f"/fed/v1/push/{txn}", body=body, content_type=feed.CONTENT_TYPE)
        results = judged(_results, fetched((yield asked)).body, txn, count)
        yield Settled(txn=txn, results=results)
        accepted += sum(result.status == "accepted" for result in results)
        duplicate += sum(result.status == "duplicate" for result in results)
        for result in results:
            if result.status == "rejected":
                rejected[str(result.code)] = rejected.get(str(result.code), 0) + 1
    return Summary(accepted=accepted, duplicate=duplicate, rejected=rejected)


def _have(ids: Sequence[str]) -> Generator[Step, Answer | None, set[str]]:
    missing: set[str] = set()
    for start in range(0, len(ids), limits.HAVE_IDS):
        batch = ids[start : start + limits.HAVE_IDS]
        answer = fetched((yield Ask(method="POST", path="/fed/v1/have", body=strictjson.dumps({"ids": list(batch)}))))
        missing |= judged(_missing, answer.body)
    return missing


def _missing(body: bytes) -> set[str]:
    members = fields.obj(strictjson.loads(body), "the answer")
    missing = members.get("missing")
    if not isinstance(missing, list):
        strictjson.refuse("missing must be a list")
    return {fields.statement_id(each, "missing[]") for each in missing}


def _batches(lines: Iterable[Line]) -> Iterable[tuple[bytes, int]]:
    """Bodies of at most 100 lines and 4 MiB, with the number of their lines."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        raw = line.to_bytes() + b"\n"
        if batch and (len(batch) == limits.PUSH_ITEMS or size + len(raw) > limits.PAGE_BYTES):
            yield b"".join(batch), len(batch)
            batch, size = [], 0
        batch.append(raw)
        size += len(raw)
    if batch:
        yield b"".join(batch), len(batch)


def _results(body: bytes, txn: str, count: int) -> tuple[Result, ...]:
    members = fields.obj(strictjson.loads(body), "the answer")
    results = members.get("results")
    if members.get("txn") != txn or not isinstance(results, list) or len(results) != count:
        strictjson.refuse("the answer to a push repeats its txn and has one result per line")
    return tuple(_result(fields.obj(entry, "a result")) for entry in results)


def _result(entry: dict[str, Any]) -> Result:
    status = entry.get("status")
    if status not in ("accepted", "duplicate", "rejected"):
        strictjson.refuse("a result is accepted, duplicate or rejected")
    code = entry.get("code")
    if status == "rejected" and not isinstance(code, str):
        strictjson.refuse("a rejected line names a code")
    given = entry.get("id")
    return Result(
        id=None if given is None else fields.statement_id(given, "id"),
        status=status,
        code=code if isinstance(code, str) else None,
        detail=str(entry.get("detail", ""))[:2_000],
    )
