"""
The garbage collector at rest while a long script is compiled.

    with collector_at_rest():
        …

Half of the time of compiling 250 kB went into looking through a growing tree,
again and again, for cycles that are not there; in a process with much else in
memory more. Whoever switched the collector off finds it off afterwards, and
any number of threads may rest it at the same time.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_guard = threading.Lock()
_resting = 0  # how many threads are inside
_was_on = False  # before the first of them


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """No collection until the last thread has left."""
    global _resting, _was_on
    with _guard:
        if not _resting:
            _was_on = gc.isenabled()
            gc.disable()
        _resting += 1
    try:
        yield
    finally:
        with _guard:
            _resting -= 1
            if not _resting and _was_on:
                gc.enable()
