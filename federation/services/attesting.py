"""
Verification between nodes: own reports leave as signed statements, those of others are recomputed here.

A report holds digests, commitments, contrasts and a verdict; no prompt, no
answer, no name of a person. What stands in another node's statement is not
believed because it is signed: its verdict is recomputed from its own pairs,
and shown as attested. It never adopts anything; only trials here do.

    share(now=now)        # sign reports that are new
    recheck(now=now)      # recompute what arrived

Source: OPL-Fed/1, "Objects: statements"; docs/spec 4.4 and 4.5; docs/decisions/0133.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from execution.models import VerificationReport
from execution.shadow import recheck as rechecking
from execution.shadow.errors import ReportRefused
from federation.errors import NoIdentity, NoKeyring, NotFederable
from federation.models import AttestedVerdict, Audience, SharedReport, Statement, ThisNode
from federation.protocol import keys
from federation.protocol import statement as statements
from federation.protocol.kinds import Subject
from federation.protocol.problems import Refused
from federation.services import identities, sharing, storing
from registry.models import Pattern, PatternVersion

log = logging.getLogger(__name__)

SHARED_AT_ONCE = 50
RECHECKED_AT_ONCE = 20  # of one round: a report of thousands of pairs takes a second
_PREFIX = "sha256:"


# ---------------------------------------------------------------- ours


def name() -> str:
    """What a report calls this node; "" before it has an identity (for ``reporting.NAMERS``)."""
    return ThisNode.objects.filter(pk=1).values_list("node_id", flat=True).first() or ""


def sign(data: bytes) -> dict[str, str] | None:
    """This node's signature under a report (for ``reporting.SIGNERS``); None before it has an identity."""
    try:
        found = identities.publish_keys(identities.node().node_id)
    except (NoIdentity, NoKeyring):
        return None
    if not found:
        return None
    key, signature = found[0], base64.b64encode(found[0].sign(data)).decode("ascii")
    return {"keyid": key.keyid, "key": key.public, "sig": signature}


def verify(key: bytes, data: bytes, signature: bytes) -> bool:
    """Whether a report's signature is that of the key it brings (for ``reporting.VERIFIERS``); False for no key."""
    try:
        return keys.verify(keys.public_key(key.hex()), data, signature)
    except Refused:
        return False


def share(*, now: datetime) -> int:
    """Sign reports that were not looked at yet, as far as they may leave; answers how many were signed."""
    node = identities.node()
    if node.is_paused or not node.must_share:
        return 0
    waiting = VerificationReport.objects.filter(shared__isnull=True).select_related(
        "trial__control__pattern", "trial__candidate__pattern"
    )
    return sum(_share(report, node, now=now).statement_id is not None for report in waiting[:SHARED_AT_ONCE])


@transaction.atomic
def _share(report: VerificationReport, node: ThisNode, *, now: datetime) -> SharedReport:
    arms = (report.trial.control, report.trial.candidate)
    reason = next((told for arm in arms if (told := _stays(arm, node))), "")
    statement = None
    if not reason:
        try:
            statement = _signed(report, arms, node, now=now)
        except (NotFederable, Refused) as error:
            reason = str(error)
    return SharedReport.objects.create(report=report, statement=statement, reason=reason[:2_000], decided_at=now)


def _signed(
    report: VerificationReport, arms: tuple[PatternVersion, PatternVersion], node: ThisNode, *, now: datetime
) -> Statement:
    told = json.loads(bytes(report.data))
    predicate = {"node": node.node_id, "report": told}
    subject = Subject(str(told["body"]["candidate"]["name"])[:300], arms[1].digest)
    signed = statements.sign(
        "verification", predicate, subject=subject, signers=identities.publish_keys(node.node_id)[:1]
    )
    is_public = all(_audience(arm) == Audience.PUBLIC for arm in arms)
    row = storing.store_own(signed, now=now, audience=Audience.PUBLIC if is_public else Audience.ORGANISATION)
    recheck_one(row, now=now)
    return row


def _stays(arm: PatternVersion, node: ThisNode) -> str:
    """Why a report about this version does not leave; "" where it may."""
    if _release_of(arm) is not None:
        return ""
    private = set(node.private_topics) & set(arm.pattern.tags)
    if private:
        return f"the topic {sorted(private)[0]} is private here"
    if arm.pattern.visibility == Pattern.Visibility.PRIVATE:
        return f"the pattern {arm.pattern} is private"
    return ""


