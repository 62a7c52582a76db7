"""The completion that everybody asks for in the kill test: it logs that it was asked, takes its time, logs its answer."""

from __future__ import annotations

import os
import time

SECONDS = 0.05
_log = (
    os.open(os.environ["PAID_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if "PAID_LOG" in os.environ else -1
)


def asked(key: object) -> None:
    """One line with the milliseconds, by one system call: the money is on its way."""
    os.write(_log, f"asked {key} {time.time_ns() // 1_000_000}\n".encode())


def answered(key: object) -> None:
    """The answer is here; whether it is kept is the business of who asked."""
    os.write(_log, f"answered {key} {time.time_ns() // 1_000_000}\n".encode())


def completion(n: int) -> int:
    """A completion that takes 50 ms."""
    asked(n)
    time.sleep(SECONDS)
    answered(n)
    return n
