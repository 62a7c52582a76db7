"""
Children: processes without Django, connection, key or environment, spoken to over a pipe.

    child = start(COMMAND)                     # the parent
    send(child.stdin, part, part)
    parts = receive(child.stdout)

    serve(lambda parts: [answer])              # the child, until the pipe closes

A message is one or more byte strings; never a pickle, so that what a hostile
text might make of a child reaches no further than its answer.

Source: docs/decisions/0126.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

CHILD_BYTES = 2 * 1024**3  # of address space: what wants more ends the child, not the machine
MESSAGE_SECONDS = 60  # over one message, after which a child ends itself
_ROOT = Path(__file__).resolve().parents[2]
_LENGTH = struct.Struct(">I")


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """A child with pipes to its input and output, and with nothing of the environment but the path."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return subprocess.Popen(  # noqa: S603  a module of ours, by this interpreter
        command, cwd=_ROOT, env=kept, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def end(child: subprocess.Popen[bytes]) -> None:
    """End it, whatever it is doing."""
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):  # what was still in its buffer is of no use to anybody
                pipe.close()


def send(pipe: IO[bytes], *parts: bytes) -> None:
    """A message of one or more parts: how many, then each with its length."""
    pipe.write(_LENGTH.pack(len(parts)) + b"".join([_LENGTH.pack(len(part)) + part for part in parts]))
    pipe.flush()


def receive(pipe: IO[bytes]) -> list[bytes]:
    """Its parts; raises EOFError where the other side is gone."""
    return [_exactly(pipe, _number(pipe)) for _ in range(_number(pipe))]


def serve(work: Callable[[list[bytes]], Sequence[bytes]], *, seconds: int | None = None) -> None:
    """The child's side: answer message by message until the pipe closes, which it also does when the parent dies."""
    _bound()
    source, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            parts = receive(source)
        except EOFError:
            return
        signal.alarm(seconds or MESSAGE_SECONDS)
        answer = work(parts)
        signal.alarm(0)
        send(answers, *answer)


def _number(pipe: IO[bytes]) -> int:
    (number,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    return int(number)


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _bound() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (CHILD_BYTES, CHILD_BYTES))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it ends
