"""
Recompute a report's verdict from its contrasts; refuse it when anything differs.

Checked in turn: the bytes are the one spelling of this report; the digest is
the body's; the shape is complete; the seed opens its commitment and gives the
order of the arms; the inputs give theirs; and the curve, every test, the
estimates and the verdict follow from plan and pairs. Signatures are checked by
the caller's function, which knows whose keys to trust.

``recheck`` gives a result or raises ``ReportRefused``, for any bytes whatever.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

from execution.shadow.assessment import assess
from execution.shadow.contrast import Metric, rounded
from execution.shadow.enrolment import SEED_BYTES, commitment_of, first_arm, inputs_commitment
from execution.shadow.errors import PlanInvalid, ReportRefused
from execution.shadow.evidence import Pair
from execution.shadow.judge import Examination, sign_test
from execution.shadow.plan import Guardrail, Mode, TrialPlan
from execution.shadow.report import TYPE, conclusions, digest_of, dump, signed_bytes
from execution.shadow.shape import Reader, fits
from execution.shadow.verdict import Health, Outcome

MOST_BYTES = 16 * 2**20
MOST_JUDGED = 100_000
# Another machine's logarithm may differ in the last digit that a report keeps.
_TOLERANCE = 2e-6

SignatureCheck = Callable[[str, bytes, bytes], bool]  # (keyid, signature, signed bytes) → whether it is good
Verify = Callable[[bytes, bytes, bytes], bool]  # (public key, signed bytes, signature) → whether it is the key's
KEY_BYTES = 32  # of an Ed25519 public key


@dataclass(frozen=True, slots=True, kw_only=True)
class RecheckResult:
    """A report that says what its pairs say."""

    outcome: Outcome  # the verdict, recomputed
    sentence: str  # the verdict in words, recomputed
    digest: str  # of the body
    trial: str  # the trial's id on its node
    control: str  # digest of the control's version
    candidate: str  # digest of the candidate's version
    pairs: int  # pairs that count
    missing: int  # pairs lost
    signed_by: tuple[str, ...]  # key ids whose signatures the caller's check confirmed
    unchecked: tuple[str, ...]  # key ids whose signatures nobody could check


def recheck(
    report: bytes | str | Mapping[str, Any],
    check_signature: SignatureCheck | None = None,
    *,
    verify: Verify | None = None,
) -> RecheckResult:
    """
    Recompute the verdict of a report.

    Args:
        report: the file's bytes, which must be its one spelling; or a report
            that was already parsed.
        check_signature: decides on each signature, by who is trusted.
        verify: decides on those that bring the public key they name. What
            neither of the two looked at is listed as unchecked.

    Raises:
        ReportRefused: ``reason`` says at which step.
    """
    parsed = _parsed(report)
    body = _opened(parsed)
    try:
        return _recomputed(parsed, body, _signatures(parsed, check_signature, verify))
    except (PlanInvalid, ValueError, OverflowError) as error:
        raise ReportRefused("shape", str(error), "/body") from None


def _parsed(report: bytes | str | Mapping[str, Any]) -> Mapping[str, Any]:
    """The report as data; its bytes, if it came as bytes, are exactly how it is written."""
    if isinstance(report, Mapping):
        return report
    raw = report.encode("utf-8", "surrogatepass") if isinstance(report, str) else bytes(report)
    if len(raw) > MOST_BYTES:
        raise ReportRefused("size", f"is larger than {MOST_BYTES // 2**20} MiB")
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        raise ReportRefused("json", "is not JSON; a report is one JSON object") from None
    if not isinstance(parsed, dict):
        raise ReportRefused("json", "is not a JSON object")
    if _canonical(parsed) != raw:
        raise ReportRefused("spelling", "is not spelled as reports are; take the file as it was downloaded")
    return parsed


def _canonical(parsed: Mapping[str, Any]) -> bytes:
    try:
        return dump(parsed)
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeError):
        raise ReportRefused("json", "holds a value that canonical JSON cannot") from None


def _opened(parsed: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body, once its digest is right and the envelope holds nothing else."""
    if set(parsed) != {"body", "digest", "signatures"}:
        raise ReportRefused("shape", "holds body, digest and signatures, and nothing else")
    body = parsed["body"]
    if not isinstance(body, dict) or body.get("type") != TYPE:
        raise ReportRefused("shape", f"is not of type {TYPE}", "/body/type")
    _canonical(body)
    if parsed["digest"] != digest_of(body):
        raise ReportRefused("digest", "the body was changed after it was written", "/digest")
    return body


