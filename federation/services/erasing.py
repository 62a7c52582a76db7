"""
Erasure: a text goes from everywhere this node keeps or shows it; what stays is a tombstone with its digests.

Taken are the signed payload, the text of every version that was made of it
(admitted, announced, tried, translated) with what was read from it, findings
with their excerpts, the search index, dead letters, segments, and a proof of
contradiction that quotes it. Kept are statement id, digests, name, version,
author, descent and the reason: nothing with the same name and number comes
back, whoever sends it, and what descends from it still says so.

Source: OPL-Fed/1, "Objects: statements"; docs/decisions/0132.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Q

from federation.models import (
    AttestedVerdict,
    DeadLetter,
    QuarantineItem,
    QuarantineStep,
    SharedVersion,
    Statement,
    UsageClaim,
)
from federation.protocol import equivocation, strictjson
from federation.protocol.quarantine import Event
from federation.protocol.statement import PREDICATE_PREFIX, PREDICATE_SUFFIX, STATEMENT_TYPE
from registry.discovery import index
from registry.models import Pattern, PatternVersion, StoredDocument

ERASED = "its text was erased since"
# Of a release: what names it, and nothing it says.
_KEPT = ("author", "origin", "name", "version", "source_digest", "semantic_digest", "lineage", "propagate", "created")
_SMALL = frozenset({"verification", "usage", "translation"})
_SIGNERS = ("author", "node", "created")
_EMPTY: dict[str, Any] = {
    "source": "", "requires": {"events": [], "roles": [], "functions": []}, "learned_from": None, "license": None,
    "topics": [],
}  # fmt: skip
_BLANK_VERSION: dict[str, Any] = {
    "source": b"", "program": None, "value": {}, "inputs": [], "title": "", "description": "", "author_name": "",
    "claims": {}, "claim_flags": [], "success_when": "", "score": "", "verification": {}, "adaptive_rules": [],
}  # fmt: skip


def erase(target: Statement, versions: Iterable[PatternVersion], *, now: datetime) -> None:
    """Take what a statement says; inside the transaction of the erasure. Again is the same. Keys and proofs stay."""
    from federation.services import segmenting

    if target.kind in _SMALL:
        _forget_small(target)
        segmenting.forget(target.seq)
        bury(target, {name: target.predicate[name] for name in _SIGNERS if name in target.predicate}, now=now)
    elif target.kind == "release":
        _erase_release(target, versions, now=now)


def _forget_small(target: Statement) -> None:
    """What was counted or shown of a claim, a verdict or a lens."""
    from federation.services import statistics

    AttestedVerdict.objects.filter(statement=target).delete()
    for claim in UsageClaim.objects.filter(statement=target):
        statistics.forget(claim)


def _erase_release(target: Statement, versions: Iterable[PatternVersion], *, now: datetime) -> None:
    from federation.services import segmenting

    rows = {version.pk: version for version in [*versions, *_tried(target)]}
    _forget_versions(list(rows.values()))
    QuarantineItem.objects.filter(statement=target).update(findings=[], capabilities=[], missing={}, lenses=[])
    # A step is never changed, but for what a scan quoted of the text.
    QuarantineStep.objects.filter(item__statement=target, event=str(Event.SCAN_FINISHED)).update(reason=ERASED)
    SharedVersion.objects.filter(Q(statement=target) | Q(pattern_version__in=list(rows))).update(findings=[])
    DeadLetter.objects.filter(key=target.statement_id).delete()
    lowest = [target.seq, *(_erase_proof(proof, now=now) for proof in _proofs_with(target))]
    for seq in lowest:
        segmenting.forget(seq)
    bury(target, _release_tombstone(target.predicate), now=now)


def bury(row: Statement, predicate: dict[str, Any], *, now: datetime) -> None:
    """Put a tombstone in the place of a payload; shown to nobody, and believed by nobody: its signatures are gone."""
    told = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": row.subject_name, "digest": {"sha256": row.subject_digest}}],
        "predicateType": f"{PREDICATE_PREFIX}{row.kind}{PREDICATE_SUFFIX}",
        "predicate": predicate,
    }
    row.payload, row.signatures, row.topics = strictjson.dumps(told), [], []
    row.is_held_back, row.erased_at = True, row.erased_at or now
    row.save(update_fields=["payload", "signatures", "topics", "is_held_back", "erased_at"])


def _release_tombstone(predicate: dict[str, Any]) -> dict[str, Any]:
    return {name: predicate[name] for name in _KEPT if name in predicate} | _EMPTY


def _tried(target: Statement) -> list[PatternVersion]:
    """Copies that stood in the registry for a trial, and every other version that names this statement."""
    return list(PatternVersion.objects.filter(provenance__statement=target.statement_id).select_related("document"))


def _forget_versions(versions: list[PatternVersion]) -> None:
    keys = [version.pk for version in versions]
    PatternVersion.objects.filter(pk__in=keys).update(**_BLANK_VERSION)
    documents = StoredDocument.objects.filter(pk__in={version.document_id for version in versions})
    # A document that another version or a profile still stands on keeps its bytes: they were not erased there.
    used = documents.filter(Q(versions__in=PatternVersion.objects.exclude(pk__in=keys)) | Q(profiles__isnull=False))
    documents.exclude(pk__in=list(used.values_list("pk", flat=True))).update(source=b"", name="", value={}, problems=[])
    for pattern in Pattern.objects.filter(pk__in={version.pattern_id for version in versions}):
        _forget_pattern(pattern)


def _forget_pattern(pattern: Pattern) -> None:
    """Title, description and index of a pattern come from its newest version; none is left of one that is all erased."""
    if PatternVersion.objects.filter(pattern=pattern).exclude(source=b"").exists():
        shown = PatternVersion.objects.filter(pattern=pattern).exclude(source=b"").order_by("-sort_key").first()
        title, description = (shown.title, shown.description) if shown is not None else ("", "")
    else:
        title, description = "", ""
    if not pattern.description_edited:
        pattern.title, pattern.description = title, description
        pattern.save(update_fields=["title", "description"])
    index.update(pattern, words=description)


def _proofs_with(target: Statement) -> list[Statement]:
    """Proofs of contradiction that quote this release."""
    rows = Statement.objects.filter(kind="equivocation", subject_name=target.subject_name, erased_at=None)
    return [row for row in rows if target.statement_id in {each.id for each in equivocation.opened(row.read())}]


def _erase_proof(proof: Statement, *, now: datetime) -> int | None:
    read = proof.read()
    ids = sorted(each.id for each in equivocation.opened(read))
    bury(proof, {"node": read.predicate["node"], "statements": ids}, now=now)
    return proof.seq
