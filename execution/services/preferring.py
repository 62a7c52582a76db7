"""
Asking a judge which arm answered better: a run of the built-in program ``judge.opl`` for each repetition.

The judge sees the task and both answers in both orders, and is not told which
is which. Its runs are arms of the pair like the others (``ArmRun.arm`` is
``judge``), so their budget, their cancelling and their attempts are the
trial's. An arm that ended without an answer loses to one that has an answer,
and nobody is asked. A judge that cannot be heard after all attempts is an
infrastructure failure: it says nothing about either version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from execution.agents import roster
from execution.errors import TrialRefused
from execution.models import ArmRun, Run, Trial, TrialPair
from execution.models.trial import TrialMode
from execution.services import guiding, starting
from execution.services.checking import SEED_BITS
from execution.services.isolating import TRIALS
from execution.services.trial_plans import MOST_CRITERIA
from execution.shadow.judge import Answer, Asked
from opl.script.compiler import compile_script
from opl.script.values import is_number

SOURCE = (Path(__file__).parent.parent / "judge.opl").read_text(encoding="utf-8")
JUDGE = "judge"  # an ArmRun's arm
LONGEST_ANSWER = 60_000  # characters that a judge reads of one answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """The judge that a trial asks for."""

    criteria: str  # what makes an answer better, in words
    quality: bool | None = None  # whether its scores are the quality of both arms; None: where no `score` says it
    backend: str = ""  # alias of its agents, "" for those of the arms
    model: str = ""  # "" for the backend's default


def checked(judge: Judge, *, scored: bool) -> Judge:
    """
    The judge with everything decided.

    Args:
        scored: whether a ``score`` expression gives the quality.

    Raises:
        TrialRefused: the judge cannot serve as it is asked for.
        BackendUnknown: no such alias.
    """
    if not judge.criteria.strip() or len(judge.criteria) > MOST_CRITERIA:
        raise TrialRefused("judge", f"say in up to {MOST_CRITERIA} characters what makes an answer better")
    if judge.quality and scored:
        raise TrialRefused("judge", "quality comes from `score` or from the judge, not from both; leave one out")
    if judge.backend and not roster.backend(judge.backend).capabilities.structured:
        raise TrialRefused("judge", f"the agents {judge.backend} do not answer in the shape that a judge needs")
    return replace(judge, quality=not scored if judge.quality is None else judge.quality)


def kept(judge: Judge) -> dict[str, Any]:
    """As a trial's row holds it."""
    return {
        "criteria": judge.criteria.strip(),
        "quality": judge.quality,
        "backend": judge.backend,
        "model": judge.model,
        "examination": None,
    }


@lru_cache(maxsize=1)
def program() -> dict[str, Any]:
    """The judge's program."""
    compiled = compile_script(SOURCE).program
    assert compiled is not None
    return compiled


# ---------------------------------------------------------------- asking


def has_answer(run: Run) -> bool:
    """Whether an arm's run left something that a judge can look at."""
    return run.status == "succeeded" and answer_of(run) is not None


def answer_of(run: Run) -> Any:
    """What a caller gets of a run: of a guided one the orchestrator's answer, without its bookkeeping."""
    result = run.result_value()
    if isinstance(result, Mapping) and run.version.mode == "guided":
        return result.get("result")
    return result