def _audience(arm: PatternVersion) -> str:
    release = _release_of(arm)
    return str(release.audience) if release is not None else str(sharing.audience_of(arm.pattern))


def _release_of(arm: PatternVersion) -> Statement | None:
    """The foreign release that a version was made of: admitted, or a copy that stands here for its trial."""
    told = arm.provenance.get("statement") if isinstance(arm.provenance, Mapping) else None
    if not isinstance(told, str) or not told:
        return None
    return Statement.objects.filter(statement_id=told, kind="release", peer__isnull=False).defer("payload").first()


# ---------------------------------------------------------------- theirs


def recheck(*, now: datetime) -> int:
    """Recompute verdicts that arrived; answers how many. A round takes a few, so that nobody keeps it busy."""
    waiting = Statement.objects.filter(kind="verification", verdict__isnull=True, erased_at=None).order_by("pk")
    rows = list(waiting[:RECHECKED_AT_ONCE])
    for row in rows:
        recheck_one(row, now=now)
    return len(rows)


def recheck_one(row: Statement, *, now: datetime) -> AttestedVerdict:
    """What the report in a statement comes to, computed from its own pairs."""
    report = row.predicate.get("report")
    report = report if isinstance(report, Mapping) else {}
    body = report.get("body")
    body = body if isinstance(body, Mapping) else {}
    try:
        found = _recomputed(row, report, body)
    except ReportRefused as refused:
        values = {"is_confirmed": False, "problem": str(refused)[:2_000]}
    except Exception as error:  # a report that breaks the arithmetic is its node's fault, and stops no other
        log.exception("the report in %s could not be recomputed", row)
        values = {"is_confirmed": False, "problem": f"it could not be recomputed: {type(error).__name__}"}
    else:
        values = {
            "is_confirmed": True,
            "outcome": found.outcome.value,
            "sentence": found.sentence[:2_000],
            "pairs": found.pairs,
            "missing": found.missing,
        }
    verdict, _ = AttestedVerdict.objects.update_or_create(
        statement=row,
        defaults={
            "node": row.signer,
            "candidate": _hex(body, "candidate") or row.subject_digest,
            "control": _hex(body, "control"),
            "control_name": _member(body, "control", "name")[:300],
            "backend": str(body.get("backend", ""))[:100],
            "ended_at": str(body.get("ended_at", ""))[:32],
            **values,
        },
    )
    return verdict


def _recomputed(row: Statement, report: Mapping[str, Any], body: Mapping[str, Any]) -> rechecking.RecheckResult:
    """
    The recomputed verdict.

    Raises:
        ReportRefused: it does not follow, is about another version than the
            statement says, or was written by another node.
    """
    if body.get("node") not in ("", row.signer):
        raise ReportRefused("node", "was written by another node than the one that signed the statement", "/body/node")
    found = rechecking.recheck(report, _check_with(identities.chain_of(row.signer)), verify=verify)
    if found.candidate != _PREFIX + row.subject_digest:
        raise ReportRefused("subject", "is about another version than the statement says", "/body/candidate")
    return found


def _check_with(chain: Any) -> rechecking.SignatureCheck:
    """Signatures under the node's own keys must hold; those of keys that nobody here knows prove nothing, either way."""
    known: dict[str, bytes] = {}
    if chain is not None:
        trusted = chain.latest.publish_keys
        known = {**trusted.retired, **trusted.current}

    def check(keyid: str, signature: bytes, data: bytes) -> bool:
        raw = known.get(keyid)
        return raw is None or keys.verify(raw, data, signature)

    return check


def _hex(body: Mapping[str, Any], arm: str) -> str:
    told = _member(body, arm, "digest").removeprefix(_PREFIX)
    return told if len(told) == 64 and all(each in "0123456789abcdef" for each in told) else ""


def _member(body: Mapping[str, Any], arm: str, name: str) -> str:
    inner = body.get(arm)
    told = inner.get(name) if isinstance(inner, Mapping) else None
    return told if isinstance(told, str) else ""
