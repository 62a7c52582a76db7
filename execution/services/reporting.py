"""
The verification report of a decided trial: built once, kept byte for byte.

Apps above sign it: they add to ``SIGNERS`` what gives ``{keyid, key, sig}`` for
the bytes to be signed, to ``NAMERS`` what names this node, and to ``VERIFIERS``
what tells a key's own signature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from execution.models import Trial, VerificationReport
from execution.services import examining
from execution.shadow import report as reports
from execution.shadow.evidence import Pair
from execution.shadow.recheck import Verify
from execution.shadow.report import Setting, Subject
from execution.shadow.verdict import Health
from registry.models import PatternVersion

Signer = Callable[[bytes], dict[str, str] | None]  # None where it cannot sign, for want of an identity

SIGNERS: list[Signer] = []
NAMERS: list[Callable[[], str]] = []
VERIFIERS: list[Verify] = []


def verifier() -> Verify | None:
    """What decides on signatures that bring their key; needs no database. None where nobody can tell."""
    return VERIFIERS[-1] if VERIFIERS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A report that is not kept yet."""

    data: bytes  # the one spelling of the file
    digest: str  # of its body
    outcome: str
    sentence: str


def write(trial: Trial, pairs: Sequence[Pair], health: Health, now: datetime) -> Written:
    """Build and sign the report; takes a second for thousands of pairs, so not inside a transaction."""
    report = reports.build(setting_of(trial, health, now), pairs)
    made = [signer(reports.signed_bytes(report)) for signer in SIGNERS]
    report["signatures"] = [signature for signature in made if signature is not None]
    verdict = report["body"]["verdict"]
    return Written(
        data=reports.dump(report),
        digest=report["digest"],
        outcome=verdict["outcome"],
        sentence=verdict["sentence"],
    )


def keep(trial: Trial, report: Written, now: datetime) -> VerificationReport:
    """The row; inside the transaction of the verdict."""
    return VerificationReport.objects.create(
        trial=trial, digest=report.digest, outcome=report.outcome, data=report.data, created_at=now
    )


def setting_of(trial: Trial, health: Health, now: datetime) -> Setting:
    """All of the trial that is not its pairs."""
    return Setting(
        trial=str(trial.pk),
        control=subject_of(trial.control),
        candidate=subject_of(trial.candidate),
        plan=trial.trial_plan,
        seed=bytes(trial.seed),
        backend=f"{trial.backend}, recorded" if trial.recorded else trial.backend,
        started_at=spelled(trial.started_at or trial.created_at),
        ended_at=spelled(now),
        health=health,
        judge=examining.examination_of(trial),
        node=NAMERS[-1]() if NAMERS else "",
    )


def subject_of(version: PatternVersion) -> Subject:
    """One arm, by name and digest."""
    return Subject(name=str(version), digest=f"sha256:{version.digest}")


def spelled(moment: datetime) -> str:
    """RFC 3339, UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