def ask(trial: Trial, pair: TrialPair, control: ArmRun, candidate: ArmRun, attempt: int, now: datetime) -> ArmRun:
    """Start the judge's run for one repetition; inside the caller's transaction. Raises RunRefused."""
    told = trial.judge or {}
    values = pair.input.value() if pair.input is not None else guiding.given_of(control.run)
    planned = guiding.Plan(
        program=program(),
        inputs={
            "task": spelled(values),
            "criteria": told["criteria"],
            "control": shown(whole(control)),
            "candidate": shown(whole(candidate)),
            "model": told["model"],
        },
    )
    shadow: dict[str, Any] = {"trial": trial.pk, "arm": JUDGE}
    if trial.in_batches:
        shadow["in_batches"] = True
    user, backend = trial.started_by, told["backend"] or trial.backend
    if trial.is_beside_runs:
        shadow["uncharged"] = True
        user, backend = control.run.started_by, told["backend"] or control.run.backend
    run = starting.start(
        version=trial.control,
        planned=planned,
        user=user,
        now=now,
        backend=backend,
        seed=seed_of(bytes(trial.seed), pair.position, control.number, attempt),
        policy={"limits": trial.caps},
        queue=TRIALS,
        shadow=shadow,
    )
    return ArmRun.objects.create(pair=pair, arm=JUDGE, number=control.number, attempt=attempt, run=run)


def whole(arm: ArmRun) -> Run:
    """The run with its result, which lists of arms leave out."""
    heavy = ("version__source", "version__program", "version__value")
    return Run.objects.select_related("version").defer(*heavy).get(pk=arm.run_id)


def whole_run(run: Run | None) -> Run | None:
    """The judge's run with its result."""
    return None if run is None else Run.objects.get(pk=run.pk)


def shown(run: Run) -> str:
    """An arm's answer as the judge reads it."""
    return spelled(answer_of(run)) if has_answer(run) else "(there is no answer)"


def needs_asking(trial: Trial, control: Run, candidate: Run) -> bool:
    """Whether a judge must look: at two answers always, at a lonely one only where its scores are the quality."""
    answers = has_answer(control) + has_answer(candidate)
    return answers == 2 or (answers == 1 and bool((trial.judge or {}).get("quality")) and trial.mode != TrialMode.EXAM)


def spelled(value: Any) -> str:
    """A value as the judge reads it."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
    return text if len(text) <= LONGEST_ANSWER else f"{text[:LONGEST_ANSWER]}\n(cut here)"


def seed_of(seed: bytes, position: int, number: int, attempt: int) -> int:
    """A judge's seed, drawn from the trial's."""
    told = f"{position}/{JUDGE}/{number}/{attempt}".encode()
    return int.from_bytes(hashlib.sha256(b"opl-trial-run\0" + seed + told).digest()[:8], "big") >> (64 - SEED_BITS)


# ---------------------------------------------------------------- hearing


def heard(judge: Run | None, control: Run, candidate: Run) -> dict[str, Any]:
    """
    What came of one repetition: the judge's two answers and its scores; no prompt and no text.

    Whoever has an answer is preferred to whoever has none, whatever a judge said of it, and its absence scores 0.
    """
    mine, other = has_answer(control), has_answer(candidate)
    said = judge.result_value() if judge is not None else {}
    better = "tie" if mine == other else "first" if mine else "second"
    return {
        "control_first": said["control_first"] if mine and other else better,
        "candidate_first": said["candidate_first"] if mine and other else str(Answer(better).swapped),
        "control_score": _unit(said.get("control_score")) if mine else 0.0,
        "candidate_score": _unit(said.get("candidate_score")) if other else 0.0,
        "asked": judge is not None,
    }


def asked_of(told: Mapping[str, Any]) -> Asked:
    """One repetition as the statistics take it."""
    return Asked(control_first=Answer(told["control_first"]), candidate_first=Answer(told["candidate_first"]))


def preference_of(judged: Sequence[Mapping[str, Any]]) -> float:
    """The contrast of a pair: the mean over its repetitions of +1, 0 or −1."""
    return sum(asked_of(told).preference for told in judged) / len(judged)


def qualities_of(judged: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None]:
    """The judge's scores of the control and of the candidate, each the mean over the repetitions that have one."""
    return _mean([told["control_score"] for told in judged]), _mean([told["candidate_score"] for told in judged])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _unit(value: Any) -> float | None:
    return min(max(float(value), 0.0), 1.0) if is_number(value) else None