def _recomputed(
    parsed: Mapping[str, Any], body: Mapping[str, Any], signatures: tuple[tuple[str, ...], tuple[str, ...]]
) -> RecheckResult:
    reader = Reader(body, "/body")
    plan = plan_from_json(reader.object("plan"))
    seed = _seed(reader)
    pairs = _pairs(reader, seed)
    if reader.text("inputs_commitment") != inputs_commitment(pair.input_id for pair in pairs):
        raise ReportRefused("inputs", "the inputs are not those committed to", "/body/inputs_commitment")
    control, candidate = reader.object("control").text("digest"), reader.object("candidate").text("digest")
    found = assess(plan, pairs, _health(reader.object("health")), same_version=control == candidate)
    if found.verdict.position != len(pairs):
        raise ReportRefused("verdict", "lists pairs behind its verdict, or too few for it", "/body/pairs")
    for name, value in conclusions(found).items():
        _same(body.get(name), value, f"/body/{name}")
    fits(body)
    return RecheckResult(
        outcome=found.verdict.outcome,
        sentence=found.verdict.sentence,
        digest=str(parsed["digest"]),
        trial=reader.text("trial"),
        control=control,
        candidate=candidate,
        pairs=found.verdict.pairs,
        missing=found.verdict.missing,
        signed_by=signatures[0],
        unchecked=signatures[1],
    )


