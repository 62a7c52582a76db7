"""
Kill -9 of one process in the middle of a fan-out, twenty times, in each system: how often is a completion paid again?

The same fan-out everywhere: 400 completions of 50 ms, ten at once. Each
completion logs that it was asked and, last thing before it returns, that its
answer is here. The process is killed by its id at a random moment after each
eighteenth new answer, and started again, until one lives to the end. Run by
``benchmarks.durable``.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WIDTH, AT_ONCE, KILLS, STEP = 400, 10, 20, 18
MOMENTS_SECONDS = 0.1  # two completions long
PATIENCE_SECONDS = 120.0  # for one life
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What was asked for in all lives together."""

    kills: int
    asked_again: int  # askings beyond the first of each completion
    answered_again: int  # of these, those whose answer had come before they were asked again
    last_word: str  # of the process that lived to the end


def bill_of(lines: Sequence[str], kills: int, last_word: str = "") -> Bill:
    """Count the log; its order is that of the system calls."""
    seen: set[str] = set()
    answered: set[str] = set()
    again = paid = 0
    for line in lines:
        word, key, _ = line.split(" ")
        if word == "answered":
            answered.add(key)
            continue
        again += key in seen
        paid += key in answered
        seen.add(key)
    if len(answered) != WIDTH:
        raise RuntimeError(f"{len(answered)} of {WIDTH} completions were answered")
    return Bill(kills=kills, asked_again=again, answered_again=paid, last_word=last_word)


def survive(command: Sequence[str], folder: Path, environment: dict[str, str]) -> Bill:
    """Start ``command`` again and again, killing it on the way; it ends by itself once the fan-out is through."""
    log, said = folder / "paid.log", folder / "said.log"
    log.touch()
    kills, chance = 0, random.Random(20)
    while True:
        with said.open("ab") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **environment, "PAID_LOG": str(log)}, stdout=output, stderr=output
            )
        wanted = STEP * (kills + 1) if kills < KILLS else WIDTH + 1
        if _ended_before(process, log, wanted):
            if process.returncode:
                raise RuntimeError(f"{' '.join(command)} failed:\n{said.read_text()[-2000:]}")
            return bill_of(log.read_text().splitlines(), kills, said.read_text().strip().rpartition("\n")[2])
        time.sleep(chance.uniform(0, MOMENTS_SECONDS))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1


def _ended_before(process: subprocess.Popen[bytes], log: Path, wanted: int) -> bool:
    """Whether the process ended by itself before so many completions were answered."""
    began = time.monotonic()
    while process.poll() is None:
        found = {line.split()[1] for line in log.read_text().splitlines() if line.startswith("answered")}
        if len(found) >= wanted:
            return False
        if time.monotonic() - began > PATIENCE_SECONDS:
            process.kill()
            raise RuntimeError(f"{len(found)} of {wanted} answers after {PATIENCE_SECONDS:g} s")
        time.sleep(0.01)
    return True