def _signatures(
    parsed: Mapping[str, Any], check: SignatureCheck | None, verify: Verify | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Key ids confirmed and key ids unchecked; one bad signature refuses the report."""
    confirmed: list[str] = []
    unchecked: list[str] = []
    for row in Reader(parsed, "").objects("signatures"):
        keyid, signature, key = row.text("keyid"), _base64(row.text("sig"), row.pointer), _key(row)
        good = check is None or check(keyid, signature, signed_bytes(parsed))
        if good and verify is not None and key is not None:
            good = verify(key, signed_bytes(parsed), signature)
        if not good:
            raise ReportRefused("signature", f"the signature of key {keyid} does not fit", row.pointer)
        looked_at = check is not None or (verify is not None and key is not None)
        (confirmed if looked_at else unchecked).append(keyid)
    return tuple(confirmed), tuple(unchecked)


def _key(row: Reader) -> bytes | None:
    """The public key that a signature brings, which must be the one it names; None where it brings none."""
    if not row.has("key"):
        row.only("keyid", "sig")
        return None
    row.only("keyid", "key", "sig")
    spelled = row.text("key")
    if len(spelled) != 2 * KEY_BYTES or not set(spelled) <= set("0123456789abcdef"):
        raise ReportRefused("signature", f"a key is {2 * KEY_BYTES} lowercase hex digits", row.pointer)
    key = bytes.fromhex(spelled)
    if hashlib.sha256(key).hexdigest()[:32] != row.text("keyid"):
        raise ReportRefused("signature", f"what it brings is not the key {row.text('keyid')}", row.pointer)
    return key


def _base64(text: str, pointer: str) -> bytes:
    """Standard base64 in its one spelling: stray bits at the end would make two files of one signature."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw or base64.b64encode(raw).decode() != text:
        raise ReportRefused("signature", "is not base64", pointer)
    return raw


def _seed(reader: Reader) -> bytes:
    try:
        seed = bytes.fromhex(reader.text("seed"))
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES or seed.hex() != reader.text("seed"):
        raise ReportRefused("seed", f"is {SEED_BYTES} bytes in lower-case hex", "/body/seed")
    if reader.text("seed_commitment") != commitment_of(seed):
        raise ReportRefused("seed", "the seed does not open its commitment", "/body/seed_commitment")
    return seed


def _pairs(reader: Reader, seed: bytes) -> list[Pair]:
    """The pairs, positions 1, 2, 3 …, each with the arm order that the seed gives."""
    rows = reader.objects("missing")
    reasons = {row.whole("n"): row.text("reason") for row in rows}
    if len(reasons) != len(rows) or not all(reasons.values()):
        raise ReportRefused("shape", "names each missing pair once, with a reason", "/body/missing")
    pairs = [_pair(row, position, seed, reasons) for position, row in enumerate(reader.objects("pairs"), 1)]
    if any(not 1 <= position <= len(pairs) for position in reasons):
        raise ReportRefused("shape", "names a pair that was never enrolled", "/body/missing")
    return pairs


def _pair(row: Reader, position: int, seed: bytes, reasons: Mapping[int, str]) -> Pair:
    if row.whole("n") != position:
        raise ReportRefused("order", f"pair {position} is not in its place", row.pointer)
    if row.text("first") != first_arm(seed, position).value:
        raise ReportRefused("order", f"the seed gives pair {position} the other order of arms", row.pointer)
    contrasts = row.object("contrasts")
    values = {name: contrasts.number(name) for name in contrasts.names}
    if any(abs(value) > 1.0 or rounded(value) != value for value in values.values()):
        raise ReportRefused("shape", "a contrast is in [-1, 1], with six decimals", contrasts.pointer)
    missing = reasons.get(position, "")
    if bool(missing) is bool(values):
        raise ReportRefused("shape", "a pair has contrasts or is missing, one of the two", row.pointer)
    return Pair(
        position=position,
        contrasts=values,
        stratum=row.text("stratum"),
        input_id=row.text("input"),
        missing=missing,
    )


def plan_from_json(reader: Reader) -> TrialPlan:
    """
    The plan as written by ``report.plan_to_json``.

    Raises:
        PlanInvalid, ValueError, ReportRefused: it is no plan.
    """
    effects = reader.object("effects")
    return TrialPlan(
        profile=reader.text("profile"),
        margin=reader.number("margin"),
        n_min=reader.whole("n_min"),
        n_max=reader.whole("n_max"),
        alpha=reader.number("alpha"),
        beta=reader.number("beta"),
        mode=Mode(reader.text("mode")),
        looks=tuple(reader.wholes("looks")),
        metrics=tuple(Metric(name) for name in reader.texts("metrics")),
        primary=tuple(Metric(name) for name in reader.texts("primary")),
        guardrails=tuple(_guardrail(row) for row in reader.objects("guardrails")),
        effects={name: effects.number(name) for name in effects.names},
        strata=tuple(reader.texts("strata")),
        most_missing=reader.number("most_missing"),
        least_fidelity=reader.number("least_fidelity"),
    )


def _guardrail(row: Reader) -> Guardrail:
    return Guardrail(
        metric=Metric(row.text("metric")),
        margin=row.number("margin"),
        hard=row.flag("hard"),
    )


def _health(reader: Reader) -> Health:
    """The health as stated; a judge's qualification must follow from its examination."""
    health = Health(
        judge_qualified=reader.flag("judge_qualified"),
        judge_reason=reader.text("judge_reason"),
        replay_fidelity=reader.number("replay_fidelity"),
    )
    if reader.raw("judge") is not None:
        judge = reader.object("judge")
        first, second = judge.whole("leans_first"), judge.whole("leans_second")
        if first + second > MOST_JUDGED:
            raise ReportRefused("judge", f"was asked more than {MOST_JUDGED} times", judge.pointer)
        examined = Examination(
            pairs=judge.whole("pairs"),
            consistency=judge.number("consistency"),
            leans_first=first,
            leans_second=second,
            bias_p=sign_test(first, second),
        )
        if (examined.qualified, examined.reason) != (health.judge_qualified, health.judge_reason):
            raise ReportRefused(
                "judge", "the judge's qualification does not follow from its examination", judge.pointer
            )
    return health


def _same(stated: Any, found: Any, pointer: str) -> None:
    """Refuse where the report says something else than its pairs."""
    if isinstance(found, float):
        number = isinstance(stated, int | float) and not isinstance(stated, bool)
        if number and math.isclose(stated, found, rel_tol=1e-9, abs_tol=_TOLERANCE):
            return
    elif isinstance(found, dict):
        if isinstance(stated, dict) and set(stated) == set(found):
            for name, value in found.items():
                _same(stated[name], value, f"{pointer}/{name}")
            return
    elif isinstance(found, list):
        if isinstance(stated, list) and len(stated) == len(found):
            for index, value in enumerate(found):
                _same(stated[index], value, f"{pointer}/{index}")
            return
    elif type(stated) is type(found) and stated == found:
        return
    raise ReportRefused("verdict", "does not follow from the pairs", pointer)
